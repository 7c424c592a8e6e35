package onnx

import (
	"slices"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
)

// sumGroups appends the sums of the groups.
func sumGroups(p *plan, n *node, out, x *value, g groups) { weightedSums(p, n, out, x, g, 1) }

// meanGroups appends the means of the groups.
func meanGroups(p *plan, n *node, out, x *value, g groups) {
	weightedSums(p, n, out, x, g, 1/float64(g.size))
}

// weightedSums appends weight times the sums of the groups: one sparse map for
// each run of neighbouring axes, the last run first.
func weightedSums(p *plan, n *node, out, x *value, g groups, weight float64) {
	shape, axes := []int{}, []int{} // without axes of size 1
	for a, d := range g.x {
		if d == 1 {
			continue
		}
		if _, reduced := slices.BinarySearch(g.axes, a); reduced {
			axes = append(axes, len(shape))
		}
		shape = append(shape, d)
	}
	if len(axes) == 0 {
		p.step(out, x)(layer.NewReshape(product(g.x)))
		return
	}
	for hi := len(axes); hi > 0; {
		lo := hi - 1
		for lo > 0 && axes[lo-1] == axes[lo]-1 {
			lo--
		}
		from, to := axes[lo], axes[hi-1]+1
		size, inner := product(shape[from:to]), product(shape[to:])
		shape = slices.Delete(shape, from, to)
		y := out
		if hi = lo; hi > 0 {
			y = temp(n, out, slices.Clone(shape))
		}
		w := slices.Repeat([]float64{weight}, size)
		p.step(y, x)(layer.NewSparse([]int{0, size}, iota(size), w, nil, size, product(shape[:from]), inner))
		x, weight = y, 1
	}
}

// iota returns 0, 1, ..., n-1.
func iota(n int) []int {
	x := make([]int, n)
	for i := range x {
		x[i] = i
	}
	return x
}

// sumOf returns the rule of the sums of an activation of the elements.
func sumOf(act func() activation.Activation) func(*plan, *node, *value, *value, groups) {
	return func(p *plan, n *node, out, x *value, g groups) {
		y := temp(n, x, x.shape)
		p.activation(y, x, act())
		sumGroups(p, n, out, y, g)
	}
}

// activation appends out = act(x) element by element.
func (p *plan) activation(out, x *value, act ...activation.Activation) {
	p.step(out, x)(layer.NewElementwise(act, product(x.shape)))
}

// normGroups appends the roots of the sums of squares, which for one element
// is its absolute value.
func normGroups(p *plan, n *node, out, x *value, g groups) {
	if g.size == 1 {
		p.activation(out, x, activation.Abs())
		return
	}
	squares := temp(n, out, g.out)
	sumOf(activation.Square)(p, n, squares, x, g)
	p.activation(out, squares, activation.Sqrt())
}

func logSumGroups(p *plan, n *node, out, x *value, g groups) {
	sums := temp(n, out, g.out)
	sumGroups(p, n, sums, x, g)
	p.activation(out, sums, activation.Log())
}

// logSumExpGroups appends log sum_j exp x_j = x_1 - logsoftmax(x)_1, which
// does not overflow.
func logSumExpGroups(p *plan, n *node, out, x *value, g groups) {
	x = g.inRow(p, n, x)
	logs := temp(n, out, x.shape)
	p.step(logs, x)(layer.NewSoftmax(g.count, g.size, true))
	first := make([]int, g.count)
	for i := range first {
		first[i] = i * g.size
	}
	a, b := temp(n, x, g.out), temp(n, logs, g.out)
	p.step(a, x)(layer.NewSelect(first, product(g.x)))
	p.step(b, logs)(layer.NewSelect(first, product(g.x)))
	p.step(out, a, b)(layer.NewSum([]float64{1, -1}, g.count))
}

// maxGroups appends the largest elements of the groups.
func maxGroups(p *plan, n *node, out, x *value, g groups) {
	p.fail(tournament(p, n, out, x, g.lists()))
}

