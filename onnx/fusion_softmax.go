package onnx

import (
	"slices"

	"github.com/covprop/covprop/layer"
)

// fuseSoftmax recognises a softmax or its logarithm and reports whether it
// did:
//
//	exp(x - c) / sum exp(x - c)
//	log softmax(x) = x - log sum exp(x) = x - c - log sum exp(x - c)
//
// where c = 0 or the largest x, which keeps floating point from overflowing.
func (n *node) fuseSoftmax() bool {
	if n.m.opset < 7 || len(n.in) == 0 || n.in[0] == nil {
		return false
	}
	switch {
	case n.op == "Log":
		return n.fuseLogOfSoftmax()
	case len(n.in) != 2 || n.in[1] == nil:
		return false
	case n.op == "Div":
		return n.fuseShares(n.in[0], n.in[1], nil)
	case n.op == "Sub":
		return n.fuseLogShares()
	case n.op == "Mul":
		for i, v := range n.in {
			if r := producer(v, "Reciprocal"); r != nil && n.fuseShares(n.in[1-i], r.in[0], r) {
				return true
			}
		}
	}
	return false
}

// fuseShares fuses e/v with e = exp(x - c) and v the sum of e; by is another
// member, or nil.
func (n *node) fuseShares(e, v *value, by *node) bool {
	m := newMatch(n)
	if by != nil {
		m.members = append(m.members, by)
	}
	f := m.step(e, "Exp")
	if f == nil {
		return false
	}
	s := m.expanded(v)
	u, g := m.reduced(m.unreshaped(s), "ReduceSum")
	return u == e && g.aligned(s.shape) && m.softmax("Softmax", f.in[0], g)
}

// fuseLogShares fuses w - log sum exp w with w = x - c.
func (n *node) fuseLogShares() bool {
	m := newMatch(n)
	s := m.expanded(n.in[1])
	w, g := m.logSum(m.unreshaped(s))
	return w != nil && w == n.in[0] && g.aligned(s.shape) && m.softmax("LogSoftmax", w, g)
}

// logSum returns w if v = log sum exp w, and the groups that are summed.
func (m *match) logSum(v *value) (w *value, g groups) {
	if w, g = m.reduced(v, "ReduceLogSumExp"); w != nil {
		return w, g
	}
	if w, g = m.reduced(v, "ReduceLogSum"); w == nil {
		f := m.step(v, "Log")
		if f == nil {
			return nil, g
		}
		w, g = m.reduced(m.unreshaped(f.in[0]), "ReduceSum")
	}
	if w == nil {
		return nil, g
	}
	if f := m.step(w, "Exp"); f != nil {
		return f.in[0], g
	}
	return nil, g
}

// softmax makes the root the softmax or log softmax of w, or of x if
// w = x - max x.
func (m *match) softmax(name string, w *value, g groups) bool {
	def := op{kind: "softmax", shape: sameShape, rule: func(n *node) (plan, error) {
		var p plan
		p.inGroups(n, n.out[0], n.in[0], g, func(count, size int) (layer.Rule, error) {
			return layer.NewSoftmax(count, size, n.op == "LogSoftmax")
		})
		return p.done()
	}}
	t := m.clone()
	if d := t.step(w, "Sub"); d != nil && g.aligned(d.in[1].shape) {
		x, h := t.reduced(t.unreshaped(d.in[1]), "ReduceMax")
		if x != nil && x == d.in[0] && g.same(h) && t.closed() {
			t.replace(name, def, x)
			return true
		}
	}
	if !m.closed() {
		return false
	}
	m.replace(name, def, w)
	return true
}

// fuseLogOfSoftmax fuses the logarithm of a softmax of the file or of one that
// was recognised before.
func (n *node) fuseLogOfSoftmax() bool {
	v := n.in[0]
	f := v.by
	if f == nil || v.isConst() || f.op != "Softmax" || f.err != nil || f.into != nil || !slices.Equal(v.shape, n.out[0].shape) {
		return false
	}
	m := newMatch(n)
	m.members = append(m.members, f)
	if !m.closed() {
		return false
	}
	m.replace("LogSoftmax", f.def, f.in...)
	n.attrs = f.attrs
	n.members += f.members - 1
	return true
}
