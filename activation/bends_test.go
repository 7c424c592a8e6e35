package activation

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/cpu"
	"github.com/covprop/covprop/internal/kernel"
)

// bendsOf returns units with the activations acts, one for all or one each, and
// their output standard deviations.
func bendsOf(acts []Activation, mu, sigma []float64) (*kernel.Bends, []float64) {
	var batch Batch
	sd := make([]float64, len(mu))
	for i := range mu {
		if MarginalsTo(acts[i%len(acts):][:1], batch.of(mu[i:i+1], sigma[i:i+1], 1)) != 1 {
			var h [1]float64
			batch.Variance[0], _ = Marginal(acts[i%len(acts)], h[:], mu[i], sigma[i], 0)
		}
		sd[i] = math.Sqrt(batch.Variance[0])
	}
	b := new(kernel.Bends)
	BendsTo(b, acts, mu, sigma, sd)
	return b, sd
}

// A notBent records the pairs that bends could not do.
type notBent []kernel.HardPair

func (r *notBent) CovariancesTo(_ context.Context, pairs []kernel.HardPair) error {
	*r = append(*r, pairs...)
	return nil
}

// bendSeries is a series of nothing but hard pairs: its tails are enormous, and
// inputs and outputs have the variance 1, so that covariances are correlations.
func bendSeries(f, g *kernel.Bends, n, m int, tol float64) (*kernel.Series, *notBent) {
	units := func(n int) *kernel.Units {
		return &kernel.Units{
			N: n, K: kernel.MaxOrder, Mu: make([]float64, n),
			In: slices.Repeat([]float64{1}, n), Out: slices.Repeat([]float64{1}, n),
			H: make([]float64, kernel.MaxOrder*n), Tail: slices.Repeat([]float64{1e300}, len(kernel.Orders)*n),
		}
	}
	left := new(notBent)
	return &kernel.Series{F: units(n), G: units(m), Tol: tol, FBends: f, GBends: g, Hard: left}, left
}

// bendCorrelations returns the correlations of the outputs of n units of f and
// m of g from those of their inputs, (n, m), the bound, and what was left out.
func bendCorrelations(t *testing.T, f, g *kernel.Bends, n, m int, rho []float64, tol float64) (out []float64, bound float64, left notBent) {
	t.Helper()
	s, rest := bendSeries(f, g, n, m, tol)
	out = slices.Clone(rho)
	c := blas64.General{Rows: n, Cols: m, Stride: m, Data: out}
	bound, _, err := s.Run(t.Context(), 1, c, c)
	if err != nil {
		t.Fatal(err)
	}
	return out, bound, *rest
}

// testBends are the functions l x below 0 and r x above that are tested.
var testBends = []struct {
	act  Activation
	l, r float64
}{{ReLU(), 0, 1}, {LeakyReLU(.2), .2, 1}, {LeakyReLU(-3), -3, 1}, {Abs(), -1, 1}}

// TestBendsGolden compares with values by mpmath, for every pair of slopes. The
// error must be within the bound, and the bound below 1e-13 where no tail is
// far, where 2e-11 is what (1-r) J_0 may cost. With standard deviations of
// 2^500 nothing is denormal that far tails are relative to.
// bendDeviation returns the standard deviation of l X for X < 0 and r X above, X ~ N(a,
// 1), from those of the positive and the negative part,
//
//	Var = (r s_+)^2 + (l s_-)^2 + 2 r l E[X_+] E[X_-],
//
// X_- = max(0, -X). The last term matters near 0 only, where the means do not cancel.
func bendDeviation(l, r, a, positive, negative float64) float64 {
	cdf := 0.5 * math.Erfc(-a/math.Sqrt2)
	above := math.Exp(-0.5*a*a)/math.Sqrt(2*math.Pi) + a*cdf
	sides := math.Hypot(r*positive, l*negative) // whose squares may be denormal
	return sides * math.Sqrt(1+2*r*l*max(0, above)/sides*max(0, above-a)/sides)
}

