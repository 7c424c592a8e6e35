package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/covprop/covprop/layer"
)

// joinOps join, repeat and accumulate tensors.
var joinOps = map[string]op{
	"Concat":          {since: 6, inputs: math.MaxInt, kind: "concat", fold: foldConcat, shape: concatShape, rule: concatRule},
	"CumSum":          {since: 11, inputs: 2, kind: "sparse map", fold: foldLinear, shape: sameShape, rule: cumSumRule},
	"GatherElements":  takes(2, move(11, "select", gatherElements)),
	"GatherND":        takes(2, move(11, "select", gatherND)),
	"Scatter":         {since: 9, inputs: 3, kind: "sparse map", fold: foldLinear, shape: sameShape, rule: scatterRule(scatterElements)},
	"ScatterElements": {since: 11, inputs: 3, kind: "sparse map", fold: foldLinear, shape: sameShape, rule: scatterRule(scatterElements)},
	"ScatterND":       {since: 11, inputs: 3, kind: "sparse map", fold: foldLinear, shape: sameShape, rule: scatterRule(scatterND)},
	"Tile":            takes(2, move(6, "select", tile)),
	"Trilu":           takes(2, move(14, "sparse map", trilu)),
	"Where":           {since: 9, inputs: 3, kind: "sparse map", fold: foldWhere, shape: whereShape, rule: whereRule},
}

// parseConcat returns the shape of the inputs joined along an axis.
func parseConcat(n *node) (shape []int, axis int, err error) {
	first, err := n.data()
	if err != nil {
		return nil, 0, err
	}
	if n.attrs["axis"] == nil {
		return nil, 0, errors.New("has no axis")
	}
	if axis, err = axisOf(n.intAttr("axis", 0), len(first.shape)); err != nil {
		return nil, 0, err
	}
	shape = slices.Clone(first.shape)
	shape[axis] = 0
	for i, v := range n.in {
		if v == nil {
			return nil, 0, fmt.Errorf("input %d is missing", i)
		}
		if len(v.shape) != len(shape) {
			return nil, 0, fmt.Errorf("joins a tensor of shape %v to one of shape %v", v.shape, first.shape)
		}
		for a, d := range v.shape {
			switch {
			case a == axis && d <= math.MaxInt32-shape[a]:
				shape[a] += d
			case a == axis || d != shape[a]:
				return nil, 0, fmt.Errorf("the shapes %v and %v cannot be joined along axis %d", v.shape, first.shape, axis)
			}
		}
	}
	return shape, axis, nil
}

func concatShape(n *node) ([][]int, error) {
	shape, _, err := parseConcat(n)
	return [][]int{shape}, err
}

// concatRule joins the uncertain inputs, each once, and then puts them and the
// constants into their places.
func concatRule(n *node) (plan, error) {
	shape, axis, err := parseConcat(n)
	if err != nil {
		return plan{}, err
	}
	var p plan
	outer, size, out := product(shape[:axis]), product(shape), n.out[0]
	in := n.uncertain()
	if len(in) == len(n.in) {
		p.joined(out, in, outer)
		return p.done()
	}
	if err := n.m.limits.take(2 * size); err != nil {
		return plan{}, err
	}
	offset, total := map[*value]int{}, 0
	for _, v := range in {
		offset[v] = total
		total += product(v.shape[axis:])
	}
	constants := make([][]float64, len(n.in))
	for i, v := range n.in {
		if v.isConst() {
			if constants[i], err = n.finite(i); err != nil {
				return plan{}, err
			}
		}
	}
	index, fill := make([]int, 0, size), make([]float64, 0, size)
	for o := range outer {
		for i, v := range n.in {
			block := product(v.shape[axis:])
			if v.isConst() {
				index = append(index, slices.Repeat([]int{-1}, block)...)
				fill = append(fill, constants[i][o*block:][:block]...)
				continue
			}
			for j := range block {
				index, fill = append(index, o*total+offset[v]+j), append(fill, 0)
			}
		}
	}
	x := in[0]
	if len(in) > 1 {
		x = temp(n, out, []int{outer, total})
		p.joined(x, in, outer)
	}
	p.placed(n, out, x, index, fill)
	return p.done()
}

// uncertain returns the inputs that are not constant, each once.
func (n *node) uncertain() []*value {
	var in []*value
	seen := map[*value]bool{}
	for _, v := range n.in {
		if v != nil && !v.isConst() && !seen[v] {
			seen[v] = true
			in = append(in, v)
		}
	}
	return in
}

// joined appends out, the tensors in, seen as having outer rows, side by side.
func (p *plan) joined(out *value, in []*value, outer int) {
	if len(in) == 1 {
		p.step(out, in[0])(layer.NewReshape(product(in[0].shape)))
		return
	}
	lens := make([]int, len(in))
	for i, v := range in {
		lens[i] = product(v.shape) / outer
	}
	p.step(out, in...)(layer.NewConcat(outer, lens))
}

