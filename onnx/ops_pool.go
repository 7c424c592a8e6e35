package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
)

// poolOps are pooling.
var poolOps = map[string]op{
	"AveragePool":       {since: 6, kind: "sparse", fold: foldRule, shape: poolShape, rule: averagePoolRule},
	"GlobalAveragePool": {since: 6, kind: "sparse", fold: foldRule, shape: globalShape, rule: globalAverageRule},
	"GlobalLpPool":      {since: 6, kind: "power", fold: foldRule, shape: globalShape, rule: globalLpRule},
	"GlobalMaxPool":     {since: 6, kind: "max", fold: foldRule, shape: globalShape, rule: globalMaxRule},
	"LpPool":            {since: 6, kind: "power", fold: foldRule, shape: poolShape, rule: lpPoolRule},
	"MaxPool":           {since: 6, kind: "max", fold: foldFirst, shape: poolShape, rule: maxPoolRule},
}

// onlyFirst refuses a node of which more than the first output is used.
func (n *node) onlyFirst() error {
	for i, v := range n.out[1:] {
		if v.used() {
			return fmt.Errorf("its output %d, %q, is not supported", 1+i, v.name)
		}
	}
	return nil
}

// foldFirst is foldRule for an operator whose first output only is supported.
func foldFirst(n *node) ([]*tensor, error) {
	if err := n.onlyFirst(); err != nil {
		return nil, err
	}
	first := *n
	first.out = n.out[:1]
	ts, err := foldRule(&first)
	n.attrErr = first.attrErr
	for range n.out[1:] { // nothing uses them
		ts = append(ts, newTensor(n, int64t, []int{0}, 0))
	}
	return ts, err
}

// parsePool returns the windows of a pooling, which slide over all axes but
// those of the batch and the channels.
func parsePool(n *node) ([]window, error) {
	x, err := n.data()
	if err != nil {
		return nil, err
	}
	rank := len(x.shape) - 2
	if rank < 1 {
		return nil, fmt.Errorf("a tensor of shape %v has nothing to slide a window over", x.shape)
	}
	if _, ok := n.intsAttr("kernel_shape"); !ok {
		return nil, errors.New("has no kernel_shape")
	}
	kernel, err := n.spatial("kernel_shape", rank, 1, 1)
	if err != nil {
		return nil, err
	}
	return n.sliding(x.shape[2:], kernel, n.intAttr("ceil_mode", 0) != 0)
}

func poolShape(n *node) ([][]int, error) {
	ws, err := parsePool(n)
	if err != nil {
		return nil, err
	}
	shapes := [][]int{concat(n.in[0].shape[:2], outs(ws))}
	for range n.out[1:] { // MaxPool's Indices
		shapes = append(shapes, shapes[0])
	}
	return shapes, nil
}

// averagePoolRule is the mean of each window: of what is not padding or, with
// count_include_pad, of all that is not beyond it.
func averagePoolRule(n *node) (plan, error) {
	return slidingSums(n, n.out[0], n.in[0], n.intAttr("count_include_pad", 0) != 0, true)
}

// slidingSums is the steps that make the sums of windows, or their means.
func slidingSums(n *node, out, x *value, include, mean bool) (plan, error) {
	var p plan
	ws, err := parsePool(n)
	if err != nil {
		return plan{}, err
	}
	g, err := join(n, ws, window.grid)
	if err != nil {
		return plan{}, err
	}
	lists, err := g.windowsOf(n)
	if err != nil {
		return plan{}, err
	}
	if err := n.m.limits.take(2 * len(g.at)); err != nil {
		return plan{}, err
	}
	start, index, weight := []int{0}, []int{}, []float64{}
	for k, list := range lists {
		count := len(list)
		if include {
			count = 0
			for _, q := range g.at[k*g.taps:][:g.taps] {
				if q != beyond {
					count++
				}
			}
		}
		w := 1.
		if mean {
			w = 1 / float64(count)
		}
		index = append(index, list...)
		weight = append(weight, slices.Repeat([]float64{w}, len(list))...)
		start = append(start, len(index))
	}
	p.step(out, x)(layer.NewSparse(start, index, weight, nil, g.in, product(x.shape[:2]), 1))
	return p.done()
}

// lpPoolRule is the p-norm of each window.
func lpPoolRule(n *node) (plan, error) {
	return lpNorm(n, func(out, x *value) (plan, error) { return slidingSums(n, out, x, false, false) })
}

// globalLpRule is the p-norm of each channel.
func globalLpRule(n *node) (plan, error) {
	return lpNorm(n, func(out, x *value) (plan, error) { return globalSums(n, out, x, 1) })
}

