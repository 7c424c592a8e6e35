package activation

import (
	"math"
	"testing"

	"github.com/covprop/covprop"
)

// TestExtremeInputs: deviations and means at the ends of float64 end, and give
// a number or say that they have none.
func TestExtremeInputs(t *testing.T) {
	user, err := New("user", math.Cbrt, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	acts := []Activation{
		Tanh(), Sigmoid(), SiLU(), Mish(), GELUTanh(), Softsign(), Arctan(), Softplus(), GELU(), Erf(), ELU(1), CELU(2),
		SELU(1.67, 1.05), ReLU(), Clip(-1, 1), HardSwish(), Sin(), Cos(), Sinh(), Cosh(), Asinh(), LogSigmoid(), Shrink(1, 0.5), user,
	}
	h := make([]float64, 33)
	for _, a := range acts {
		for _, sigma := range []float64{1e-300, 1e-20, 1e20, 1e150, 1e300} {
			for _, mu := range []float64{0, -1e3, 1e150} {
				v, acc := Marginal(a, h, mu, sigma, 1e-9)
				finite := !math.IsNaN(v) && !math.IsInf(v, 0) && !math.IsNaN(h[0]) && !math.IsInf(h[0], 0)
				// A variance beyond float64 is Inf or NaN, which the caller
				// reports; one within it is never negative.
				if finite && v < 0 || acc.Status == covprop.Exact && finite && math.IsNaN(h[1]) {
					t.Errorf("%s at mean %g, deviation %g: mean %g, variance %g, slope %g (%v)", a.Name(), mu, sigma, h[0], v, h[1], acc)
				}
			}
		}
	}
	// The covariance of two sines in phase is that of their phases: 1/2 for a
	// common phase, whatever the size of the deviation.
	for _, sigma := range []float64{50, 1e20, 1e160} {
		p := Pair{Sigma1: sigma, Sigma2: sigma, Rho: 1}
		if c, _ := Covariance(Sin(), Sin(), p); math.Abs(c-0.5) > 1e-12 {
			t.Errorf("covariance of two equal sines at deviation %g is %v, want 0.5", sigma, c)
		}
	}
}
