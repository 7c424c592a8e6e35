package optest

import (
	"math"
	"sync/atomic"
	"testing"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/special"
)

func TestActivationsConform(t *testing.T) {
	for _, a := range []activation.Activation{
		activation.Identity(), activation.Step(), activation.Sign(),
		activation.ReLU(), activation.LeakyReLU(0.01), activation.ThresholdedReLU(1), activation.Abs(),
		activation.Clip(-1, 1), activation.ReLU6(), activation.HardSigmoid(0.2, 0.5), activation.HardSwish(),
		activation.GELU(), activation.GELUTanh(), activation.QuickGELU(1.702), activation.Erf(), activation.NormalCDF(),
		activation.Sigmoid(), activation.Tanh(), activation.Softplus(), activation.SiLU(), activation.Mish(),
		activation.ELU(1), activation.CELU(2), activation.SELU(1.6732632423543772, 1.0507009873554805),
		activation.Softsign(), activation.Arctan(), activation.Sin(), activation.Cos(),
		activation.Exp(), activation.Square(), activation.Cube(), must(activation.Polynomial(1, -2, 0, 0.5)),
		must(activation.New("ramp", ramp, slope, -1, 2)),
	} {
		t.Run(a.Name(), func(t *testing.T) { TestActivation(t, a) })
	}
}

// ramp and slope are a user's own function: |x+1| up to 2, then a parabola.
func ramp(x float64) float64 {
	if x < 2 {
		return math.Abs(x + 1)
	}
	return 3 + (x-2)*(x-2)/4
}

func slope(x float64) float64 {
	switch {
	case x == -1:
		return 0
	case x < -1:
		return -1
	case x < 2:
		return 1
	case x == 2:
		return 0.5
	}
	return (x - 2) / 2
}

// flawed is ReLU with one method replaced.
type flawed struct {
	activation.Activation
	name         string
	kinks        []float64
	derivative   func(x float64) float64
	coefficients func(h []float64, mu, sigma float64)
	variance     func(v, mu, sigma float64) float64
}

func (f *flawed) Name() string {
	if f.name == "none" {
		return ""
	}
	return "flawed relu"
}

func (f *flawed) Kinks() []float64 {
	if f.kinks != nil {
		return f.kinks
	}
	return f.Activation.Kinks()
}

func (f *flawed) Derivative(x float64) float64 {
	if f.derivative != nil {
		return f.derivative(x)
	}
	return f.Activation.Derivative(x)
}

func (f *flawed) Coefficients(h []float64, mu, sigma float64) {
	f.Activation.Coefficients(h, mu, sigma)
	if f.coefficients != nil {
		f.coefficients(h, mu, sigma)
	}
}

func (f *flawed) Variance(mu, sigma float64) float64 {
	v := f.Activation.Variance(mu, sigma)
	if f.variance != nil {
		return f.variance(v, mu, sigma)
	}
	return v
}

// uncomparable cannot be compared with ==.
type uncomparable struct {
	activation.Activation
	_ []int
}

// Every check fails for the fault it is there for, and none without a fault.
func TestBrokenActivationsFail(t *testing.T) {
	relu := activation.ReLU()
	if failed := failing(activationChecks(&flawed{Activation: relu})); failed != nil {
		t.Fatalf("without a fault, %q fail", failed)
	}
	scale := func(k int, by float64) func(h []float64, mu, sigma float64) {
		return func(h []float64, _, _ float64) {
			if k < len(h) {
				h[k] *= by
			}
		}
	}
	untested := map[string]bool{}
	for _, c := range activationChecks(relu) {
		untested[c.name] = true
	}
	var calls atomic.Int64
	for _, c := range []struct {
		fault, check string
		flawed
	}{
		{"no name", "name", flawed{name: "none"}},
		{"kinks out of order", "kinks", flawed{kinks: []float64{0, 0}}},
		{"derivative at the kink", "kinks", flawed{derivative: func(x float64) float64 {
			if x >= 0 {
				return 1
			}
			return 0
		}}},
		{"derivative", "derivative", flawed{derivative: func(x float64) float64 { return 1.000001 * relu.Derivative(x) }}},
		{"mean", "mean", flawed{coefficients: scale(0, 1+1e-8)}},
		{"variance", "variance", flawed{variance: func(v, _, _ float64) float64 { return v * (1 + 1e-8) }}},
		{"gain", "gain", flawed{coefficients: scale(1, 1+1e-7)}},
		{"coefficient 1", "coefficients", flawed{coefficients: scale(1, 1+1e-8)}},
		{"coefficient 8", "coefficients", flawed{coefficients: scale(8, -1)}},
		{"coefficient 14", "pair", flawed{coefficients: scale(14, 3)}},
		{"coefficient 14", "parseval", flawed{coefficients: scale(14, 1e3)}},
		{"last coefficient", "prefix", flawed{coefficients: func(h []float64, _, _ float64) { h[len(h)-1] *= 1.001 }}},
		{"coefficients at a point", "point", flawed{coefficients: func(h []float64, _, sigma float64) {
			if sigma == 0 {
				h[len(h)-1] = math.NaN()
			}
		}}},
		{"floor under the variance", "point", flawed{variance: func(v, _, _ float64) float64 { return max(v, 1e-30) }}},
		{"floor under the variance", "small sigma", flawed{variance: func(v, _, _ float64) float64 { return max(v, 1e-6) }}},
		{"variance by subtraction", "tails", flawed{variance: func(v, mu, sigma float64) float64 { return v + mu*mu + 1e-17 - mu*mu }}},
		{"NaN in the tails", "tails", flawed{coefficients: func(h []float64, mu, sigma float64) {
			if mu < -30*sigma {
				h[len(h)-1] = math.NaN()
			}
		}}},
		{"Inf times 0 where e^x overflows", "far", flawed{coefficients: func(h []float64, mu, _ float64) {
			h[0] += math.Expm1(mu) * special.CDF(-mu)
		}}},
		{"hidden state", "concurrent", flawed{variance: func(v, _, _ float64) float64 {
			return v * (1 + 1e-15*float64(calls.Add(1)))
		}}},
	} {
		c.Activation = relu
		delete(untested, c.check)
		detects(t, c.fault, c.check, activationChecks(&c.flawed))
	}
	detects(t, "a slice inside", "name", activationChecks(uncomparable{Activation: relu}))
	if len(untested) > 0 {
		t.Errorf("no fault shows that these checks can fail: %v", untested)
	}
}
