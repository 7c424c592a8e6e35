package activation

import (
	"math"
	"testing"
)

// TestLinearPieces compares the pieces with the functions, on both sides of
// every knot.
func TestLinearPieces(t *testing.T) {
	linear := []Activation{ReLU(), Abs(), LeakyReLU(.1), Identity(), Step(), Sign(), ThresholdedReLU(.7), Clip(-1, 2), Clip(0, 6)}
	for _, a := range linear {
		p, ok := LinearPiecesOf(a)
		if !ok {
			t.Errorf("%s is not piecewise linear", a.Name())
			continue
		}
		for x := -7.3; x < 7.4; x += .37 {
			i := 0
			for i < p.Knots && x > p.At[i] {
				i++
			}
			// The pieces are the functions up to the rounding of value + slope x.
			if got, want := p.Value[i]+p.Slope[i]*x, a.Apply(x); math.Abs(got-want) > 1e-15*(1+math.Abs(x)) {
				t.Errorf("%s at %v: piece %d gives %v, want %v", a.Name(), x, i, got, want)
			}
		}
	}
	for _, a := range []Activation{Tanh(), GELU(), ELU(1), HardSwish(), Exp()} {
		if _, ok := LinearPiecesOf(a); ok {
			t.Errorf("%s has linear pieces", a.Name())
		}
	}
}
