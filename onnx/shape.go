package onnx

import (
	"fmt"
	"math"
	"slices"
)

// toInts converts sizes or positions that must be moderate.
func toInts(v []int64) ([]int, error) {
	x := make([]int, len(v))
	for i, d := range v {
		if d < math.MinInt32 || d > math.MaxInt32 {
			return nil, fmt.Errorf("has the dimension %d, which is out of range", d)
		}
		x[i] = int(d)
	}
	return x, nil
}

// concat joins the parts of a shape. slices.Concat makes a scalar's nil, which
// is an unknown shape.
func concat(parts ...[]int) []int {
	shape := []int{}
	for _, p := range parts {
		shape = append(shape, p...)
	}
	return shape
}

// product returns the number of elements of a shape that has been checked.
func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// axisOf returns an axis in [0, rank); a negative one counts from the end.
func axisOf(axis int64, rank int) (int, error) {
	if axis < -int64(rank) || axis >= int64(rank) {
		return 0, fmt.Errorf("the axis %d does not exist in a tensor of %d dimensions", axis, rank)
	}
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), nil
}

// axesOf is axisOf for a list whose entries must differ; the result is in
// ascending order.
func axesOf(axes []int64, rank int) ([]int, error) {
	x := make([]int, len(axes))
	for i, a := range axes {
		var err error
		if x[i], err = axisOf(a, rank); err != nil {
			return nil, err
		}
	}
	slices.Sort(x)
	if len(slices.Compact(slices.Clone(x))) < len(x) {
		return nil, fmt.Errorf("the axes %v repeat one", axes)
	}
	return x, nil
}

// broadcast returns the common shape of a and b: aligned at the last axis,
// axes of size 1 stretch.
func broadcast(a, b []int) ([]int, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i, d := range b {
		o := &out[len(a)-len(b)+i]
		switch {
		case *o == d || d == 1:
		case *o == 1:
			*o = d
		default:
			return nil, fmt.Errorf("the shapes %v and %v cannot be broadcast together", a, b)
		}
	}
	return out, nil
}

// strides returns the distance of neighbours along each axis.
func strides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// walk lists the positions offset + sum_a i_a step_a for all indices i within
// shape, row by row.
func walk(shape []int, offset int, step []int) []int {
	index := make([]int, product(shape))
	if len(index) == 0 {
		return index
	}
	at := make([]int, len(shape))
	for i := range index {
		index[i] = offset
		for a := len(shape) - 1; a >= 0; a-- {
			at[a]++
			offset += step[a]
			if at[a] < shape[a] {
				break
			}
			offset -= at[a] * step[a]
			at[a] = 0
		}
	}
	return index
}

// stretch lists, for every element of the shape to, the element of the shape
// from that broadcasts to it. It is nil if that is every one in order.
func stretch(from, to []int) []int {
	if product(from) == product(to) {
		return nil
	}
	s := strides(from)
	step := make([]int, len(to))
	lead := len(to) - len(from)
	for a, d := range from {
		if d > 1 {
			step[lead+a] = s[a]
		}
	}
	return walk(to, 0, step)
}
