//go:build amd64 && !noasm

package kernel

import "github.com/covprop/covprop/internal/cpu"

//go:generate go -C ../_gen run ./taps -out ../kernel/taps_amd64.s -stubs ../kernel/taps_stubs_amd64.go -pkg kernel

// tapsVectors is TapsTo by vectors, as far as the processor has them.
func tapsVectors(y, x, w Lanes, at []int, depth, rows, lanes int) bool {
	switch cpu.Current() {
	case cpu.AVX512:
		for r := 0; r < rows; r += TapRows {
			n := min(TapRows, rows-r)
			for l := 0; l < lanes; l += 16 {
				vectors := 2
				if n <= 3 && l+16 < lanes {
					vectors = 4
				}
				tapsAVX512(&y.Data[r*y.Stride+l], &x.Data[l], &w.Data[r], &at[0], len(at), depth,
					8*y.Stride, 8*x.Stride, 8*w.Stride, n, vectors)
				l += 8 * (vectors - 2)
			}
		}
	case cpu.AVX2:
		for r := 0; r < rows; r += 6 {
			n := min(6, rows-r)
			for l := 0; l < lanes; l += 8 {
				vectors := 2
				if n <= 2 && l+8 < lanes {
					vectors = 4
				}
				tapsAVX2(&y.Data[r*y.Stride+l], &x.Data[l], &w.Data[r], &at[0], len(at), depth,
					8*y.Stride, 8*x.Stride, 8*w.Stride, n, vectors)
				l += 4 * (vectors - 2)
			}
		}
	default:
		return false
	}
	return true
}

// widenVectors is Widen for the first numbers, and returns how many.
func widenVectors(dst []float64, src []float32) int {
	n := len(src) &^ 7
	if n == 0 || cpu.Current() == cpu.Generic {
		return 0
	}
	widenAVX(&dst[0], &src[0], n)
	return n
}

// narrowVectors is Narrow for the first numbers, and returns how many.
func narrowVectors(dst []float32, src []float64) int {
	n := len(src) &^ 7
	if n == 0 || cpu.Current() == cpu.Generic {
		return 0
	}
	narrowAVX(&dst[0], &src[0], n)
	return n
}
