package onnx

import (
	"math"
	"slices"
)

// fuseNorm recognises a normalisation in
//
//	x / sqrt(mean(x^2) + epsilon)
//
// and its variants: x - mean(x) for x, a multiple of the mean such as the sum,
// a reciprocal to multiply by, and the expanded form of TensorFlow (see
// fuseExpandedNorm). It reports whether it did. A product with constants that
// follows stays a node.
func (n *node) fuseNorm() bool {
	if n.m.opset < 7 || len(n.in) != 2 || n.in[0] == nil || n.in[1] == nil {
		return false
	}
	switch n.op {
	case "Div":
		return n.fuseNormOf(n.in[0], n.in[1], (*match).inverseOf)
	case "Mul":
		return n.fuseNormOf(n.in[0], n.in[1], (*match).inverse) || n.fuseNormOf(n.in[1], n.in[0], (*match).inverse)
	case "Add":
		return n.fuseExpandedNorm(n.in[0], n.in[1]) || n.fuseExpandedNorm(n.in[1], n.in[0])
	}
	return n.op == "Sub" && n.fuseExpandedNorm(n.in[0], nil)
}

// fuseNormOf fuses num times the inverse root that find sees in v.
func (n *node) fuseNormOf(num, v *value, find func(*match, *value) (inverseRoot, bool)) bool {
	if !slices.Equal(num.shape, n.out[0].shape) {
		return false
	}
	m := newMatch(n)
	r, ok := find(m, v)
	if !ok {
		return false
	}
	for _, center := range []bool{true, false} {
		t := m.clone()
		if x := t.normalised(num, r.squares, center); x != nil && t.fuseInto(x, r, center, nil) {
			return true
		}
	}
	return false
}

// normalised returns what is normalised by num over the root of s: num itself,
// or x if that is x - mean(x).
func (m *match) normalised(num *value, s squares, center bool) *value {
	switch {
	case !center && !s.center && s.x == num:
		return num
	case !center:
		return nil
	case s.center || s.x == num:
		if x := m.centred(num, s.g); x != nil && (x == s.x || !s.center) {
			return x
		}
		return nil
	}
	x := m.centred(num, s.g) // spelled twice
	if x == nil || x != m.centred(s.x, s.g) {
		return nil
	}
	return x
}

// fuseInto makes the root the normalisation of x times the factors of r, plus
// beta if that is not nil.
func (m *match) fuseInto(x *value, r inverseRoot, center bool, beta *value) bool {
	s := r.squares
	scale := r.factor / math.Sqrt(s.a)
	f := normalisation{epsilon: s.epsilon / s.a, floor: math.Sqrt(s.least / s.a), added: s.added / math.Sqrt(s.a), center: center}
	if !m.closed() || !(s.a > 0) || !(f.epsilon >= 0) || math.IsInf(f.epsilon, 0) || !fits(r.gamma, x) || !fits(beta, x) {
		return false
	}
	in := []*value{x}
	if r.gamma != nil {
		in = append(in, m.root.fusedConstant(1, r.gamma.shape, scaled(r.gamma.con.real(), scale)))
	} else if scale != 1 || beta != nil {
		in = append(in, m.root.fusedConstant(1, []int{}, []float64{scale}))
	}
	if beta != nil {
		in = append(in, beta)
	}
	name, def := "RMSNormalization", op{kind: "rms norm", shape: sameShape}
	switch {
	case center:
		name, def.kind = "LayerNormalization", "layer norm"
	case s.a == float64(s.g.size): // a sum of squares
		name = "LpNormalization"
	}
	def.rule = func(n *node) (plan, error) {
		var p plan
		y := n.out[0]
		if len(n.in) > 1 {
			y = temp(n, y, y.shape)
		}
		p.norm(n, y, x, s.g, f)
		if len(n.in) > 1 {
			p.scaleShift(n, n.out[0], y, 1, 2, asIs)
		}
		return p.done()
	}
	m.replace(name, def, in...)
	return true
}

// fits reports whether c is nil or a finite constant that broadcasts to x.
func fits(c, x *value) bool {
	if c == nil {
		return true
	}
	if c.con == nil {
		return false
	}
	to, err := broadcast(c.shape, x.shape)
	_, bad := c.con.finite()
	return err == nil && bad == nil && slices.Equal(to, x.shape)
}

// fuseExpandedNorm recognises, with s = gamma / sqrt(var(x) + epsilon),
//
//	x s + (beta - mean(x) s),
//
// where gamma or beta may be missing. The root adds xs and rest, or subtracts
// its second input from xs if rest is nil.
func (n *node) fuseExpandedNorm(xs, rest *value) bool {
	p := producer(xs, "Mul")
	if p == nil || !slices.Equal(xs.shape, n.out[0].shape) {
		return false
	}
	for i, x := range p.in {
		m := newMatch(n)
		m.members = append(m.members, p)
		factor := p.in[1-i]
		beta, mean := m.shift(rest, factor)
		if mean == nil || !slices.Equal(x.shape, xs.shape) {
			continue
		}
		r, ok := m.inverse(factor)
		if !ok || !m.meanOf(mean, x, r.squares.g) {
			continue
		}
		if r.squares.x == x && r.squares.center || !r.squares.center && m.centred(r.squares.x, r.squares.g) == x {
			return m.fuseInto(x, r, true, beta)
		}
	}
	return false
}

// shift finds v = beta - mean factor, without beta v = -mean factor, or, if v
// is nil, mean factor in what the root subtracts.
func (m *match) shift(v, factor *value) (beta, mean *value) {
	times, sign := v, 1.
	if v == nil {
		times, sign = m.root.in[1], -1
	} else if n := producer(v, "Sub"); n != nil && n.in[0].isConst() {
		m.members = append(m.members, n)
		beta, times, sign = n.in[0], n.in[1], -1
	} else if n := producer(v, "Neg"); n != nil {
		m.members = append(m.members, n)
		times, sign = n.in[0], -1
	}
	n := producer(times, "Mul")
	if n == nil {
		return nil, nil
	}
	m.members = append(m.members, n)
	switch factor {
	case n.in[1]:
		mean = n.in[0]
	case n.in[0]:
		mean = n.in[1]
	default:
		return nil, nil
	}
	if sign < 0 {
		return beta, mean
	}
	minus := producer(mean, "Neg")
	if minus == nil {
		return nil, nil
	}
	m.members = append(m.members, minus)
	return nil, minus.in[0]
}
