package covprop

import "math"

// Status orders how exact a computation is; the worst is the largest.
type Status int

// The three grades of exactness.
const (
	// Exact: a closed form; the error is rounding.
	Exact Status = iota
	// Certified: a truncation or an approximant whose error has a proven
	// bound.
	Certified
	// Approximate: no bound is known, and a reason says why.
	Approximate
)

func (s Status) String() string {
	switch s {
	case Exact:
		return "exact"
	case Certified:
		return "certified"
	case Approximate:
		return "approximate"
	}
	return "unknown"
}

// Accuracy says how exact a result is. The zero value is Exact.
//
// Bounds are relative: to the standard deviation for a mean, to the variance
// for a variance, to the product of the two standard deviations for a
// covariance. They cover one operation given its Gaussian input, not the
// Gaussian closure between operations.
type Accuracy struct {
	Status Status
	// Bound is 0 for Exact, the proven bound for Certified, and for
	// Approximate an estimate of the error, +Inf where there is none.
	Bound float64
	// Reason says what was approximated; empty for Exact.
	Reason string
}

// CertifiedBy returns the Accuracy of a result whose relative error is proven
// to be at most bound; a zero bound is Exact.
func CertifiedBy(bound float64, reason string) Accuracy {
	if math.IsNaN(bound) {
		return ApproximatedBy(bound, reason)
	}
	if bound == 0 {
		return Accuracy{}
	}
	return Accuracy{Status: Certified, Bound: bound, Reason: reason}
}

// ApproximatedBy returns the Accuracy of an approximation. estimate is its
// estimated relative error, +Inf where none is known.
func ApproximatedBy(estimate float64, reason string) Accuracy {
	if math.IsNaN(estimate) {
		estimate = math.Inf(1)
	}
	return Accuracy{Status: Approximate, Bound: estimate, Reason: reason}
}

// Worse returns the worse of a and b: the higher Status, and within one the
// larger Bound. a wins a tie.
func (a Accuracy) Worse(b Accuracy) Accuracy {
	if b.Status > a.Status || b.Status == a.Status && b.Bound > a.Bound {
		return b
	}
	return a
}

// And returns the accuracy of what rests on both a and b: the worse status
// with its reason, and the larger bound.
func (a Accuracy) And(b Accuracy) Accuracy {
	w := a.Worse(b)
	w.Bound = max(a.Bound, b.Bound)
	return w
}
