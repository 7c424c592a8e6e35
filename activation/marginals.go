package activation

import (
	"math"

	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/vec"
)

// BatchSize is the largest number of units of a Batch.
const BatchSize = 32

// A Batch is n units for MarginalsTo, their numbers side by side. The zero
// value can be used, and used again.
type Batch struct {
	Mu, Sigma []float64 // (n) of the inputs
	Mean      []float64 // (n) E g(X)
	Gain      []float64 // (n) E g'(X)
	Variance  []float64 // (n) Var g(X)
	Deviation []float64 // (n) its root
	// H holds h_k / Deviation, 0 where that is 0: row k-1, which begins at
	// H[(k-1) Stride], is for k = 1 .. K.
	H         []float64
	Stride, K int

	last                Activation // the one whose pieces these are
	pieces              pieces
	tails               int                // how many are in use
	value, slope        [BatchSize]float64 // of the piece that holds the mean; the slope by sigma
	tail                [2]halfLines
	mean, first, square [BatchSize]float64 // E T, E[T Z] and E T^2 of T, the sum of the tails
	inverse, start      [BatchSize]float64 // 1 / Deviation, 0 where that is 0; h_{m+1} of a term
}

// halfLines is one [tail] of every unit, d_0 1{y > 0} + d_1 (y)_+ with
// y = sign Z - a. Where there is none, d is 0.
type halfLines struct {
	sign, alpha, a, phi [BatchSize]float64 // alpha = sign a is (knot - mu)/sigma
	d                   [2][BatchSize]float64
	j                   [3][BatchSize]float64 // E (sign Z - a)_+^m
	used                [2]bool               // d[m] is not 0 for all units
}

// MarginalsTo is [Marginal] for the units of b. acts has one activation for
// all, or one for each. It does those units that can be done together:
// piecewise linear ones, of ordinary moments. Bit i of done is set for unit i,
// whose moments are closed forms and finite then; those of the others are
// undefined.
//
// The formulas are those of [split].
func MarginalsTo(acts []Activation, b *Batch) (done uint64) {
	n := len(b.Mu)
	if b.K > kernel.MaxOrder {
		return 0
	}
	b.tails = 0
	for t := range b.tail {
		b.tail[t].used = [2]bool{}
	}
	if len(acts) == 1 {
		done = b.split(acts[0], 0, n)
	} else {
		for lo := 0; lo < n; {
			hi := lo + 1
			for hi < n && same(acts[hi], acts[lo]) {
				hi++
			}
			done |= b.split(acts[lo], lo, hi)
			lo = hi
		}
	}
	if done == 0 {
		return 0
	}
	b.sumTails(n)
	for i := range min(n, BatchSize) {
		if !b.moments(i) {
			done &^= 1 << i
		}
	}
	b.coefficients(n)
	return done
}

// same reports whether a and b are one piecewise activation. Others it does not
// compare: a user's own may be of a type that cannot be.
func same(a, b Activation) bool {
	g, ok := a.(piecewise)
	h, is := b.(piecewise)
	return ok && is && g == h
}

// pieces are the linear pieces of an activation, value + slope x. linear says
// that it has such.
type pieces struct {
	knots
	value, slope [3]float64
	linear       bool
}

func piecesOf(a Activation) (p pieces) {
	g, ok := a.(piecewise)
	if !ok {
		return p
	}
	p.linear = true
	p.knots = g.knots()
	for i := range p.n + 1 {
		c := g.piece(i, 0)
		p.value[i], p.slope[i] = c[0], c[1]
		p.linear = p.linear && c[2] == 0
	}
	return p
}

