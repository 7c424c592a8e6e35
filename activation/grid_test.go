package activation

import (
	"math"
	"math/rand/v2"
	"testing"
)

// sweepers returns the functions that grids are for.
func sweepers() []sweeper {
	return []sweeper{
		sigmoid{},
		tanh{},
		softplus{},
		logSigmoid{},
		silu{},
		quickGELU{1.702},
		quickGELU{.3},
		mish{},
		geluTanh{},
		arctan{},
		asinh{},
	}
}

// Swept differences against single ones: both are within their sizes times a
// few epsilon (4, for the roundings that a size counts once) of the truth.
func TestSweep(t *testing.T) {
	s := new(sweeping)
	for _, f := range sweepers() {
		for _, n := range []int{1, 2, 16, 17, 33, gridSize} {
			for _, mu := range []float64{0, 1e-9, -.3, .8, -1.2784645427610738, 4, -7, 30, -30, 70, -70} {
				for _, step := range []float64{1e-300, 1e-14, 1e-3, .04, .2, .41} {
					s.plus, s.minus, s.size = s.memory[0][:n], s.memory[1][:n], s.memory[2][:n]
					if _, cubic := f.(geluTanh); !f.sweep(s, mu, step) {
						if !cubic || math.Abs(mu) < 10 {
							t.Errorf("%s(%g, %g) declined", f.Name(), mu, step)
						}
						continue
					}
					for i := 1; i < n; i++ {
						x := float64(i) * step
						p, sizeP := f.difference(mu, x)
						q, sizeQ := f.difference(mu, -x)
						tol := 4*epsilon*(s.size[i]+sizeP+sizeQ) + 0x1p-1070 // and a few denormal units
						if !(math.Abs(s.plus[i]-p) <= tol) || !(math.Abs(s.minus[i]-q) <= tol) {
							t.Fatalf("%s at %g, step %g, node %d: %v and %v, want %v and %v",
								f.Name(), mu, step, i, s.plus[i], s.minus[i], p, q)
						}
						// The sizes are not much larger than those of single differences:
						// |b| there is |mu| + t here.
						if most := 8 * (sizeP + sizeQ) * (1 + math.Abs(mu) + x); s.size[i] > most && most > 0 && math.Abs(mu) < 10 && x < 10 {
							t.Fatalf("%s at %g, step %g, node %d: size %g of %g", f.Name(), mu, step, i, s.size[i], most)
						}
					}
				}
			}
		}
	}
	for _, f := range sweepers() {
		s.plus, s.minus, s.size = s.memory[0][:9], s.memory[1][:9], s.memory[2][:9]
		switch f.(type) {
		case arctan, asinh:
		default:
			for _, mu := range []float64{1e3, -1e3, math.NaN()} {
				if f.sweep(s, mu, 1) {
					t.Errorf("%s swept at %g", f.Name(), mu)
				}
			}
		}
	}
	if (quickGELU{-1}).sweep(s, 0, 1) {
		t.Error("quick GELU swept for beta < 0")
	}
}

// e^x - 1 of a ladder keeps its relative accuracy: the two factors are good to
// 1 unit in the last place each, the product and the sum to half of one.
func TestGrowth(t *testing.T) {
	s := new(sweeping)
	s.plus = s.memory[0][:]
	for _, step := range []float64{1e-320, 1e-20, 1e-5, .1, .43} {
		for i, got := range s.growthTo(step) {
			want := math.Expm1(float64(i) * step)
			// The argument itself is rounded by epsilon/2 of it.
			if tol := (4 + float64(i)*step) * epsilon * want; math.Abs(got-want) > tol {
				t.Fatalf("step %g, node %d: %v, want %v", step, i, got, want)
			}
		}
	}
}

