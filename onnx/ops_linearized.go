package onnx

import (
	"errors"
	"math"

	"github.com/covprop/covprop/layer"
)

// linearizedOps have a forward function but no rule, and are linearised.
var linearizedOps = map[string]op{
	"Ceil":    linearized(6, foldReal(ceil)),
	"Floor":   linearized(6, foldReal(floor)),
	"Hardmax": linearized(6, foldHardmax),
	"Mod":     takes(2, linearized(10, foldMod)),
	"Round":   linearized(11, foldReal(math.RoundToEven)),
}

// linearized is an operator that is known by what it makes of constants: a
// tensor of real numbers of the shape of its inputs, broadcast together.
func linearized(since int, fold func(*node) ([]*tensor, error)) op {
	return op{since: since, kind: "linearised", fold: fold, shape: sumShape, rule: linearizedRule}
}

// linearizedRule is the tangent at the mean. Its forward function folds a copy
// of the node with constant inputs.
func linearizedRule(n *node) (plan, error) {
	var uncertain []*value // distinct
	var sizes []int
	at := map[*value]int{}
	for _, v := range n.in {
		if _, seen := at[v]; v == nil || v.isConst() || seen {
			continue
		}
		at[v] = len(uncertain)
		uncertain, sizes = append(uncertain, v), append(sizes, product(v.shape))
	}
	fold := func(x [][]float64) ([]float64, error) {
		c := *n
		c.m = &model{opset: n.m.opset, limits: &limits{
			elements: math.MaxInt32, bytes: math.MaxInt64, allElements: math.MaxInt64, work: math.MaxInt64,
		}}
		c.in = make([]*value, len(n.in))
		for i, v := range n.in {
			if k, ok := at[v]; ok && v != nil {
				t := &tensor{origin: "input", dtype: v.dtype, shape: v.shape, floats: x[k]}
				v = &value{name: v.name, dtype: v.dtype, shape: v.shape, con: t}
			}
			c.in[i] = v
		}
		out, err := n.def.fold(&c)
		if err == nil && (len(out) == 0 || !out[0].dtype.isFloat()) {
			err = errors.New("does not make real numbers, and so cannot be linearised")
		}
		if err != nil {
			return nil, err
		}
		return out[0].floats, nil
	}
	zeros := make([][]float64, len(sizes))
	for i, size := range sizes {
		if err := n.m.limits.take(size); err != nil {
			return plan{}, err
		}
		zeros[i] = make([]float64, size)
	}
	if _, err := fold(zeros); err != nil { // so that forward cannot fail
		return plan{}, err
	}
	forward := func(dst []float64, x ...[]float64) {
		y, err := fold(x)
		if err != nil {
			for i := range dst {
				dst[i] = math.NaN()
			}
			return
		}
		copy(dst, y)
	}
	var p plan
	p.step(n.out[0], uncertain...)(layer.NewLinearized(n.op, forward, product(n.out[0].shape), sizes...))
	return p.done()
}

// foldHardmax is 1 at the first largest element along an axis and 0 elsewhere;
// before opset 13 along all axes from the given one on.
func foldHardmax(n *node) ([]*tensor, error) {
	t, err := n.con(0)
	if err != nil {
		return nil, err
	}
	g, err := softmaxGroups(n)
	if err == nil {
		err = n.m.limits.take(3 * t.len())
	}
	if err != nil {
		return nil, err
	}
	x, err := t.finite()
	if err != nil {
		return nil, err
	}
	out := newTensor(n, t.dtype, t.shape, len(x))
	if !t.dtype.isFloat() {
		return nil, errors.New("is supported for real numbers only")
	}
	for _, list := range g.lists() {
		best := list[0]
		for _, k := range list {
			if x[k] > x[best] {
				best = k
			}
		}
		out.floats[best] = 1
	}
	return []*tensor{out}, nil
}
