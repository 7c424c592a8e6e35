package onnx

import (
	"errors"
	"fmt"
	"math"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/layer"
)

// activationOps apply an activation to every element.
var activationOps = map[string]op{
	"Abs":             unary(6, simple(abs)),
	"Acos":            unary(7, simple(acos)),
	"Acosh":           unary(9, simple(acosh)),
	"Asin":            unary(7, simple(asin)),
	"Asinh":           unary(9, simple(asinh)),
	"Atan":            unary(7, simple(arctan)),
	"Atanh":           unary(9, simple(atanh)),
	"Celu":            unary(12, celu),
	"Clip":            takes(3, unary(6, clip)),
	"Cos":             unary(7, simple(cos)),
	"Cosh":            unary(9, simple(cosh)),
	"Elu":             unary(6, elu),
	"Erf":             unary(9, simple(erf)),
	"Exp":             unary(6, simple(exp)),
	"Gelu":            unary(20, gelu),
	"HardSigmoid":     unary(6, hardSigmoid),
	"HardSwish":       unary(14, simple(hardSwish)),
	"LeakyRelu":       unary(6, leakyRelu),
	"Log":             unary(6, simple(logarithm)),
	"Mish":            unary(18, simple(mish)),
	"Reciprocal":      unary(6, simple(reciprocal)),
	"Relu":            unary(6, simple(relu)),
	"Selu":            unary(6, selu),
	"Shrink":          unary(9, shrink),
	"Sigmoid":         unary(6, simple(sigmoid)),
	"Sign":            unary(9, simple(sign)),
	"Sin":             unary(7, simple(sin)),
	"Sinh":            unary(9, simple(sinh)),
	"Softplus":        unary(6, simple(softplus)),
	"Softsign":        unary(6, simple(softsign)),
	"Sqrt":            unary(6, simple(sqrt)),
	"Swish":           unary(24, swish),
	"Tan":             unary(7, simple(tan)),
	"Tanh":            unary(6, simple(tanh)),
	"ThresholdedRelu": unary(10, thresholdedRelu),
}

// makeAct returns the activation of a node.
type makeAct func(n *node) (activation.Activation, error)

// unary is an op that applies an activation to every element of its input.
func unary(since int, act makeAct) op {
	return op{
		since: since,
		kind:  "activation",
		act:   act,
		shape: sameShape,
		fold: func(n *node) ([]*tensor, error) {
			a, err := act(n)
			if err != nil {
				return nil, err
			}
			return foldReal(a.Apply)(n)
		},
		rule: func(n *node) (plan, error) {
			a, err := act(n)
			if err != nil {
				return plan{}, err
			}
			return actRule(n, a)
		},
	}
}

// actRule applies the activations, one for all elements or one for each, to
// the first input. The identity is none.
func actRule(n *node, acts ...activation.Activation) (plan, error) {
	var p plan
	size := product(n.in[0].shape)
	if len(acts) == 1 && acts[0] == activation.Identity() {
		p.step(n.out[0], n.in[0])(layer.NewReshape(size))
	} else {
		p.step(n.out[0], n.in[0])(layer.NewElementwise(acts, size))
	}
	return p.done()
}

// sameShape is the shape of ops whose output is like their first input.
func sameShape(n *node) ([][]int, error) {
	v, err := n.data()
	if err != nil {
		return nil, err
	}
	return [][]int{v.shape}, nil
}

// simple is an activation without parameters.
func simple(a func() activation.Activation) makeAct {
	return func(*node) (activation.Activation, error) { return a(), nil }
}

var (
	abs        = activation.Abs
	acos       = activation.Acos
	acosh      = activation.Acosh
	arctan     = activation.Arctan
	asin       = activation.Asin
	asinh      = activation.Asinh
	atanh      = activation.Atanh
	cos        = activation.Cos
	cosh       = activation.Cosh
	erf        = activation.Erf
	exp        = activation.Exp
	hardSwish  = activation.HardSwish
	logarithm  = activation.Log
	mish       = activation.Mish
	reciprocal = activation.Reciprocal
	relu       = activation.ReLU
	sigmoid    = activation.Sigmoid
	sign       = activation.Sign
	sin        = activation.Sin
	sinh       = activation.Sinh
	softplus   = activation.Softplus
	softsign   = activation.Softsign
	sqrt       = activation.Sqrt
	tan        = activation.Tan
	tanh       = activation.Tanh
)

