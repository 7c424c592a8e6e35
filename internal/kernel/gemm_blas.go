//go:build openblas || blis

package kernel

import (
	"gonum.org/v1/gonum/blas"

	"github.com/covprop/covprop/internal/kernel/gemmblas"
)

// external says that products go to another library on every instruction set.
const external = true

// Tiles of the products of the library, each computed by one call on one
// thread. The library divides the inner dimension.
const (
	genericRows  = 256
	genericCols  = 768
	genericDepth = 1 << 30
)

func implementation64() blas.Float64Level3 { return gemmblas.Implementation() }
func implementation32() blas.Float32Level3 { return gemmblas.Implementation() }
