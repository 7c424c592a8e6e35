package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/internal/cpu"
	"github.com/covprop/covprop/internal/special"
)

// bendReference is the integral by composite quadrature in x, on panels that
// shrink towards 0.
func bendReference(p, q, s float64) (sum float64) {
	nodes, weights := special.GaussLegendre(16)
	for hi := 1.; hi > 1e-5; hi *= .95 {
		lo := hi * .95
		for i, t := range nodes {
			x := .5 * ((hi-lo)*t + hi + lo)
			e, d := p*x-q/x, 1+s*x*x
			sum += .5 * (hi - lo) * weights[i] * (1 - x*x) / (d * d) * math.Exp(-e*e)
		}
	}
	return sum
}

// TestBendIntegrals compares with the reference on a grid of all arguments and
// at random ones, which must be within half of the error promised. What is
// taken as 0 must be as small.
func TestBendIntegrals(t *testing.T) {
	var p, q, s []float64
	for _, a := range []float64{0, 1e-3, .03, .1, .3, .6, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 10, 12, 20, 40} {
		for _, b := range []float64{.006, .01, .02, .05, .1, .2, .4, .7, 1, 1.4, 2, 2.6, 3, 3.5, 4, 5, 5.5, 6, 7, 9, 12, 16, 25, 44} {
			for _, c := range []float64{0, 1e-4, .02, .2, 1} {
				p, q, s = append(p, a), append(q, b), append(s, c)
			}
		}
	}
	rng := rand.New(rand.NewPCG(3, 2))
	for range 3000 {
		p = append(p, math.Exp(math.Log(40)*(2*rng.Float64()-1)))
		q = append(q, math.Exp(math.Log(40)*(2*rng.Float64()-1)))
		s = append(s, rng.Float64()*rng.Float64())
	}
	want := make([]float64, len(p))
	for i := range p {
		want[i] = bendReference(p[i], q[i], s[i])
	}
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.Force(isa)()
			var b BendIntegrals
			var place [HardBatch]int
			worst := 0.
			flush := func() {
				b.Compute()
				for i := range b.N {
					if d := math.Abs(b.G[i] - want[place[i]]); !(d <= BendError/2) {
						k := place[i]
						t.Errorf("G(%v, %v, %v) is %v, want %v", p[k], q[k], s[k], b.G[i], want[k])
					} else {
						worst = max(worst, d)
					}
				}
				b.N = 0
			}
			done := 0
			for k := range p {
				if q[k]-p[k] > BendCut {
					if done++; want[k] > BendError/2 {
						t.Errorf("G(%v, %v, %v) = %v was taken as 0", p[k], q[k], s[k], want[k])
					}
					continue
				}
				i, ok := b.Add(p[k], q[k], s[k])
				if !ok {
					continue
				}
				place[i] = k
				done++
				if b.N == HardBatch {
					flush()
				}
			}
			flush()
			t.Logf("%d of %d, worst error %.2g", done, len(p), worst)
			if done < len(p)*3/4 {
				t.Errorf("%d of %d are beyond the quadrature", len(p)-done, len(p))
			}
		})
	}
}

// TestBendIntegralsAlone: an integral does not depend on those beside it.
func TestBendIntegralsAlone(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		defer cpu.Force(isa)()
		var all BendIntegrals
		for all.N < 37 {
			all.Add(3*rng.Float64(), .1+3*rng.Float64(), rng.Float64())
		}
		all.Compute()
		for i := range all.N {
			var one BendIntegrals
			one.Add(all.P[i], all.Q[i], all.S[i])
			if one.Compute(); one.G[0] != all.G[i] {
				t.Errorf("%v: integral %d is %v among others and %v alone", isa, i, all.G[i], one.G[0])
			}
		}
	}
}

func BenchmarkBendIntegrals(b *testing.B) {
	var g BendIntegrals
	for g.N < HardBatch {
		g.Add(2, 1, .05)
	}
	for b.Loop() {
		g.Compute()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/HardBatch, "ns/integral")
}
