package bayes

import (
	"math"
	"testing"

	"github.com/covprop/covprop/activation"
)

// TestUnits compares what the adjoint needs of units with the coefficients of
// package activation and with quadrature, at every order held: piecewise linear
// units have closed forms for batches, and those with one bend a loop of their own.
func TestUnits(t *testing.T) {
	var mu, v []float64
	for _, m := range []float64{0, -0.3, 0.5, 1, -2, 4, -7, 30} {
		for _, s := range []float64{0.3, 1, 2.5} {
			mu, v = append(mu, m), append(v, s*s)
		}
	}
	n := len(mu)
	for _, a := range []activation.Activation{
		activation.ReLU(), activation.LeakyReLU(.1), activation.Abs(), activation.Identity(), activation.Step(), activation.Sign(),
		activation.ThresholdedReLU(.4), activation.Clip(-1, .5), activation.Shrink(.5, .2), activation.GELU(), activation.Tanh(), activation.HardSwish(),
	} {
		for _, order := range []int{leastOrder, slopeOrder, pairOrder} {
			e := newElementwise(a)
			var u units
			var s unitBatch
			u.reset(1, roundUp(n), order)
			mean, variance := make([]float64, n), make([]float64, n)
			if _, err := u.row(&s, &e, 0, roundUp(n), mean, variance, mu, v, 1e-12, order == pairOrder); err != nil {
				t.Fatal(err)
			}
			for i := range mu {
				sigma := math.Sqrt(v[i])
				var h [4]float64
				a.Coefficients(h[:], mu[i], sigma)
				want := a.Variance(mu[i], sigma)
				dm, dv, estimate := varianceSlopes(a, mu[i], sigma, h[0], want)
				if want == 0 {
					estimate = 0 // Sign far from its knot
				}
				// Relative to the output's standard deviation on its scale, sigma; far from
				// the knots the probability of a piece between two of them is a difference,
				// rounded to 1e-16, and slopes are of order 1.
				scale := math.Sqrt(want) + 1e-2*sigma
				for name, c := range map[string][2]float64{
					"mean":     {(mean[i] - h[0]) / scale, 0},
					"variance": {(variance[i] - want) / (scale * scale), 0},
					"gain":     {(u.gain[i] - h[1]/sigma) * sigma / scale, 0},
					"bend":     {(u.bend[i] - math.Sqrt2*h[2]/v[i]) * v[i] / scale, 0},
					"third":    {(u.third[i] - math.Sqrt(6)*h[3]/(v[i]*sigma)) * v[i] * sigma / scale, 0},
					"varMu":    {(u.varMu[i] - dm) * sigma / (scale * scale), estimate},
					"varV":     {(u.varV[i] - dv) * v[i] / (scale * scale), estimate},
				} {
					if !(math.Abs(c[0]) <= 1e-10+10*c[1]) {
						t.Errorf("%s, order %d, mu %v, sigma %v: %s is off by %.2g", a.Name(), order, mu[i], sigma, name, c[0])
					}
				}
			}
		}
	}
}

// TestBendsInTheTail checks relative accuracy where the tail is all there is: a dead
// ReLU and a LeakyReLU that is always off.
func TestBendsInTheTail(t *testing.T) {
	for _, a := range []activation.Activation{activation.ReLU(), activation.LeakyReLU(.01)} {
		e := newElementwise(a)
		for _, mu := range []float64{-2, -5, -12, -30} {
			var u units
			var s unitBatch
			u.reset(1, 8, leastOrder)
			mean, variance := []float64{0}, []float64{0}
			if _, err := u.row(&s, &e, 0, 8, mean, variance, []float64{mu}, []float64{1}, 0, false); err != nil {
				t.Fatal(err)
			}
			var h [2]float64
			a.Coefficients(h[:], mu, 1)
			// Both go by phi(a), whose argument a^2/2 is rounded to 450 * 1e-16.
			for _, c := range [][2]float64{{mean[0], h[0]}, {variance[0], a.Variance(mu, 1)}, {u.gain[0], h[1]}} {
				if math.Abs(c[0]/c[1]-1) > 1e-12 {
					t.Errorf("%s at %v: %v, want %v", a.Name(), mu, c[0], c[1])
				}
			}
		}
	}
}
