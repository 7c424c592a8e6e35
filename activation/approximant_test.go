package activation

import (
	"math"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/special"
)

// The distance of the mixture and its relatives to the functions, on a grid
// fine against their oscillations; beyond 60 both sides agree to 1e-12.
func TestMixtureError(t *testing.T) {
	var worst [3]float64
	for i := -6000; i <= 6000; i++ {
		x := float64(i) / 100
		cdf, integral := 0.0, 0.0
		for _, m := range mixture {
			c := special.CDF(m.s * x)
			cdf += m.p * c
			integral += m.p * (x*c + special.Density(m.s*x)/m.s)
		}
		worst[0] = max(worst[0], math.Abs(cdf-Sigmoid().Apply(x)))
		worst[1] = max(worst[1], math.Abs(integral-Softplus().Apply(x)))
		worst[2] = max(worst[2], math.Abs(x*cdf-SiLU().Apply(x)))
	}
	for i, bound := range []float64{sigmoidError, softplusError, siluError} {
		if worst[i] > bound || worst[i] < bound/1.1 {
			t.Errorf("error %d is %.3g, stated %.3g", i, worst[i], bound)
		}
	}
}

// The approximant is used where its bound is below the tolerance, and the
// bound holds against quadrature.
func TestApproximant(t *testing.T) {
	used := map[string]int{}
	acts := []Activation{Sigmoid(), Tanh(), Softplus(), LogSigmoid(), SiLU(), QuickGELU(1.702), QuickGELU(-0.5)}
	for _, a := range acts {
		for _, tol := range []float64{1e-9, 1e-7, 1e-6, 1e-4} {
			for _, sigma := range []float64{0.1, 0.5, 1, 2, 5, 60} {
				for _, mu := range []float64{0, 0.4, -2, 5, -9} {
					for _, n := range []int{0, 1, 20, 300} {
						h, want := make([]float64, n), make([]float64, n)
						v, acc := Marginal(a, h, mu, sigma, tol)
						if acc.Status == covprop.Approximate {
							continue
						}
						used[a.Name()]++
						if acc.Status != covprop.Certified || acc.Reason != approximantReason || !(acc.Bound > 0) || acc.Bound > tol {
							t.Errorf("%s(%g, %g): accuracy %v for %g", a.Name(), mu, sigma, acc, tol)
						}
						w, est := Marginal(a, want, mu, sigma, 0)
						if est.Status != covprop.Approximate {
							t.Fatalf("%s: tolerance 0 gives %v", a.Name(), est)
						}
						sd := math.Sqrt(w)
						// 1e-13: rounding, which the bound leaves out.
						if math.Abs(v-w) > (acc.Bound+1e-13)*w {
							t.Errorf("%s(%g, %g): variance off by %.3g, bound %.3g", a.Name(), mu, sigma, math.Abs(v-w)/w, acc.Bound)
						}
						for k := range h {
							if e := math.Abs(h[k] - want[k]); e > acc.Bound*sd+1e-13*(sd+math.Abs(want[k])) {
								t.Errorf("%s(%g, %g): h_%d off by %.3g, bound %.3g", a.Name(), mu, sigma, k, e/sd, acc.Bound)
							}
						}
					}
				}
			}
		}
	}
	for _, a := range acts {
		if used[a.Name()] == 0 {
			t.Errorf("%s: the approximant is never used", a.Name())
		}
	}
}

// A gate that is very steep is a kink: x logistic(beta x) tends to ReLU.
func TestSteepGate(t *testing.T) {
	for _, beta := range []float64{1e30, 1e160, 1e200} {
		for _, x := range inputs {
			v, acc := Marginal(QuickGELU(beta), nil, x.mu, x.sigma, 1e-9)
			want := ReLU().Variance(x.mu, x.sigma)
			if !(math.Abs(v-want) <= 1e-12*want) || !(acc.Bound <= 1e-11) {
				t.Errorf("quick_gelu_%g%v: variance %v, want %v, %v", beta, x, v, want, acc)
			}
		}
	}
}
