package onnx

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/layer"
)

// operators are the activations that are an operator of ONNX by themselves, by name
// without parameters, and the names of the parameters as attributes.
var operators = map[string]struct {
	op         string
	parameters []string
}{
	"abs": {"Abs", nil}, "acos": {"Acos", nil}, "acosh": {"Acosh", nil}, "arctan": {"Atan", nil}, "asin": {"Asin", nil}, "asinh": {"Asinh", nil},
	"atanh": {"Atanh", nil}, "cos": {"Cos", nil}, "cosh": {"Cosh", nil}, "erf": {"Erf", nil}, "exp": {"Exp", nil}, "gelu": {"Gelu", nil},
	"hard_swish": {"HardSwish", nil}, "identity": {"Identity", nil}, "log": {"Log", nil}, "mish": {"Mish", nil},
	"reciprocal": {"Reciprocal", nil}, "relu": {"Relu", nil}, "sigmoid": {"Sigmoid", nil}, "sign": {"Sign", nil}, "sin": {"Sin", nil},
	"sinh": {"Sinh", nil}, "softplus": {"Softplus", nil}, "softsign": {"Softsign", nil}, "sqrt": {"Sqrt", nil}, "tan": {"Tan", nil}, "tanh": {"Tanh", nil},
	"celu": {"Celu", []string{"alpha"}}, "elu": {"Elu", []string{"alpha"}}, "hard_sigmoid": {"HardSigmoid", []string{"alpha", "beta"}},
	"leaky_relu": {"LeakyRelu", []string{"alpha"}}, "selu": {"Selu", []string{"alpha", "gamma"}}, "shrink": {"Shrink", []string{"lambd", "bias"}},
	"thresholded_relu": {"ThresholdedRelu", []string{"alpha"}},
}

// unnamed are activations without parameters that activation.Parse does not know.
var unnamed = []func() activation.Activation{
	activation.Acos, activation.Acosh, activation.Asin, activation.Atanh, activation.Cosh, activation.Cube, activation.Log,
	activation.Reciprocal, activation.Sinh, activation.Sqrt, activation.Tan,
	func() activation.Activation { return activation.SELU(1.6732632423543772, 1.0507009873554805) }, // not rounded to float32
}

// isNamed reports whether a is what its name, stem with the parameters p, says.
func isNamed(a activation.Activation, stem string, p []float64) bool {
	if b, err := activation.Parse(a.Name()); err == nil && a == b {
		return true
	}
	for _, b := range unnamed {
		if a == b() {
			return true
		}
	}
	switch fmt.Sprint(stem, len(p)) {
	case "clip2":
		return a == activation.Clip(p[0], p[1])
	case "power1":
		return a == activation.Power(p[0])
	case "selu2":
		return a == activation.SELU(p[0], p[1])
	case "shrink2":
		return a == activation.Shrink(p[0], p[1])
	}
	b, err := activation.Polynomial(p...)
	return err == nil && a == b
}

// stepSlope is the slope of the hard sigmoid that the Heaviside function is written as:
// one at x >= 1/stepSlope, half the least normal float32.
const stepSlope = 0x1p127

// elementwise writes one activation for all elements, or slopes below 0 for each.
func (w *writer) elementwise(l *graph.Layer, r *layer.Elementwise, out string) error {
	first, same := r.Activation(0), true
	if !reflect.ValueOf(first).Comparable() {
		return fmt.Errorf("the activation %s cannot be written", first.Name())
	}
	for i := range r.OutputLen() {
		same = same && r.Activation(i) == first
	}
	x := w.shaped(l.Inputs[0], l.Shape, out)
	if same {
		return w.activation(first, l.Name, out, x)
	}
	slopes := make([]float64, r.OutputLen())
	for i := range slopes {
		a := r.Activation(i)
		slopes[i] = a.Derivative(-1)
		if a != activation.LeakyReLU(slopes[i]) && a != activation.ReLU() {
			return fmt.Errorf("activations that differ between elements, such as %s, cannot be written unless all are leaky ReLUs", a.Name())
		}
	}
	w.node("PRelu", l.Name, out, nil, x, w.constant(out+".slope", l.Shape, slopes))
	return nil
}

