package activation

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/internal/cpu"
	"github.com/covprop/covprop/internal/kernel"
)

// everyISA runs f on all instruction sets of the machine.
func everyISA(t *testing.T, f func(t *testing.T)) {
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.Force(isa)()
			f(t)
		})
	}
}

// batchOf returns a Batch with room for the moments of the inputs.
func batchOf(mu, sigma []float64, orders int) *Batch {
	return new(Batch).of(mu, sigma, orders)
}

// of makes room for the moments of the inputs in a Batch that may have been
// used.
func (b *Batch) of(mu, sigma []float64, orders int) *Batch {
	n := len(mu)
	b.Mu, b.Sigma, b.K, b.Stride = mu, sigma, orders, n+3
	for _, s := range []*[]float64{&b.Mean, &b.Gain, &b.Variance, &b.Deviation} {
		*s = make([]float64, n)
	}
	b.H = make([]float64, (orders-1)*b.Stride+n)
	return b
}

// TestMarginalsGolden compares with mpmath's moments, as TestPiecewiseMoments
// does and with its tolerances, that of the mean relative to its terms, in batches of a different activation for every
// unit.
func TestMarginalsGolden(t *testing.T) {
	acts := piecewiseFamily()
	everyISA(t, func(t *testing.T) {
		var batch []Activation
		var mu, sigma []float64
		var want [][]float64
		done := map[string]int{}
		flush := func() {
			b := batchOf(mu, sigma, kernel.MaxOrder)
			mask := MarginalsTo(batch, b)
			for i, a := range batch {
				if mask&(1<<i) != 0 {
					done[a.Name()]++
					checkMarginal(t, a, b, i, want[i])
				}
			}
			batch, mu, sigma, want = nil, nil, nil, nil
		}
		readTable(t, "testdata/piecewise_moments.csv", 1, func(_ int, names []string, x []float64) {
			batch = append(batch, acts[names[0]])
			mu, sigma, want = append(mu, x[0]), append(sigma, x[1]), append(want, append([]float64{}, x[2:]...))
			if len(batch) == BatchSize-3 {
				flush()
			}
		})
		flush()
		for _, name := range []string{"relu", "leaky_relu_0.01", "abs", "relu6", "clip_-1_1", "heaviside", "sign", "thresholded_relu_1", "hard_sigmoid_0.2_0.5"} {
			if done[name] < 5 {
				t.Errorf("%s: %d rows done", name, done[name])
			}
		}
		if done["hard_swish"] != 0 {
			t.Error("hard_swish is not piecewise linear")
		}
	})
}

// meanTerms is the size of the terms of the mean of unit i. That of a dead unit
// is the mean itself; tails on both sides may cancel.
func (b *Batch) meanTerms(i int) float64 {
	size := math.Abs(b.value[i])
	for t := range b.tails {
		l := &b.tail[t]
		size += math.Abs(l.d[0][i]*l.j[0][i]) + math.Abs(l.d[1][i]*l.j[1][i])
	}
	return size
}

func checkMarginal(t *testing.T, a Activation, b *Batch, i int, want []float64) {
	t.Helper()
	mu, sigma, mean, variance := b.Mu[i], b.Sigma[i], want[0], want[1]
	far := 1.0
	for _, k := range a.Kinks() {
		if z := (k - mu) / sigma; math.Abs(z) < 38 {
			far = max(far, z*z)
		}
	}
	tol := 4e-15 + 2e-16*far
	sd := math.Sqrt(variance)
	wantNear(t, b.Mean[i], mean, b.meanTerms(i), tol, "%s(%v, %v) mean", a.Name(), mu, sigma)
	wantNear(t, b.Variance[i], variance, variance, tol, "%s(%v, %v) variance", a.Name(), mu, sigma)
	wantNear(t, b.Deviation[i], sd, sd, tol, "%s(%v, %v) deviation", a.Name(), mu, sigma)
	wantNear(t, b.Gain[i], want[2]/sigma, sd/sigma, tol, "%s(%v, %v) gain", a.Name(), mu, sigma)
	for c, k := range piecewiseOrders {
		if k > b.K || sd == 0 {
			break
		}
		wantNear(t, b.H[(k-1)*b.Stride+i], want[2+c]/sd, 1, tol+1e-15*math.Sqrt(float64(k)), "%s(%v, %v) h_%d", a.Name(), mu, sigma, k)
	}
}

// TestMarginalsMarginal compares with Marginal, unit by unit, over many orders
// of magnitude: 1e-13 of the deviation for the coefficients, whose recurrences
// round differently. Means and variances have the same terms from half-line
// moments that differ by some 1e-15; the terms cancel to no less than a tenth.
func TestMarginalsMarginal(t *testing.T) {
	acts := []Activation{
		ReLU(), LeakyReLU(.01), LeakyReLU(-.5), LeakyReLU(1), Abs(), ReLU6(), Clip(-1, 1), Clip(math.Inf(-1), 2),
		HardSigmoid(.2, .5), HardSigmoid(-3, 1), Step(), Sign(), ThresholdedReLU(1), ThresholdedReLU(-.5),
		Shrink(.5, .5), Shrink(1.5, 0), Shrink(-.5, .2), HardSwish(), Tanh(), Identity(),
	}
	rng := rand.New(rand.NewPCG(7, 8))
	everyISA(t, func(t *testing.T) {
		done := 0
		var b Batch
		for range 400 {
			n := 1 + rng.IntN(BatchSize)
			mu, sigma := make([]float64, n), make([]float64, n)
			batch := acts[rng.IntN(len(acts)):][:1]
			if rng.IntN(2) == 0 {
				batch = make([]Activation, n)
				for i := range batch {
					batch[i] = acts[rng.IntN(len(acts))]
				}
			}
			for i := range n {
				sigma[i] = math.Exp(3*rng.NormFloat64() - 1)
				mu[i] = sigma[i] * rng.NormFloat64() * math.Exp(1.5*rng.NormFloat64())
			}
			done += compareMarginals(t, batch, b.of(mu, sigma, []int{1, 2, 3, 40, 64}[rng.IntN(5)]))
		}
		if done < 3000 {
			t.Errorf("%d units done", done)
		}
	})
}

