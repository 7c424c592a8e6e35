package layer

import (
	"fmt"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
)

// Elementwise applies an activation to every element, y_i = g_i(x_i). Means,
// variances and gains come from the activations; covariances from the series
//
//	Cov(g_i(X_i), g_j(X_j)) = sum_{k>=1} rho_ij^k h_k(g_i) h_k(g_j)
//
// (Wright, Nakahira & Moura 2024, Theorem 1), cut off where the certified
// bound meets the tolerance, and from the exact pair form where that takes
// too many terms.
type Elementwise struct {
	acts   []activation.Activation // (n), or one for all
	inputs [1]int
}

// NewElementwise returns the rule for vectors of length n. acts has one
// activation for all elements, or n of them. The slice is kept, not copied.
func NewElementwise(acts []activation.Activation, n int) (*Elementwise, error) {
	if n < 1 {
		return nil, fmt.Errorf("the tensor is empty")
	}
	if len(acts) != 1 && len(acts) != n {
		return nil, fmt.Errorf("%d activations for %d elements, want 1 or %d", len(acts), n, n)
	}
	return &Elementwise{acts: acts, inputs: [1]int{n}}, nil
}

// Activation returns the activation of element i.
func (e *Elementwise) Activation(i int) activation.Activation {
	if len(e.acts) == 1 {
		return e.acts[0]
	}
	return e.acts[i]
}

// Name implements Rule: the activation's name, or that of the first with
// "..." where they differ.
func (e *Elementwise) Name() string {
	name := e.acts[0].Name()
	for _, a := range e.acts {
		if a.Name() != name {
			return name + "..."
		}
	}
	return name
}

// Inputs implements Rule.
func (e *Elementwise) Inputs() []int { return e.inputs[:] }

// OutputLen implements Rule.
func (e *Elementwise) OutputLen() int { return e.inputs[0] }

// IsAffine reports whether every activation is a polynomial of degree at most
// one, which keeps a Gaussian Gaussian.
func (e *Elementwise) IsAffine() bool {
	for _, a := range e.acts {
		if d, ok := activation.Degree(a); !ok || d > 1 {
			return false
		}
	}
	return true
}

// Forward implements Rule.
func (e *Elementwise) Forward(dst []float64, x ...[]float64) {
	if len(e.acts) == 1 {
		activation.ApplyTo(e.acts[0], dst, x[0])
		return
	}
	for i, v := range x[0] {
		dst[i] = e.Activation(i).Apply(v)
	}
}

// DerivativeTo writes g_i'(x_i) to dst, at a kink the mean of the one-sided
// limits.
func (e *Elementwise) DerivativeTo(dst, x []float64) {
	for i, v := range x {
		dst[i] = e.Activation(i).Derivative(v)
	}
}

// Exactness implements Rule: that of the worst activation, and certified
// because of the series unless that ends.
func (e *Elementwise) Exactness() covprop.Accuracy {
	var acc covprop.Accuracy
	for _, a := range e.acts {
		if _, ok := activation.Degree(a); !ok {
			acc = acc.And(covprop.CertifiedBy(DefaultTol, truncation))
		}
		acc = acc.And(activation.Exactness(a))
	}
	return acc
}

// DefaultTol is the truncation of the series allowed by default, relative to
// the product of the two standard deviations.
const DefaultTol = 1e-9

const truncation = "series truncated"

// Options choose how elementwise rules compute covariances. The zero value is
// the default.
type Options struct {
	// Tol is the error allowed in a covariance, relative to the product of
	// the two standard deviations. Zero means DefaultTol.
	Tol float64
	// Order, if positive, cuts every series off after that many terms. The
	// variances stay exact.
	Order int
	// TruncateDiagonal cuts the variances off after Order terms, too (the
	// method of Wright, Nakahira & Moura 2024).
	TruncateDiagonal bool
	// Threads is the number of threads to use; zero means one.
	Threads int
	// Strict makes linearisation an error.
	Strict bool
}

func (o Options) tol() float64 {
	if o.Tol > 0 {
		return o.Tol
	}
	return DefaultTol
}