// placed appends out_i = x[index_i], or the constant fill_i where index_i is
// -1. fill has one value for every element, or one for all; nil is 0.
func (p *plan) placed(n *node, out, x *value, index []int, fill []float64) {
	size := product(x.shape)
	switch {
	case len(index) == size && slices.Equal(index, iota(size)):
		p.step(out, x)(layer.NewReshape(size))
		return
	case !slices.Contains(index, -1):
		p.step(out, x)(layer.NewSelect(index, size))
		return
	}
	if p.fail(n.m.limits.take(4 * len(index))); p.err != nil {
		return
	}
	start, from, bias := make([]int, 1, len(index)+1), make([]int, 0, len(index)), make([]float64, len(index))
	for i, k := range index {
		switch {
		case k >= 0:
			from = append(from, k)
		case len(fill) > 0:
			bias[i] = fill[min(i, len(fill)-1)]
		}
		start = append(start, len(from))
	}
	p.step(out, x)(layer.NewSparse(start, from, slices.Repeat([]float64{1}, len(from)), bias, size, 1, 1))
}

// whereInputs returns the condition, which must be constant, and the shape of
// the result.
func whereInputs(n *node) (cond *tensor, shape []int, err error) {
	if cond, err = n.con(0); err != nil {
		return nil, nil, err
	}
	if n.input(1) == nil || n.input(2) == nil {
		return nil, nil, errors.New("needs three inputs")
	}
	if cond.dtype != boolt {
		return nil, nil, fmt.Errorf("chooses by %v, not by a boolean", cond.dtype)
	}
	if shape, err = broadcast(cond.shape, n.in[1].shape); err != nil {
		return nil, nil, err
	}
	shape, err = broadcast(shape, n.in[2].shape)
	return cond, shape, err
}

func whereShape(n *node) ([][]int, error) {
	_, shape, err := whereInputs(n)
	return [][]int{shape}, err
}

// whereRule takes elements of the second input where the first is true, else
// of the third.
func whereRule(n *node) (plan, error) {
	cond, shape, err := whereInputs(n)
	if err != nil {
		return plan{}, err
	}
	if err := n.m.limits.take(4 * product(shape)); err != nil {
		return plan{}, err
	}
	ix, iy := positions(n.in[1].shape, shape), positions(n.in[2].shape, shape)
	for i, c := range positions(cond.shape, shape) {
		if cond.ints[c] == 0 {
			ix[i] = -1
		} else {
			iy[i] = -1
		}
	}
	var p plan
	p.merge(n, n.out[0], 1, 2, ix, iy)
	return p.done()
}

// tile repeats the whole tensor along each axis.
func tile(n *node) ([]view, error) {
	x := n.in[0].shape
	repeats, err := n.sizes(1)
	if err != nil {
		return nil, err
	}
	if len(repeats) != len(x) {
		return nil, fmt.Errorf("has %d repeats for %d axes", len(repeats), len(x))
	}
	var dims, step, shape []int
	s := strides(x)
	for a, d := range x {
		if repeats[a] < 0 {
			return nil, fmt.Errorf("the repeats %v are negative", repeats)
		}
		dims, step = append(dims, repeats[a], d), append(step, 0, s[a])
	}
	if _, err := n.m.limits.size(dims); err != nil {
		return nil, err
	}
	for a, d := range x {
		shape = append(shape, repeats[a]*d)
	}
	shape = concat(shape)
	if slices.Equal(shape, x) {
		return []view{{shape: shape}}, nil
	}
	return []view{{shape, func() []int { return walk(dims, 0, step) }}}, nil
}

// trilu keeps the elements on and below diagonal k, or on and above it.
func trilu(n *node) ([]view, error) {
	x := n.in[0].shape
	if len(x) < 2 {
		return nil, fmt.Errorf("a tensor of shape %v has no matrices", x)
	}
	k := 0
	if n.input(1) != nil {
		d, err := n.integer(1)
		if err != nil {
			return nil, err
		}
		k = int(d)
	}
	rows, cols, upper := x[len(x)-2], x[len(x)-1], n.intAttr("upper", 1) != 0
	return []view{{x, func() []int {
		index := iota(product(x))
		for i := range index {
			r, c := i/cols%rows, i%cols
			if upper && c-r < k || !upper && c-r > k {
				index[i] = -1
			}
		}
		return index
	}}}, nil
}

// cumSumRule adds up along an axis: all up to each element, without itself if
// exclusive, from the end if reverse.
func cumSumRule(n *node) (plan, error) {
	x := n.in[0].shape
	at, err := n.integer(1)
	if err != nil {
		return plan{}, err
	}
	axis, err := axisOf(at, len(x))
	if err != nil {
		return plan{}, err
	}
	size := x[axis]
	if _, err := n.m.limits.size([]int{size, size}); err != nil {
		return plan{}, err
	}
	if err := n.m.limits.take(size * (size + 1)); err != nil {
		return plan{}, err
	}
	start, index := []int{0}, []int{}
	for r := range size {
		lo, hi := 0, r+1
		if n.intAttr("reverse", 0) != 0 {
			lo, hi = r, size
		}
		for k := lo; k < hi; k++ {
			if k != r || n.intAttr("exclusive", 0) == 0 {
				index = append(index, k)
			}
		}
		start = append(start, len(index))
	}
	var p plan
	ones := slices.Repeat([]float64{1}, len(index))
	p.step(n.out[0], n.in[0])(layer.NewSparse(start, index, ones, nil, size, product(x[:axis]), product(x[axis+1:])))
	return p.done()
}
