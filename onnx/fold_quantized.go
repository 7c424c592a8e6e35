package onnx

import (
	"fmt"
	"slices"
)

// foldDequantize is (x - zero) scale with one scale, one for each position on
// an axis (from opset 13 on), or one for each block on it (from 21 on).
func foldDequantize(n *node) ([]*tensor, error) {
	x, err := n.con(0)
	if err != nil {
		return nil, err
	}
	s, err := n.con(1)
	if err != nil {
		return nil, err
	}
	if !s.dtype.isFloat() {
		return nil, fmt.Errorf("its scales are %v", s.dtype)
	}
	if to := dtype(n.intAttr("output_dtype", 0)); to != 0 && to != s.dtype {
		return nil, fmt.Errorf("makes %v with scales of %v, which is not supported", to, s.dtype)
	}
	scale, err := s.finite()
	if err != nil {
		return nil, err
	}
	zero := make([]int64, len(scale))
	if n.input(2) != nil {
		z, err := n.con(2)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(z.shape, s.shape) || z.dtype != x.dtype {
			return nil, fmt.Errorf("zero points of shape %v and type %v do not fit scales of shape %v and data of type %v", z.shape, z.dtype, s.shape, x.dtype)
		}
		if zero, err = z.integers(); err != nil {
			return nil, err
		}
	}
	q, err := x.integers()
	if err != nil {
		return nil, err
	}
	at, err := scaleIndex(n, x.shape, s.shape)
	if err != nil {
		return nil, err
	}
	out := newTensor(n, s.dtype, x.shape, len(q))
	for i, v := range q {
		out.floats[i] = float64(v-zero[at[i]]) * scale[at[i]]
	}
	return []*tensor{out}, nil
}

// scaleIndex returns which scale belongs to each element.
func scaleIndex(n *node, x, s []int) ([]int, error) {
	if err := n.m.limits.take(2 * product(x)); err != nil {
		return nil, err
	}
	at := make([]int, product(x))
	if product(s) == 1 && len(s) <= 1 {
		return at, nil
	}
	axis, err := axisOf(n.intAttr("axis", 1), len(x))
	if err != nil {
		return nil, err
	}
	block := n.intAttr("block_size", 0)
	want := []int{x[axis]}
	if block > 0 {
		want = slices.Clone(x)
		want[axis] = int((int64(x[axis])-1)/block) + 1
	}
	if n.m.opset < 13 || block < 0 || !slices.Equal(s, want) {
		return nil, fmt.Errorf("scales of shape %v do not fit data of shape %v", s, x)
	}
	inner := product(x[axis+1:])
	for i := range at {
		k := i / inner % x[axis]
		if at[i] = k; block > 0 {
			o := i / inner / x[axis]
			at[i] = (o*want[axis]+int(int64(k)/block))*inner + i%inner
		}
	}
	return at, nil
}
