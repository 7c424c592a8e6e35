package emit

import (
	"fmt"
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

// Exp512 replaces the eight float64 in x, a ZMM register, by their exponential.
// It needs three more ZMM registers while it runs and none between two uses.
//
//	exp(x) = 2^n 2^(j/16) exp(r),  x = (n + j/16) log 2 + r,  |r| <= log(2)/32
//
// with 2^(j/16) from a table, a polynomial of degree 6 for exp(r) (relative
// error 3e-17) and VSCALEFPD for 2^n. The error stays below 1.2 ulp, also
// where the result is denormal, plus half a unit of the denormal numbers there.
//
// Any x is allowed: +Inf gives +Inf, -Inf gives 0, NaN gives NaN.
func Exp512(x VecVirtual) {
	Clamp512(x, expMin, expMax)
	ExpInRange512(x)
}

// ExpInRange512 is Exp512 for |x| <= 1e5 and NaN, two operations shorter.
// Underflow is gradual and overflow is Inf; an infinite x would give NaN.
func ExpInRange512(x VecVirtual) {
	m, n := ExpReduce512(x)
	ExpFraction512(x, m, 1)
	VSCALEFPD(n, x, x)
}

// Clamp512 replaces x by min(max(x, low), high) and leaves NaN alone: the
// instructions return their second source, the first in Go's order, for it.
func Clamp512(x VecVirtual, low, high float64) {
	c := ZMM()
	VBROADCASTSD(F64x1(low), c)
	VMAXPD(x, c, x)
	VBROADCASTSD(F64x1(high), c)
	VMINPD(x, c, x)
}

// ExpReduce512 replaces x, |x| <= 1e5, by r. It returns n + j/16 in y, which
// VSCALEFPD takes for n, and m, whose lowest four bits are j. What the caller
// adds to r (up to 0.001) is added to the argument of exp.
//
// Adding 1.5 2^48 to x/log 2 leaves it rounded to sixteenths in the last bits.
func ExpReduce512(x VecVirtual) (m, y VecVirtual) {
	const shifter = 3 << 47
	m, y = ZMM(), ZMM()
	VBROADCASTSD(F64x1(shifter), m)
	VFMADD231PD_BCST(F64x1(math.Log2E), x, m)
	VSUBPD_BCST(F64x1(shifter), m, y)
	VFNMADD231PD_BCST(F64x1(ln2Hi), y, x)
	VFNMADD231PD_BCST(F64x1(ln2Lo), y, x)
	return m, y
}

// ExpFraction512 replaces r by scale 2^(j/16) exp(r), between scale times
// 0.978 and 1.96, from r and m of ExpReduce512. m is overwritten. The scale
// is part of the table and costs neither time nor another rounding.
func ExpFraction512(r, m VecVirtual, scale float64) {
	c := exp512[:]
	q := ZMM()
	VBROADCASTSD(F64x1(c[len(c)-1]), q)
	for k := len(c) - 2; k >= 1; k-- {
		VFMADD213PD_BCST(F64x1(c[k]), r, q) // q = q r + c[k]
	}
	VMULPD(q, r, r) // exp(r) - 1
	Lookup512(m, ExpTable(scale))
	VFMADD213PD(m, m, r) // r = r t + t
}

// ExpTable returns the table of ExpFraction512.
func ExpTable(scale float64) [2]Mem {
	var t [16]float64
	for j, v := range exp2Sixteenths {
		t[j] = scale * v
	}
	low, high := Table(fmt.Sprintf("exp%016x", math.Float64bits(scale)), t)
	return [2]Mem{low, high}
}

// Lookup512 replaces each index, in the lowest four bits of the lanes of i, by
// its entry of a table of 16.
func Lookup512(i VecVirtual, table [2]Mem) {
	low := ZMM()
	VMOVUPD(table[0], low)
	VPERMI2PD(table[1], low, i)
}
