package layer

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/kernel"
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
		if a != e.acts[0] {
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
	for i, a := range e.acts {
		if i > 0 && a == e.acts[i-1] {
			continue
		}
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

// Moments are what an elementwise rule needs of its input, and its output's
// means, variances and gain. The zero value is ready for MomentsTo, and can
// be used again.
type Moments struct {
	Mean     []float64        // (n) E g(X)
	Variance []float64        // (n) Var g(X)
	Gain     []float64        // (n) E g'(X)
	Accuracy covprop.Accuracy // of all of them: the worst
	// Uncertain says that an input has a variance above zero.
	Uncertain bool

	rule  *Elementwise
	units kernel.Units
	tol   float64
	acc   []covprop.Accuracy // (chunks)
	long  []longSeries       // (n)
}

// marginalChunk is the number of units that are one piece of parallel work.
const marginalChunk = 16

// MomentsTo computes the moments of e for inputs with the means mu and the
// variances v. covariances says whether CovarianceTo is to follow; without
// it fewer coefficients are enough.
func (e *Elementwise) MomentsTo(ctx context.Context, m *Moments, mu, v []float64, covariances bool, o Options) error {
	n := e.inputs[0]
	if len(mu) != n || len(v) != n {
		panic(badShape)
	}
	m.rule, m.tol = e, o.tol()
	u := &m.units
	u.N, u.K = n, max(1, o.Order)
	if covariances {
		u.K = max(u.K, kernel.MaxOrder)
	}
	for _, s := range []*[]float64{&m.Mean, &m.Variance, &m.Gain, &u.Mu, &u.In, &u.Out} {
		*s = resize(*s, n)
	}
	u.H = resize(u.H, u.K*n)
	u.Tail = resize(u.Tail, len(kernel.Orders)*n)
	chunks := (n + marginalChunk - 1) / marginalChunk
	m.acc = resize(m.acc, chunks)
	m.long = resize(m.long, n)
	for i := range m.long {
		m.long[i].done = false
	}
	err := kernel.Parallel(ctx, o.Threads, chunks, func(c int) error {
		var h [kernel.MaxOrder + 1]float64
		hs := h[:min(u.K, kernel.MaxOrder)+1]
		if u.K > kernel.MaxOrder {
			hs = make([]float64, u.K+1)
		}
		var acc covprop.Accuracy
		for i := c * marginalChunk; i < min(n, (c+1)*marginalChunk); i++ {
			a, err := m.unit(i, hs, mu[i], v[i], o)
			if err != nil {
				return err
			}
			acc = acc.And(a)
		}
		m.acc[c] = acc
		return nil
	})
	if err != nil {
		return err
	}
	m.Uncertain = slices.ContainsFunc(v, func(x float64) bool { return x > 0 })
	m.Accuracy = covprop.Accuracy{}
	for _, a := range m.acc {
		m.Accuracy = m.Accuracy.And(a)
	}
	return nil
}

// unit computes the moments of unit i; h is scratch for its coefficients.
func (m *Moments) unit(i int, h []float64, mu, v float64, o Options) (covprop.Accuracy, error) {
	u, a := &m.units, m.rule.Activation(i)
	sigma := math.Sqrt(v)
	variance, acc := activation.Marginal(a, h, mu, sigma, o.tol())
	if o.Strict && acc.Reason == activation.Linearized {
		return acc, fmt.Errorf("%s at mean %v and standard deviation %v can only be linearised at the mean: leave out --strict (Strict) to accept that", a.Name(), mu, sigma)
	}
	for k, c := range h {
		if math.IsNaN(c) || math.IsInf(c, 0) {
			return acc, fmt.Errorf("coefficient %d of %s at mean %v and standard deviation %v is %v: the moments do not exist in float64", k, a.Name(), mu, sigma, c)
		}
	}
	if !(variance >= 0) || math.IsInf(variance, 0) {
		return acc, fmt.Errorf("the variance of %s at mean %v and standard deviation %v is %v: the moments do not exist in float64", a.Name(), mu, sigma, variance)
	}
	m.Mean[i] = h[0]
	if sigma == 0 {
		// The gain of a certain input meets only zero covariances; an
		// infinite slope, as of a root at 0, plays no part.
		if m.Gain[i] = a.Derivative(mu); math.IsInf(m.Gain[i], 0) || math.IsNaN(m.Gain[i]) {
			m.Gain[i] = 0
		}
	} else {
		m.Gain[i] = h[1] / sigma
	}
	full := variance
	u.Mu[i], u.In[i], u.Out[i] = mu, sigma, math.Sqrt(full)
	acc = m.tails(i, h, full, acc)
	if o.Order > 0 && o.TruncateDiagonal {
		variance = 0
		for k := o.Order; k >= 1; k-- {
			variance += h[k] * h[k]
		}
		if full > 0 {
			acc = acc.And(covprop.CertifiedBy(max(0, (full-variance)/full), "variance truncated"))
		}
	}
	m.Variance[i] = variance
	return acc, nil
}

// tails stores the coefficients of unit i in units of its output standard
// deviation, and the roots of the tails
//
//	tail_K = sum_{K<k<=K'} h_k^2 + (Var - sum_{1<=k<=K'} h_k^2) + rounding.
//
// The difference is noise once it is small, so it is raised by the error of
// the sum and of the variance.
func (m *Moments) tails(i int, h []float64, variance float64, acc covprop.Accuracy) covprop.Accuracy {
	u, sd := &m.units, m.units.Out[i]
	if sd == 0 {
		for k := range u.K {
			u.H[k*u.N+i] = 0
		}
		for o := range kernel.Orders {
			u.Tail[o*u.N+i] = 0
		}
		return acc
	}
	sum := 0.
	for k := len(h) - 1; k >= 1; k-- {
		x := h[k] / sd
		u.H[(k-1)*u.N+i] = x
		sum += x * x
	}
	if sum > 1+noise(acc)+consistency {
		acc = acc.And(covprop.ApproximatedBy(sum-1, "the coefficients of "+m.rule.Activation(i).Name()+" exceed its variance"))
	}
	tail := max(1-sum, 0) + noise(acc)
	k := len(h) - 1
	if d, ok := activation.Degree(m.rule.Activation(i)); ok && d <= k || acc.Reason == activation.Linearized {
		tail = 0
	}
	for o := len(kernel.Orders) - 1; o >= 0; o-- {
		for ; k > kernel.Orders[o]; k-- {
			x := u.H[(k-1)*u.N+i]
			tail += x * x
		}
		u.Tail[o*u.N+i] = math.Sqrt(tail)
	}
	return acc
}

// noise bounds the rounding in 1 - sum h_k^2, in units of the variance: that
// of the sum and twice the relative error of a standard deviation.
func noise(acc covprop.Accuracy) float64 { return 64*0x1p-52 + 2*min(acc.Bound, 1) }

// consistency is the excess of sum h_k^2 over the variance that is no longer
// rounding.
const consistency = 1e-8

// UnitFloats is the number of float64 that Moments hold for a unit, with and
// without covariances to follow. A unit that needs a longer series takes
// another longOrder+1.
func UnitFloats(covariances bool, order int) int {
	k := max(1, order)
	if covariances {
		k = max(k, kernel.MaxOrder)
	}
	return 6 + k + len(kernel.Orders)
}

// resize returns a slice of length n, s itself where it has room.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
