package activation

import (
	"math"

	"github.com/covprop/covprop/internal/special"
)

// tailPair is the covariance of (Z1 - a)_+^m and (Z2 - b)_+^n, m >= n, at
// correlation rho. Each derivative in rho takes a power off both (Price 1958),
//
//	d/drho Cov = m n E[(Z1 - a)_+^{m-1} (Z2 - b)_+^{n-1}],
//
// so Taylor's theorem about rho = 0 gives n terms of the series and a remainder
// whose integrand is elementary:
//
//	Cov = sum_{k=1}^n rho^k/k! c_k d_k + R,    c_k = m!/(m-k)! J_{m-k}(a), d_k likewise,
//	R   = n! int_0^rho (rho-s)^n phi2(a, b; s) ds                                   for m = n,
//	R   = m!/p! int_0^rho (rho-s)^n phi(b) q^p J_p(x) ds,  x = (a - s b)/q,          for m > n,
//
// with p = m-n-1, q = sqrt(1 - s^2). For rho > 0 every part is positive. The
// case m = n = 1 is the ReLU covariance, m = n = 0 that of two steps. For
// rho < 0, s -> -s turns b into u = -b wherever it multiplies s.
//
// With s = sin t and phi(b) phi(x) = q phi2, both densities are
// exp(-E)/(2 pi) dt,
//
//	E(t) = (a^2 - 2 a u s + b^2)/(2 q^2) = (a - u)^2/(2 cos^2 t) + a u/(1 + sin t);
//
// where x < 0, phi(b) J_p(x) varies slowly and is taken as it is.
type tailPair struct {
	m, n, p  int
	a, b, u  float64 // u = b sign(rho)
	sin, cos float64 // |rho| and sqrt(1 - rho^2)
	end      float64 // asin |rho|
	least    float64 // the smallest exponent
}

// The composite rule leaves out panels whose integrand is below exp(-pairDrop)
// of the largest and lets none span more than exp(pairSpan), which pairNodes
// Gauss-Legendre nodes integrate to rounding.
const (
	pairNodes = 16
	pairDrop  = 50
	pairSpan  = 10
)

// tailCovariance returns Cov((Z1 - a)_+^m, (Z2 - b)_+^n) for the half-lines of
// t1 and t2.
func tailCovariance(m, n int, t1, t2 *tail, rho float64) float64 {
	if m < n {
		m, n, t1, t2 = n, m, t2, t1
	}
	sum, power := 0.0, 1.0
	for k := 1; k <= n; k++ {
		power *= rho / float64(k)
		sum += power * falling(m, k) * t1.j[m-k] * falling(n, k) * t2.j[n-k]
	}
	r := math.Abs(rho)
	q := tailPair{
		m: m, n: n, p: m - n - 1, a: t1.a, b: t2.a, u: t2.a * math.Copysign(1, rho),
		sin: r, cos: math.Sqrt((1 - r) * (1 + r)), end: math.Asin(r),
	}
	if rho < 0 && n%2 == 0 {
		return sum - q.remainder()
	}
	return sum + q.remainder()
}

// falling returns m!/(m-k)!.
func falling(m, k int) float64 {
	f := 1.0
	for ; k > 0; k-- {
		f *= float64(m)
		m--
	}
	return f
}

// remainder returns R for |rho|. With x = end - t the integrand has the scale
// of the distance to t = pi/2, so the panels double from the end on; it
// switches on at the distance |a - u|, so the first need not be smaller than a
// part of that, and is smooth throughout for a = u. Panels meet where E has its
// minimum and the argument of J_p changes sign: sin t = min(a/u, u/a).
func (q *tailPair) remainder() float64 {
	q.least = min(q.exponent(0), q.exponent(q.end))
	turn := -1.0
	if q.a*q.u > 0 {
		if t := math.Asin(min(q.a/q.u, q.u/q.a)); t < q.end {
			turn = q.end - t
			q.least = min(q.least, q.exponent(turn))
		}
	}
	const finest = 1e-18 // an integral over less is below rounding
	width := max(math.Atan2(q.cos, q.sin), 0.125*math.Abs(q.a-q.u), finest)
	if q.a == q.u {
		width = q.end
	}
	sum := 0.0
	for lo := 0.0; lo < q.end; width *= 2 {
		hi := min(lo+width, q.end)
		if lo < turn && turn < hi {
			sum += q.panel(lo, turn)
			lo = turn
		}
		sum += q.panel(lo, hi)
		lo = hi
	}
	return falling(q.m, q.m) * sum / (2 * math.Pi)
}

// angle returns sin t, cos t and |rho| - sin t at t = end - x, the last two as
// sums of positive terms.
func (q *tailPair) angle(x float64) (sin, cos, rest float64) {
	s, c := math.Sincos(0.5 * x)
	sx, vx := 2*s*c, 2*s*s // sin x and 1 - cos x
	rest = q.sin*vx + q.cos*sx
	return q.sin - rest, q.cos*(1-vx) + q.sin*sx, rest
}

// argument returns (a - u sin t)/cos t.
func (q *tailPair) argument(sin, cos float64) float64 {
	return (q.a-q.u)/cos + q.u*cos/(1+sin)
}

