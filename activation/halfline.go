package activation

import (
	"math"

	"github.com/covprop/covprop/internal/special"
)

// A tail is a quadratic on a half-line of the standard normal variable Z and 0
// elsewhere,
//
//	t(Z) = sum_m d_m (sign Z - a)_+^m,   m = 0, 1, 2,   (y)_+^0 = 1{y > 0}.
//
// All it contributes to moments comes from J_m = E (Z - a)_+^m. With
// sign Z >= a and a >= 0 everything here is small where the tail is far, so
// nothing cancels.
type tail struct {
	sign float64 // +1 or -1
	a    float64
	d    [3]float64
	phi  float64    // phi(a)
	j    [5]float64 // J_0 .. J_4
}

// farthestTail is where phi(a) is below the smallest denormal number.
const farthestTail = 39

func newTail(sign, a float64, d [3]float64) tail {
	return tail{sign: sign, a: a, d: d, phi: special.Density(a), j: tailMoments(a)}
}

// tailMoments returns J_m = E (Z - a)_+^m, m = 0 .. 4, with full relative
// accuracy for a > -1.
//
// By parts J_{m+1} = m J_{m-1} - a J_m, J_1 = phi(a) - a J_0: harmless for
// small a, a cancellation beyond. There the ratios r_m = J_m/J_{m-1} come from
// the recurrence read downwards, r_m = m/(a + r_{m+1}), which contracts errors
// (Gautschi 1961, DOI 10.1137/1003008, on the repeated integrals of the error
// function). From its fixed point r_n = (sqrt(a^2 + 4n) - a)/2 the error of
// r_4 is below 1e-16 for n = 22 + (17.5/a)^2, a >= 1.25.
func tailMoments(a float64) (j [5]float64) {
	if a > farthestTail {
		return j
	}
	if a < 1.25 {
		j[0] = special.CDF(-a)
		j[1] = special.Density(a) - a*j[0]
		for m := 1; m < 4; m++ {
			j[m+1] = float64(m)*j[m-1] - a*j[m]
		}
		return j
	}
	r := tailRatios(a)
	j[0] = special.Density(a) / (a + r[1])
	for m := 1; m <= 4; m++ {
		j[m] = j[m-1] * r[m]
	}
	return j
}

// tailRatios returns r_1 .. r_4, a >= 1.25; r_0 is unused.
func tailRatios(a float64) (r [5]float64) {
	n := math.Ceil(22 + (17.5/a)*(17.5/a))
	x := 0.5 * (math.Sqrt(a*a+4*n) - a)
	for ; n > 4; n-- {
		x = (n - 1) / (a + x)
	}
	r[4] = x
	for m := 3; m >= 1; m-- {
		r[m] = float64(m) / (a + r[m+1])
	}
	return r
}

// low returns E[t He_k] for k = 0, 1, 2. By parts each power of (Z - a)_+
// takes one order off He_k, and J_1, J_2/2 continue He_n phi to n = -2, -3.
func (t *tail) low() [3]float64 {
	d, j := &t.d, &t.j
	return [3]float64{
		d[0]*j[0] + d[1]*j[1] + d[2]*j[2],
		t.sign * (d[0]*t.phi + d[1]*j[0] + 2*d[2]*j[1]),
		d[0]*t.a*t.phi + d[1]*t.phi + 2*d[2]*j[0],
	}
}

// addHigh adds E[t He_k]/sqrt(k!) to h[k], k >= 3: with He_n taken at a,
//
//	E[t He_k] = sign^k (d_0 He_{k-1} + d_1 He_{k-2} + 2 d_2 He_{k-3}) phi(a).
func (t *tail) addHigh(h []float64) {
	if len(h) <= 3 {
		return
	}
	p := special.NewHermite(t.a)
	p0, p1 := p.Next(), p.Next() // p_{k-3}, p_{k-2}
	r1, r2 := 1.0, math.Sqrt(0.5)
	sign := t.sign
	for k := 3; k < len(h); k++ {
		p2 := p.Next()
		r3 := math.Sqrt(1 / float64(k))
		h[k] += sign * r3 * (t.d[0]*p2 + r2*(t.d[1]*p1+2*t.d[2]*r1*p0))
		p0, p1 = p1, p2
		r1, r2 = r2, r3
		sign *= t.sign
	}
}

// square returns E t^2.
func (t *tail) square() float64 { return t.product(&t.d) }

// product returns E[t s] for the tail s with coefficients e on the same
// half-line.
func (t *tail) product(e *[3]float64) float64 {
	d, j := &t.d, &t.j
	return d[0]*e[0]*j[0] + (d[0]*e[1]+d[1]*e[0])*j[1] +
		(d[0]*e[2]+d[1]*e[1]+d[2]*e[0])*j[2] + (d[1]*e[2]+d[2]*e[1])*j[3] + d[2]*e[2]*j[4]
}

// shift returns the coefficients of d_0 + d_1 y + d_2 y^2 in powers of y - w.
func shift(d [3]float64, w float64) [3]float64 {
	return [3]float64{d[0] + w*(d[1]+w*d[2]), d[1] + 2*w*d[2], d[2]}
}

// A segment is a quadratic on a short bounded interval of Z and 0 elsewhere,
//
//	q(Z) = sum_m d_m y^m,   y = sign Z - a in [0, width].
//
// As the difference of two tails it would lose all its digits. Gauss-Legendre
// quadrature of the smooth integrand over a width below 1 loses none.
type segment struct {
	sign, a, width float64
	d              [3]float64
}

// segmentNodes integrate He_k phi to rounding over a width of 1 for k up to
// 600, where He_k has four periods there.
const segmentNodes = 40

// each calls f at the nodes with the weight, phi included, and the value of q.
func (s *segment) each(f func(z, w, q float64)) {
	x, w := special.GaussLegendre(segmentNodes)
	for i := range x {
		y := 0.5 * s.width * (1 + x[i])
		z := s.a + y
		f(s.sign*z, 0.5*s.width*w[i]*special.Density(z), s.d[0]+y*(s.d[1]+y*s.d[2]))
	}
}

// addTo adds E[q He_k]/sqrt(k!) to h[k], k >= 0.
func (s *segment) addTo(h []float64) {
	s.each(func(z, w, q float64) {
		below, p := 0.0, w*q
		root := 0.0
		for k := range h {
			h[k] += p
			next := math.Sqrt(float64(k + 1))
			below, p = p, (z*p-root*below)*(1/next)
			root = next
		}
	})
}

// square returns E q^2.
func (s *segment) square() (sum float64) {
	s.each(func(_, w, q float64) { sum += w * q * q })
	return sum
}
