package vec

import (
	"math"

	"github.com/covprop/covprop/internal/special"
)

// The scalar functions that define what the kernels compute.

// On amd64 math.Exp overflows from 709.44 on, where n of 2^n exp(r) reaches
// 1024, and not from 709.78; the square of the root of exp(v) does not.
func expGeneric(dst, x []float64) {
	for i, v := range x {
		if v > 709 {
			root := math.Exp(v / 2)
			dst[i] = root * root
		} else {
			dst[i] = math.Exp(v)
		}
	}
}

func erfGeneric(dst, x []float64) {
	for i, v := range x {
		dst[i] = math.Erf(v)
	}
}

func erfcGeneric(dst, x []float64) {
	for i, v := range x {
		dst[i] = math.Erfc(v)
	}
}

func cdfGeneric(dst, x []float64) {
	for i, v := range x {
		dst[i] = special.CDF(v)
	}
}

func densityGeneric(dst, x []float64) {
	for i, v := range x {
		dst[i] = special.Density(v)
	}
}

func clampGeneric(dst, x []float64, shift, lo, hi float64) {
	for i, v := range x {
		dst[i] = min(max(v+shift, lo), hi)
	}
}
