package activation

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// MaxDegree is the largest degree of a [Polynomial].
const MaxDegree = 15

// Square returns x^2, named "square".
func Square() Activation { return polynomial{n: 2, c: [MaxDegree + 1]float64{2: 1}} }

// Cube returns x^3, named "cube".
func Cube() Activation { return polynomial{n: 3, c: [MaxDegree + 1]float64{3: 1}} }

// Polynomial returns the polynomial with the given coefficients in ascending
// powers, named after them ("polynomial_1_0_2" is 1 + 2x^2; x^2 and x^3 are
// "square" and "cube"). It is an error if there are none, if one is not finite
// or if the degree exceeds [MaxDegree].
//
// Its Hermite series is finite, so every moment and every covariance is a
// closed form.
func Polynomial(coefficients ...float64) (Activation, error) {
	if len(coefficients) == 0 {
		return nil, errors.New("activation: a polynomial needs at least one coefficient")
	}
	var p polynomial
	for i, c := range coefficients {
		switch {
		case math.IsNaN(c) || math.IsInf(c, 0):
			return nil, fmt.Errorf("activation: polynomial coefficient %d is %v; it must be finite", i, c)
		case c == 0:
		case i > MaxDegree:
			return nil, fmt.Errorf("activation: polynomial of degree %d; the largest is %d", i, MaxDegree)
		default:
			p.c[i], p.n = c, i
		}
	}
	return p, nil
}

// polynomial is sum_{i<=n} c_i x^i; c_i is +0 beyond the degree n, so that
// equal polynomials are equal under ==.
type polynomial struct {
	n int
	c [MaxDegree + 1]float64
}

func (p polynomial) degree() int { return p.n }

func (p polynomial) Name() string {
	switch p {
	case Square():
		return "square"
	case Cube():
		return "cube"
	}
	name := []byte("polynomial")
	for _, c := range p.c[:p.n+1] {
		name = strconv.AppendFloat(append(name, '_'), c, 'g', -1, 64)
	}
	return string(name)
}

func (p polynomial) Apply(x float64) float64 {
	y := p.c[p.n]
	for i := p.n - 1; i >= 0; i-- {
		y = y*x + p.c[i]
	}
	return y
}

func (p polynomial) Derivative(x float64) float64 {
	y := 0.0
	for i := p.n; i > 0; i-- {
		y = y*x + float64(i)*p.c[i]
	}
	return y
}

func (polynomial) Kinks() []float64 { return nil }

func (p polynomial) Coefficients(h []float64, mu, sigma float64) {
	all := p.hermite(mu, sigma)
	clear(h[copy(h, all[:]):])
}

// hermite returns h_0 .. h_MaxDegree by Horner's rule in the Hermite basis:
// x q(x) with x = mu + sigma z and z He_k = He_{k+1} + k He_{k-1} turns the
// normalised coefficients of q into
//
//	h_k <- mu h_k + sigma ( sqrt(k) h_{k-1} + sqrt(k+1) h_{k+1} ).
//
// For a monomial every term of h_k has the same sign.
func (p polynomial) hermite(mu, sigma float64) (h [MaxDegree + 1]float64) {
	h[0] = p.c[p.n]
	for i := p.n - 1; i >= 0; i-- {
		below := 0.0 // h_{k-1} of q
		for k := 0; k <= p.n-i; k++ {
			above := 0.0
			if k < p.n-i {
				above = h[k+1]
			}
			hk := h[k]
			h[k] = mu*hk + sigma*(math.Sqrt(float64(k))*below+math.Sqrt(float64(k+1))*above)
			below = hk
		}
		h[0] += p.c[i]
	}
	return h
}

// Variance implements Activation by the finite sum of h_k^2, k >= 1.
func (p polynomial) Variance(mu, sigma float64) float64 {
	h := p.hermite(mu, sigma)
	return SeriesCovariance(h[:p.n+1], h[:p.n+1], 1)
}

// pairCovariance is the finite Hermite series.
func (p polynomial) pairCovariance(b Activation, q Pair, _, _ float64) (cov, bound float64, ok bool) {
	g, ok := b.(polynomial)
	if !ok {
		return 0, 0, false
	}
	n := min(p.n, g.n) + 1
	h1, h2 := p.hermite(q.Mu1, q.Sigma1), g.hermite(q.Mu2, q.Sigma2)
	return SeriesCovariance(h1[:n], h2[:n], q.Rho), 0, true
}
