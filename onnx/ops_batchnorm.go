package onnx

import (
	"errors"
	"fmt"
	"math"

	"github.com/covprop/covprop/layer"
)

// parseBatchNorm returns the scale and shift of a batch normalisation, one of
// each for every channel, or for every element of an image if not spatial:
//
//	y = scale (x - mean) / sqrt(var + epsilon) + B
//
// Ioffe and Szegedy 2015, at inference.
func parseBatchNorm(n *node) (scale, shift []float64, err error) {
	x, err := n.data()
	if err != nil {
		return nil, nil, err
	}
	if err := n.checkInference(); err != nil {
		return nil, nil, err
	}
	if product(x.shape) == 0 {
		return nil, nil, errors.New("normalises an empty tensor")
	}
	channels := 1
	if len(x.shape) > 1 {
		channels = x.shape[1]
		if n.m.opset < 9 && n.intAttr("spatial", 1) == 0 {
			channels = product(x.shape[1:])
		}
	}
	var v [4][]float64 // scale, B, mean, var
	for i := range v {
		if v[i], err = n.finite(1 + i); err != nil {
			return nil, nil, err
		}
		if len(v[i]) != channels {
			return nil, nil, fmt.Errorf("input %d has %d values for %d channels", 1+i, len(v[i]), channels)
		}
	}
	if err := n.m.limits.take(2 * channels); err != nil {
		return nil, nil, err
	}
	epsilon := n.floatAttr("epsilon", 1e-5)
	scale, shift = make([]float64, channels), make([]float64, channels)
	for c := range scale {
		d := v[3][c] + epsilon
		if !(d > 0) {
			return nil, nil, fmt.Errorf("the variance of channel %d plus epsilon is %v, which is not positive", c, d)
		}
		scale[c] = v[0][c] / math.Sqrt(d)
		shift[c] = v[1][c] - v[2][c]*scale[c]
	}
	return scale, shift, nil
}

// checkInference refuses a batch normalisation that uses the moments of its
// input: in opset 6 unless is_test is set, from 14 on if training_mode is, in
// between if it has more outputs.
func (n *node) checkInference() error {
	training := n.intAttr("training_mode", 0) != 0 || n.m.opset < 7 && n.intAttr("is_test", 0) == 0
	for _, v := range n.out[1:] {
		training = training || v.used()
	}
	if training {
		return errors.New("is in training mode, which is not supported")
	}
	return nil
}

func batchNormShape(n *node) ([][]int, error) {
	if _, _, err := parseBatchNorm(n); err != nil {
		return nil, err
	}
	shapes := [][]int{n.in[0].shape}
	for range n.out[1:] {
		shapes = append(shapes, []int{0}) // of outputs that nothing uses
	}
	return shapes, nil
}

func batchNormRule(n *node) (plan, error) {
	scale, shift, err := parseBatchNorm(n)
	if err != nil {
		return plan{}, err
	}
	size := product(n.in[0].shape)
	if err := n.m.limits.take(2 * size); err != nil {
		return plan{}, err
	}
	inner := 1
	if x := n.in[0].shape; len(x) > 1 {
		inner = product(x[1:]) / len(scale)
	}
	s, t := make([]float64, size), make([]float64, size)
	for i := range s {
		s[i], t[i] = scale[i/inner%len(scale)], shift[i/inner%len(scale)]
	}
	var p plan
	p.step(n.out[0], n.in[0])(layer.NewScale(s, t, size))
	return p.done()
}
