// Package vec evaluates exp, the functions of the normal distribution and, for
// linear pieces, min(max(x+a, lo), hi) over slices:
//
//	exp(x)
//	erf(x)  = 2/sqrt(pi) int_0^x exp(-t^2) dt,  erfc(x) = 1 - erf(x)
//	phi(x)  = exp(-x^2/2)/sqrt(2 pi)
//	Phi(x)  = int_-inf^x phi(t) dt = erfc(-x/sqrt 2)/2
//
// The error is at most 4 units in the last place (ulp) for exp and phi and at
// most 8 for the others, on every instruction set and over the whole line.
// That holds in the tails too, which are never formed as 1 - erf, down to the
// smallest normal float64; below it the error is at most half as many units of
// the denormal numbers, and half a unit of rounding. The largest errors seen,
// in ulp over 180,000 arguments each (TestSweep takes fewer of the same):
//
//	          exp  erf  erfc  Phi  phi
//	generic   1.6  0.9   3.4  6.7  3.0
//	AVX2      0.9  1.6   3.9  4.6  2.1
//	AVX-512   1.2  1.5   3.3  3.8  1.7
//
// NaN gives NaN, and infinities give the limits: exp(-Inf) = 0, erf(Inf) = 1
// and so on. erf(-0) = -0. Results differ between instruction sets within
// those bounds; on one instruction set the result for a number depends neither
// on its place in the slice nor on the other numbers.
//
// In all functions dst and x have the same length and may be the same slice,
// but must not overlap otherwise. Nothing is allocated.
package vec

//go:generate go -C ../_gen run ./vec -out ../vec/vec_amd64.s -stubs ../vec/stubs_amd64.go -pkg vec

const lengths = "vec: slices of different lengths"

// ExpTo sets dst[i] to exp(x[i]).
func ExpTo(dst, x []float64) { exp(sized(dst, x), x) }

// ErfTo sets dst[i] to erf(x[i]).
func ErfTo(dst, x []float64) { erf(sized(dst, x), x) }

// ErfcTo sets dst[i] to erfc(x[i]).
func ErfcTo(dst, x []float64) { erfc(sized(dst, x), x) }

// CDFTo sets dst[i] to Phi(x[i]).
func CDFTo(dst, x []float64) { cdf(sized(dst, x), x) }

// DensityTo sets dst[i] to phi(x[i]).
func DensityTo(dst, x []float64) { density(sized(dst, x), x) }

// ClampTo sets dst[i] to min(max(x[i]+shift, lo), hi), which is NaN where
// x[i]+shift is. lo and hi are not NaN.
func ClampTo(dst, x []float64, shift, lo, hi float64) { clamp(sized(dst, x), x, shift, lo, hi) }

// sized returns dst and panics if its length is not that of x.
func sized(dst, x []float64) []float64 {
	if len(dst) != len(x) {
		panic(lengths)
	}
	return dst
}
