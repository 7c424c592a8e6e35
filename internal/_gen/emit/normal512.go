package emit

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	signBit  = 1 << 63
	lessThan = 1    // VCMPPD, false for NaN
	greater  = 0x1e // VCMPPD, false for NaN
)

// Density512 replaces each x, a ZMM register, by phi(x) =
// exp(-x^2/2)/sqrt(2 pi), with an error below 2 ulp (denormal results: and half
// a denormal unit). It needs four more ZMM registers for each x and two for
// all.
func Density512(x ...VecVirtual) {
	m, y := gauss512(-.5, x)
	ExpFraction512(1/math.Sqrt(2*math.Pi), x, m)
	ExpScale512(x, y)
}

// gauss512 replaces each x by the r of ExpReduce512 for s x^2, and returns the
// other two. The rounding error of s x^2, which the exponential would magnify
// by up to 700, is put back.
func gauss512(s float64, x []VecVirtual) (m, y []VecVirtual) {
	h, e := make([]VecVirtual, len(x)), make([]VecVirtual, len(x))
	for i, x := range x {
		h[i], e[i] = ZMM(), ZMM()
		VMULPD_BCST(F64x1(s), x, e[i])
		VMULPD(x, e[i], h[i])
		VFMSUB213PD(h[i], x, e[i]) // e = x e - h
	}
	m, y = ExpReduce512(h...)
	for i, x := range x {
		VADDPD(e[i], h[i], x)
	}
	ExpBound512(x...)
	return m, y
}

// Erf512 replaces each x, a ZMM register, by erf(x) with a relative error
// below 3 ulp for any x. It needs four more ZMM registers for each x and two
// for all. Several at once share the loads of the table.
//
// On each of 16 intervals of |x|, erf is a polynomial of degree 11 (relative
// error 5e-18). The whole part of s |x| (14 - |x|), 0 to 15, numbers the
// interval: they widen with |x| so that one degree serves all. Beyond the
// last, from 6 on, erf is 1 to a fifth of an ulp.
func Erf512(x ...VecVirtual) {
	a, i := make([]VecVirtual, len(x)), make([]VecVirtual, len(x))
	end := ZMM()
	VBROADCASTSD(F64x1(erfEnd), end)
	for j, x := range x {
		y, w := ZMM(), ZMM()
		a[j], i[j] = y, ZMM()
		VANDPD_BCST(U64x1(signBit-1), x, y)
		VMINPD(y, end, y) // NaN stays: it is the second source, the first in Go's order
		VBROADCASTSD(F64x1(2*erfVertex*erfSlope), w)
		VFNMADD231PD_BCST(F64x1(erfSlope), y, w)
		VBROADCASTSD(F64x1(3<<51), i[j])
		VFMADD231PD_RD_SAE(w, y, i[j]) // rounded down: the whole part in the last bits
	}
	const sign = 0xd8 // that of x, all else of p
	for j, p := range piecewise512(a, i, "erf", erf512[:]) {
		VPTERNLOGQ_BCST(Imm(sign), U64x1(signBit), x[j], p)
		VMOVAPD(p, x[j])
	}
}

// piecewise512 returns for each x the value of the i-th polynomial of a table:
// centres, then coefficients of the powers of x - centre. x is overwritten.
func piecewise512(x, i []VecVirtual, name string, rows [][16]float64) (p []VecVirtual) {
	table := rowsOf(name, rows)
	lookup := func(k int) []VecVirtual {
		low, high := ZMM(), ZMM()
		VMOVUPD(table.Offset(128*k), low)
		VMOVUPD(table.Offset(128*k+64), high)
		c := make([]VecVirtual, len(x))
		for j := range c {
			c[j] = ZMM()
			VMOVAPD(i[j], c[j])
			VPERMI2PD(high, low, c[j])
		}
		return c
	}
	for j, c := range lookup(0) {
		VSUBPD(c, x[j], x[j])
	}
	p = lookup(len(rows) - 1)
	for k := len(rows) - 2; k >= 1; k-- {
		for j, c := range lookup(k) {
			VFMADD213PD(c, x[j], p[j]) // p = p x + c
		}
	}
	return p
}

// rowsOf returns memory with the rows one after the other.
func rowsOf(name string, rows [][16]float64) Mem {
	var bits []uint64
	for _, r := range rows {
		for _, v := range r {
			bits = append(bits, math.Float64bits(v))
		}
	}
	return Aligned(name, bits...)
}

// Erfc512 replaces each x, a ZMM register, by erfc(x) with a relative error
// below 5 ulp for any x (denormal results: and half a denormal unit). It needs
// six more ZMM registers and a mask for each x and two for all. Several at
// once share the loads of the table.
func Erfc512(x ...VecVirtual) { upperTail512(x, erfcTail) }

// CDF512 is Erfc512 for Phi(x) = erfc(-x/sqrt 2)/2.
func CDF512(x ...VecVirtual) { upperTail512(x, cdfTail) }

// A tail is the decreasing side of a function of the normal family, as a
// function of a = |x| >= 0,
//
//	f = scale exp(square a^2) erfcx(stretch a)
//
// whose other side, for the x that compare says, is total - f. Beyond end the
// tail is 0.
type tail struct {
	scale, square, stretch, total, end float64
	compare                            uint64
}

var (
	erfcTail = tail{scale: 1, square: -1, stretch: 1, total: 2, end: 28, compare: lessThan}
	cdfTail  = tail{scale: .5, square: -.5, stretch: 1 / math.Sqrt2, total: 1, end: densityEnd, compare: greater}
)

// upperTail512 computes both sides of a tail. The three factors are multiplied
// before the power of two of the exponential, so that there is one rounding
// where the result is denormal.
func upperTail512(x []VecVirtual, f tail) {
	const smallerMagnitude = 8 | 2 // without sign; NaN becomes a number
	other, z := make([]OpmaskVirtual, len(x)), make([]VecVirtual, len(x))
	for i, x := range x {
		other[i], z[i] = K(), ZMM()
		VCMPPD_BCST(Imm(f.compare), F64x1(0), x, other[i])
		VRANGEPD_BCST(Imm(smallerMagnitude), F64x1(f.end), x, z[i])
		if f.stretch != 1 {
			VMULPD_BCST(F64x1(f.stretch), z[i], z[i])
		}
	}
	g := erfcxTable512(z)
	m, y := gauss512(f.square, x)
	ExpFraction512(f.scale, x, m)
	total := ZMM()
	VBROADCASTSD(F64x1(f.total), total)
	for i, x := range x {
		VMULPD(g[i], x, x)
	}
	ExpScale512(x, y)
	for i, x := range x {
		VSUBPD(x, total, other[i], x)
	}
}

// erfcxTable512 returns erfcx(z) = exp(z^2) erfc(z), 0 <= z <= 28, for each z
// from polynomials of degree 13 (relative error 2e-16) on 16 intervals, which
// are quarters of octaves of z + 2: its last two exponent bits and first two
// mantissa bits number them. z is overwritten.
func erfcxTable512(z []VecVirtual) []VecVirtual {
	i := make([]VecVirtual, len(z))
	for j, z := range z {
		i[j] = ZMM()
		VADDPD_BCST(F64x1(2), z, i[j])
		VPSRLQ(Imm(50), i[j], i[j])
	}
	return piecewise512(z, i, "erfcx", erfcx512[:])
}