func TestBendsGolden(t *testing.T) {
	checkSum(t, "testdata/", "bend_pairs.csv")
	const sigma = 0x1p500
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.Force(isa)()
			worst := 0.
			readTable(t, "testdata/bend_pairs.csv", 0, func(line int, _ []string, x []float64) {
				mu1, mu2, rho := x[0]*sigma, x[1]*sigma, x[3]*(1-x[2])
				s1p, s1m, s2p, s2m := x[4], x[5], x[6], x[7]
				for _, f := range testBends {
					u, sd1 := bendsOf([]Activation{f.act}, []float64{mu1}, []float64{sigma})
					if want := bendDeviation(f.l, f.r, x[0], s1p, s1m); math.Abs(sd1[0]/sigma-want) > 1e-13*want {
						t.Errorf("line %d: %s: standard deviation %v, want %v", line, f.act.Name(), sd1[0]/sigma, want)
					}
					for _, g := range testBends {
						v, sd2 := bendsOf([]Activation{g.act}, []float64{mu2}, []float64{sigma})
						// The share of either side of 0 in the deviation.
						fp, fm := f.r*s1p/(sd1[0]/sigma), -f.l*s1m/(sd1[0]/sigma)
						gp, gm := g.r*s2p/(sd2[0]/sigma), -g.l*s2m/(sd2[0]/sigma)
						want := fp*gp*x[8] + fp*gm*x[9] + fm*gp*x[10] + fm*gm*x[11]
						got, bound, left := bendCorrelations(t, u, v, 1, 1, []float64{rho}, 1e-9)
						if len(left) > 0 {
							t.Fatalf("line %d: %s, %s: not done", line, f.act.Name(), g.act.Name())
						}
						d, limit := math.Abs(got[0]-want), 2e-13
						if max(math.Abs(x[0]), math.Abs(x[1])) > 5 {
							limit = 2e-11
						}
						if !(d <= bound) || !(bound <= limit) {
							t.Errorf("line %d: %s, %s: correlation %v, want %v, off by %.2g, bound %.2g",
								line, f.act.Name(), g.act.Name(), got[0], want, d, bound)
						}
						worst = max(worst, d)
					}
				}
			})
			t.Logf("worst error %.2g", worst)
		})
	}
}

// TestBendsAgainstPairForm compares with the form for single pairs, whose own
// error is below 1e-13, on pairs like those of a network with small inputs: far
// tails on either side, correlations of both signs down to where the series
// takes over, knots that are equal or nearly.
func TestBendsAgainstPairForm(t *testing.T) {
	const width = 61 // of a block: one unit and as many others
	blocks := 1600
	if testing.Short() {
		blocks /= 10
	}
	one := slices.Repeat([]float64{1}, width)
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.Force(isa)()
			rng := rand.New(rand.NewPCG(5, 5))
			worst, compared := 0., 0
			for range blocks {
				mu2, rho, acts := make([]float64, width), make([]float64, width), make([]Activation, width)
				mu1 := []float64{35 * math.Pow(2*rng.Float64()-1, 3)}
				act := []Activation{testBends[max(0, rng.IntN(8)-4)].act}
				for i := range width {
					acts[i] = testBends[max(0, rng.IntN(8)-4)].act
					rho[i] = math.Copysign(1-.33*math.Exp(-12*rng.Float64()*rng.Float64()), rng.Float64()-.5)
					mu2[i] = math.Copysign(mu1[0], rng.Float64()-.5)
					if i%5 > 0 {
						mu2[i] += 6 * math.Pow(2*rng.Float64()-1, 3) * math.Sqrt(1-math.Abs(rho[i]))
					}
				}
				f, sd1 := bendsOf(act, mu1, one[:1])
				g, sd2 := bendsOf(acts, mu2, one)
				got, bound, left := bendCorrelations(t, f, g, 1, width, rho, 1e-9)
				if len(left) > 0 {
					t.Fatalf("not done: %+v", left[0])
				}
				for i := range width {
					want, _, ok := PairForm(act[0], acts[i], Pair{mu1[0], 1, mu2[i], 1, rho[i]}, sd1[0], sd2[i])
					if !ok {
						continue
					}
					compared++
					d := math.Abs(got[i] - want/(sd1[0]*sd2[i]))
					worst = max(worst, d)
					if !(d <= bound+1e-13) || !(d < 5e-13) {
						t.Errorf("%s at %v, %s at %v, rho %v: %v, want %v, off by %.2g, bound of all %.2g",
							act[0].Name(), mu1[0], acts[i].Name(), mu2[i], rho[i], got[i], want/(sd1[0]*sd2[i]), d, bound)
					}
				}
			}
			t.Logf("%d pairs, worst difference %.2g", compared, worst)
			if compared < blocks*width*9/10 {
				t.Errorf("only %d pairs have a form to compare with", compared)
			}
		})
	}
}

