package activation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/internal/cpu"
	"github.com/covprop/covprop/internal/kernel"
)

// bendsOf returns units with the activations acts, one for all or one each, and
// their output standard deviations.
func bendsOf(acts []Activation, mu, sigma []float64) (*Bends, []float64) {
	var h [1]float64
	sd := make([]float64, len(mu))
	for i := range mu {
		v, _ := Marginal(acts[i%len(acts)], h[:], mu[i], sigma[i], 0)
		sd[i] = math.Sqrt(v)
	}
	b := new(Bends)
	b.Set(acts, mu, sigma, sd)
	return b, sd
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
					for _, g := range testBends {
						v, sd2 := bendsOf([]Activation{g.act}, []float64{mu2}, []float64{sigma})
						// The share of either side of 0 in the deviation.
						fp, fm := f.r*s1p/(sd1[0]/sigma), -f.l*s1m/(sd1[0]/sigma)
						gp, gm := g.r*s2p/(sd2[0]/sigma), -g.l*s2m/(sd2[0]/sigma)
						want := fp*gp*x[8] + fp*gm*x[9] + fm*gp*x[10] + fm*gm*x[11]
						pairs := []kernel.HardPair{{Rho: rho}}
						if left := u.CovariancesTo(pairs, v, 1e-9); len(left) > 0 {
							t.Fatalf("line %d: %s, %s: not done", line, f.act.Name(), g.act.Name())
						}
						got := pairs[0].Cov / sd1[0] / sd2[0]
						d, limit := math.Abs(got-want), 2e-13
						if max(math.Abs(x[0]), math.Abs(x[1])) > 5 {
							limit = 2e-11
						}
						if !(d <= pairs[0].Bound) || !(pairs[0].Bound <= limit) {
							t.Errorf("line %d: %s, %s: correlation %v, want %v, off by %.2g, bound %.2g",
								line, f.act.Name(), g.act.Name(), got, want, d, pairs[0].Bound)
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
	n := 100000
	if testing.Short() {
		n /= 10
	}
	rng := rand.New(rand.NewPCG(5, 5))
	mu1, mu2, rho, one := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	acts1, acts2 := make([]Activation, n), make([]Activation, n)
	for i := range n {
		one[i] = 1
		acts1[i], acts2[i] = testBends[max(0, rng.IntN(8)-4)].act, testBends[max(0, rng.IntN(8)-4)].act
		rho[i] = math.Copysign(1-.33*math.Exp(-12*rng.Float64()*rng.Float64()), rng.Float64()-.5)
		mu1[i] = 35 * math.Pow(2*rng.Float64()-1, 3)
		mu2[i] = math.Copysign(mu1[i], rng.Float64()-.5)
		if i%5 > 0 {
			mu2[i] += 6 * math.Pow(2*rng.Float64()-1, 3) * math.Sqrt(1-math.Abs(rho[i]))
		}
	}
	f, sd1 := bendsOf(acts1, mu1, one)
	g, sd2 := bendsOf(acts2, mu2, one)
	want := make([]float64, n)
	for i := range want {
		c, _, ok := PairForm(acts1[i], acts2[i], Pair{mu1[i], 1, mu2[i], 1, rho[i]}, sd1[i], sd2[i])
		if !ok {
			c = math.NaN()
		}
		want[i] = c
	}
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.Force(isa)()
			worst, compared := 0., 0
			for first := 0; first < n; first += kernel.HardBatch {
				var pairs []kernel.HardPair
				for i := first; i < min(n, first+kernel.HardBatch); i++ {
					pairs = append(pairs, kernel.HardPair{I: i, J: i, Rho: rho[i]})
				}
				if left := f.CovariancesTo(pairs, g, 1e-9); len(left) > 0 {
					t.Fatalf("not done: %+v", left[0])
				}
				for _, p := range pairs {
					i := p.I
					if math.IsNaN(want[i]) {
						continue
					}
					compared++
					d := math.Abs(p.Cov-want[i]) / (sd1[i] * sd2[i])
					worst = max(worst, d)
					if !(d <= p.Bound+1e-13) || !(d < 5e-13) {
						t.Errorf("%s at %v, %s at %v, rho %v: %v, want %v, off by %.2g, bound %.2g",
							acts1[i].Name(), mu1[i], acts2[i].Name(), mu2[i], rho[i], p.Cov, want[i], d, p.Bound)
					}
				}
			}
			t.Logf("%d pairs, worst difference %.2g", compared, worst)
			if compared < n*9/10 {
				t.Errorf("only %d pairs have a form to compare with", compared)
			}
		})
	}
}

