package emit

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Arguments beyond these give Inf and 0 in round to nearest.
const (
	expMax = 710
	expMin = -746
)

// The arguments whose exponential is a normal float64, rounded inwards.
const (
	ExpNormalMin = -708.396
	ExpNormalMax = 709
)

// Exp256 replaces the four float64 in each x, a YMM register, by their
// exponential, with AVX2 and FMA. It needs two more YMM registers for each x
// while it runs, one for all, and none between two uses.
//
//	exp(x) = 2^n exp(r),  x = n log 2 + r,  |r| <= log(2)/2
//
// with a polynomial of degree 11 for exp(r) (relative error 2e-17). The error
// stays below 1.5 ulp, also where the result is denormal, plus half a unit of
// the denormal numbers there.
//
// Any x is allowed: +Inf gives +Inf, -Inf gives 0, NaN gives NaN.
func Exp256(x ...VecVirtual) {
	clamp256(expMin, expMax, x...)
	m := ExpReduce256(x...)
	ExpFraction256(x...)
	ExpScale256(x, m)
}

// ExpInRange256 is Exp256 for -1e5 <= x <= ExpNormalMax and NaN, some
// operations shorter. Results below exp(ExpNormalMin), about the smallest
// normal float64, are flushed to 0.
func ExpInRange256(x ...VecVirtual) {
	const notLessThan = 5 // true for NaN
	normal := make([]VecVirtual, len(x))
	for i, x := range x {
		normal[i] = YMM()
		VCMPPD(Imm(notLessThan), F64x4(ExpNormalMin), x, normal[i])
	}
	m := ExpReduce256(x...)
	ExpFraction256(x...)
	for i, x := range x {
		multiplyByPower256(x, m[i])
		VANDPD(normal[i], x, x)
	}
}

// clamp256 replaces x by min(max(x, low), high) and leaves NaN alone: the
// instructions return their second source, the first in Go's order, for it.
func clamp256(low, high float64, x ...VecVirtual) {
	l, h := YMM(), YMM()
	VMOVUPD(F64x4(low), l)
	VMOVUPD(F64x4(high), h)
	for _, x := range x {
		VMAXPD(x, l, x)
		VMINPD(x, h, x)
	}
}

// ExpReduce256 replaces each x, |x| <= 1e5, by its r and returns m, whose low
// 32 bits are n. What the caller adds to r (up to 0.001) is added to the
// argument of exp.
//
// Adding 1.5 2^52 to x/log 2 leaves it rounded to an integer in the last bits.
func ExpReduce256(x ...VecVirtual) (m []VecVirtual) {
	const shifter = 3 << 51
	m = make([]VecVirtual, len(x))
	for i, x := range x {
		n := YMM()
		m[i] = YMM()
		VMOVUPD(F64x4(shifter), m[i])
		VFMADD231PD(F64x4(math.Log2E), x, m[i])
		VSUBPD(F64x4(shifter), m[i], n)
		VFNMADD231PD(F64x4(ln2Hi), n, x)
		VFNMADD231PD(F64x4(ln2Lo), n, x)
	}
	return m
}

// ExpFraction256 replaces each r of ExpReduce256 by exp(r), from 0.707 to
// 1.415.
func ExpFraction256(r ...VecVirtual) {
	for i, q := range horner256(r, exp256[:]) {
		VMOVAPD(q, r[i])
	}
}

// horner256 returns the polynomial with coefficients c, lowest first, at each
// x.
func horner256(x []VecVirtual, c []float64) []VecVirtual {
	q := make([]VecVirtual, len(x))
	for i := range q {
		q[i] = YMM()
		VMOVUPD(F64x4(c[len(c)-1]), q[i])
	}
	for k := len(c) - 2; k >= 0; k-- {
		for i, x := range x {
			VFMADD213PD(F64x4(c[k]), x, q[i]) // q = q x + c[k]
		}
	}
	return q
}

// ExpScale256 multiplies each e by 2^n, -2000 <= n <= 2000, with n in the low
// 32 bits of m, which is overwritten. 2^n = 2^k 2^(n-k), k = floor(n/2), and
// the first product is exact, so that a denormal result is rounded once.
func ExpScale256(e, m []VecVirtual) {
	for i, e := range e {
		k := YMM()
		VPSRAD(Imm(1), m[i], k)
		VPSUBD(k, m[i], m[i])
		multiplyByPower256(e, k)
		multiplyByPower256(e, m[i])
	}
}

// multiplyByPower256 multiplies e by 2^n, -1022 <= n <= 1024 (2^1024 is Inf),
// with n in the low bits of m, which is overwritten. Adding n to the exponent
// of e would spoil a NaN.
func multiplyByPower256(e, m VecVirtual) {
	VPADDQ(U64x4(1023), m, m)
	VPSLLQ(Imm(52), m, m)
	VMULPD(m, e, e)
}
