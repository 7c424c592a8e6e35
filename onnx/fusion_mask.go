package onnx

import (
	"math"
	"slices"
)

// fuseMask makes the mask of a softmax finite: the constant -Inf that is added
// to masked elements, or stands in their place, becomes the lowest float32,
// whose exponential is 0 as well. Rows that are masked altogether stay as they
// are, which is an error, since their softmax is 0/0.
func (n *node) fuseMask() {
	v := n.in[0]
	p := v.by
	if p == nil || v.isConst() || p.err != nil || p.into != nil || v.output || len(v.users) != 1 {
		return
	}
	for i, c := range p.in {
		if c == nil || c.con == nil || !c.con.dtype.isFloat() || !slices.ContainsFunc(c.con.floats, isMinusInf) {
			continue
		}
		masked := p.masked(i)
		g, err := softmaxGroups(n)
		if masked == nil || err != nil || n.m.limits.take(3*len(masked)+len(c.con.floats)) != nil {
			return
		}
		for _, list := range g.lists() {
			if !slices.ContainsFunc(list, func(k int) bool { return !masked[k] }) {
				return
			}
		}
		t := *c.con
		t.floats = slices.Clone(t.floats)
		for k, x := range t.floats {
			if isMinusInf(x) {
				t.floats[k] = -math.MaxFloat32
			}
		}
		p.in[i] = &value{name: c.name, dtype: c.dtype, shape: c.shape, con: &t}
	}
}

func isMinusInf(x float64) bool { return math.IsInf(x, -1) }

// masked returns, for every element that the node makes, whether its constant
// input i makes it -Inf; nil if the node is no mask.
func (n *node) masked(i int) []bool {
	shape := n.out[0].shape
	mask := make([]bool, product(shape))
	floats := n.in[i].con.floats
	switch {
	case n.op == "Add" && n.m.opset >= 7:
		for k, p := range positions(n.in[i].shape, shape) {
			mask[k] = isMinusInf(floats[p])
		}
	case n.op == "Where" && i > 0 && n.in[0].con != nil:
		cond := positions(n.in[0].shape, shape)
		for k, p := range positions(n.in[i].shape, shape) {
			mask[k] = isMinusInf(floats[p]) && (n.in[0].con.ints[cond[k]] != 0) == (i == 1)
		}
	default:
		return nil
	}
	return mask
}