// split is piecewise.split for units lo to hi, which have the activation a. It
// returns the units that the batch is good for: with a linear activation, a
// sigma that no two knots are too close for, and within reach of the knots in
// float64.
//
// A unit is on the right of a knot where the difference has no sign, which
// chooses the piece and the side of the tail in one, without a branch.
func (b *Batch) split(a Activation, lo, hi int) (done uint64) {
	if !same(a, b.last) {
		b.pieces, b.last = piecesOf(a), a
	}
	p := &b.pieces
	var index [BatchSize]int
	for t := range b.tail {
		l := &b.tail[t]
		if !p.linear || t >= p.n {
			clear(l.alpha[lo:hi])
			clear(l.a[lo:hi])
			clear(l.d[0][lo:hi])
			clear(l.d[1][lo:hi])
			continue
		}
		at, d0, d1 := p.at[t], p.jump[t][0], p.jump[t][1]
		for i := lo; i < min(hi, BatchSize); i++ {
			delta := b.Mu[i] - at
			index[i] += int(1 - math.Float64bits(delta)>>63)
			l.sign[i] = -math.Copysign(1, delta)
			l.alpha[i] = -delta / b.Sigma[i]
			l.a[i] = math.Abs(l.alpha[i])
			l.d[0][i], l.d[1][i] = d0*l.sign[i], d1*b.Sigma[i]
		}
		b.tails = max(b.tails, t+1)
		l.used[0] = l.used[0] || d0 != 0
		l.used[1] = l.used[1] || d1 != 0
	}
	if !p.linear {
		return 0
	}
	for i := lo; i < min(hi, BatchSize); i++ {
		k, mu, sigma := index[i], b.Mu[i], b.Sigma[i]
		b.value[i], b.slope[i] = p.value[k]+p.slope[k]*mu, p.slope[k]*sigma
		if sigma > 0 && (p.n < 2 || sigma <= p.gap) && finite(b.tail[0].alpha[i]) && finite(b.tail[1].alpha[i]) {
			done |= 1 << i
		}
	}
	return done
}

// finite reports whether x is neither infinite nor NaN.
func finite(x float64) bool { return x-x == 0 }

// sumTails computes the moments of the tails, and of their sum.
func (b *Batch) sumTails(n int) {
	clear(b.mean[:n])
	clear(b.first[:n])
	clear(b.square[:n])
	for t := range b.tails {
		l := &b.tail[t]
		vec.DensityTo(l.phi[:n], l.a[:n])
		kernel.HalfLineTo(l.j[0][:n], l.j[1][:n], l.j[2][:n], l.a[:n], l.phi[:n])
		for i := range min(n, BatchSize) {
			d0, d1, j0, j1 := l.d[0][i], l.d[1][i], l.j[0][i], l.j[1][i]
			b.mean[i] += d0*j0 + d1*j1
			b.first[i] += l.sign[i] * (d0*l.phi[i] + d1*j0)
			b.square[i] += d0*d0*j0 + 2*d0*d1*j1 + d1*d1*l.j[2][i]
		}
	}
	if b.tails < 2 {
		return
	}
	for i := range min(n, BatchSize) {
		if b.tail[0].sign[i] == b.tail[1].sign[i] {
			b.square[i] += b.overlap(i)
		}
	}
}

// overlap returns 2 E[T_1 T_2] of two tails on the same side: on the farther
// half-line, w beyond the nearer one, that is d_0 + d_1 w + d_1 y.
func (b *Batch) overlap(i int) float64 {
	near, far := &b.tail[0], &b.tail[1]
	if near.a[i] > far.a[i] {
		near, far = far, near
	}
	e0, e1 := near.d[0][i]+(far.a[i]-near.a[i])*near.d[1][i], near.d[1][i]
	d0, d1 := far.d[0][i], far.d[1][i]
	return 2 * (d0*e0*far.j[0][i] + (d0*e1+d1*e0)*far.j[1][i] + d1*e1*far.j[2][i])
}

// leastVariance is what a variance must exceed, also in units of the squares of
// what tails are multiplied by, to be accurate, and so that quotients by its root
// are.
const leastVariance = 0x1p-1000

// moments computes mean, gain and variance of unit i,
//
//	b_1^2 + 2 b_1 E[T Z] + E T^2 - (E T)^2,
//
// and h_1, and reports whether they are ordinary numbers.
func (b *Batch) moments(i int) bool {
	h1 := b.slope[i] + b.first[i]
	v := b.slope[i]*b.slope[i] + 2*b.slope[i]*b.first[i] + b.square[i] - b.mean[i]*b.mean[i]
	b.Mean[i] = b.value[i] + b.mean[i]
	b.Gain[i] = h1 / b.Sigma[i]
	b.Variance[i], b.Deviation[i] = v, math.Sqrt(v)
	if v == 0 && h1 == 0 && !b.isFar(i) { // a constant
		b.inverse[i], b.H[i] = 0, 0
		return finite(b.Mean[i])
	}
	b.inverse[i] = 1 / b.Deviation[i]
	b.H[i] = h1 * b.inverse[i]
	scale := 1.
	for t := range b.tail {
		d := &b.tail[t].d
		scale = max(scale, d[0][i]*d[0][i], d[1][i]*d[1][i])
	}
	if !(v > leastVariance*scale) && b.isFar(i) {
		b.far(i)
		return finite(b.Mean[i])
	}
	return v > leastVariance*scale && finite(b.Mean[i]+v)
}

