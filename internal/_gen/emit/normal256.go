package emit

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Density256 is Density512 with AVX2. It needs four more YMM registers.
func Density256(x VecVirtual) {
	absolute256(x, densityEnd)
	m := gauss256(x, -.5)
	ExpFraction256(x)
	VMULPD(F64x4(1/math.Sqrt(2*math.Pi)), x, x)
	ExpScale256(x, m)
}

// absolute256 replaces x by min(|x|, end); NaN stays NaN.
func absolute256(x VecVirtual, end float64) {
	c := YMM()
	VANDPD(U64x4(signBit-1), x, x)
	VMOVUPD(F64x4(end), c)
	VMINPD(x, c, x)
}

// gauss256 replaces x by the r of ExpReduce256 for s x^2, and returns its m.
// The rounding error of s x^2, which the exponential would magnify by up to
// 700, is put back.
func gauss256(x VecVirtual, s float64) (m VecVirtual) {
	y, h := YMM(), YMM()
	VMULPD(F64x4(s), x, y)
	VMULPD(x, y, h)
	VFMSUB213PD(h, x, y) // y = x y - h
	m = ExpReduce256(h)
	VADDPD(y, h, x)
	return m
}

// Erf256 replaces x, a YMM register, by erf(x) with a relative error below
// 3 ulp for any x: up to 1 as x times a polynomial of degree 11 in x^2
// (relative error 1e-17), beyond as 1 - erfc(|x|). It needs eight more YMM
// registers.
func Erf256(x VecVirtual) {
	p, s, small := YMM(), YMM(), YMM()
	VMULPD(x, x, s)
	horner256(p, s, erf256[:])
	VMULPD(x, p, p)
	VCMPPD(Imm(lessThan), F64x4(1), s, small)

	y, c := YMM(), YMM()
	VMOVAPD(x, y)
	absolute256(y, erfcTail.end)
	falling256(y, erfcTail)
	VMOVUPD(F64x4(1), c)
	VSUBPD(y, c, y)
	VANDPD(U64x4(signBit), x, x)
	VORPD(x, y, y)
	VBLENDVPD(small, p, y, x)
}

// horner256 puts into p the polynomial with coefficients c at x.
func horner256(p, x VecVirtual, c []float64) {
	VMOVUPD(F64x4(c[len(c)-1]), p)
	for k := len(c) - 2; k >= 0; k-- {
		VFMADD213PD(F64x4(c[k]), x, p) // p = p x + c[k]
	}
}

// Erfc256 is Erfc512 with AVX2, with an error below 6 ulp. It needs eight more
// YMM registers.
func Erfc256(x VecVirtual) { upperTail256(x, erfcTail) }

// CDF256 is Erfc256 for Phi(x) = erfc(-x/sqrt 2)/2.
func CDF256(x VecVirtual) { upperTail256(x, cdfTail) }

// upperTail256 computes both sides of a tail.
func upperTail256(x VecVirtual, f tail) {
	other, zero := YMM(), YMM()
	VXORPD(zero, zero, zero)
	VCMPPD(Imm(f.compare), zero, x, other)
	absolute256(x, f.end)
	falling256(x, f)
	c := YMM()
	VMOVUPD(F64x4(f.total), c)
	VSUBPD(x, c, c)
	VBLENDVPD(other, c, x, x)
}

// falling256 replaces a, 0 <= a <= f.end, by the falling side of the tail. The
// factors are multiplied before the power of two of the exponential, so that
// there is one rounding where the result is denormal.
func falling256(a VecVirtual, f tail) {
	z := YMM()
	VMOVAPD(a, z)
	if f.stretch != 1 {
		VMULPD(F64x4(f.stretch), z, z)
	}
	g := erfcx256At(z)
	m := gauss256(a, f.square)
	ExpFraction256(a)
	if f.scale != 1 {
		VMULPD(F64x4(f.scale), a, a)
	}
	VMULPD(g, a, a)
	ExpScale256(a, m)
}

// erfcx256At returns erfcx(z) = exp(z^2) erfc(z), 0 <= z <= 28, as
// 1/(z + 4) times a polynomial of degree 21 in q = (z - 4)/(z + 4) (relative
// error 5e-17; Shepherd & Laframboise 1981 use a like variable). With
// r = 1/(z + 4) rounded, the residual e = z - 4 (q + 1) - q z of q = (z - 4) r
// corrects it. z is overwritten.
func erfcx256At(z VecVirtual) VecVirtual {
	r, q, e, p := YMM(), YMM(), YMM(), YMM()
	VADDPD(F64x4(4), z, q)
	VMOVUPD(F64x4(1), r)
	VDIVPD(q, r, r)
	VSUBPD(F64x4(4), z, q)
	VMULPD(r, q, q)
	VADDPD(F64x4(1), q, e)
	VFNMADD132PD(F64x4(4), z, e) // e = z - 4 e
	VFNMADD231PD(z, q, e)        // e = e - q z
	VFMADD231PD(e, r, q)
	horner256(p, q, erfcx256[:])
	VMULPD(r, p, p)
	return p
}
