package activation

import "math"

// Sinh returns the hyperbolic sine, named "sinh". With S^(k) its k-th
// derivative,
//
//	h_k = sigma^k exp(sigma^2/2) S^(k)(mu) / sqrt(k!),
//
// since E[e^{X}] = e^{mu + sigma^2/2}. Moments beyond the range of float64 are
// infinite or NaN.
func Sinh() Activation { return hyperbolic(0) }

// Cosh returns the hyperbolic cosine, named "cosh": the derivative of [Sinh].
func Cosh() Activation { return hyperbolic(1) }

// hyperbolic is a derivative of the hyperbolic sine; its value is the order, 0
// or 1.
type hyperbolic int

func (o hyperbolic) Name() string {
	if o == 0 {
		return "sinh"
	}
	return "cosh"
}

// at returns the function and its derivative at x.
func (o hyperbolic) at(x float64) (f, df float64) {
	if o == 0 {
		return math.Sinh(x), math.Cosh(x)
	}
	return math.Cosh(x), math.Sinh(x)
}

func (o hyperbolic) Apply(x float64) float64 {
	f, _ := o.at(x)
	return f
}

func (o hyperbolic) Derivative(x float64) float64 {
	_, df := o.at(x)
	return df
}

func (hyperbolic) Kinks() []float64 { return nil }

func (o hyperbolic) Coefficients(h []float64, mu, sigma float64) {
	f, df := o.at(mu)
	if sigma == 0 {
		clear(h)
		if len(h) > 0 {
			h[0] = f
		}
		return
	}
	c := math.Exp(0.5 * sigma * sigma)
	for k := range h {
		h[k] = c * f
		f, df = df, f
		c *= sigma / math.Sqrt(float64(k+1))
	}
}

// Variance implements Activation: covariance at rho = 1.
func (o hyperbolic) Variance(mu, sigma float64) float64 {
	return hyperbolicCovariance(o, o, Pair{mu, sigma, mu, sigma, 1})
}

func (o hyperbolic) pairCovariance(b Activation, p Pair, _, _ float64) (cov, bound float64, ok bool) {
	if b, same := b.(hyperbolic); same {
		return hyperbolicCovariance(o, b, p), 0, true
	}
	return 0, 0, false
}

// hyperbolicCovariance sums the odd and the even terms of the Hermite series
// apart: the second derivative of f being f, with c = rho sigma1 sigma2
//
//	Cov(f(X1), g(X2)) = exp((sigma1^2 + sigma2^2)/2)
//	                    [ sinh(c) f'(mu1) g'(mu2) + (cosh(c) - 1) f(mu1) g(mu2) ].
//
// Each of the two terms is at most the product of the standard deviations, so
// nothing cancels, in the variance (f = g, rho = 1) not even relatively.
func hyperbolicCovariance(o, b hyperbolic, p Pair) float64 {
	f, df := o.at(p.Mu1)
	g, dg := b.at(p.Mu2)
	c := math.Abs(p.Rho) * p.Sigma1 * p.Sigma2
	if c == 0 {
		return 0 // also where scale overflows
	}
	scale := math.Exp(0.5*(p.Sigma1*p.Sigma1+p.Sigma2*p.Sigma2) + c)
	sinh, cosh1 := sinhCosh(c, scale)
	return math.Copysign(sinh, p.Rho)*df*dg + cosh1*f*g
}
