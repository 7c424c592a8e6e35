package activation

import (
	"math"
	"slices"

	"github.com/covprop/covprop"
)

// piecewise is an activation made of at most three polynomial pieces of degree
// at most two. All its moments are closed forms.
//
// For one input distribution it is split around the mean: the polynomial of
// the piece that holds mu, on the whole line, plus what the other pieces
// differ from it by on the half-lines away from mu. So a saturated unit or a
// dead one is a constant plus small tails, and the moments of tails keep their
// relative accuracy however far away they are.
type piecewise struct{ curve }

// A curve is the definition of a piecewise activation. Implementations are
// comparable.
type curve interface {
	Name() string
	Apply(x float64) float64
	// knots returns where the pieces meet.
	knots() knots
	// piece returns the Taylor coefficients at x of piece i, that is v with
	// p_i(x + u) = v_0 + v_1 u + v_2 u^2. Piece i lies between knots i-1 and
	// i.
	piece(i int, x float64) [3]float64
}

// knots lists n knots in increasing order and, for each, the Taylor
// coefficients there of the piece on its right minus the piece on its left.
// gap is the distance of two knots: exact where their difference is not.
type knots struct {
	n    int
	at   [2]float64
	jump [2][3]float64
	gap  float64
}

func (k *knots) add(at float64, jump [3]float64) {
	k.at[k.n], k.jump[k.n] = at, jump
	k.n++
}

// before returns the number of knots at or below x, which is the index of the
// piece that holds x.
func (k *knots) before(x float64) int {
	i := 0
	for i < k.n && k.at[i] <= x {
		i++
	}
	return i
}

// A splitter is an Activation that is piecewise.
type splitter interface {
	split(mu, sigma float64, cluster bool) split
}

// Kinks returns the knots.
func (g piecewise) Kinks() []float64 {
	k := g.knots()
	return slices.Clone(k.at[:k.n])
}

// Derivative returns g'(x), at a knot the mean of the one-sided derivatives.
func (g piecewise) Derivative(x float64) float64 {
	k := g.knots()
	i := k.before(x)
	d := g.piece(i, x)[1]
	if i > 0 && k.at[i-1] == x {
		d = 0.5 * (d + g.piece(i-1, x)[1])
	}
	return d
}

// Coefficients implements [Activation].
func (g piecewise) Coefficients(h []float64, mu, sigma float64) {
	if sigma == 0 {
		g.point(h, mu)
		return
	}
	s := g.split(mu, sigma, true)
	s.coefficients(h)
}

// Variance implements [Activation].
func (g piecewise) Variance(mu, sigma float64) float64 {
	if sigma == 0 {
		return 0
	}
	s := g.split(mu, sigma, true)
	return s.variance()
}

// marginal is both in one.
func (g piecewise) marginal(h []float64, mu, sigma, _ float64) (variance float64, acc covprop.Accuracy) {
	if sigma == 0 {
		g.point(h, mu)
		return 0, acc
	}
	s := g.split(mu, sigma, true)
	s.coefficients(h)
	if s.lost() {
		acc = covprop.ApproximatedBy(1, "a tail more than 37.5 standard deviations away: its density is denormal")
	}
	return s.variance(), acc
}

// denormalTail is where phi(a) is denormal.
const denormalTail = 37.5

// lost reports whether the variance is that of far tails alone, and a normal number
// although phi at their knots is none, so that it has no digits.
func (s *split) lost() bool {
	if !s.faint || s.base[1] != 0 || s.base[2] != 0 || s.segmented && s.segment.a < denormalTail {
		return false
	}
	for i := range s.n {
		if s.tails[i].a < denormalTail {
			return false
		}
	}
	return true
}

// isFaint reports whether the variance of a tail with denormal phi is a normal number:
// far out it is
//
//	Var = 2 d_1^2 phi(a)/a^3 for a kink,   d_0^2 phi(a)/a for a jump.
func isFaint(a float64, d [3]float64) bool {
	const normal = -708 // log of the least normal number
	kink := 2*math.Log(math.Abs(d[1])) + math.Log(2/(a*a*a))
	jump := 2*math.Log(math.Abs(d[0])) - math.Log(a)
	return a > denormalTail && max(kink, jump)-0.5*a*a-0.92 > normal
}

// point writes the coefficients at sigma = 0.
func (g piecewise) point(h []float64, mu float64) {
	clear(h)
	if len(h) > 0 {
		h[0] = g.Apply(mu)
	}
}

// split is a piecewise activation of mu + sigma Z: the polynomial
// b_0 + b_1 Z + b_2 (Z^2 - 1), up to two tails and perhaps a segment.
type split struct {
	base      [3]float64
	n         int
	tails     [2]tail
	segmented bool
	segment   segment
	faint     bool // a tail is faint
}

