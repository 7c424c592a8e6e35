package sample

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestCrossFit: a control that explains all leaves no spread, one that explains
// nothing does no harm, and one that is constant is not used.
func TestCrossFit(t *testing.T) {
	var q, c, got [Replicates]float64
	rng := rand.New(rand.NewPCG(3, 4))
	for r := range q {
		c[r] = rng.NormFloat64()
		q[r] = 5 - 3*c[r]
	}
	crossFit(&got, &q, &c)
	for _, x := range got {
		if math.Abs(x-5) > 1e-13 { // rounding
			t.Fatalf("%v, want 5", got)
		}
	}
	c = [Replicates]float64{}
	crossFit(&got, &q, &c)
	if got != q {
		t.Errorf("a control of zeros changes %v to %v", q, got)
	}
}
