package activation

import (
	"math"

	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/special"
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

	value, slope [BatchSize]float64 // of the piece that holds the mean, the slope by sigma
	tails        [2]halfLines
	start        [BatchSize]float64
}

// halfLines is one [tail] of every unit: d_0 1{y > 0} + d_1 (y)_+ with
// y = sign Z - a. Where there is none, d is 0.
type halfLines struct {
	sign, a, alpha, phi [BatchSize]float64 // alpha = sign a
	d, j                [3][BatchSize]float64
	used                [3]bool // d[m] is not 0 for all units
}

// MarginalsTo is [Marginal] for the units of b. acts has one activation for
// all, or one for each. It does those units that are done soonest together:
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
	b.tails[0].used, b.tails[1].used = [3]bool{}, [3]bool{}
	if len(acts) == 1 {
		done = b.splitTo(acts[0], 0, n)
	} else {
		for i, a := range acts {
			done |= b.splitTo(a, i, i+1)
		}
	}
	if done == 0 {
		return 0
	}
	for t := range b.tails {
		if u := b.tails[t].used; u[0] || u[1] {
			b.tails[t].moments(n)
		}
	}
	for i := range n {
		if !b.moments(i) {
			done &^= 1 << i
		}
	}
	b.coefficients(n)
	return done
}

// splitTo splits units lo to hi, which have the activation a, and returns
// those that the batch is good for.
func (b *Batch) splitTo(a Activation, lo, hi int) (done uint64) {
	g, ok := a.(piecewise)
	var k knots
	if ok {
		k = g.knots()
		ok = k.jump[0][2] == 0 && k.jump[1][2] == 0
	}
	for i := lo; i < hi; i++ {
		b.clear(i)
		if ok && b.split(&g, &k, i) {
			done |= 1 << i
		}
	}
	return done
}

func (b *Batch) clear(i int) {
	b.value[i], b.slope[i] = 0, 0
	for t := range b.tails {
		l := &b.tails[t]
		l.sign[i], l.a[i], l.alpha[i], l.d[0][i], l.d[1][i] = 0, 0, 0, 0, 0
	}
}

// split is piecewise.split for unit i. It refuses what is not linear, a sigma
// that two knots are too close for, and what is not finite.
func (b *Batch) split(g *piecewise, k *knots, i int) bool {
	mu, sigma := b.Mu[i], b.Sigma[i]
	if !(sigma > 0) || math.IsInf(sigma, 0) || mu-mu != 0 || k.n == 2 && k.gap < sigma {
		return false
	}
	at := k.before(mu)
	v := g.piece(at, mu)
	b.value[i], b.slope[i] = v[0], v[1]*sigma
	for j := range k.n {
		l := &b.tails[j]
		alpha := (k.at[j] - mu) / sigma
		sign := 1.0
		if j < at {
			sign = -1
		}
		if a := sign * alpha; a <= farthestTail {
			d0, d1 := sign*k.jump[j][0], k.jump[j][1]*sigma
			l.sign[i], l.a[i], l.alpha[i], l.d[0][i], l.d[1][i] = sign, a, alpha, d0, d1
			l.used[0] = l.used[0] || d0 != 0
			l.used[1] = l.used[1] || d1 != 0
		}
	}
	return true
}

// moments computes phi(a) and E (sign Z - a)_+^m.
func (l *halfLines) moments(n int) {
	for i, a := range l.a[:n] {
		l.phi[i] = special.Density(a)
	}
	kernel.HalfLineTo(l.j[0][:n], l.j[1][:n], l.j[2][:n], l.a[:n], l.phi[:n])
}

// leastVariance is what a variance must exceed to be accurate, and so that
// quotients by its root are.
const leastVariance = 0x1p-960

// moments computes mean, gain and variance of unit i,
//
//	b_1^2 + 2 b_1 E[T Z] + E T^2 - (E T)^2,
//
// with T the tails, and reports whether they are ordinary numbers.
func (b *Batch) moments(i int) bool {
	var low0, low1, square float64
	used := 0
	for t := range b.tails {
		l := &b.tails[t]
		d0, d1 := l.d[0][i], l.d[1][i]
		if d0 == 0 && d1 == 0 {
			continue
		}
		j0, j1, j2 := l.j[0][i], l.j[1][i], l.j[2][i]
		low0 += d0*j0 + d1*j1
		low1 += l.sign[i] * (d0*l.phi[i] + d1*j0)
		square += d0*d0*j0 + 2*d0*d1*j1 + d1*d1*j2
		used++
	}
	if used == 2 && b.tails[0].sign[i] == b.tails[1].sign[i] {
		square += b.overlap(i)
	}
	h1 := b.slope[i] + low1
	v := b.slope[i]*b.slope[i] + 2*b.slope[i]*low1 + square - low0*low0
	b.Mean[i] = b.value[i] + low0
	b.Gain[i] = h1 / b.Sigma[i]
	b.Variance[i], b.Deviation[i] = v, math.Sqrt(v)
	b.H[i] = 0
	if v == 0 && used == 0 && b.slope[i] == 0 {
		return b.Mean[i]-b.Mean[i] == 0 // a constant
	}
	b.H[i] = h1 / b.Deviation[i]
	return v > leastVariance && b.Mean[i]+v-(b.Mean[i]+v) == 0
}

// overlap returns 2 E[T_1 T_2] of two tails on the same side: on the farther
// half-line, w beyond the nearer one, that is d_0 + d_1 w + d_1 y.
func (b *Batch) overlap(i int) float64 {
	near, far := &b.tails[0], &b.tails[1]
	if near.a[i] > far.a[i] {
		near, far = far, near
	}
	e0, e1 := near.d[0][i]+(far.a[i]-near.a[i])*near.d[1][i], near.d[1][i]
	d0, d1 := far.d[0][i], far.d[1][i]
	return 2 * (d0*e0*far.j[0][i] + (d0*e1+d1*e0)*far.j[1][i] + d1*e1*far.j[2][i])
}

// coefficients writes h_2 .. h_K; h_1 is there.
func (b *Batch) coefficients(n int) {
	var inverse, first [BatchSize]float64
	for i, s := range b.Deviation[:n] {
		if s > 0 {
			inverse[i] = 1 / s
		}
	}
	copy(first[:n], b.H)
	if b.K > 1 {
		b.term(0, 1, b.H[b.Stride:], inverse[:n], false)
		if b.tails[1].used[1] {
			b.term(1, 1, b.H[b.Stride:], inverse[:n], true)
		}
	}
	for t := range b.tails {
		if b.tails[t].used[0] {
			b.term(t, 0, b.H, inverse[:n], true)
		}
	}
	copy(b.H, first[:n])
}

// term writes the share of d_m of tail t in h_{m+1} .. h_K to h, or adds it.
// The first is
//
//	h_{m+1} = sign^{m+1} d_m phi(a) / sqrt((m+1)!).
func (b *Batch) term(t, m int, h, inverse []float64, add bool) {
	l := &b.tails[t]
	for i, s := range inverse {
		b.start[i] = l.d[m][i] * l.phi[i] * s
		if m == 0 {
			b.start[i] *= l.sign[i]
		} else {
			b.start[i] *= math.Sqrt2 / 2
		}
	}
	n := len(inverse)
	kernel.HermiteTo(h, b.Stride, b.K-m, b.start[:n], l.alpha[:n], m+1, add)
}
