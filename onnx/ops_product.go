package onnx

import (
	"fmt"
	"math"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
)

// productOps are products, maxima and Einstein sums of tensors.
var productOps = map[string]op{
	"Einsum": {since: 12, inputs: math.MaxInt, kind: "sparse map", fold: foldEinsum, shape: einsumShape, rule: einsumRule},
	"Max":    {since: 6, inputs: math.MaxInt, kind: "max", fold: foldExtreme(1), shape: sumShape, rule: extremeRule(1)},
	"Min":    {since: 6, inputs: math.MaxInt, kind: "max", fold: foldExtreme(-1), shape: sumShape, rule: extremeRule(-1)},
}

// multiply appends out = x o y of values that are broadcast from the shapes a
// and b.
func (p *plan) multiply(n *node, out, x, y *value, a, b []int) {
	x, y = p.stretched(n, x, a, out.shape), p.stretched(n, y, b, out.shape)
	p.step(out, x, y)(layer.NewProduct(product(out.shape)))
}

func mulRule(n *node) (plan, error) {
	if n.in[0] == n.in[1] {
		return actRule(n, activation.Square())
	}
	var p plan
	side, c, x, err := constSide(n, &p)
	switch {
	case err != nil:
		return plan{}, err
	case side < 0:
		a, b, _, _ := operands(n)
		p.multiply(n, n.out[0], n.in[0], n.in[1], a, b)
	default:
		p.step(n.out[0], x)(layer.NewScale(c, nil, product(n.out[0].shape)))
	}
	return p.done()
}

// divRule is the quotient: by a constant a scale, by an uncertain tensor the
// product with its reciprocal.
func divRule(n *node) (plan, error) {
	var p plan
	side, c, x, err := constSide(n, &p)
	if err != nil {
		return plan{}, err
	}
	out, size := n.out[0], product(n.out[0].shape)
	switch side {
	case 1:
		inv := make([]float64, len(c))
		for i, v := range c {
			if v == 0 {
				return plan{}, fmt.Errorf("divides by zero in the %s", n.in[1].con.origin)
			}
			inv[i] = 1 / v
		}
		p.step(out, x)(layer.NewScale(inv, nil, size))
	case 0:
		inv := temp(n, out, out.shape)
		p.activation(inv, x, activation.Reciprocal())
		p.step(out, inv)(layer.NewScale(c, nil, size))
	default:
		a, b, _, _ := operands(n)
		inv := temp(n, n.in[1], n.in[1].shape)
		p.activation(inv, n.in[1], activation.Reciprocal())
		p.multiply(n, out, n.in[0], inv, a, b)
	}
	return p.done()
}

// powRule is x^y = exp(y log x), and a power with a constant exponent an
// activation of its own.
func powRule(n *node) (plan, error) {
	var p plan
	side, c, x, err := constSide(n, &p)
	if err != nil {
		return plan{}, err
	}
	out := n.out[0]
	if side == 1 {
		acts := make([]activation.Activation, len(c))
		for i, k := range c {
			acts[i] = activation.Power(k)
		}
		if len(acts) == 1 && acts[0] == activation.Identity() {
			p.step(out, x)(layer.NewReshape(product(out.shape)))
		} else {
			p.activation(out, x, acts...)
		}
		return p.done()
	}
	exponent := temp(n, out, out.shape)
	if side == 0 {
		logs := make([]float64, len(c))
		for i, a := range c {
			if a <= 0 {
				return plan{}, fmt.Errorf("a power of %v with an uncertain exponent is not supported: its base must be above 0", a)
			}
			logs[i] = math.Log(a)
		}
		p.step(exponent, x)(layer.NewScale(logs, nil, product(out.shape)))
	} else {
		a, b, _, _ := operands(n)
		logs := temp(n, n.in[0], n.in[0].shape)
		p.activation(logs, n.in[0], activation.Log())
		p.multiply(n, exponent, logs, n.in[1], a, b)
	}
	p.activation(out, exponent, activation.Exp())
	return p.done()
}

// extremeRule is the maximum of any number of tensors, or the minimum for sign
// -1: a tournament among the uncertain ones, clipped at the constants.
func extremeRule(sign float64) func(*node) (plan, error) {
	return func(n *node) (plan, error) {
		var p plan
		out := n.out[0]
		bound, err := extremeBound(n, sign)
		if err != nil {
			return plan{}, err
		}
		top := out
		if bound != nil {
			top = temp(n, out, out.shape)
		}
		if err := extremeUncertain(n, &p, top, sign); err != nil {
			return plan{}, err
		}
		if bound != nil {
			acts := make([]activation.Activation, len(bound))
			for i, b := range bound {
				lo, hi := b, math.Inf(1)
				if sign < 0 {
					lo, hi = math.Inf(-1), b
				}
				if acts[i], err = clipped(lo, hi); err != nil {
					return plan{}, err
				}
			}
			p.activation(out, top, acts...)
		}
		return p.done()
	}
}

// extremeBound returns the extreme of the constants, one for every element of
// the output or one for all, or nil if there are none.
func extremeBound(n *node, sign float64) ([]float64, error) {
	var bound []float64
	out := n.out[0].shape
	for i, v := range n.in {
		if !v.isConst() {
			continue
		}
		t, err := n.con(i)
		if err != nil {
			return nil, err
		}
		c, err := spread(n, t, v.shape, out)
		if err != nil {
			return nil, err
		}
		if bound == nil {
			bound = c
			continue
		}
		if len(c) < len(bound) {
			c, bound = bound, c
		}
		both := make([]float64, len(c))
		for j := range c {
			both[j] = sign * max(sign*c[j], sign*bound[min(j, len(bound)-1)])
		}
		bound = both
	}
	return bound, nil
}

// extremeUncertain appends the extreme of the uncertain inputs.
func extremeUncertain(n *node, p *plan, out *value, sign float64) error {
	in, size := n.uncertain(), product(out.shape)
	if len(in) == 1 {
		x := p.stretched(n, in[0], in[0].shape, out.shape)
		p.step(out, x)(layer.NewReshape(size))
		return p.err
	}
	if err := n.m.limits.take(2 * len(in) * size); err != nil {
		return err
	}
	lists, total := make([][]int, size), 0
	for _, v := range in {
		for j, k := range positions(v.shape, out.shape) {
			lists[j] = append(lists[j], total+k)
		}
		total += product(v.shape)
	}
	all := temp(n, out, []int{total})
	p.joined(all, in, 1)
	if sign > 0 {
		return tournament(p, n, out, all, lists)
	}
	minus, top := temp(n, all, all.shape), temp(n, out, out.shape)
	p.negative(minus, all)
	if err := tournament(p, n, top, minus, lists); err != nil {
		return err
	}
	p.negative(out, top)
	return nil
}