// isFar reports whether unit i is constant but for one tail d_1 (y)_+, so far out
// that E T is nothing beside the standard deviation, but not beyond what kernel.Bends
// knows: units there are constant.
func (b *Batch) isFar(i int) bool {
	d, e, a := &b.tail[0].d, &b.tail[1].d, b.tail[0].a[i]
	return a > 30 && a <= kernel.BendFarthest && b.slope[i] == 0 && d[0][i] == 0 && d[1][i] != 0 && e[0][i] == 0 && e[1][i] == 0
}

// far computes the moments of such a unit whose variance, or phi(a) itself, is
// denormal or 0: by the root of phi,
//
//	sd = d_1 sqrt(phi J_2),   E T = d_1 phi J_1,   h_1 = sign d_1 phi J_0,
//
// with the J_m of phi = 1. The variance is rounded as a denormal number is, and
// Deviation is its root; H is over the exact one.
func (b *Batch) far(i int) {
	l := &b.tail[0]
	a, d := l.a[i], l.d[1][i]
	one, j0, j1, j2 := [1]float64{1}, [1]float64{}, [1]float64{}, [1]float64{}
	kernel.HalfLineTo(j0[:], j1[:], j2[:], l.a[i:i+1], one[:])
	quarter := 0.25 * a // the exponential would magnify the rounding of a^2/4
	root := rootTwoPi4 * math.Exp(-quarter*a) * (1 - math.FMA(quarter, a, -quarter*a))
	sd := math.Abs(d) * root * math.Sqrt(j2[0])
	b.Mean[i] = b.value[i] + d*root*(root*j1[0])
	b.Gain[i] = l.sign[i] * d * root * (root * j0[0]) / b.Sigma[i]
	b.Variance[i] = sd * sd
	b.Deviation[i] = math.Sqrt(b.Variance[i])
	b.inverse[i], b.H[i] = 0, 0
	if b.Variance[i] > 0 { // l.phi and b.inverse are needed as their product only
		l.phi[i], b.inverse[i] = root, 1/(math.Abs(d)*math.Sqrt(j2[0]))
		b.H[i] = kernel.Significant(l.sign[i] * math.Copysign(root*j0[0], d) / math.Sqrt(j2[0]))
	}
}

const rootTwoPi4 = 0.63161877774606470129 // (2 pi)^(-1/4)

// coefficients writes h_2 .. h_K; h_1 is there.
func (b *Batch) coefficients(n int) {
	if b.K > 1 {
		b.term(0, 1, b.H[b.Stride:], n, false)
		if b.tail[1].used[1] {
			b.term(1, 1, b.H[b.Stride:], n, true)
		}
	}
	if !b.tail[0].used[0] && !b.tail[1].used[0] {
		return
	}
	var first [BatchSize]float64
	copy(first[:n], b.H)
	for t := range b.tail {
		if b.tail[t].used[0] {
			b.term(t, 0, b.H, n, true)
		}
	}
	copy(b.H, first[:n])
}

// term writes the share of d_m of tail t in h_{m+1} .. h_K to h, or adds it.
// The first is
//
//	h_{m+1} = sign^{m+1} d_m phi(a) / sqrt((m+1)!).
func (b *Batch) term(t, m int, h []float64, n int, add bool) {
	l := &b.tail[t]
	for i := range min(n, BatchSize) {
		if m == 0 {
			b.start[i] = l.sign[i] * l.d[0][i] * l.phi[i] * b.inverse[i]
		} else {
			b.start[i] = math.Sqrt2 / 2 * l.d[1][i] * l.phi[i] * b.inverse[i]
		}
	}
	kernel.HermiteTo(h, b.Stride, b.K-m, b.start[:n], l.alpha[:n], m+1, add)
}
