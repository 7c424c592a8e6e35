package emit

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Exp512 replaces the eight float64 in each x, a ZMM register, by their
// exponential. It needs three more ZMM registers for each x while it runs, one
// or two for all, and none between two uses. Several at once share the loads
// of the constants.
//
//	exp(x) = 2^n 2^(j/16) exp(r),  x = (n + j/16) log 2 + r,  |r| <= log(2)/32
//
// with 2^(j/16) from a table, a polynomial of degree 6 for exp(r) (relative
// error 3e-17) and VSCALEFPD for 2^n. The error stays below 1.2 ulp, also
// where the result is denormal, plus half a unit of the denormal numbers there.
//
// Any x is allowed: +Inf gives +Inf, -Inf gives 0, NaN gives NaN.
func Exp512(x ...VecVirtual) {
	m, y := ExpReduce512(x...)
	ExpBound512(x...)
	ExpFraction512(1, x, m)
	ExpScale512(x, y)
}

// ExpInRange512 is Exp512 for |x| <= 1e5 and NaN, one operation shorter.
// Underflow is gradual and overflow is Inf; an infinite x would give NaN.
func ExpInRange512(x ...VecVirtual) {
	m, y := ExpReduce512(x...)
	ExpFraction512(1, x, m)
	ExpScale512(x, y)
}

// ExpReduce512 replaces each x by its r. It returns y = n + j/16, and m, whose
// lowest four bits are j. What the caller adds to r (up to 0.001) is added to
// the argument of exp.
//
// Beyond 1e5 r and m mean nothing, but y is still about x/log 2, infinite or
// NaN with x. That is enough for ExpScale512 if ExpBound512 keeps r in bounds.
//
// Adding 1.5 2^48 to x/log 2 leaves it rounded to sixteenths in the last bits.
func ExpReduce512(x ...VecVirtual) (m, y []VecVirtual) {
	const shifter = 3 << 47
	log2e, s := ZMM(), ZMM()
	VBROADCASTSD(F64x1(math.Log2E), log2e)
	VBROADCASTSD(F64x1(shifter), s)
	for _, x := range x {
		a, b := ZMM(), ZMM()
		VMOVAPD(s, a)
		VFMADD231PD(log2e, x, a)
		VSUBPD(s, a, b)
		m, y = append(m, a), append(y, b)
	}
	for _, part := range []float64{ln2Hi, ln2Lo} {
		c := ZMM()
		VBROADCASTSD(F64x1(part), c)
		for i, x := range x {
			VFNMADD231PD(c, y[i], x)
		}
	}
	return m, y
}

// ExpBound512 replaces each r by +-min(|r|, 0.03), and NaN by a number.
func ExpBound512(r ...VecVirtual) {
	const smallerMagnitude = 2 // with the sign of r
	for _, r := range r {
		VRANGEPD_BCST(Imm(smallerMagnitude), F64x1(.03), r, r)
	}
}

// ExpScale512 multiplies each e, positive and finite, by 2^floor(y): infinite
// y give Inf or 0, NaN gives NaN, and a denormal result is rounded once.
func ExpScale512(e, y []VecVirtual) {
	for i, e := range e {
		VSCALEFPD(y[i], e, e)
	}
}

// ExpFraction512 replaces each r by scale 2^(j/16) exp(r), between scale times
// 0.978 and 1.96, from r and m of ExpReduce512. m is overwritten. The scale is
// part of the table and costs neither time nor another rounding.
func ExpFraction512(scale float64, r, m []VecVirtual) {
	q := horner512(r, exp512[1:])
	low, high := ZMM(), ZMM()
	table := expTable(scale)
	VMOVUPD(table, low)
	VMOVUPD(table.Offset(64), high)
	for i, r := range r {
		VMULPD(q[i], r, r) // exp(r) - 1
		VPERMI2PD(high, low, m[i])
		VFMADD213PD(m[i], m[i], r) // r = r t + t
	}
}

// horner512 returns the polynomial with coefficients c, lowest first, at each
// x.
func horner512(x []VecVirtual, c []float64) []VecVirtual {
	q := make([]VecVirtual, len(x))
	for i := range q {
		q[i] = ZMM()
		VBROADCASTSD(F64x1(c[len(c)-1]), q[i])
	}
	for k := len(c) - 2; k >= 0; k-- {
		ck := ZMM()
		VBROADCASTSD(F64x1(c[k]), ck)
		for i, x := range x {
			VFMADD213PD(ck, x, q[i]) // q = q x + c[k]
		}
	}
	return q
}

// expTable returns memory with scale 2^(j/16), j = 0 to 15.
func expTable(scale float64) Mem {
	bits := make([]uint64, len(exp2Sixteenths))
	for j, v := range exp2Sixteenths {
		bits[j] = math.Float64bits(scale * v)
	}
	return Aligned(fmt.Sprintf("exp%016x", math.Float64bits(scale)), bits...)
}
