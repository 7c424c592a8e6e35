// Package optest holds conformance suites for those who write their own
// activations, layer rules and propagators: what everything in this module
// relies on, checked against slow quadrature and seeded Monte Carlo.
//
//	func TestMine(t *testing.T) { optest.TestActivation(t, mine{}) }
//
// Every suite runs its checks as subtests, so a failure names what is broken.
// Random inputs are seeded: a suite that passes once passes always.
//
// The package is for tests only. It does not measure speed, and it cannot show
// that an Accuracy's bound holds for every input, only that it holds for those
// tried.
package optest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

// A check is one property; run returns how it is violated.
type check struct {
	name string
	run  func() error
}

// runAll runs every check as a subtest.
func runAll(t *testing.T, checks []check) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(); err != nil {
				t.Error(err)
			}
		})
	}
}

// sigmas is how many standard errors a result may be off: beyond 5 lies a
// fraction 6e-7 of a normal distribution.
const sigmas = 5

// DefaultTol is the relative accuracy that the suites ask for by default, that
// of the propagation itself: to the standard deviation for a mean, to the
// variance for a variance, to the product of both standard deviations for a
// covariance.
const DefaultTol = 1e-9

// closeTo returns an error unless got is within tol of want. A tol of zero asks
// for equality.
func closeTo(what string, got, want, tol float64) error {
	if math.Abs(got-want) <= tol {
		return nil
	}
	return fmt.Errorf("%s is %v, want %v to within %.3g", what, got, want, tol)
}

// RandomGaussian returns a Gaussian of dimension n whose covariance has the
// given rank and random correlations. The standard deviations lie between
// scale/2 and 3 scale/2 and the means between -scale and scale, so that no
// element is far from where an activation bends.
func RandomGaussian(rng *rand.Rand, n, rank int, scale float64) covprop.Gaussian {
	mean, root := make([]float64, n), make([]float64, n*rank)
	for i := range mean {
		mean[i] = scale * (2*rng.Float64() - 1)
		row, norm := root[i*rank:(i+1)*rank], 0.0
		for k := range row {
			row[k] = rng.NormFloat64()
			norm = math.Hypot(norm, row[k])
		}
		std := scale * (0.5 + rng.Float64())
		for k := range row {
			row[k] *= std / norm
		}
	}
	cov := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
	for i := range n {
		for j := range n {
			for k := range rank {
				cov.Data[i*n+j] += root[i*rank+k] * root[j*rank+k]
			}
		}
	}
	return covprop.Gaussian{Mean: mean, Cov: covprop.DenseOf(cov)}
}
