package activation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// named are the activations without parameters that Parse knows, by name.
var named = map[string]func() Activation{
	"abs": Abs, "arctan": Arctan, "asinh": Asinh, "cos": Cos, "erf": Erf, "exp": Exp, "gelu": GELU, "gelu_tanh": GELUTanh,
	"hard_swish": HardSwish, "heaviside": Step, "identity": Identity, "log_sigmoid": LogSigmoid, "mish": Mish,
	"normal_cdf": NormalCDF, "relu": ReLU, "relu6": ReLU6, "sigmoid": Sigmoid, "sign": Sign, "silu": SiLU, "sin": Sin,
	"softplus": Softplus, "softsign": Softsign, "square": Square, "tanh": Tanh,
	"selu": func() Activation { return SELU(1.67326319217681884765625, 1.05070102214813232421875) }, // ONNX's
}

// parametric are those with parameters, and the parameters' defaults.
var parametric = map[string]struct {
	defaults []float64
	of       func(p []float64) Activation
}{
	"celu":             {[]float64{1}, func(p []float64) Activation { return CELU(p[0]) }},
	"elu":              {[]float64{1}, func(p []float64) Activation { return ELU(p[0]) }},
	"hard_sigmoid":     {[]float64{0.2, 0.5}, func(p []float64) Activation { return HardSigmoid(p[0], p[1]) }},
	"leaky_relu":       {[]float64{0.01}, func(p []float64) Activation { return LeakyReLU(p[0]) }},
	"quick_gelu":       {[]float64{1.702}, func(p []float64) Activation { return QuickGELU(p[0]) }},
	"thresholded_relu": {[]float64{1}, func(p []float64) Activation { return ThresholdedReLU(p[0]) }},
}

// Parse returns the activation with a name as its method Name writes it, such as
// relu, gelu or leaky_relu_0.2; without numbers in the name its parameters have the
// defaults of ONNX. Names returns the names that it knows.
func Parse(name string) (Activation, error) {
	if of, ok := named[name]; ok {
		return of(), nil
	}
	for stem, family := range parametric {
		rest, ok := strings.CutPrefix(name, stem)
		if !ok {
			continue
		}
		p := family.defaults
		if rest != "" {
			p = nil
			for _, field := range strings.Split(rest, "_")[1:] {
				x, err := strconv.ParseFloat(field, 64)
				if err != nil || x-x != 0 {
					return nil, fmt.Errorf("activation: %q has the parameter %q, which is no finite number", name, field)
				}
				p = append(p, x)
			}
		}
		if len(p) != len(family.defaults) {
			return nil, fmt.Errorf("activation: %s has %d parameters, such as in %s", stem, len(family.defaults), family.of(family.defaults).Name())
		}
		return family.of(p), nil
	}
	return nil, fmt.Errorf("activation: there is no activation %q; there are %s", name, strings.Join(Names(), ", "))
}

// Names returns the names that Parse knows, without parameters, sorted.
func Names() []string {
	var names []string
	for n := range named {
		names = append(names, n)
	}
	for n := range parametric {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