// minGroups appends min x = -max(-x).
func minGroups(p *plan, n *node, out, x *value, g groups) {
	minus, top := temp(n, x, x.shape), temp(n, out, g.out)
	p.negative(minus, x)
	maxGroups(p, n, top, minus, g)
	p.negative(out, top)
}

// negative appends out = -x.
func (p *plan) negative(out, x *value) {
	p.step(out, x)(layer.NewScale([]float64{-1}, nil, product(x.shape)))
}

// prodGroups appends the products of the groups: of pairs, until one factor is
// left. Where a group has an odd number of them, the last is multiplied by 1.
func prodGroups(p *plan, n *node, out, x *value, g groups) {
	if g.size == 1 {
		p.step(out, x)(layer.NewReshape(g.count))
		return
	}
	for index, size := g.order(), g.size; size > 1; {
		half := (size + 1) / 2
		a, b := make([]int, 0, g.count*half), make([]int, 0, g.count*half)
		for i := 0; i < len(index); i += size {
			a = append(a, index[i:i+half]...)
			b = append(b, index[i+half:i+size]...)
			if size%2 != 0 {
				b = append(b, -1)
			}
		}
		shape := []int{g.count, half}
		left, right, y := temp(n, x, shape), temp(n, x, shape), out
		if half > 1 {
			y = temp(n, out, shape)
		}
		p.placed(n, left, x, a, nil)
		p.placed(n, right, x, b, []float64{1})
		p.step(y, left, right)(layer.NewProduct(len(a)))
		x, index, size = y, iota(len(a)), half
	}
}

// parseArgMax reads which axis ArgMax and ArgMin look along.
func parseArgMax(n *node) (groups, error) {
	v, err := n.data()
	if err != nil {
		return groups{}, err
	}
	axis, err := axisOf(n.intAttr("axis", 0), len(v.shape))
	if err != nil {
		return groups{}, err
	}
	return newGroups(v.shape, []int{axis}, n.intAttr("keepdims", 1) != 0), nil
}

func argMaxShape(n *node) ([][]int, error) {
	g, err := parseArgMax(n)
	n.out[0].dtype = int64t
	return [][]int{g.out}, err
}

// argMaxRule is the position of the largest element, or the smallest: of
// equal ones the first, unless select_last_index is set.
func argMaxRule(n *node) (plan, error) {
	var p plan
	g, err := parseArgMax(n)
	if err == nil {
		err = n.m.limits.take(product(g.x))
	}
	if err != nil {
		return plan{}, err
	}
	x := n.in[0]
	if n.op == "ArgMin" {
		minus := temp(n, x, x.shape)
		p.negative(minus, x)
		x = minus
	}
	p.step(n.out[0], g.inRow(&p, n, x))(layer.NewArgMax(g.count, g.size, n.lastIndex()))
	return p.done()
}

func (n *node) lastIndex() bool { return n.intAttr("select_last_index", 0) != 0 }

func foldArgMax(n *node) ([]*tensor, error) {
	g, err := parseArgMax(n)
	if err != nil {
		return nil, err
	}
	t, err := n.con(0)
	if err == nil && g.size == 0 && g.count > 0 {
		err = errReduceEmpty
	}
	if err == nil {
		err = n.m.limits.take(3*t.len() + g.count)
	}
	if err != nil {
		return nil, err
	}
	x, err := t.finite()
	if err != nil {
		return nil, err
	}
	better := func(a, b float64) bool { return a > b }
	if n.op == "ArgMin" {
		better = func(a, b float64) bool { return a < b }
	}
	out := newTensor(n, int64t, g.out, g.count)
	for i, list := range g.lists() {
		best := 0
		for k := range list {
			if y, top := x[list[k]], x[list[best]]; better(y, top) || y == top && n.lastIndex() {
				best = k
			}
		}
		out.ints[i] = int64(best)
	}
	return []*tensor{out}, nil
}
