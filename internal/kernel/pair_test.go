package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/internal/cpu"
)

// pairReference is G by double exponential quadrature (Takahasi & Mori 1974),
// x = 1/(1 + exp(-pi sinh u)), whose error is rounding at this step.
func pairReference(a, b, s, t float64) (sum float64) {
	const h = 1. / 64
	for u := -4.; u <= 3.7; u += h {
		e := math.Exp(-math.Pi * math.Sinh(u))
		x := 1 / (1 + e)
		d := 1 + s*x*x
		sum += h * math.Pi * math.Cosh(u) * e * x * x * (t - x*x) / (d * d) * math.Exp(-a/x/x-b*x*x)
	}
	return sum
}

// pairArguments are all there are of: a down to 0 and up to where nothing is
// left, round the limits of the rules, and b, s and t to their limits.
func pairArguments() (args [][4]float64) {
	for _, a := range []float64{0, 1e-30, 1e-20, 1e-13, 1e-9, 1e-6, 1e-4, 9e-4, 0x1p-10, 2e-3, .02, .1, .3, .7, .999, 1, 1.2, 2, 4, 8, 15, 25, 38, 100, 1e4, 1e20, 1e300} {
		for _, b := range []float64{0, 1e-20, .01, .3, 1, 3, 9, 20, 30, PairSteepest} {
			for _, s := range []float64{0, 1e-13, 1e-3, .05, PairLongest} {
				args = append(args, [4]float64{a, b, s, 1})
			}
			args = append(args, [4]float64{a, b, .03, 3})
		}
	}
	rng := rand.New(rand.NewPCG(3, 2))
	for range 2000 {
		args = append(args, [4]float64{
			math.Exp(-12 + 16*rng.Float64()), PairSteepest * rng.Float64() * rng.Float64(),
			PairLongest * rng.Float64(), 1,
		})
	}
	return args
}

// TestPairIntegrals compares with the reference. The error promised relative to
// t is met with a factor of two to spare, which is for arguments between those
// here.
func TestPairIntegrals(t *testing.T) {
	args := pairArguments()
	want := make([]float64, len(args))
	for i, x := range args {
		want[i] = pairReference(x[0], x[1], x[2], x[3])
	}
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.Force(isa)()
			var p PairIntegrals
			worst := 0.
			for first := 0; first < len(args); first += HardBatch {
				for _, x := range args[first:min(len(args), first+HardBatch)] {
					p.Add(x[0], x[1], x[2], x[3])
				}
				for i, got := range p.Compute() {
					d := math.Abs(got-want[first+i]) / args[first+i][3]
					if !(d <= PairError/2) {
						t.Errorf("G%v is %v, want %v, off by %.2g", args[first+i], got, want[first+i], d)
					}
					worst = max(worst, d)
				}
			}
			t.Logf("worst error %.2g", worst)
		})
	}
}

// TestPairIntegralsBatch: an integral does not depend on those beside it, on
// their number or on what was there before.
func TestPairIntegralsBatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		defer cpu.Force(isa)()
		var many, one PairIntegrals
		for _, n := range []int{0, 1, 2, 3, 7, 8, 9, 61, HardBatch - 1, HardBatch, 5} {
			args := make([][4]float64, n)
			for i := range args {
				args[i] = [4]float64{math.Exp(-9 + 12*rng.Float64()), 9 * rng.Float64(), PairLongest * rng.Float64(), 1 + rng.Float64()}
				many.Add(args[i][0], args[i][1], args[i][2], args[i][3])
			}
			for i := n; i < HardBatch; i++ {
				many.g[i] = -7 // guards
			}
			all := many.Compute()
			if len(all) != n || n < HardBatch && many.g[n] != -7 {
				t.Fatalf("%v: %d integrals for %d", isa, len(all), n)
			}
			for i, x := range args {
				one.Add(x[0], x[1], x[2], x[3])
				if alone := one.Compute()[0]; alone != all[i] {
					t.Errorf("%v: integral %d of %d is %v among others and %v alone", isa, i, n, all[i], alone)
				}
			}
		}
	}
}

// TestPairIntegralsNaN: NaN comes out where one went in, and only there.
func TestPairIntegralsNaN(t *testing.T) {
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		defer cpu.Force(isa)()
		for k := range 4 {
			var p PairIntegrals
			for i := range 11 {
				x := [4]float64{2, 1, .1, 1}
				if i == 5 {
					x[k] = math.NaN()
				}
				p.Add(x[0], x[1], x[2], x[3])
			}
			for i, g := range p.Compute() {
				if math.IsNaN(g) != (i == 5) {
					t.Errorf("%v: integral %d is %v, with NaN as argument %d of integral 5", isa, i, g, k)
				}
			}
		}
	}
}

// BenchmarkPairIntegrals times an integral of each of the three rules.
func BenchmarkPairIntegrals(b *testing.B) {
	for _, c := range []struct {
		name string
		a    float64
	}{{"far", 2}, {"near", .1}, {"touching", 1e-5}} {
		for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
			b.Run("knots="+c.name+"/"+isa.String(), func(b *testing.B) {
				defer cpu.Force(isa)()
				var p PairIntegrals
				b.ReportAllocs()
				for b.Loop() {
					for range HardBatch {
						p.Add(c.a, 1, .05, 1)
					}
					p.Compute()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/HardBatch, "ns/integral")
			})
		}
	}
}
