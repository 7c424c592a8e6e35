package onnx

import (
	"errors"
	"slices"

	"github.com/covprop/covprop/layer"
)

// softmaxOps are softmax and its relatives.
var softmaxOps = map[string]op{
	"Softmax":    {since: 6, kind: "softmax", fold: foldRule, shape: sameShape, rule: softmaxRule},
	"LogSoftmax": {since: 6, kind: "log softmax", fold: foldRule, shape: sameShape, rule: softmaxRule},
}

// softmaxGroups are the groups of softmax: the elements along one axis, by
// default the last. Before opset 13 it was all axes from the given one on, by
// default axis 1.
func softmaxGroups(n *node) (groups, error) {
	x, err := n.data()
	if err != nil {
		return groups{}, err
	}
	def := int64(-1)
	if n.m.opset < 13 {
		def = 1
	}
	axis, err := axisOf(n.intAttr("axis", def), len(x.shape))
	if err != nil {
		return groups{}, err
	}
	axes := []int{axis}
	if n.m.opset < 13 {
		axes = from(axis, len(x.shape))
	}
	g := newGroups(x.shape, axes, true)
	if g.size == 0 {
		return g, errors.New("normalises an axis of size 0")
	}
	return g, nil
}

func softmaxRule(n *node) (plan, error) {
	g, err := softmaxGroups(n)
	if err != nil {
		return plan{}, err
	}
	var p plan
	p.inGroups(n, n.out[0], n.in[0], g, func(count, size int) (layer.Rule, error) {
		return layer.NewSoftmax(count, size, n.op == "LogSoftmax")
	})
	return p.done()
}

// from returns the axes first, first+1, ..., rank-1.
func from(first, rank int) []int {
	axes := []int{}
	for a := first; a < rank; a++ {
		axes = append(axes, a)
	}
	return axes
}

// inGroups appends the steps that apply a rule of count rows of size elements
// to the groups of x, which it makes neighbours for that.
func (p *plan) inGroups(n *node, out, x *value, g groups, rule func(count, size int) (layer.Rule, error)) {
	if err := n.m.limits.take(2 * product(g.x)); err != nil {
		p.fail(err)
		return
	}
	order := g.order()
	if slices.IsSorted(order) {
		p.step(out, x)(rule(g.count, g.size))
		return
	}
	row := temp(n, x, []int{g.count, g.size})
	p.step(row, x)(layer.NewSelect(order, len(order)))
	y := temp(n, out, row.shape)
	p.step(y, row)(rule(g.count, g.size))
	back := make([]int, len(order))
	for i, k := range order {
		back[k] = i
	}
	p.step(out, y)(layer.NewSelect(back, len(back)))
}
