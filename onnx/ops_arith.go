package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
)

// arithmeticOps are elementwise arithmetic.
var arithmeticOps = map[string]op{
	"Add":   {since: 6, inputs: 2, kind: "sum", fold: foldBinary(addNumbers), shape: binaryShape, rule: addRule(1)},
	"Sub":   {since: 6, inputs: 2, kind: "sum", fold: foldBinary(subNumbers), shape: binaryShape, rule: addRule(-1)},
	"Mul":   {since: 6, inputs: 2, kind: "scale", fold: foldBinary(mulNumbers), shape: binaryShape, rule: mulRule},
	"Div":   {since: 6, inputs: 2, kind: "scale", fold: foldBinary(divNumbers), shape: binaryShape, rule: divRule},
	"Pow":   {since: 6, inputs: 2, kind: "power", fold: foldBinary(powNumbers), shape: binaryShape, rule: powRule},
	"PRelu": {since: 6, inputs: 2, kind: "leaky_relu", fold: foldPRelu, shape: sameShape, rule: preluRule},
	"Neg":   {since: 6, kind: "scale", fold: foldNeg, shape: sameShape, rule: negRule},
	"Sum":   {since: 6, inputs: math.MaxInt, kind: "sum", fold: foldSum, shape: sumShape, rule: sumRule},
	"Mean":  {since: 6, inputs: math.MaxInt, kind: "sum", fold: foldSum, shape: sumShape, rule: sumRule},
}

// operands returns the shapes of a node's two inputs, aligned for broadcasting
// at the last axis, and their common shape. Before opset 7 the second was
// broadcast only if the attribute broadcast said so, and then from the axis
// given.
func operands(n *node) (a, b, out []int, err error) {
	if n.input(0) == nil || n.input(1) == nil {
		return nil, nil, nil, errors.New("needs two inputs")
	}
	a, b = n.in[0].shape, n.in[1].shape
	if n.m.opset < 7 {
		if n.intAttr("broadcast", 0) == 0 {
			if !slices.Equal(a, b) {
				return nil, nil, nil, fmt.Errorf("the shapes %v and %v differ, and broadcast is off", a, b)
			}
			return a, b, a, nil
		}
		if axis := n.intAttr("axis", -1); axis >= 0 {
			trailing := int64(len(a)-len(b)) - axis
			if trailing < 0 {
				return nil, nil, nil, fmt.Errorf("the shape %v does not fit into %v at axis %d", b, a, axis)
			}
			b = slices.Clone(b)
			for range trailing {
				b = append(b, 1)
			}
		}
	}
	out, err = broadcast(a, b)
	return a, b, out, err
}

func binaryShape(n *node) ([][]int, error) {
	_, _, out, err := operands(n)
	return [][]int{out}, err
}

// spread returns the constant t, seen as having the shape from, for every
// element of the shape to: one value if it is the same for all.
func spread(n *node, t *tensor, from, to []int) ([]float64, error) {
	x, err := t.finite()
	if err != nil || len(x) == 1 {
		return x, err
	}
	if product(from) == product(to) {
		return x, nil
	}
	if err := n.m.limits.take(2 * product(to)); err != nil {
		return nil, err
	}
	index := stretch(from, to)
	y := make([]float64, len(index))
	for i, k := range index {
		y[i] = x[k]
	}
	return y, nil
}

// constSide returns which of the two inputs is constant, spread over the
// output, and the other one, stretched to it; side is -1 if neither is.
func constSide(n *node, p *plan) (side int, c []float64, x *value, err error) {
	shapes := [2][]int{}
	var out []int
	if shapes[0], shapes[1], out, err = operands(n); err != nil {
		return 0, nil, nil, err
	}
	side = slices.IndexFunc(n.in[:2], (*value).isConst)
	if side < 0 {
		return side, nil, nil, nil
	}
	t, err := n.con(side)
	if err != nil {
		return 0, nil, nil, err
	}
	if c, err = spread(n, t, shapes[side], out); err != nil {
		return 0, nil, nil, err
	}
	return side, c, p.stretched(n, n.in[1-side], shapes[1-side], out), p.err
}

