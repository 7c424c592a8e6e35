//go:build amd64 && !noasm

package kernel

import "github.com/covprop/covprop/internal/cpu"

//go:generate go -C ../_gen run ./taps -out ../kernel/taps_amd64.s -stubs ../kernel/taps_stubs_amd64.go -pkg kernel

// tapsVectors is TapsTo by vectors, as far as the processor has them.
func tapsVectors(y, x, w []float64, at []int, depth, stride, rows, lanes int) bool {
	switch cpu.Current() {
	case cpu.AVX512:
		for r := 0; r < rows; r += TapRows {
			n := min(TapRows, rows-r)
			width := 16
			if n <= 3 {
				width = 32
			}
			for l := 0; l < lanes; l += width {
				tapsAVX512(&y[r*Lanes+l], &x[l], &w[r], &at[0], len(at), depth, 8*stride, n)
			}
		}
	case cpu.AVX2:
		for r := 0; r < rows; r += 6 {
			n := min(6, rows-r)
			width := 8
			if n <= 2 {
				width = 16
			}
			for l := 0; l < lanes; l += width {
				tapsAVX2(&y[r*Lanes+l], &x[l], &w[r], &at[0], len(at), depth, 8*stride, n)
			}
		}
	default:
		return false
	}
	return true
}
