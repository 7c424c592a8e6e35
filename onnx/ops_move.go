package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/covprop/covprop/layer"
)

// moveOps have the same elements in another order or shape.
var moveOps = map[string]op{
	"Cast":      {since: 6, kind: "reshape", fold: foldCast, shape: castShape, rule: castRule},
	"CastLike":  {since: 15, inputs: 2, kind: "reshape", fold: foldCast, ready: firstConstant, shape: castShape, rule: castRule},
	"Dropout":   {since: 6, inputs: 3, kind: "reshape", fold: foldDropout, shape: dropoutShape, rule: sameRule},
	"Expand":    takes(2, move(8, "select", expand)),
	"Flatten":   move(6, "reshape", flatten),
	"Gather":    takes(2, move(6, "select", gather)),
	"Identity":  move(6, "reshape", identity),
	"Reshape":   takes(2, move(6, "reshape", reshape)),
	"Slice":     takes(5, move(6, "select", slice)),
	"Split":     takes(2, move(6, "select", split)),
	"Squeeze":   takes(2, move(6, "reshape", squeeze)),
	"Transpose": move(6, "select", transpose),
	"Unsqueeze": takes(2, move(6, "reshape", unsqueeze)),
}

// A view is a tensor made of elements of another one: all of them in their
// order if index is nil, else those it lists, where -1 is a zero.
type view struct {
	shape []int
	index func() []int
}

// move is an op whose outputs are views of its first input.
func move(since int, kind string, views func(n *node) ([]view, error)) op {
	checked := func(n *node) ([]view, error) {
		if _, err := n.data(); err != nil {
			return nil, err
		}
		vs, err := views(n)
		if err != nil {
			return nil, err
		}
		if len(n.out) > len(vs) {
			return nil, fmt.Errorf("has %d outputs, but makes %d", len(n.out), len(vs))
		}
		for _, v := range vs {
			if _, err := n.m.limits.size(v.shape); err != nil {
				return nil, err
			}
		}
		return vs, nil
	}
	return op{
		since: since,
		kind:  kind,
		shape: func(n *node) ([][]int, error) {
			vs, err := checked(n)
			shapes := make([][]int, len(vs))
			for i, v := range vs {
				shapes[i] = v.shape
			}
			return shapes, err
		},
		fold: func(n *node) ([]*tensor, error) { return foldViews(n, checked) },
		rule: func(n *node) (plan, error) { return viewRule(n, checked) },
	}
}

func foldViews(n *node, views func(n *node) ([]view, error)) ([]*tensor, error) {
	t, err := n.con(0)
	if err != nil {
		return nil, err
	}
	vs, err := views(n)
	out := make([]*tensor, len(vs))
	for i, v := range vs {
		if v.index == nil {
			out[i] = t.with(v.shape)
			continue
		}
		if err := n.m.limits.take(2 * product(v.shape)); err != nil {
			return nil, err
		}
		out[i] = t.pick(v.shape, v.index())
	}
	return out, err
}

func viewRule(n *node, views func(n *node) ([]view, error)) (plan, error) {
	var p plan
	vs, err := views(n)
	if err != nil {
		return plan{}, err
	}
	x := n.in[0]
	size := product(x.shape)
	for i, out := range n.out {
		switch v := vs[i]; {
		case !out.used() || out.isConst():
		case v.index == nil:
			p.step(out, x)(layer.NewReshape(size))
		default:
			if err := n.m.limits.take(product(v.shape)); err != nil {
				return plan{}, err
			}
			p.placed(n, out, x, v.index(), nil)
		}
	}
	return p.done()
}

func identity(n *node) ([]view, error) { return []view{{shape: n.in[0].shape}}, nil }

// flatten makes a matrix: the axes before the given one are its rows.
func flatten(n *node) ([]view, error) {
	x := n.in[0].shape
	axis := n.intAttr("axis", 1)
	if axis != int64(len(x)) {
		a, err := axisOf(axis, len(x))
		if err != nil {
			return nil, err
		}
		axis = int64(a)
	}
	return []view{{shape: []int{product(x[:axis]), product(x[axis:])}}}, nil
}

