//go:build !amd64 || noasm

package vec

func exp(dst, x []float64)     { expGeneric(dst, x) }
func erf(dst, x []float64)     { erfGeneric(dst, x) }
func erfc(dst, x []float64)    { erfcGeneric(dst, x) }
func cdf(dst, x []float64)     { cdfGeneric(dst, x) }
func density(dst, x []float64) { densityGeneric(dst, x) }

func clamp(dst, x []float64, shift, lo, hi float64) { clampGeneric(dst, x, shift, lo, hi) }
