package onnx

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/onnxpb"
)

// operators are the activations that are an operator of ONNX by themselves, by name
// without parameters, and the names of the parameters as attributes.
var operators = map[string]struct {
	op         string
	parameters []string
}{
	"abs": {"Abs", nil}, "arctan": {"Atan", nil}, "asinh": {"Asinh", nil}, "cos": {"Cos", nil}, "erf": {"Erf", nil}, "exp": {"Exp", nil},
	"gelu": {"Gelu", nil}, "hard_swish": {"HardSwish", nil}, "identity": {"Identity", nil}, "mish": {"Mish", nil}, "relu": {"Relu", nil},
	"selu": {"Selu", nil}, "sigmoid": {"Sigmoid", nil}, "sign": {"Sign", nil}, "sin": {"Sin", nil}, "softplus": {"Softplus", nil},
	"softsign": {"Softsign", nil}, "tanh": {"Tanh", nil},
	"celu": {"Celu", []string{"alpha"}}, "elu": {"Elu", []string{"alpha"}}, "hard_sigmoid": {"HardSigmoid", []string{"alpha", "beta"}},
	"leaky_relu": {"LeakyRelu", []string{"alpha"}}, "thresholded_relu": {"ThresholdedRelu", []string{"alpha"}},
}

// activation writes y = a(x), as one operator or as some.
func (w *writer) activation(a activation.Activation, name, out, in string) error {
	if same, err := activation.Parse(a.Name()); err != nil || !reflect.DeepEqual(same, a) {
		return fmt.Errorf("the activation %s is not written", a.Name())
	}
	stem, parameters := splitName(a.Name())
	if o, ok := operators[stem]; ok {
		var attributes []*onnxpb.AttributeProto
		for i, p := range parameters {
			attributes = append(attributes, floatAttribute(o.parameters[i], p))
		}
		w.node(o.op, name, out, attributes, in)
		return nil
	}
	inner := func(op string, inputs ...string) string {
		v := w.name(out + "." + strings.ToLower(op))
		w.node(op, "", v, nil, inputs...)
		return v
	}
	number := func(x float64) string {
		c, err := w.constant(out+".constant", nil, []float64{x})
		if err != nil {
			panic(err) // x is small
		}
		return c
	}
	switch stem {
	case "gelu_tanh":
		w.node("Gelu", name, out, []*onnxpb.AttributeProto{stringAttribute("approximate", "tanh")}, in)
	case "heaviside":
		w.node("Relu", name, out, nil, inner("Sign", in))
	case "log_sigmoid": // -softplus(-x)
		w.node("Neg", name, out, nil, inner("Softplus", inner("Neg", in)))
	case "normal_cdf": // (1 + erf(x/sqrt 2))/2
		erf := inner("Erf", inner("Mul", in, number(1/math.Sqrt2)))
		w.node("Mul", name, out, nil, inner("Add", erf, number(1)), number(0.5))
	case "quick_gelu":
		w.node("Mul", name, out, nil, in, inner("Sigmoid", inner("Mul", in, number(parameters[0]))))
	case "relu6":
		w.node("Clip", name, out, nil, in, number(0), number(6))
	case "silu":
		w.node("Mul", name, out, nil, in, inner("Sigmoid", in))
	case "square":
		w.node("Mul", name, out, nil, in, in)
	default:
		return fmt.Errorf("the activation %s is not written", a.Name())
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