// exponent returns minus the logarithm of the fast factor of the integrand at
// t = end - x.
func (q *tailPair) exponent(x float64) float64 {
	sin, cos, _ := q.angle(x)
	if q.p >= 0 && q.argument(sin, cos) < 0 {
		return 0.5 * q.b * q.b
	}
	return q.density(sin, cos)
}

// density returns E.
func (q *tailPair) density(sin, cos float64) float64 {
	e := q.a * q.u / (1 + sin)
	if z := q.a - q.u; z != 0 {
		z /= cos
		e += 0.5 * z * z
	}
	return e
}

// panel integrates over x in [lo, hi], halving while the integrand spans too
// much.
func (q *tailPair) panel(lo, hi float64) float64 {
	el, eh := q.exponent(lo), q.exponent(hi)
	if min(el, eh) > q.least+pairDrop {
		return 0
	}
	if mid := 0.5 * (lo + hi); math.Abs(el-eh) > pairSpan && lo < mid && mid < hi {
		return q.panel(lo, mid) + q.panel(mid, hi)
	}
	nodes, weights := special.GaussLegendre(pairNodes)
	sum := 0.0
	for i, w := range weights {
		sum += w * q.integrand(0.5*((hi-lo)*nodes[i]+(lo+hi)))
	}
	return 0.5 * (hi - lo) * sum
}

// integrand returns 2 pi/m! times the integrand of R at t = end - x.
func (q *tailPair) integrand(x float64) float64 {
	sin, cos, rest := q.angle(x)
	f := 1.0
	for range q.n {
		f *= rest
	}
	if q.p >= 0 {
		f *= cos // ds
		for range q.p {
			f *= cos
		}
		y := q.argument(sin, cos)
		if y < 0 {
			return f * math.Sqrt(2*math.Pi) * math.Exp(-0.5*q.b*q.b) * lowMoment(q.p, y)
		}
		f *= lowRatio(q.p, y)
	}
	return f * math.Exp(-q.density(sin, cos))
}

// lowMoment returns J_p(y) for y < 0, p = 0 or 1.
func lowMoment(p int, y float64) float64 {
	j0 := special.CDF(-y)
	if p == 0 {
		return j0
	}
	return special.Density(y) - y*j0
}

// lowRatio returns J_p(y)/phi(y) for y >= 0, p = 0 or 1.
func lowRatio(p int, y float64) float64 {
	switch {
	case p == 0:
		return special.Mills(y)
	case y < 1.25:
		return 1 - y*special.Mills(y)
	}
	r := tailRatios(y)
	return r[1] / (y + r[1])
}

// pairCovariance implements pairer for two piecewise activations: bilinear in
// the base polynomials, whose series ends, and the tails.
//
//	Cov(b, c) = rho b_1 c_1 + 2 rho^2 b_2 c_2,
//	Cov(b, t) = rho b_1 E[t Z] + rho^2 b_2 E[t (Z^2-1)],  Cov(t, t') from tailPair.
//
// Two tails stand for a segment here. It declines where the parts cancel by so
// much that the error might exceed 1e-12.
func (g piecewise) pairCovariance(b Activation, p Pair, sd1, sd2 float64) (cov, bound float64, ok bool) {
	other, is := b.(splitter)
	if !is {
		return 0, 0, false
	}
	if p.Sigma1 == 0 || p.Sigma2 == 0 || p.Rho == 0 {
		return 0, 0, true
	}
	s1, s2 := g.split(p.Mu1, p.Sigma1, false), other.split(p.Mu2, p.Sigma2, false)
	sum := parts{}
	rho, rho2 := p.Rho, p.Rho*p.Rho
	low1, low2 := s1.low(), s2.low()
	b1, b2 := &s1.base, &s2.base
	sum.add(rho * b1[1] * b2[1])
	sum.add(rho * b1[1] * low2[1])
	sum.add(rho * low1[1] * b2[1])
	sum.add(2 * rho2 * b1[2] * b2[2])
	sum.add(rho2 * b1[2] * low2[2])
	sum.add(rho2 * low1[2] * b2[2])
	for i := range s1.n {
		for j := range s2.n {
			sum.addTails(&s1.tails[i], &s2.tails[j], rho, 1e-16*sd1*sd2)
		}
	}
	if partError*sum.size > 1e-12*sd1*sd2 {
		return 0, 0, false
	}
	return sum.value, 0, true
}

// partError is the largest relative error of a part of a covariance.
const partError = 8 * epsilon

// parts is a sum together with the sum of the sizes of its parts.
type parts struct{ value, size float64 }

func (s *parts) add(x float64) {
	s.value += x
	s.size += math.Abs(x)
}

// addTails adds the covariance of two tails, by powers, without the parts that
// are below negligible by the Cauchy-Schwarz inequality.
func (s *parts) addTails(t1, t2 *tail, rho, negligible float64) {
	rho *= t1.sign * t2.sign
	for m, d := range t1.d {
		for n, e := range t2.d {
			if math.Abs(d*e)*math.Sqrt(t1.j[2*m])*math.Sqrt(t2.j[2*n]) > negligible {
				s.add(d * e * tailCovariance(m, n, t1, t2, rho))
			}
		}
	}
}
