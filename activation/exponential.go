package activation

import "math"

// Exp returns the exponential, named "exp", with
//
//	h_k = sigma^k exp(mu + sigma^2/2) / sqrt(k!),
//
// the mean (k = 0) of a lognormal variable. Moments beyond the range of
// float64 are +Inf or 0.
func Exp() Activation { return exponential{} }

type exponential struct{}

func (exponential) Name() string                 { return "exp" }
func (exponential) Apply(x float64) float64      { return exp(x) }
func (exponential) Kinks() []float64             { return nil }
func (exponential) Derivative(x float64) float64 { return exp(x) }

// exp is math.Exp, which on amd64 overflows from 709.44 on instead of 709.78.
func exp(x float64) float64 {
	if x > 709 {
		return expTimes(x, 1)
	}
	return math.Exp(x)
}

// expTimes returns e^x y. It overflows only where the product does.
func expTimes(x, y float64) float64 {
	root := math.Exp(0.5 * x)
	return root * y * root
}

func (exponential) Coefficients(h []float64, mu, sigma float64) {
	c := exp(mu + 0.5*sigma*sigma)
	for k := range h {
		h[k] = c
		c *= sigma / math.Sqrt(float64(k+1))
	}
}

// Variance implements Activation: e^{2 mu + sigma^2} (e^{sigma^2} - 1), with
// e^{sigma^2} taken out of the bracket, which could overflow before the result
// does.
func (exponential) Variance(mu, sigma float64) float64 {
	if sigma == 0 {
		return 0
	}
	v := sigma * sigma
	return expTimes(2*(mu+v), -math.Expm1(-v))
}

// pairCovariance is e^{mu1 + mu2 + (sigma1^2 + sigma2^2)/2} (e^c - 1),
// c = rho sigma1 sigma2.
func (exponential) pairCovariance(b Activation, p Pair, _, _ float64) (cov, bound float64, ok bool) {
	if b != (exponential{}) {
		return 0, 0, false
	}
	c := p.Rho * p.Sigma1 * p.Sigma2
	if c == 0 {
		return 0, 0, true
	}
	l := p.Mu1 + p.Mu2 + 0.5*(p.Sigma1*p.Sigma1+p.Sigma2*p.Sigma2)
	if c > 0 {
		return expTimes(l+c, -math.Expm1(-c)), 0, true
	}
	return expTimes(l, math.Expm1(c)), 0, true
}
