//go:build !openblas && !blis

package kernel

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
)

// external says that products go to another library on every instruction set.
const external = false

// Tiles of the portable product: genericRows x genericCols of the result,
// genericDepth of the inner dimension at a time, so that a panel of b stays in
// the second-level cache. They are below the size from which gonum starts
// threads of its own.
const (
	genericRows  = 64
	genericCols  = 192
	genericDepth = 256
)

func implementation64() blas.Float64Level3 { return blas64.Implementation() }
func implementation32() blas.Float32Level3 { return blas32.Implementation() }