// TestBendsLeft: what is not a pair of bends, is not highly correlated, or
// cannot be had within the tolerance is left to others, and all that is beside it
// in a vector is done.
func TestBendsLeft(t *testing.T) {
	acts := []Activation{ReLU(), Tanh(), ReLU(), Clip(-1, 1), ReLU(), ThresholdedReLU(1), Abs()}
	mu := []float64{0, 0, -30, 0, math.Inf(-1), 0, .5}
	ones := slices.Repeat([]float64{1}, len(acts))
	bent := []bool{true, false, true, false, false, false, true}
	n := len(acts)
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		defer cpu.Force(isa)()
		var b kernel.Bends
		BendsTo(&b, acts, mu, ones, ones)
		for _, c := range []struct {
			rho, tol float64
			none     bool
		}{{.9, 1e-9, false}, {-1, 1e-9, false}, {.6, 1e-9, true}, {.9, 1e-15, true}} {
			out, _, left := bendCorrelations(t, &b, &b, n, n, slices.Repeat([]float64{c.rho}, n*n), c.tol)
			for i := range n {
				for j := range n {
					is := slices.ContainsFunc(left, func(p kernel.HardPair) bool { return p.I == i && p.J == j && p.Rho == c.rho })
					if want := c.none || !bent[i] || !bent[j]; is != want {
						t.Errorf("%v, rho %v, tolerance %v: pair %d, %d is left: %v", isa, c.rho, c.tol, i, j, is)
					} else if !is && out[i*n+j] == c.rho {
						t.Errorf("%v, rho %v: pair %d, %d is %v", isa, c.rho, i, j, out[i*n+j])
					}
				}
			}
		}
	}
}

// TestBendsAllocate: nothing is allocated in steady state.
func TestBendsAllocate(t *testing.T) {
	mu, one := []float64{-1, .2, 3, -20}, []float64{1, 1, 1, 1}
	acts := []Activation{ReLU()}
	b, sd := bendsOf(acts, mu, one)
	s, _ := bendSeries(b, b, 4, 4, 1e-9)
	c := blas64.General{Rows: 4, Cols: 4, Stride: 4, Data: make([]float64, 16)}
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		defer cpu.Force(isa)()
		if n := testing.AllocsPerRun(100, func() {
			BendsTo(b, acts, mu, one, sd)
			for i := range c.Data {
				c.Data[i] = .99
			}
			if _, _, err := s.Run(context.Background(), 1, c, c); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%v: %v allocations", isa, n)
		}
	}
}

// BenchmarkBends times pairs distributed about as in the ACAS Xu networks at a
// standard deviation of .01: the knots are 7 standard deviations away in the
// median, 1-|rho| is .06, and the integral is negligible for three in four.
func BenchmarkBends(b *testing.B) {
	const n = 64
	rng := rand.New(rand.NewPCG(1, 1))
	mu, one := make([]float64, n), slices.Repeat([]float64{1}, n)
	for i := range mu {
		mu[i] = 10 * rng.NormFloat64()
	}
	u, _ := bendsOf([]Activation{ReLU()}, mu, one)
	rho := make([]float64, n*n)
	for k := range rho {
		rho[k] = math.Copysign(max(.73, 1-.06*math.Exp(1.2*rng.NormFloat64()-.3)), rng.Float64()-.2)
	}
	s, left := bendSeries(u, u, n, n, 1e-9)
	c := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		b.Run(fmt.Sprintf("n=%d/%v", n, isa), func(b *testing.B) {
			defer cpu.Force(isa)()
			b.ReportAllocs()
			for b.Loop() {
				copy(c.Data, rho)
				if _, _, err := s.Run(b.Context(), 1, c, c); err != nil || len(*left) > 0 {
					b.Fatalf("%d left, %v", len(*left), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n*n), "ns/pair")
		})
	}
}
