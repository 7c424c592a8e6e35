//go:build !amd64 || noasm

package kernel

// Without assembly the vector kernels do nothing and leave all to the loops in
// Go.

func hermiteVector([]float64, int, int, []float64, []float64, *[MaxOrder][2]float64, bool) int {
	return 0
}

func tailsVector(*Units, int, int, *[tailBlocks]int, []float64, []float64) int { return 0 }

func halfLineVector(_, _, _, _, _ []float64) int { return 0 }