// Grids against panels, which have other nodes, other differences and another
// error estimate, at random places: each error is within the two estimates.
// Ordinary units must find a grid.
func TestGridAgainstPanels(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, f := range sweepers() {
		used := 0
		const rounds = 150
		for range rounds {
			sigma := math.Exp(8*rng.Float64() - 6.5) // .0015 to 4.5
			mu := rng.NormFloat64() * []float64{1, 5, 20}[rng.IntN(3)]
			n := []int{0, 1, 2, 3, 8, 33, 64, 65}[rng.IntN(8)]
			h, want := make([]float64, n), make([]float64, n)
			m, ok := onGrid(f, h, mu, sigma)
			if !ok {
				if sigma*math.Pi <= f.strip() && math.Abs(mu) < 5 {
					t.Errorf("%s(%g, %g): no grid for %d", f.Name(), mu, sigma, n)
				}
				continue
			}
			used++
			ref := onPanels(f, want, mu, sigma)
			sd := math.Sqrt(ref.variance)
			// 4 epsilon: the rounding of the comparison.
			tol := m.estimate + ref.estimate + 4*epsilon
			if !(m.estimate < 1e-10) {
				t.Errorf("%s(%g, %g): estimate %g", f.Name(), mu, sigma, m.estimate)
			}
			if e := math.Abs(m.variance-ref.variance) / ref.variance / 2; !(e <= tol) {
				t.Errorf("%s(%g, %g): variance off by %.2g, estimates %.2g and %.2g", f.Name(), mu, sigma, e, m.estimate, ref.estimate)
			}
			if e := math.Abs(m.shift-ref.shift) / sd; !(e <= tol) {
				t.Errorf("%s(%g, %g): shift off by %.2g, estimates %.2g and %.2g", f.Name(), mu, sigma, e, m.estimate, ref.estimate)
			}
			for k := range h {
				e := math.Abs(h[k]-want[k]) / sd
				if k == 0 {
					e -= epsilon * math.Abs(want[0]) / sd // the rounding of the sum
				}
				if !(e <= tol) {
					t.Errorf("%s(%g, %g): h_%d of %d off by %.2g, estimates %.2g and %.2g", f.Name(), mu, sigma, k, n, e, m.estimate, ref.estimate)
				}
			}
		}
		if used < rounds/2 {
			t.Errorf("%s: %d of %d on a grid", f.Name(), used, rounds)
		}
	}
}

// A grid that is too coarse, or too short, says so.
func TestGridDeclines(t *testing.T) {
	h := make([]float64, gridOrder+1)
	s := new(sweeping)
	at := func(level int, f sweeper, mu, sigma float64) bool {
		g := grids[level]()
		s.plus, s.minus, s.size = s.memory[0][:g.n], s.memory[1][:g.n], s.memory[2][:g.n]
		if !f.sweep(s, mu, sigma*g.step) {
			return false
		}
		s.plus[0], s.minus[0], s.size[0] = 0, 0, 0
		_, ok := g.moments(s, h)
		return ok
	}
	last := len(grids) - 1
	if !at(last, tanh{}, .5, 1) || !at(1, sigmoid{}, .5, .5) {
		t.Error("declined")
	}
	if at(0, tanh{}, .5, 1) || at(1, tanh{}, .5, 2) || at(last, tanh{}, .5, 10) {
		t.Error("a coarse grid passed")
	}
	if at(last, sigmoid{}, -60, 4) {
		t.Error("a short grid passed: the mass is at z = 8 .. 15")
	}
	if at(last, sigmoid{}, 0, 1e-150) {
		t.Error("a variance of 1e-301 passed")
	}
	if _, ok := onGrid(sigmoid{}, make([]float64, gridOrder+2), 0, 1); ok {
		t.Error("more coefficients than the table has")
	}
}

func TestGridAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, for which -short stands, empties pools")
	}
	h := make([]float64, gridOrder+1)
	for _, f := range sweepers() {
		a := numeric{f}
		a.marginal(h, .3, .5, 0)
		// Pools are emptied now and then.
		if n := testing.AllocsPerRun(50, func() { a.marginal(h, .3, .5, 0) }); n > 0.5 {
			t.Errorf("%s: %v allocations", f.Name(), n)
		}
	}
}
