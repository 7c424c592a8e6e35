package baseline

import (
	"math"
	"testing"

	"github.com/covprop/covprop"
)

// A diagonal input of a million variables must not become a matrix.
func TestLargeDiagonal(t *testing.T) {
	const n = 1_000_000
	cov := make(covprop.Diagonal, n)
	cov[n-1] = 4
	in := covprop.Gaussian{Mean: make([]float64, n), Cov: cov}
	f := fn{n, 1, func(dst, x []float64) { dst[0] = x[n-1] }}
	for name, p := range map[string]covprop.Propagator{"linear": Linear{Func: f}, "cubature": Cubature{Func: f}, "unscented": Unscented{Func: f}} {
		// sqrt, the square and the difference quotient round.
		if v := propagate(t, p, in).Cov.At(0, 0); math.Abs(v-4) > 1e-9 {
			t.Errorf("%s: the variance is %v, want 4", name, v)
		}
	}
}
