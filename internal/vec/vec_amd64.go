//go:build amd64 && !noasm

package vec

import "github.com/covprop/covprop/internal/cpu"

func exp(dst, x []float64) {
	switch cpu.Current() {
	case cpu.AVX512:
		exp512(dst, x)
	case cpu.AVX2:
		exp256(dst, x)
	default:
		expGeneric(dst, x)
	}
}

func erf(dst, x []float64) {
	switch cpu.Current() {
	case cpu.AVX512:
		erf512(dst, x)
	case cpu.AVX2:
		erf256(dst, x)
	default:
		erfGeneric(dst, x)
	}
}

func erfc(dst, x []float64) {
	switch cpu.Current() {
	case cpu.AVX512:
		erfc512(dst, x)
	case cpu.AVX2:
		erfc256(dst, x)
	default:
		erfcGeneric(dst, x)
	}
}

func cdf(dst, x []float64) {
	switch cpu.Current() {
	case cpu.AVX512:
		cdf512(dst, x)
	case cpu.AVX2:
		cdf256(dst, x)
	default:
		cdfGeneric(dst, x)
	}
}

func density(dst, x []float64) {
	switch cpu.Current() {
	case cpu.AVX512:
		density512(dst, x)
	case cpu.AVX2:
		density256(dst, x)
	default:
		densityGeneric(dst, x)
	}
}

func clamp(dst, x []float64, shift, lo, hi float64) {
	switch cpu.Current() {
	case cpu.AVX512:
		clamp512(dst, x, shift, lo, hi)
	case cpu.AVX2:
		clamp256(dst, x, shift, lo, hi)
	default:
		clampGeneric(dst, x, shift, lo, hi)
	}
}
