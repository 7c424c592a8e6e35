//go:build amd64 && !noasm

package kernel

import "github.com/covprop/covprop/internal/cpu"

//go:generate go -C ../_gen run ./powers -out ../kernel/powers_amd64.s -stubs ../kernel/powers_stubs_amd64.go -pkg kernel

// powersVector computes the sums of PowersTo by vectors and reports whether it
// did.
func powersVector(dst, rho, x, h []float64, stride int) bool {
	switch cpu.Current() {
	case cpu.AVX512:
		powersAVX512(&dst[0], &rho[0], &x[0], &h[0], len(rho)/8, len(x), 8*stride, 0)
	case cpu.AVX2:
		powersAVX2(&dst[0], &rho[0], &x[0], &h[0], len(rho)/4, len(x), 8*stride, 0)
	default:
		return false
	}
	return true
}

// powers3Vector does so for Powers3To.
func powers3Vector(dst, rho, x, h []float64, stride int) bool {
	switch cpu.Current() {
	case cpu.AVX512:
		powers3AVX512(&dst[0], &rho[0], &x[0], &h[0], len(rho)/8, len(x)/3, 8*stride, 8*len(rho))
	case cpu.AVX2:
		powers3AVX2(&dst[0], &rho[0], &x[0], &h[0], len(rho)/4, len(x)/3, 8*stride, 8*len(rho))
	default:
		return false
	}
	return true
}
