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

// Estimates have no scale: of q and c times any two numbers they are the same
// in those units, also where squares leave the range of float64.
func TestEstimatesScale(t *testing.T) {
	var q, c, want [Replicates]float64
	rng := rand.New(rand.NewPCG(5, 6))
	for r := range q {
		c[r] = rng.NormFloat64()
		q[r] = 5 - 3*c[r] + rng.NormFloat64()
	}
	crossFit(&want, &q, &c)
	m, se := standardError(&want)
	for _, scale := range [][2]float64{{1e-200, 1}, {1e200, 1}, {1, 1e-200}, {1, 1e200}, {1e-200, 1e-170}} {
		var a, b, got [Replicates]float64
		for r := range q {
			a[r], b[r] = q[r]*scale[0], c[r]*scale[1]
		}
		crossFit(&got, &a, &b)
		gm, gse := standardError(&got)
		// Rounding of sums of 16 terms.
		if math.Abs(gm/scale[0]-m) > 1e-13*math.Abs(m) || math.Abs(gse/scale[0]-se) > 1e-12*se {
			t.Errorf("scales %v: %g +- %g, want %g +- %g", scale, gm/scale[0], gse/scale[0], m, se)
		}
	}
}