// reshape: 0 copies the input's dimension (unless allowzero), -1 is what is
// left over.
func reshape(n *node) ([]view, error) {
	want, err := n.sizes(1)
	if err != nil {
		return nil, err
	}
	x, shape, free := n.in[0].shape, slices.Clone(want), -1
	for i, d := range shape {
		switch {
		case d == 0 && n.intAttr("allowzero", 0) == 0:
			if i >= len(x) {
				return nil, fmt.Errorf("the new shape %v copies dimension %d, which %v does not have", want, i, x)
			}
			shape[i] = x[i]
		case d == -1 && free < 0:
			free = i
			shape[i] = 1
		case d < 0:
			return nil, fmt.Errorf("the new shape %v is not valid", want)
		}
	}
	size, err := n.m.limits.size(shape)
	if err != nil {
		return nil, err
	}
	total := product(x)
	if free >= 0 && size > 0 {
		shape[free] = total / size
		size *= shape[free]
	}
	if size != total {
		return nil, fmt.Errorf("a tensor of shape %v cannot take the shape %v", x, want)
	}
	return []view{{shape: shape}}, nil
}

func squeeze(n *node) ([]view, error) {
	x := n.in[0].shape
	list, ok, err := n.ints("axes", 1, 13)
	if err != nil {
		return nil, err
	}
	axes, err := axesOf(list, len(x))
	if err != nil {
		return nil, err
	}
	shape := []int{}
	for i, d := range x {
		drop := d == 1
		if ok {
			if drop = slices.Contains(axes, i); drop && d != 1 {
				return nil, fmt.Errorf("the axis %d of %v is not 1 and cannot be dropped", i, x)
			}
		}
		if !drop {
			shape = append(shape, d)
		}
	}
	return []view{{shape: shape}}, nil
}

func unsqueeze(n *node) ([]view, error) {
	list, ok, err := n.ints("axes", 1, 13)
	if err == nil && !ok {
		err = errors.New("has no axes")
	}
	if err != nil {
		return nil, err
	}
	x := n.in[0].shape
	rank := len(x) + len(list)
	axes, err := axesOf(list, rank)
	if err != nil {
		return nil, err
	}
	shape := make([]int, 0, rank)
	for i := range rank {
		if _, ok := slices.BinarySearch(axes, i); ok {
			shape = append(shape, 1)
		} else {
			shape = append(shape, x[0])
			x = x[1:]
		}
	}
	return []view{{shape: shape}}, nil
}

func transpose(n *node) ([]view, error) {
	x := n.in[0].shape
	list, ok := n.intsAttr("perm")
	if !ok {
		for i := range x {
			list = append(list, int64(len(x)-1-i))
		}
	}
	if axes, err := axesOf(list, len(x)); err != nil || len(axes) != len(x) {
		return nil, fmt.Errorf("%v is no permutation of %d axes", list, len(x))
	}
	shape, step := make([]int, len(x)), make([]int, len(x))
	s := strides(x)
	inOrder, last := true, -1 // whether only axes of size 1 move
	for i, a := range list {
		a, _ := axisOf(a, len(x))
		shape[i], step[i] = x[a], s[a]
		if x[a] != 1 {
			inOrder = inOrder && a > last
			last = a
		}
	}
	if inOrder {
		return []view{{shape: shape}}, nil
	}
	return []view{{shape, func() []int { return walk(shape, 0, step) }}}, nil
}

// slice takes start, start+step, ... before end along some axes. The
// positions became inputs in opset 10.
func slice(n *node) ([]view, error) {
	x := n.in[0].shape
	starts, ok1, err1 := n.ints("starts", 1, 10)
	ends, ok2, err2 := n.ints("ends", 2, 10)
	axes, ok3, err3 := n.ints("axes", 3, 10)
	steps, ok4, err4 := n.ints("", 4, 10)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	if !ok3 {
		for i := range starts {
			axes = append(axes, int64(i))
		}
	}
	if !ok4 {
		steps = slices.Repeat([]int64{1}, len(starts))
	}
	if !ok1 || !ok2 || len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		return nil, errors.New("its starts, ends, axes and steps do not have the same length")
	}
	if _, err := axesOf(axes, len(x)); err != nil {
		return nil, err
	}
	shape, step, offset := slices.Clone(x), strides(x), 0
	for i, a := range axes {
		a, _ := axisOf(a, len(x))
		if steps[i] == 0 {
			return nil, errors.New("has a step of 0")
		}
		first, count := sliceRange(starts[i], ends[i], steps[i], x[a])
		offset += first * step[a]
		shape[a] = count
		if count > 1 {
			step[a] *= int(steps[i])
		}
	}
	if slices.Equal(shape, x) && slices.Equal(step, strides(x)) {
		return []view{{shape: shape}}, nil
	}
	return []view{{shape, func() []int { return walk(shape, offset, step) }}}, nil
}