// addRule is the rule of x + sign y.
func addRule(sign float64) func(*node) (plan, error) {
	return func(n *node) (plan, error) {
		var p plan
		side, c, x, err := constSide(n, &p)
		if err != nil {
			return plan{}, err
		}
		size := product(n.out[0].shape)
		switch {
		case side < 0:
			a, b, out, _ := operands(n)
			x, y := p.stretched(n, n.in[0], a, out), p.stretched(n, n.in[1], b, out)
			p.step(n.out[0], x, y)(layer.NewSum([]float64{1, sign}, size))
		case side == 0 && sign < 0:
			p.step(n.out[0], x)(layer.NewScale([]float64{-1}, c, size))
		default:
			p.step(n.out[0], x)(layer.NewScale(nil, scaled(c, sign), size))
		}
		return p.done()
	}
}

// scaled returns f x, and x itself for f = 1.
func scaled(x []float64, f float64) []float64 {
	if f == 1 {
		return x
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = f * v
	}
	return y
}

func negRule(n *node) (plan, error) {
	var p plan
	p.step(n.out[0], n.in[0])(layer.NewScale([]float64{-1}, nil, product(n.out[0].shape)))
	return p.done()
}

// slopes returns PRelu's slopes, spread over its input. Before opset 7 a list
// of slopes belonged to axis 1.
func slopes(n *node) ([]float64, error) {
	if n.input(0) == nil || n.input(1) == nil {
		return nil, errors.New("needs two inputs")
	}
	t, err := n.con(1)
	if err != nil {
		return nil, err
	}
	x, s := n.in[0].shape, t.shape
	if n.m.opset < 7 && len(s) == 1 && len(x) > 2 {
		s = slices.Clone(s)
		for range len(x) - 2 {
			s = append(s, 1)
		}
	}
	if out, err := broadcast(x, s); err != nil || !slices.Equal(out, x) {
		return nil, fmt.Errorf("slopes of shape %v do not fit a tensor of shape %v", t.shape, x)
	}
	return spread(n, t, s, x)
}

func preluRule(n *node) (plan, error) {
	s, err := slopes(n)
	if err != nil {
		return plan{}, err
	}
	acts := make([]activation.Activation, len(s))
	for i, alpha := range s {
		acts[i] = activation.LeakyReLU(alpha)
	}
	return actRule(n, acts...)
}

func sumShape(n *node) ([][]int, error) {
	if len(n.in) == 0 {
		return nil, errors.New("has no inputs")
	}
	out := []int{}
	for _, v := range n.in {
		if v == nil {
			return nil, errors.New("an input is missing")
		}
		var err error
		if out, err = broadcast(out, v.shape); err != nil {
			return nil, err
		}
	}
	return [][]int{out}, nil
}

// sumRule is the sum of any number of tensors, or their mean.
func sumRule(n *node) (plan, error) {
	var p plan
	out := n.out[0].shape
	size, weight := product(out), 1.
	if n.op == "Mean" {
		weight = 1 / float64(len(n.in))
	}
	var in []*value
	var coef, shift []float64
	for i, v := range n.in {
		if !v.isConst() {
			in = append(in, p.stretched(n, v, v.shape, out))
			coef = append(coef, weight)
			continue
		}
		t, err := n.con(i)
		if err != nil {
			return plan{}, err
		}
		c, err := spread(n, t, v.shape, out)
		if err != nil {
			return plan{}, err
		}
		shift = addSpread(shift, scaled(c, weight))
	}
	if shift == nil {
		p.step(n.out[0], in...)(layer.NewSum(coef, size))
		return p.done()
	}
	sum := temp(n, n.out[0], out)
	p.step(sum, in...)(layer.NewSum(coef, size))
	p.step(n.out[0], sum)(layer.NewScale(nil, shift, size))
	return p.done()
}

// addSpread returns x + y, each of which may be one value for all; a nil x is 0.
func addSpread(x, y []float64) []float64 {
	if len(x) < len(y) {
		x, y = y, x
	}
	z := slices.Clone(x)
	for i := range z {
		switch len(y) {
		case 0:
		case 1:
			z[i] += y[0]
		default:
			z[i] += y[i]
		}
	}
	return z
}
