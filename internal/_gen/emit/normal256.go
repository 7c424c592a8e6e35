package emit

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// densityEnd lies beyond the arguments at which the density, or the lower
// tail of Phi, is not yet 0.
const densityEnd = 39

// Density256 is Density512 with AVX2. It needs three more YMM registers for
// each x.
func Density256(x ...VecVirtual) {
	absolute256(densityEnd, x)
	m := gauss256(-.5, x)
	ExpFraction256(x...)
	for _, x := range x {
		VMULPD(F64x4(1/math.Sqrt(2*math.Pi)), x, x)
	}
	ExpScale256(x, m)
}

// absolute256 replaces each x by min(|x|, end); NaN stays NaN.
func absolute256(end float64, x []VecVirtual) {
	c := YMM()
	VMOVUPD(F64x4(end), c)
	for _, x := range x {
		VANDPD(U64x4(signBit-1), x, x)
		VMINPD(x, c, x)
	}
}

// gauss256 replaces each x by the r of ExpReduce256 for s x^2, and returns its
// m. The rounding error of s x^2, which the exponential would magnify by up to
// 700, is put back.
func gauss256(s float64, x []VecVirtual) (m []VecVirtual) {
	h, e := make([]VecVirtual, len(x)), make([]VecVirtual, len(x))
	for i, x := range x {
		h[i], e[i] = YMM(), YMM()
		VMULPD(F64x4(s), x, e[i])
		VMULPD(x, e[i], h[i])
		VFMSUB213PD(h[i], x, e[i]) // e = x e - h
	}
	m = ExpReduce256(h...)
	for i, x := range x {
		VADDPD(e[i], h[i], x)
	}
	return m
}

// Erf256 replaces each x, a YMM register, by erf(x) with a relative error
// below 3 ulp for any x: up to 1 as x times a polynomial of degree 11 in x^2
// (relative error 1e-17), beyond as 1 - erfc(|x|). It needs seven more YMM
// registers for each x.
func Erf256(x ...VecVirtual) {
	square, far := make([]VecVirtual, len(x)), make([]VecVirtual, len(x))
	for i, x := range x {
		square[i], far[i] = YMM(), YMM()
		VMULPD(x, x, square[i])
		VMOVAPD(x, far[i])
	}
	near := horner256(square, erf256[:])
	absolute256(erfcTail.end, far)
	falling256(far, erfcTail)
	for i, x := range x {
		one, small := YMM(), square[i]
		VMOVUPD(F64x4(1), one)
		VMULPD(x, near[i], near[i])
		VSUBPD(far[i], one, far[i])
		VANDPD(U64x4(signBit), x, x)
		VORPD(x, far[i], far[i])
		VCMPPD(Imm(lessThan), one, small, small)
		VBLENDVPD(small, near[i], far[i], x)
	}
}

// Erfc256 is Erfc512 with AVX2, with an error below 6 ulp. It needs six more
// YMM registers for each x.
func Erfc256(x ...VecVirtual) { upperTail256(x, erfcTail) }

// CDF256 is Erfc256 for Phi(x) = erfc(-x/sqrt 2)/2.
func CDF256(x ...VecVirtual) { upperTail256(x, cdfTail) }

// upperTail256 computes both sides of a tail.
func upperTail256(x []VecVirtual, f tail) {
	other := make([]VecVirtual, len(x))
	for i, x := range x {
		other[i] = YMM()
		VCMPPD(Imm(f.compare), F64x4(0), x, other[i])
	}
	absolute256(f.end, x)
	falling256(x, f)
	for i, x := range x {
		c := YMM()
		VMOVUPD(F64x4(f.total), c)
		VSUBPD(x, c, c)
		VBLENDVPD(other[i], c, x, x)
	}
}

// falling256 replaces each a, 0 <= a <= f.end, by the falling side of the
// tail. The factors are multiplied before the power of two of the exponential,
// so that there is one rounding where the result is denormal.
func falling256(a []VecVirtual, f tail) {
	g := erfcx256At(a, f.stretch)
	m := gauss256(f.square, a)
	ExpFraction256(a...)
	for i, a := range a {
		if f.scale != 1 {
			VMULPD(F64x4(f.scale), a, a)
		}
		VMULPD(g[i], a, a)
	}
	ExpScale256(a, m)
}

// erfcx256At returns erfcx(z) = exp(z^2) erfc(z), z = stretch a from 0 to 28,
// as 1/(z + 4) times a polynomial of degree 21 in q = (z - 4)/(z + 4)
// (relative error 5e-17; Shepherd & Laframboise 1981 use a like variable).
// With r = 1/(z + 4) rounded, the residual e = z - 4 (q + 1) - q z of
// q = (z - 4) r corrects it.
func erfcx256At(a []VecVirtual, stretch float64) []VecVirtual {
	r, q := make([]VecVirtual, len(a)), make([]VecVirtual, len(a))
	for i, a := range a {
		z, e := YMM(), YMM()
		r[i], q[i] = YMM(), YMM()
		VMULPD(F64x4(stretch), a, z)
		VADDPD(F64x4(4), z, e)
		VMOVUPD(F64x4(1), r[i])
		VDIVPD(e, r[i], r[i])
		VSUBPD(F64x4(4), z, q[i])
		VMULPD(r[i], q[i], q[i])
		VADDPD(F64x4(1), q[i], e)
		VFNMADD132PD(F64x4(4), z, e) // e = z - 4 e
		VFNMADD231PD(z, q[i], e)     // e = e - q z
		VFMADD231PD(e, r[i], q[i])
	}
	p := horner256(q, erfcx256[:])
	for i, p := range p {
		VMULPD(r[i], p, p)
	}
	return p
}
