// Package activation holds the elementwise nonlinearities of neural networks
// as what moment propagation needs of them: their Hermite coefficients under
// a Gaussian input.
//
// With X = mu + sigma Z, Z standard normal, and He_k the probabilists' Hermite
// polynomials, the coefficients of an activation g are
//
//	h_k(mu, sigma) = E[ g(mu + sigma Z) He_k(Z) ] / sqrt(k!)
//
// h_0 is the mean, sum_{k>=1} h_k^2 the variance, h_1/sigma = E[g'(X)], and for
// a jointly Gaussian pair with correlation rho (Mehler 1866; Wright, Nakahira
// & Moura 2024, Theorem 1)
//
//	Cov(f(X1), g(X2)) = sum_{k>=1} rho^k h_k(f) h_k(g).
//
// Near |rho| = 1, where the series is slow, [Covariance] has the exact pair
// forms. At sigma = 0 every activation is evaluated at the point: h_0 = g(mu),
// all else 0.
//
// The package is not for losses or for functions of several variables.
package activation

import "github.com/covprop/covprop"

// An Activation is a scalar function applied to every element of a tensor.
// Implementations are immutable, safe for concurrent use and comparable with
// ==; two equal ones are the same function.
type Activation interface {
	// Name is the function's name with its parameters, such as "relu" or
	// "clip_-1_1".
	Name() string
	// Apply returns g(x).
	Apply(x float64) float64
	// Kinks returns the points where g is not smooth, in increasing order.
	// The caller must not change the slice.
	Kinks() []float64
	// Derivative returns g'(x), at a kink the mean of the one-sided limits.
	Derivative(x float64) float64
	// Coefficients writes h_0 .. h_{len(h)-1} for X ~ N(mu, sigma^2).
	Coefficients(h []float64, mu, sigma float64)
	// Variance returns Var g(X) without cancellation: not E[g^2] - mean^2.
	Variance(mu, sigma float64) float64
}

// A marginaler is an Activation whose coefficients are not always closed
// forms, or for which coefficients and variance share work.
type marginaler interface {
	// marginal is Coefficients and Variance in one, with their accuracy,
	// which is relative to the standard deviation of g(X). tol is the
	// relative accuracy that suffices: an approximant may be used where its
	// proven error is below it.
	marginal(h []float64, mu, sigma, tol float64) (variance float64, acc covprop.Accuracy)
}

// Marginal writes the coefficients h_0 .. h_{len(h)-1} of a for an input
// N(mu, sigma^2) and returns the variance of the output and how exact all of
// them are, relative to the output's standard deviation. tol is the relative
// accuracy that suffices.
func Marginal(a Activation, h []float64, mu, sigma, tol float64) (variance float64, acc covprop.Accuracy) {
	if m, ok := a.(marginaler); ok {
		return m.marginal(h, mu, sigma, tol)
	}
	a.Coefficients(h, mu, sigma)
	return a.Variance(mu, sigma), covprop.Accuracy{}
}

// Linearized is the reason of an Accuracy where an activation was replaced by
// its tangent at the mean.
const Linearized = "linearised at the mean"

// An exactnesser states the exactness of its marginals.
type exactnesser interface{ exactness() covprop.Accuracy }

// Exactness states, before any input is known, how exact the marginals of a
// are at best: a closed form is Exact, quadrature is Approximate with a
// reason.
func Exactness(a Activation) covprop.Accuracy {
	if e, ok := a.(exactnesser); ok {
		return e.exactness()
	}
	return covprop.Accuracy{}
}

// A Pair is the joint Gaussian (X1, X2): means, standard deviations (not
// negative) and correlation (in [-1, 1]).
type Pair struct {
	Mu1, Sigma1 float64
	Mu2, Sigma2 float64
	Rho         float64
}

// Swap returns the pair (X2, X1).
func (p Pair) Swap() Pair {
	return Pair{Mu1: p.Mu2, Sigma1: p.Sigma2, Mu2: p.Mu1, Sigma2: p.Sigma1, Rho: p.Rho}
}

// Degree returns the degree of a if it is a polynomial, whose series ends
// there, so that its covariances are exact after that many terms.
func Degree(a Activation) (degree int, ok bool) {
	if d, is := a.(interface{ degree() int }); is {
		return d.degree(), true
	}
	return 0, false
}
