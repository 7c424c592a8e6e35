package onnx

import "errors"

// foldRule computes the outputs of a node with constant inputs by the forward
// functions of the rules that it has for uncertain ones. Results are of the
// type of input 0, which must be real.
func foldRule(n *node) ([]*tensor, error) {
	if n.input(0) != nil && !n.in[0].dtype.isFloat() {
		return nil, errors.New("is supported for real numbers only")
	}
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
