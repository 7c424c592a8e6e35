package activation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop"
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

// TestMarginalsFar: units whose variance is denormal, or about to be, by values
// of mpmath with 60 digits: of (Z-a)_+ the mean, the gain, the standard deviation,
// and h_1, h_2, h_3 and h_8 by it. Numbers that are denormal are good to their
// last bit; coefficients below 2^-511 are 0.
func TestMarginalsFar(t *testing.T) {
	var b Batch
	near := func(got, want float64, what string, a float64) {
		t.Helper()
		// The square of a number below 2^-500 has lost bits; otherwise a hundred
		// roundings, magnified by exponents of 350.
		if !(math.Abs(got-want) <= 1e-13*math.Abs(want)+0x1p-1073) {
			t.Errorf("a = %v: the %s is %v, want %v", a, what, got, want)
		}
	}
	for _, c := range [][8]float64{
		{36.5, 1.5168309394279150997e-293, 5.5447257130748445538e-292, 9.1064725129736375838e-148, 6.0887744460607433389e-145, 1.572653801692172013e-143, 3.3140981494840830393e-142, 2.5896356417892636563e-136},
		{37, 1.5451991905122024593e-301, 5.7255712225245768227e-300, 9.1291936278226257181e-152, 6.2717162719333889231e-149, 1.6420628917041548739e-147, 3.5077681744412497296e-146, 2.9348142833071284458e-140},
		{37.5, 1.2263536908721543153e-309, 4.6053530095819548438e-308, 8.0787801129726023979e-156, 5.7005549664445644969e-153, 1.5126612860908440889e-151, 3.2750077526897787974e-150, 2.9311406813144672038e-144},
		{38, 7.5827518145492083173e-318, 2.8854283600687843084e-316, 6.3108403086159197842e-160, 4.5721777433180057508e-157, 1.229396416949369522e-155, 2.6972109386126235758e-154, 2.5800181618622460375e-148},
		{38.5, 3.6526981300979555062e-326, 1.4081824631705174618e-324, 4.3516469098544655092e-164, 3.2359759243831022876e-161, 8.8154303351802312175e-160, 1.9594925646598992589e-158, 2.0014939148100542552e-152},
	} {
		a, mean, gain, sd, h := c[0], c[1], c[2], c[3], c[4:]
		for _, sigma := range []float64{1, 0.125, 16} {
			mu := []float64{-a * sigma, 1, -a * sigma}
			if done := MarginalsTo([]Activation{ReLU()}, b.of(mu, []float64{sigma, 1, sigma}, 8)); done != 7 {
				t.Fatalf("a = %v: done %b", a, done)
			}
			for _, i := range []int{0, 2} {
				near(b.Mean[i], sigma*mean, "mean", a)
				near(b.Gain[i], gain, "gain", a)
				near(b.Variance[i], sigma*sd*(sigma*sd), "variance", a)
				near(b.Deviation[i], math.Sqrt(b.Variance[i]), "standard deviation", a)
				for j, k := range []int{1, 2, 3, 8} {
					want := kernel.Significant(h[j])
					if b.Variance[i] == 0 {
						want = 0
					}
					near(b.H[(k-1)*b.Stride+i], want, fmt.Sprint("coefficient ", k), a)
				}
			}
		}
	}
}

// TestMarginalsFarScaled: where phi is 0 but a large scale makes the variance a normal
// number, by values of mpmath with 40 digits, for sigma = 2^500. What cannot be had
// from phi, because a second knot is there, says so.
func TestMarginalsFarScaled(t *testing.T) {
	var b Batch
	for a, want := range map[float64]float64{
		38.4: 9.5619099423012729479e-25, 38.5: 2.0290977225081451587e-26, 39: 7.5176181981593308022e-35,
		45: 1.7695030137090318092e-144, 50: 9.2444887153063845993e-248,
	} {
		const sigma = 0x1p500
		if done := MarginalsTo([]Activation{ReLU()}, b.of([]float64{-a * sigma}, []float64{sigma}, 8)); done != 1 {
			t.Fatalf("a = %v: done %b", a, done)
		}
		wantNear(t, b.Variance[0], want, want, 1e-13, "the variance at a = %v", a) // as in TestMarginalsFar
		var h [3]float64
		if v, acc := Marginal(Clip(0, 0x1p510), h[:], -a*sigma, sigma, 1e-9); acc.Status != covprop.Approximate {
			t.Errorf("a = %v: with a second knot the variance is %v, %v", a, v, acc)
		}
	}
	var h [3]float64
	for _, a := range []float64{10, 37, 38, 39, 45} { // with sigma = 1 nothing is lost
		if _, acc := Marginal(Clip(0, 5), h[:], -a, 1, 1e-9); acc.Status != covprop.Exact {
			t.Errorf("a = %v: %v", a, acc)
		}
	}
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
		{ReLU(), 0, 1e-152, false},
		{ReLU(), -1e-152, 1e-152, false}, // denormal, but not far
		{ReLU(), -37, 1, true},
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
