package bayes

import (
	"math"
	"testing"

	"github.com/covprop/covprop/activation"
)

// TestPairSlopes compares the two ways to the derivatives of a covariance with each
// other and with central differences of the covariance, which has forms of its own.
func TestPairSlopes(t *testing.T) {
	for _, a := range []activation.Activation{
		activation.ReLU(), activation.LeakyReLU(.2), activation.Step(), activation.Sign(), activation.ThresholdedReLU(.3),
		activation.Clip(-1, .5), activation.Shrink(.4, .1), activation.Tanh(), activation.ELU(1), activation.GELU(), activation.HardSwish(),
	} {
		e := newElementwise(a)
		for _, p := range []activation.Pair{
			{Mu1: .3, Sigma1: .8, Mu2: -.4, Sigma2: 1.3, Rho: .7},
			{Mu1: -1, Sigma1: .8, Mu2: .2, Sigma2: .5, Rho: -.93},
			{Mu1: .5, Sigma1: 2, Mu2: .6, Sigma2: 2, Rho: .99},
			{Mu1: .5, Sigma1: .4, Mu2: 3, Sigma2: 2, Rho: .05},
		} {
			var h [1]float64
			a.Coefficients(h[:], p.Mu2, p.Sigma2)
			dm, dv, dc := pairSlopes(a, p, h[0])
			c, v := p.Rho*p.Sigma1*p.Sigma2, p.Sigma1*p.Sigma1
			at := func(dm, dv, dc float64) float64 {
				q := p
				q.Mu1 += dm
				q.Sigma1 = math.Sqrt(v + dv)
				q.Rho = (c + dc) / (q.Sigma1 * q.Sigma2)
				cov, _ := activation.Covariance(a, a, q)
				return cov
			}
			difference := func(f func(d float64) float64, h float64) float64 {
				return (8*(f(h)-f(-h)) - (f(2*h) - f(-2*h))) / (12 * h)
			}
			// The distance to rho = 1 is what higher derivatives go by.
			step := 1e-3 * (1 - math.Abs(p.Rho))
			want := [3]float64{
				difference(func(d float64) float64 { return at(d, 0, 0) }, step),
				difference(func(d float64) float64 { return at(0, d, 0) }, step),
				difference(func(d float64) float64 { return at(0, 0, d) }, step),
			}
			check := func(name string, got [3]float64, tol float64) {
				for k, g := range got {
					// Rounding of 1e-15 over the step, or the quadrature's own estimate.
					if e := math.Abs(g - want[k]); !(e <= tol*(1+math.Abs(want[k]))) {
						t.Errorf("%s, %+v: %s derivative %d is %v, want %v", a.Name(), p, name, k, g, want[k])
					}
				}
			}
			check("integrated", [3]float64{dm, dv, dc}, 2e-8)
			if e.linear {
				dm, dv, dc = linearPairSlopes(&e, p, h[0])
				check("closed", [3]float64{dm, dv, dc}, 2e-8)
			}
		}
	}
}