// activation writes y = a(x), as one operator or as some.
func (w *writer) activation(a activation.Activation, name, out, in string) error {
	stem, p := splitName(a.Name())
	if !isNamed(a, stem, p) {
		return fmt.Errorf("the activation %s cannot be written", a.Name())
	}
	if stem == "celu" && float32(p[0]) == 0 {
		stem, p = "relu", nil // the limit, which Celu has not
	}
	if o, ok := operators[stem]; ok {
		var attributes []*onnxpb.AttributeProto
		for i, x := range p {
			attributes = append(attributes, w.floatAttribute(o.parameters[i], x))
		}
		w.node(o.op, name, out, attributes, in)
		return nil
	}
	return w.composition(a, stem, p, name, out, in)
}

// composition writes an activation that is no operator, or not with attributes.
func (w *writer) composition(a activation.Activation, stem string, p []float64, name, out, in string) error {
	inner := func(op string, inputs ...string) string { return w.inner(op, out+"."+strings.ToLower(op), inputs...) }
	number := func(x float64) string { return w.constant(out+".constant", nil, []float64{x}) }
	switch stem {
	case "clip", "relu6":
		if stem == "relu6" {
			p = []float64{0, 6}
		}
		bounds := []string{in, "", ""}
		for i, x := range p {
			if !math.IsInf(x, 2*i-1) { // which is none
				bounds[1+i] = number(x)
			}
		}
		w.node("Clip", name, out, nil, bounds...)
	case "gelu_tanh":
		w.node("Gelu", name, out, []*onnxpb.AttributeProto{stringAttribute("approximate", "tanh")}, in)
	case "heaviside": // by a comparison it would have no moments when read back
		w.node("HardSigmoid", name, out, []*onnxpb.AttributeProto{w.floatAttribute("alpha", stepSlope), w.floatAttribute("beta", 0)}, in)
	case "log_sigmoid": // -softplus(-x)
		w.node("Neg", name, out, nil, inner("Softplus", inner("Neg", in)))
	case "normal_cdf": // (1 + erf(x/sqrt 2))/2
		erf := inner("Erf", inner("Mul", in, number(1/math.Sqrt2)))
		w.node("Mul", name, out, nil, inner("Add", erf, number(1)), number(0.5))
	case "quick_gelu":
		if float32(p[0]) == 0 {
			w.node("Mul", name, out, nil, in, number(0.5))
			break
		}
		w.node("Mul", name, out, nil, in, inner("Sigmoid", inner("Mul", in, number(p[0]))))
	case "silu":
		w.node("Mul", name, out, nil, in, inner("Sigmoid", in))
	case "square", "cube", "power", "polynomial":
		return w.polynomial(a, p, name, out, in)
	default:
		return fmt.Errorf("the activation %s cannot be written", a.Name())
	}
	return nil
}

// polynomial writes a power, with the exponent p[0] if it is no polynomial, or a
// polynomial of degree at most 1, with the coefficients p. Others would be products of
// uncertain values.
func (w *writer) polynomial(a activation.Activation, p []float64, name, out, in string) error {
	degree, ok := activation.Degree(a)
	constant := func(x float64) string { return w.constant(out+".constant", nil, []float64{x}) }
	switch {
	case !ok:
		w.node("Pow", name, out, nil, in, constant(p[0]))
	case degree <= 1:
		x := w.inner("Mul", out+".mul", in, constant(a.Derivative(0)))
		w.node("Add", name, out, nil, x, constant(a.Apply(0)))
	case a == activation.Power(float64(degree)):
		w.node("Pow", name, out, nil, in, constant(float64(degree)))
	default:
		return fmt.Errorf("the activation %s cannot be written: of degree above 1 only x^n can", a.Name())
	}
	return nil
}

// splitName takes a name such as leaky_relu_0.2 apart.
func splitName(name string) (stem string, parameters []float64) {
	fields := strings.Split(name, "_")
	for len(fields) > 1 {
		x, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			break
		}
		parameters = append([]float64{x}, parameters...)
		fields = fields[:len(fields)-1]
	}
	return strings.Join(fields, "_"), parameters
}
