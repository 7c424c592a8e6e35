package activation

import "math"

// Sin returns the sine, named "sin". With S^(k) the k-th
// derivative of the sine,
//
//	h_k = sigma^k exp(-sigma^2/2) S^(k)(mu) / sqrt(k!),
//
// since E[e^{iX}] = e^{i mu - sigma^2/2}.
func Sin() Activation { return harmonic(0) }

// Cos returns the cosine, named "cos": the derivative of [Sin].
func Cos() Activation { return harmonic(1) }

// harmonic is a derivative of the sine; its value is the order, 0 or 1.
type harmonic int

func (o harmonic) Name() string {
	if o == 0 {
		return "sin"
	}
	return "cos"
}

// at returns the function and its derivative at x.
func (o harmonic) at(x float64) (f, df float64) {
	s, c := math.Sincos(x)
	if o == 0 {
		return s, c
	}
	return c, -s
}

func (o harmonic) Apply(x float64) float64 {
	f, _ := o.at(x)
	return f
}

func (o harmonic) Derivative(x float64) float64 {
	_, df := o.at(x)
	return df
}

func (harmonic) Kinks() []float64 { return nil }

// Coefficients implements Activation. Beyond sigma = 38, where exp(-sigma^2/2)
// underflows, the h_k that are not negligible have k near sigma^2 > 1400; they
// are lost too.
func (o harmonic) Coefficients(h []float64, mu, sigma float64) {
	f, df := o.at(mu)
	c := math.Exp(-0.5 * sigma * sigma)
	for k := range h {
		h[k] = c * f
		f, df = df, -f
		c *= sigma / math.Sqrt(float64(k+1))
	}
}

// Variance implements Activation: covariance at rho = 1.
func (o harmonic) Variance(mu, sigma float64) float64 {
	return harmonicCovariance(o, o, Pair{mu, sigma, mu, sigma, 1})
}

func (o harmonic) pairCovariance(b Activation, p Pair, _, _ float64) (cov, bound float64, ok bool) {
	if b, same := b.(harmonic); same {
		return harmonicCovariance(o, b, p), 0, true
	}
	return 0, 0, false
}

// harmonicCovariance sums the even and the odd terms of the Hermite series
// apart: the second derivative of f being -f, with c = rho sigma1 sigma2
//
//	Cov(f(X1), g(X2)) = exp(-(sigma1^2 + sigma2^2)/2)
//	                    [ sinh(c) f'(mu1) g'(mu2) + (cosh(c) - 1) f(mu1) g(mu2) ].
//
// Each of the two terms is at most the product of the standard deviations, so
// nothing cancels, in the variance (f = g, rho = 1) not even relatively. The
// exponentials are joined so that none overflows:
// |c| - (sigma1^2 + sigma2^2)/2 = -(sigma1 - sigma2)^2/2 - sigma1 sigma2 (1 - |rho|).
func harmonicCovariance(o, b harmonic, p Pair) float64 {
	f, df := o.at(p.Mu1)
	g, dg := b.at(p.Mu2)
	ss := p.Sigma1 * p.Sigma2
	c := math.Abs(p.Rho) * ss
	d := p.Sigma1 - p.Sigma2
	scale := math.Exp(-0.5*d*d - p.Sigma1*(1-math.Abs(p.Rho))*p.Sigma2)
	sinh, cosh1 := sinhCosh(c, scale)
	return math.Copysign(sinh, p.Rho)*df*dg + cosh1*f*g
}

// sinhCosh returns a sinh(c) and a (cosh(c) - 1) for c >= 0 and scale = a e^c,
// to the relative precision of scale.
func sinhCosh(c, scale float64) (sinh, cosh1 float64) {
	e := math.Expm1(-c)
	return -0.5 * scale * math.Expm1(-2*c), 0.5 * scale * e * e
}