// split splits g around mu. If cluster is set, two knots closer than sigma are
// taken together, since two tails would nearly cancel: a segment between them
// and one tail beyond; if they enclose mu, the base is the left piece.
func (g piecewise) split(mu, sigma float64, cluster bool) split {
	if nan := mu + sigma; math.IsNaN(nan) {
		return split{base: [3]float64{nan, nan, nan}}
	}
	k := g.knots()
	i := k.before(mu)
	narrow := cluster && k.n == 2 && k.gap < sigma
	if narrow && i == 1 {
		i = 0
	}
	v := g.piece(i, mu)
	b2 := v[2] * sigma * sigma
	s := split{base: [3]float64{v[0] + b2, v[1] * sigma, b2}}
	if narrow {
		s.cluster(&k, i, mu, sigma)
		return s
	}
	for j := range k.n {
		a, d := (k.at[j]-mu)/sigma, scale(k.jump[j], sigma)
		if j >= i {
			s.add(1, a, d)
		} else {
			s.add(-1, -a, mirror(d))
		}
	}
	return s
}

// cluster adds two close knots, both above mu (i = 0) or both below.
func (s *split) cluster(k *knots, i int, mu, sigma float64) {
	width := k.gap / sigma
	near, far := 0, 1
	sign := 1.0
	if i > 0 {
		near, far, sign = 1, 0, -1
	}
	d, e := scale(k.jump[near], sigma), scale(k.jump[far], sigma)
	if i > 0 {
		d, e = mirror(d), mirror(e)
	}
	a := sign * (k.at[near] - mu) / sigma
	s.faint = s.faint || isFaint(a, d)
	if a > farthestTail {
		return
	}
	s.segmented = true
	s.segment = segment{sign: sign, a: a, width: width, d: d}
	d = shift(d, width)
	s.add(sign, sign*(k.at[far]-mu)/sigma, [3]float64{d[0] + e[0], d[1] + e[1], d[2] + e[2]})
}

func (s *split) add(sign, a float64, d [3]float64) {
	s.faint = s.faint || a > denormalTail && isFaint(a, d)
	if a <= farthestTail {
		s.tails[s.n] = newTail(sign, a, d)
		s.n++
	}
}

// scale turns coefficients in powers of x into coefficients in powers of
// x/sigma.
func scale(d [3]float64, sigma float64) [3]float64 {
	return [3]float64{d[0], d[1] * sigma, d[2] * sigma * sigma}
}

// mirror turns the jump of a knot below mu, right piece minus left piece in
// powers of y, into left minus right in powers of -y.
func mirror(d [3]float64) [3]float64 { return [3]float64{-d[0], d[1], -d[2]} }

// coefficients writes h_0 .. h_{len(h)-1}.
func (s *split) coefficients(h []float64) {
	clear(h)
	low := s.tailLow()
	low[0] += s.base[0]
	low[1] += s.base[1]
	low[2] = (low[2] + 2*s.base[2]) * math.Sqrt(0.5) // 1/sqrt(2!)
	copy(h, low[:])
	for i := range s.n {
		s.tails[i].addHigh(h)
	}
	if s.segmented {
		s.segment.addTo(h)
	}
}

// variance returns, with T the tails and the segment,
//
//	b_1^2 + 2 b_2^2 + 2 (b_1 E[T Z] + b_2 E[T (Z^2-1)]) + E T^2 - (E T)^2.
func (s *split) variance() float64 {
	low, b := s.low(), s.base
	return b[1]*b[1] + 2*b[2]*b[2] + 2*(b[1]*low[1]+b[2]*low[2]) + s.square() - low[0]*low[0]
}

// low returns E[T He_k], k = 0, 1, 2.
func (s *split) low() [3]float64 {
	c := s.tailLow()
	if s.segmented {
		var h [3]float64
		s.segment.addTo(h[:])
		c[0] += h[0]
		c[1] += h[1]
		c[2] += h[2] * math.Sqrt2
	}
	return c
}

// tailLow is low without the segment.
func (s *split) tailLow() (c [3]float64) {
	for i := range s.n {
		t := s.tails[i].low()
		for k := range c {
			c[k] += t[k]
		}
	}
	return c
}

// square returns E T^2. Tails on opposite sides, and a segment and its tail,
// do not overlap.
func (s *split) square() float64 {
	sum := 0.0
	if s.segmented {
		sum = s.segment.square()
	}
	for i := range s.n {
		sum += s.tails[i].square()
	}
	if s.n == 2 && s.tails[0].sign == s.tails[1].sign {
		near, far := &s.tails[0], &s.tails[1]
		if near.a > far.a {
			near, far = far, near
		}
		e := shift(near.d, far.a-near.a)
		sum += 2 * far.product(&e)
	}
	return sum
}