func celu(n *node) (activation.Activation, error) {
	alpha := n.floatAttr("alpha", 1)
	if alpha == 0 {
		return nil, errors.New("alpha is 0")
	}
	return activation.CELU(alpha), nil
}

func elu(n *node) (activation.Activation, error) {
	return activation.ELU(n.floatAttr("alpha", 1)), nil
}

func selu(n *node) (activation.Activation, error) {
	return activation.SELU(n.floatAttr("alpha", 1.67326319217681884765625), n.floatAttr("gamma", 1.05070102214813232421875)), nil
}

func gelu(n *node) (activation.Activation, error) {
	switch a := n.stringAttr("approximate", "none"); a {
	case "none":
		return activation.GELU(), nil
	case "tanh":
		return activation.GELUTanh(), nil
	default:
		return nil, fmt.Errorf("the approximation %q is unknown", a)
	}
}

func hardSigmoid(n *node) (activation.Activation, error) {
	return activation.HardSigmoid(n.floatAttr("alpha", 0.2), n.floatAttr("beta", 0.5)), nil
}

func leakyRelu(n *node) (activation.Activation, error) {
	return activation.LeakyReLU(n.floatAttr("alpha", 0.01)), nil
}

func shrink(n *node) (activation.Activation, error) {
	return activation.Shrink(n.floatAttr("lambd", 0.5), n.floatAttr("bias", 0)), nil
}

func thresholdedRelu(n *node) (activation.Activation, error) {
	return activation.ThresholdedReLU(n.floatAttr("alpha", 1)), nil
}

func swish(n *node) (activation.Activation, error) {
	return sigmoidLinear(n.floatAttr("alpha", 1)), nil
}

// sigmoidLinear returns x sigmoid(beta x).
func sigmoidLinear(beta float64) activation.Activation {
	if beta == 1 {
		return activation.SiLU()
	}
	return activation.QuickGELU(beta)
}

// clip is min(max(x, lo), hi): hi if lo > hi. The bounds became inputs in
// opset 11; either may be left out.
func clip(n *node) (activation.Activation, error) {
	lo, hi, err := clipBounds(n)
	if err != nil {
		return nil, err
	}
	return clipped(lo, hi)
}

func clipped(lo, hi float64) (activation.Activation, error) {
	switch {
	case math.IsNaN(lo) || math.IsNaN(hi):
		return nil, errors.New("a bound is NaN")
	case lo == 0 && math.IsInf(hi, 1):
		return activation.ReLU(), nil
	case lo == 0 && hi == 6:
		return activation.ReLU6(), nil
	case math.IsInf(lo, -1) && math.IsInf(hi, 1):
		return activation.Identity(), nil
	case math.IsInf(min(lo, hi), 1) || math.IsInf(hi, -1):
		return nil, fmt.Errorf("the bounds %v and %v leave nothing finite", lo, hi)
	case lo >= hi:
		return activation.Polynomial(hi)
	}
	return activation.Clip(lo, hi), nil
}

func clipBounds(n *node) (lo, hi float64, err error) {
	lo, hi = math.Inf(-1), math.Inf(1)
	if n.m.opset < 11 {
		bound := func(name string, none float64) float64 {
			if a := n.attr(name, onnxpb.AttributeProto_FLOAT); a != nil {
				return unbounded(float64(a.GetF()))
			}
			return none
		}
		return bound("min", lo), bound("max", hi), nil
	}
	for i, bound := range []*float64{&lo, &hi} {
		if n.input(i+1) == nil {
			continue
		}
		t, err := n.con(i + 1)
		if err != nil {
			return 0, 0, err
		}
		if t.len() != 1 {
			return 0, 0, fmt.Errorf("the %s has %d elements, but a bound is a scalar", t.origin, t.len())
		}
		*bound = unbounded(t.real()[0])
	}
	return lo, hi, nil
}

// unbounded returns a bound, and infinity for the largest numbers: how
// exporters, and ONNX itself before opset 11, spell "none".
func unbounded(x float64) float64 {
	if a := math.Abs(x); a == math.MaxFloat32 || a == math.MaxFloat64 {
		return math.Inf(int(math.Copysign(1, x)))
	}
	return x
}
