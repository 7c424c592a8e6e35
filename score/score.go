// Package score compares two sets of moments: how far a mean and a covariance
// are from the true ones, element by element, entry by entry, or as Gaussian
// distributions.
//
// Where a number has no meaning, such as an error in units of a standard
// deviation that is zero, the functions return an error that says why, never a
// NaN or an infinity.
//
// The package is not for samples: its arguments are moments.
package score

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
)

// constantTolerance is the difference, relative to the largest true mean, up
// to which two values of an output that does not vary are the same: the same
// network summed in another order.
const constantTolerance = 1e-12

// MeanErrorStd returns the error of mean in units of the true standard
// deviations, as the root mean square over the n elements,
//
//	sqrt( (1/n) sum_i ((mean_i - truth_i) / sigma_i)^2 ).
//
// An element whose true standard deviation is zero has no such unit: it
// counts as 0 where the two means agree to rounding (1e-12 of the largest true
// mean) and is an error where they do not.
func MeanErrorStd(mean []float64, truth covprop.Gaussian) (float64, error) {
	return rms(mean, truth.Mean, truth.Std(), "true standard deviation")
}

// MeanErrorSE returns the error of mean in units of the standard errors se of
// an estimated truth, as the root mean square over the n elements,
//
//	sqrt( (1/n) sum_i ((mean_i - truth_i) / se_i)^2 ).
//
// A mean that is exactly right gives about 1. Elements with a standard error
// of zero are treated as MeanErrorStd treats a standard deviation of zero.
func MeanErrorSE(mean, truth, se []float64) (float64, error) {
	return rms(mean, truth, se, "standard error")
}

// rms returns the root mean square of (x - y)/unit.
func rms(x, y, unit []float64, what string) (float64, error) {
	if len(x) != len(y) || len(x) != len(unit) || len(x) == 0 {
		return 0, fmt.Errorf("score: the lengths are %d, %d and %d", len(x), len(y), len(unit))
	}
	largest := 0.0
	for _, v := range y {
		largest = math.Max(largest, math.Abs(v))
	}
	norm := 0.0
	for i, u := range unit {
		d := math.Abs(x[i] - y[i])
		switch {
		case u > 0:
			norm = math.Hypot(norm, d/u)
		case u == 0 && d <= constantTolerance*largest:
		case u == 0:
			return 0, fmt.Errorf("score: the %s of element %d is 0, but the means differ by %.3g", what, i, d)
		default:
			return 0, fmt.Errorf("score: the %s of element %d is %v", what, i, u)
		}
	}
	return finite(norm/math.Sqrt(float64(len(x))), "error of the mean")
}

// CovErrorFrobenius returns the relative error of a covariance,
//
//	||cov - truth||_F / ||truth||_F,
//
// where a covprop.Diagonal counts as zero off the diagonal. If truth is zero,
// it is 0 for a cov of zero and an error for any other.
func CovErrorFrobenius(cov, truth covprop.Covariance) (float64, error) {
	n := truth.SymmetricDim()
	if cov.SymmetricDim() != n {
		return 0, fmt.Errorf("score: the covariances have dimensions %d and %d", cov.SymmetricDim(), n)
	}
	// Entries are divided by the largest so that squares stay in range.
	largest, difference := 0.0, false
	for i := range n {
		for j := range n {
			largest = math.Max(largest, math.Abs(truth.At(i, j)))
			difference = difference || cov.At(i, j) != truth.At(i, j)
		}
	}
	if largest == 0 {
		if difference {
			return 0, fmt.Errorf("score: the true covariance is zero, so that no error can be relative to it")
		}
		return 0, nil
	}
	var d2, t2 float64
	for i := range n {
		for j := range n {
			t := truth.At(i, j) / largest
			d := cov.At(i, j)/largest - t
			d2, t2 = d2+d*d, t2+t*t
		}
	}
	return finite(math.Sqrt(d2/t2), "error of the covariance")
}

// finite returns x, or an error if it is not finite.
func finite(x float64, what string) (float64, error) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("score: the %s is %v", what, x)
	}
	return x, nil
}
