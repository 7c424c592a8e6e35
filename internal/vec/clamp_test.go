package vec

import (
	"math"
	"testing"

	"github.com/covprop/covprop/internal/cpu"
)

// TestClamp compares with the definition, at lengths around the kernels' widths
// and unaligned addresses, in place too; the neighbours stay as they are.
func TestClamp(t *testing.T) {
	const guard = -7.25
	inf, nan := math.Inf(1), math.NaN()
	values := []float64{-3, 2.5, nan, inf, -inf, .5, -.25, math.Copysign(nan, -1), 1e300, -5e-324, 7}
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		restore := cpu.Force(isa)
		for _, c := range []struct{ shift, lo, hi float64 }{{0, 0, inf}, {.5, -1, 1}, {-.25, -inf, inf}, {0, 2, 1}, {1, -inf, 0}} {
			for n := range 75 {
				x, dst := make([]float64, n+2), make([]float64, n+2)
				for i := range x {
					x[i], dst[i] = values[(i+n)%len(values)], guard
				}
				in, out := x[1:n+1], dst[1:n+1]
				ClampTo(out, in, c.shift, c.lo, c.hi)
				for i, got := range out {
					want := in[i] + c.shift
					switch { // NaN is neither
					case want > c.hi || c.lo > c.hi && want == want:
						want = c.hi
					case want < c.lo:
						want = c.lo
					}
					if got != want && !(got != got && want != want) {
						t.Fatalf("%v, %v, n = %d: %v gives %v, want %v", isa, c, n, in[i], got, want)
					}
				}
				if dst[0] != guard || dst[n+1] != guard {
					t.Fatalf("%v, n = %d: a neighbour was written", isa, n)
				}
				ClampTo(in, in, c.shift, c.lo, c.hi)
				for i, got := range in {
					if got != out[i] && got == got {
						t.Fatalf("%v, n = %d: in place element %d is %v, not %v", isa, n, i, got, out[i])
					}
				}
			}
		}
		restore()
	}
}