// sliceRange returns the first position and the number of positions on an axis
// of size d. Negative bounds count from the end; then start is clamped to the
// axis, end to one beyond it.
func sliceRange(start, end, step int64, d int) (first, count int) {
	size := int64(d)
	clamp := func(p, lo, hi int64) int64 {
		if p < 0 {
			p = max(p, -2*size) + size
		}
		return min(max(p, lo), hi)
	}
	if step > 0 {
		start, end = clamp(start, 0, size), clamp(end, 0, size)
		if end <= start {
			return 0, 0
		}
		return int(start), int((end-start-1)/step) + 1
	}
	start, end = clamp(start, 0, size-1), clamp(end, -1, size-1)
	if start <= end {
		return 0, 0
	}
	return int(start), int((start-end-1)/-max(step, -size)) + 1
}

// split cuts an axis into pieces: of the sizes given (an input from opset 13
// on), or equal ones, the last possibly smaller from opset 18 on.
func split(n *node) ([]view, error) {
	x := n.in[0].shape
	axis, err := axisOf(n.intAttr("axis", 0), len(x))
	if err != nil {
		return nil, err
	}
	list, ok, err := n.ints("split", 1, 13)
	if err != nil {
		return nil, err
	}
	sizes, err := toInts(list)
	if err != nil {
		return nil, err
	}
	if !ok {
		if sizes, err = equalParts(n, x[axis]); err != nil {
			return nil, err
		}
	}
	step, views, at := strides(x), []view{}, 0
	for _, size := range sizes {
		if size < 0 || size > x[axis]-at {
			return nil, fmt.Errorf("the pieces %v do not make up the axis of size %d", sizes, x[axis])
		}
		shape, offset := slices.Clone(x), at*step[axis]
		shape[axis] = size
		views = append(views, view{shape, func() []int { return walk(shape, offset, step) }})
		at += size
	}
	if at != x[axis] {
		return nil, fmt.Errorf("the pieces %v do not make up the axis of size %d", sizes, x[axis])
	}
	return views, nil
}

// equalParts returns the sizes of the pieces if none are given.
func equalParts(n *node, size int) ([]int, error) {
	parts := len(n.out)
	if k := n.intAttr("num_outputs", int64(parts)); k != int64(parts) {
		return nil, fmt.Errorf("num_outputs is %d, but it has %d outputs", k, parts)
	}
	if parts == 0 || n.m.opset < 18 && size%parts != 0 {
		return nil, fmt.Errorf("an axis of size %d cannot be split into %d equal pieces", size, parts)
	}
	each := (size + parts - 1) / parts
	sizes := make([]int, parts)
	for i := range sizes {
		sizes[i] = min(each, max(size-i*each, 0))
	}
	return sizes, nil
}

func expand(n *node) ([]view, error) {
	to, err := n.sizes(1)
	if err != nil {
		return nil, err
	}
	x := n.in[0].shape
	shape, err := broadcast(x, to)
	if err != nil {
		return nil, err
	}
	if _, err := n.m.limits.size(shape); err != nil {
		return nil, err
	}
	if product(shape) == product(x) {
		return []view{{shape: shape}}, nil
	}
	return []view{{shape, func() []int { return stretch(x, shape) }}}, nil
}

// gather takes the listed positions along an axis.
func gather(n *node) ([]view, error) {
	x := n.in[0].shape
	axis, err := axisOf(n.intAttr("axis", 0), len(x))
	if err != nil {
		return nil, err
	}
	t, err := n.con(1)
	if err != nil {
		return nil, err
	}
	list, err := t.integers()
	if err != nil {
		return nil, err
	}
	at := make([]int, len(list))
	for i, k := range list {
		if at[i], err = position(k, x[axis]); err != nil {
			return nil, err
		}
	}
	shape := concat(x[:axis], t.shape, x[axis+1:])
	outer, inner := product(x[:axis]), product(x[axis+1:])
	return []view{{shape, func() []int {
		index := make([]int, 0, outer*len(at)*inner)
		for o := range outer {
			for _, k := range at {
				for i := range inner {
					index = append(index, (o*x[axis]+k)*inner+i)
				}
			}
		}
		return index
	}}}, nil
}
