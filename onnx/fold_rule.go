package onnx

import (
	"errors"
	"fmt"
	"math"
)

// foldRule computes the outputs of a node with constant inputs by the forward
// functions of the rules that it has for uncertain ones. Results are of the
// type of input 0, which must be real.
func foldRule(n *node) ([]*tensor, error) {
	if n.input(0) != nil && !n.in[0].dtype.isFloat() {
		return nil, errors.New("is supported for real numbers only")
	}
	return foldSteps(n)
}

// foldLinear is foldRule for linear rules with whole weights, which serve
// integers as well: exactly, as long as no number exceeds 2^53.
func foldLinear(n *node) ([]*tensor, error) {
	ts, err := foldSteps(n)
	if err != nil || n.in[0].dtype.isFloat() {
		return ts, err
	}
	for _, t := range ts {
		t.ints = make([]int64, len(t.floats))
		for i, v := range t.floats {
			if !(math.Abs(v) <= 1<<53) {
				return nil, fmt.Errorf("element %d of the %s is too large an integer", i, t.origin)
			}
			t.ints[i] = t.dtype.wrap(int64(v))
		}
		t.floats = nil
	}
	return ts, nil
}

func foldSteps(n *node) ([]*tensor, error) {
	shapes, err := n.def.shape(n)
	if err != nil {
		return nil, err
	}
	if len(n.out) > len(shapes) {
		return nil, errors.New("has more outputs than it makes")
	}
	for i, v := range n.out {
		if v.shape = shapes[i]; v.dtype == 0 {
			v.dtype = n.in[0].dtype
		}
	}
	p, err := n.def.rule(n)
	if err != nil {
		return nil, err
	}
	made := map[*value][]float64{}
	for _, s := range p.steps {
		args := make([][]float64, len(s.in))
		for i, v := range s.in {
			if args[i] = made[v]; args[i] != nil {
				continue
			}
			t, err := n.m.constant(v)
			if err != nil {
				return nil, err
			}
			args[i] = t.real()
		}
		if err := n.m.limits.take(s.rule.OutputLen()); err != nil {
			return nil, err
		}
		made[s.out] = make([]float64, s.rule.OutputLen())
		s.rule.Forward(made[s.out], args...)
	}
	out := make([]*tensor, len(n.out))
	for i, v := range n.out {
		if made[v] == nil {
			return nil, errors.New("an output has no rule")
		}
		out[i] = &tensor{origin: "output of " + n.op, dtype: v.dtype, shape: v.shape, floats: made[v]}
	}
	return out, nil
}
