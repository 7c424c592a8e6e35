// Package lattice holds randomly shifted lattice points in the unit cube, for
// quasi-Monte Carlo integration with an error estimate.
//
// The points are those of Richtmyer (1951), {i sqrt(p_k)} with p_k the k-th
// prime, shifted modulo 1 by a uniform random vector and folded by |2u - 1|,
// which makes every integrand periodic (Genz & Bretz 2009, section 4.2.2). A
// mean over the points of one shift is unbiased; several independent shifts
// give its standard error. The sequence has no end: more points refine it.
//
// It is not for integrands whose mass lies in a small part of the cube, which
// no set of points sees that does not fall there.
package lattice

import (
	"math"
	"math/rand/v2"
)

// Shifts is how many independent shifts an estimate is made of. With 16 the
// standard error itself is known to 18%.
const Shifts = 16

// A Lattice is a sequence of points in the open unit cube.
type Lattice struct {
	alpha []float64         // (dim) generator
	shift [Shifts][]float64 // (dim) each
}

// New returns the lattice in dim dimensions; equal seeds give equal shifts.
func New(dim int, seed uint64) *Lattice {
	l := &Lattice{alpha: make([]float64, dim)}
	p := 2
	for k := range l.alpha {
		root := math.Sqrt(float64(p))
		l.alpha[k] = root - math.Floor(root)
		p = nextPrime(p)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	for s := range l.shift {
		l.shift[s] = make([]float64, dim)
		for k := range l.shift[s] {
			l.shift[s][k] = rng.Float64()
		}
	}
	return l
}

// At returns coordinate k of point i, counted from 0, of the given shift. It
// lies in (0, 1), the ends excluded.
func (l *Lattice) At(shift, i, k int) float64 {
	x := float64(i+1)*l.alpha[k] + l.shift[shift][k]
	x -= math.Floor(x)
	return math.Abs(2*x-1)*(1-0x1p-52) + 0x1p-53
}

// nextPrime returns the smallest prime above p, by trial division.
func nextPrime(p int) int {
search:
	for p++; ; p++ {
		for d := 2; d*d <= p; d++ {
			if p%d == 0 {
				continue search
			}
		}
		return p
	}
}

// MeanError returns the mean of the Shifts values of x and its standard error,
//
//	sqrt( sum_s (x_s - mean)^2 / (M (M-1)) ),   M = Shifts.
func MeanError(x *[Shifts]float64) (mean, se float64) {
	for _, v := range x {
		mean += v / Shifts
	}
	for _, v := range x {
		se += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(se / (Shifts * (Shifts - 1)))
}