// lpNorm is the steps that make (sum |x|^p)^(1/p), with the sums given.
func lpNorm(n *node, sums func(out, x *value) (plan, error)) (plan, error) {
	order := n.intAttr("p", 2)
	if order < 1 || order > activation.MaxDegree {
		return plan{}, fmt.Errorf("takes the %d-norm; 1 to %d are supported", order, activation.MaxDegree)
	}
	var p plan
	x, total := n.in[0], n.out[0]
	apply := func(act activation.Activation) {
		y := temp(n, x, x.shape)
		p.activation(y, x, act)
		x = y
	}
	if order%2 != 0 {
		apply(activation.Abs())
	}
	if order > 1 {
		apply(activation.Power(float64(order)))
		total = temp(n, total, total.shape)
	}
	s, err := sums(total, x)
	if err != nil {
		return plan{}, err
	}
	p.steps = append(p.steps, s.steps...)
	if order > 1 {
		p.activation(n.out[0], total, activation.Power(1/float64(order)))
	}
	return p.done()
}

// maxPoolRule is the maximum of each window, axis by axis: first along the
// last.
func maxPoolRule(n *node) (plan, error) {
	ws, err := parsePool(n)
	if err == nil {
		err = n.onlyFirst()
	}
	if err != nil {
		return plan{}, err
	}
	moves := func(w window) bool { return w.taps > 1 || w.out != w.in }
	first := slices.IndexFunc(ws, moves)
	var p plan
	x := n.in[0]
	if first < 0 {
		p.step(n.out[0], x)(layer.NewReshape(product(x.shape)))
		return p.done()
	}
	shape := slices.Clone(x.shape)
	for a := len(ws) - 1; a >= first; a-- {
		if !moves(ws[a]) {
			continue
		}
		g, err := ws[a].grid(n)
		if err != nil {
			return plan{}, err
		}
		lists, err := g.windowsOf(n)
		if err != nil {
			return plan{}, err
		}
		shape[2+a] = g.out
		y := n.out[0]
		if a > first {
			y = temp(n, y, slices.Clone(shape))
		}
		if lists, err = alongAxis(n, lists, g.in, product(shape[:2+a]), product(shape[3+a:])); err != nil {
			return plan{}, err
		}
		if err := tournament(&p, n, y, x, lists); err != nil {
			return plan{}, err
		}
		x = y
	}
	return p.done()
}

// alongAxis returns the lists, of positions on the middle axis of (outer, in,
// inner), for every one of the other axes' positions.
func alongAxis(n *node, lists [][]int, in, outer, inner int) ([][]int, error) {
	total := 0
	for _, list := range lists {
		total += 1 + len(list)
	}
	size, err := n.m.limits.size([]int{outer, total, inner})
	if err == nil {
		err = n.m.limits.take(size)
	}
	if err != nil {
		return nil, err
	}
	all := make([][]int, 0, outer*len(lists)*inner)
	elements := make([]int, 0, size)
	for o := range outer {
		for _, list := range lists {
			for i := range inner {
				first := len(elements)
				for _, q := range list {
					elements = append(elements, (o*in+q)*inner+i)
				}
				all = append(all, elements[first:])
			}
		}
	}
	return all, nil
}

// globalShape keeps the batch and the channels.
func globalShape(n *node) ([][]int, error) {
	x, err := n.data()
	if err != nil {
		return nil, err
	}
	if len(x.shape) < 3 || product(x.shape[2:]) == 0 {
		return nil, fmt.Errorf("a tensor of shape %v has nothing to pool", x.shape)
	}
	ones := slices.Repeat([]int{1}, len(x.shape)-2)
	return [][]int{concat(x.shape[:2], ones)}, nil
}

func globalAverageRule(n *node) (plan, error) {
	return globalSums(n, n.out[0], n.in[0], 1/float64(product(n.in[0].shape[2:])))
}

// globalSums is the step that makes weight times the sum of each channel.
func globalSums(n *node, out, x *value, weight float64) (plan, error) {
	var p plan
	size := product(x.shape[2:])
	if err := n.m.limits.take(2 * size); err != nil {
		return plan{}, err
	}
	w := slices.Repeat([]float64{weight}, size)
	p.step(out, x)(layer.NewSparse([]int{0, size}, iota(size), w, nil, size, product(x.shape[:2]), 1))
	return p.done()
}

func globalMaxRule(n *node) (plan, error) {
	var p plan
	x := n.in[0]
	if err := n.m.limits.take(2 * product(x.shape)); err != nil {
		return plan{}, err
	}
	lists := slices.Collect(slices.Chunk(iota(product(x.shape)), product(x.shape[2:])))
	if err := tournament(&p, n, n.out[0], x, lists); err != nil {
		return plan{}, err
	}
	return p.done()
}
