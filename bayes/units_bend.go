package bayes

import (
	"math"

	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/vec"
)

// Units of two linear pieces that meet, as ReLU's, when only mean and variance are
// needed: by far the most common case, so it has a loop of its own. About the mean
// such a unit is the line of the piece there and a tail beyond the knot t,
//
//	g(mu + sigma Z) = g_b + b Z + d (s Z - a)_+,   a = |t - mu|/sigma,   s = sign(t - mu),
//
// with b = sigma times the slope of the piece that holds mu, and d = sigma (s1 - s0)
// with the slopes s0 and s1 below and above the knot. With J_m = E (Z - a)_+^m, which
// keep their relative accuracy in the tails,
//
//	E g = g_b + d J_1,   Var g = b^2 + 2 b s d J_0 + d^2 (J_2 - J_1^2),
//	c_1 = b + s d J_0,   c_2 = d phi(a),   c_3 = s d a phi(a),
//
// and for the derivatives of the variance see [units.oneKnot], whose P(X < t) and
// P(X > t) are J_0 and 1 - J_0.

// bendScratch is scratch for so many units.
type bendScratch struct {
	a, phi, j0, j1, j2 [bendBatch]float64
}

const bendBatch = 64

// bent reports whether e has two linear pieces that meet.
func (e *elementwise) bent() bool {
	p := &e.pieces
	return e.linear && p.Knots == 1 && p.Value[0]+p.Slope[0]*p.At[0] == p.Value[1]+p.Slope[1]*p.At[0]
}

// bends computes the units of one example, from number at on, whose standard
// deviations are in u.sigma; it reports false, and leaves them undefined, if one is
// not positive, or not finite.
func (u *units) bends(s *bendScratch, e *elementwise, at int, mean, variance, mu []float64) bool {
	for lo := 0; lo < len(mu); lo += bendBatch {
		hi := min(len(mu), lo+bendBatch)
		if !u.bendBatch(s, e, at+lo, mean[lo:hi], variance[lo:hi], mu[lo:hi]) {
			return false
		}
	}
	return true
}

func (u *units) bendBatch(s *bendScratch, e *elementwise, at int, mean, variance, mu []float64) bool {
	n := len(mu)
	sigma, knot := u.sigma[at:][:n], e.pieces.At[0]
	a, phi := s.a[:n], s.phi[:n]
	sum := 0.
	for i, m := range mu {
		a[i] = math.Abs(knot-m) / sigma[i]
		sum += a[i]
	}
	if !(sum <= math.MaxFloat64) { // a sigma of 0 makes it infinite or NaN
		return false
	}
	vec.DensityTo(phi, a)
	kernel.HalfLineTo(s.j0[:n], s.j1[:n], s.j2[:n], a, phi)
	j0, j1, j2 := s.j0[:n], s.j1[:n], s.j2[:n]
	gain, bend, third := u.gain[at:][:n], u.bend[at:][:n], u.third[at:][:n]
	varMu, varV := u.varMu[at:][:n], u.varV[at:][:n]
	mean, variance = mean[:n], variance[:n]
	s0, s1 := e.pieces.Slope[0], e.pieces.Slope[1]
	value := e.pieces.Value[0] + s0*knot
	for i, m := range mu {
		away, sd, p := knot-m, sigma[i], phi[i]
		sign, slope, below, above := 1., s0, 1-j0[i], j0[i]
		if away < 0 {
			sign, slope, below, above = -1, s1, j0[i], 1-j0[i]
		}
		inverse := 1 / sd
		b, d := slope*sd, (s1-s0)*sd
		c1 := b + sign*d*j0[i]
		shift := d * j1[i] // E g - g_b
		mean[i] = value - slope*away + shift
		variance[i] = b*(c1+sign*d*j0[i]) + d*d*(j2[i]-j1[i]*j1[i])
		gain[i] = c1 * inverse
		bend[i] = d * p * inverse * inverse
		third[i] = bend[i] * away * inverse * inverse
		g := slope*away - shift // g - E g at the knot
		varMu[i] = 2 * (s0*((g-s0*away)*below-s0*sd*p) + s1*((g-s1*away)*above+s1*sd*p))
		varV[i] = s0*s0*below + s1*s1*above + (s1-s0)*g*p*inverse
	}
	return true
}