// TestBendsLeft: what is not a pair of bends, is not highly correlated, or
// cannot be had within the tolerance is returned and not touched.
func TestBendsLeft(t *testing.T) {
	acts := []Activation{ReLU(), Tanh(), ReLU(), Clip(-1, 1), ReLU(), ThresholdedReLU(1), Abs()}
	mu := []float64{0, 0, -30, 0, math.Inf(-1), 0, .5}
	ones := []float64{1, 1, 1, 1, 1, 1, 1}
	var b Bends
	b.Set(acts, mu, ones, ones)
	for _, c := range []struct {
		i, j     int
		rho, tol float64
		done     bool
	}{
		{0, 6, .9, 1e-9, true},
		{6, 0, -1, 1e-9, true},
		{0, 1, .9, 1e-9, false},
		{1, 0, .9, 1e-9, false},
		{3, 0, .9, 1e-9, false},
		{0, 4, .9, 1e-9, false},
		{5, 0, .9, 1e-9, false},
		{0, 6, .6, 1e-9, false},
		{0, 6, .9, 1e-15, false},
		{0, 6, math.NaN(), 1e-9, false},
	} {
		p := kernel.HardPair{I: c.i, J: c.j, Rho: c.rho, Cov: -7, Bound: -7}
		pairs := []kernel.HardPair{p}
		left := b.CovariancesTo(pairs, &b, c.tol)
		if done := len(left) == 0; done != c.done || !done && math.Float64bits(left[0].Rho) != math.Float64bits(p.Rho) {
			t.Errorf("%+v: left %v of %v", c, left, p)
		}
	}
	// Mixed batches: those left keep what identifies them.
	for n := range 20 {
		var pairs []kernel.HardPair
		seen := map[[2]int]int{}
		for k := range n {
			pairs = append(pairs, kernel.HardPair{I: k % 7, J: (3*k + 1) % 7, Rho: .95})
			seen[[2]int{k % 7, (3*k + 1) % 7}]++
		}
		left := b.CovariancesTo(pairs, &b, 1e-9)
		for k, p := range pairs {
			seen[[2]int{p.I, p.J}]--
			bends := func(i int) bool { return i == 0 || i == 2 || i == 6 }
			if (k < n-len(left)) != (bends(p.I) && bends(p.J)) {
				t.Errorf("%d pairs, %d left: number %d is %+v", n, len(left), k, p)
			}
		}
		for at, count := range seen {
			if count != 0 {
				t.Errorf("%d pairs: %v is there %d times less than before", n, at, count)
			}
		}
	}
}

// TestBendsAllocate: nothing is allocated in steady state.
func TestBendsAllocate(t *testing.T) {
	mu, one := []float64{-1, .2, 3, -20}, []float64{1, 1, 1, 1}
	acts := []Activation{ReLU()}
	b, sd := bendsOf(acts, mu, one)
	pairs := make([]kernel.HardPair, 64)
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		defer cpu.Force(isa)()
		if n := testing.AllocsPerRun(100, func() {
			b.Set(acts, mu, one, sd)
			for i := range pairs {
				pairs[i] = kernel.HardPair{I: i % 4, J: i / 4 % 4, Rho: .99}
			}
			b.CovariancesTo(pairs, b, 1e-9)
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
	mu, one := make([]float64, n), make([]float64, n)
	for i := range mu {
		mu[i], one[i] = 10*rng.NormFloat64(), 1
	}
	u, _ := bendsOf([]Activation{ReLU()}, mu, one)
	form := make([]kernel.HardPair, kernel.HardBatch)
	for k := range form {
		i := rng.IntN(n)
		j := rng.IntN(n)
		if k%4 == 0 { // knots that are close
			for j = range mu {
				if d := math.Abs(mu[i] - mu[j]); j != i && d < 1 {
					break
				}
			}
		}
		form[k] = kernel.HardPair{I: i, J: j, Rho: math.Copysign(1-.06*math.Exp(1.2*rng.NormFloat64()-.3), rng.Float64()-.2)}
		if math.Abs(form[k].Rho) < .73 {
			form[k].Rho = .73
		}
	}
	pairs := make([]kernel.HardPair, len(form))
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		b.Run(fmt.Sprintf("n=%d/%v", len(form), isa), func(b *testing.B) {
			defer cpu.Force(isa)()
			b.ReportAllocs()
			for b.Loop() {
				copy(pairs, form)
				if left := u.CovariancesTo(pairs, u, 1e-9); len(left) > 0 {
					b.Fatalf("%d left", len(left))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(form)), "ns/pair")
		})
	}
}