// compareMarginals returns how many units were done together.
func compareMarginals(t *testing.T, acts []Activation, b *Batch) (count int) {
	t.Helper()
	mu, sigma, orders := b.Mu, b.Sigma, b.K
	done := MarginalsTo(acts, b)
	h := make([]float64, orders+1)
	for i := range mu {
		if done&(1<<i) == 0 {
			continue
		}
		count++
		a := acts[min(i, len(acts)-1)]
		v, acc := Marginal(a, h, mu[i], sigma[i], 1e-9)
		if acc.Bound != 0 {
			t.Errorf("%s is not exact: %v", a.Name(), acc)
		}
		sd := math.Sqrt(v)
		wantNear(t, b.Mean[i], h[0], b.meanTerms(i), 1e-14, "%s(%v, %v) mean", a.Name(), mu[i], sigma[i])
		wantNear(t, b.Variance[i], v, v, 1e-13, "%s(%v, %v) variance", a.Name(), mu[i], sigma[i])
		wantNear(t, b.Deviation[i], sd, sd, 1e-13, "%s(%v, %v) deviation", a.Name(), mu[i], sigma[i])
		wantNear(t, b.Gain[i], h[1]/sigma[i], sd/sigma[i], 1e-13, "%s(%v, %v) gain", a.Name(), mu[i], sigma[i])
		for k := 1; k <= orders && sd > 0; k++ {
			got := b.H[(k-1)*b.Stride+i] * sd
			wantNear(t, got, h[k], sd, 1e-13, "%s(%v, %v) h_%d", a.Name(), mu[i], sigma[i], k)
		}
	}
	return count
}

// TestMarginalsRefuse: what is not an ordinary number, or not linear between
// kinks, is left to Marginal; a dead unit is not.
func TestMarginalsRefuse(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	var b Batch // whose units were others before
	for _, c := range []struct {
		a         Activation
		mu, sigma float64
		done      bool
	}{
		{Clip(-1, 1), 0, 0, false},
		{Clip(-1, 1), 0, .5, true},
		{Clip(-1, 1), nan, 1, false},
		{Clip(-1, 1), 0, .5, true},
		{ReLU(), -1, 1e-310, false},
		{ReLU(), 0, 1, true},
		{ReLU(), -100, 1, true},
		{ReLU(), -1, 1e-300, true},
		{Step(), 100, 1, true},
		{Clip(-1, 1), 0, 2, true},
		{ReLU(), 0, 0, false},
		{ReLU(), nan, 1, false},
		{ReLU(), inf, 1, false},
		{ReLU(), -inf, 1, false},
		{ReLU(), 0, nan, false},
		{ReLU(), 0, inf, false},
		{ReLU(), 0, 1e200, false}, // the variance overflows
		{ReLU(), 0, 1e-150, false},
		{ReLU(), -37, 1, false}, // the variance is below 1e-290
		{LeakyReLU(1e200), -1, 1, false},
		{LeakyReLU(1), 1, 0, false},
		{LeakyReLU(1), nan, 1, false},
		{LeakyReLU(1), inf, 1, false},
		{LeakyReLU(1), 1, inf, false},
		{Clip(2, 1), 0, 0, false},
		{Clip(2, 1), 0, 1, true},
		{Clip(inf, inf), 0, 1, false},
		{Clip(-1, 1), 0, 2.1, false}, // two kinks within a deviation
		{HardSwish(), 0, 1, false},
		{Tanh(), 0, 1, false},
	} {
		for lane := range 17 {
			mu, sigma := make([]float64, 17), make([]float64, 17)
			acts := make([]Activation, 17)
			for i := range acts {
				acts[i], mu[i], sigma[i] = ReLU(), .5, 1
			}
			acts[lane], mu[lane], sigma[lane] = c.a, c.mu, c.sigma
			done := MarginalsTo(acts, b.of(mu, sigma, 8))
			want := uint64(1)<<17 - 1
			if !c.done {
				want &^= 1 << lane
			}
			if done != want {
				t.Errorf("%s(%v, %v): done %b, want %b", c.a.Name(), c.mu, c.sigma, done, want)
			}
			for i := range acts {
				if done&(1<<i) == 0 {
					continue
				}
				if i != lane && math.Abs(b.Mean[i]-.6978) > 1e-4 { // .5 Phi(.5) + phi(.5)
					t.Errorf("beside %s(%v, %v) the mean is %v", c.a.Name(), c.mu, c.sigma, b.Mean[i])
				}
				for k := range b.K {
					if h := b.H[k*b.Stride+i]; !finite(h) {
						t.Errorf("%s(%v, %v): h_%d of unit %d is %v", c.a.Name(), c.mu, c.sigma, k+1, i, h)
					}
				}
			}
		}
	}
	if MarginalsTo([]Activation{ReLU()}, b.of([]float64{0}, []float64{1}, kernel.MaxOrder+1)) != 0 {
		t.Error("more orders than the recurrence has")
	}
}
