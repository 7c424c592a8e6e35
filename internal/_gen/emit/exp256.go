package emit

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The arguments whose exponential is a normal float64, rounded inwards.
const (
	ExpNormalMin = -708.396
	ExpNormalMax = 709
)

// Exp256 replaces the four float64 in x, a YMM register, by their exponential,
// with AVX2 and FMA. It needs three more YMM registers while it runs and none
// between two uses.
//
//	exp(x) = 2^n exp(r),  x = n log 2 + r,  |r| <= log(2)/2
//
// with a polynomial of degree 11 for exp(r) (relative error 2e-17). The error
// stays below 1.5 ulp, also where the result is denormal, plus half a unit of
// the denormal numbers there.
//
// Any x is allowed: +Inf gives +Inf, -Inf gives 0, NaN gives NaN.
func Exp256(x VecVirtual) {
	Clamp256(x, expMin, expMax)
	m := ExpReduce256(x)
	ExpFraction256(x)
	ExpScale256(x, m)
}

// ExpInRange256 is Exp256 for -1e5 <= x <= ExpNormalMax and NaN, six
// operations shorter. Results below exp(ExpNormalMin), about the smallest
// normal float64, are flushed to 0.
func ExpInRange256(x VecVirtual) {
	normal := YMM()
	const notLessThan = 5 // true for NaN
	VCMPPD(Imm(notLessThan), F64x4(ExpNormalMin), x, normal)
	m := ExpReduce256(x)
	ExpFraction256(x)
	VPADDQ(U64x4(1023), m, m)
	VPSLLQ(Imm(52), m, m) // 2^n
	VMULPD(m, x, x)
	VANDPD(normal, x, x)
}

// Clamp256 replaces x by min(max(x, low), high) and leaves NaN alone: the
// instructions return their second source, the first in Go's order, for it.
func Clamp256(x VecVirtual, low, high float64) {
	c := YMM()
	VMOVUPD(F64x4(low), c)
	VMAXPD(x, c, x)
	VMOVUPD(F64x4(high), c)
	VMINPD(x, c, x)
}

// ExpReduce256 replaces x, |x| <= 1e5, by r and returns m, whose low 32 bits
// are n. What the caller adds to r (up to 0.001) is added to the argument of
// exp.
//
// Adding 1.5 2^52 to x/log 2 leaves it rounded to an integer in the last bits.
func ExpReduce256(x VecVirtual) (m VecVirtual) {
	const shifter = 3 << 51
	m = YMM()
	n := YMM()
	VMOVUPD(F64x4(shifter), m)
	VFMADD231PD(F64x4(math.Log2E), x, m)
	VSUBPD(F64x4(shifter), m, n)
	VFNMADD231PD(F64x4(ln2Hi), n, x)
	VFNMADD231PD(F64x4(ln2Lo), n, x)
	return m
}

// ExpFraction256 replaces r of ExpReduce256 by exp(r), from 0.707 to 1.415.
func ExpFraction256(r VecVirtual) {
	c := exp256[:]
	q := YMM()
	VMOVUPD(F64x4(c[len(c)-1]), q)
	for k := len(c) - 2; k >= 0; k-- {
		VFMADD213PD(F64x4(c[k]), r, q) // q = q r + c[k]
	}
	VMOVAPD(q, r)
}

// ExpScale256 multiplies e by 2^n, -2000 <= n <= 2000, with n in the low 32
// bits of m, which is overwritten. 2^n = 2^k 2^(n-k), k = floor(n/2), and the
// first product is exact, so that a denormal result is rounded once.
func ExpScale256(e, m VecVirtual) {
	k := YMM()
	VPSRAD(Imm(1), m, k)
	VPSUBD(k, m, m)
	for _, i := range []VecVirtual{k, m} {
		VPADDQ(U64x4(1023), i, i)
		VPSLLQ(Imm(52), i, i)
		VMULPD(i, e, e)
	}
}
