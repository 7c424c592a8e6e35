package baseline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
)

var standard = covprop.Gaussian{Mean: []float64{0}, Cov: covprop.Diagonal{1}}

// For Y = X standard normal, the standard error of the mean is 1/sqrt(N) and
// that of the variance sqrt(2/(N-1)).
func TestStandardErrorsOfGaussian(t *testing.T) {
	const n = 100_000
	f := fn{1, 1, func(dst, x []float64) { dst[0] = x[0] }}
	res := propagate(t, MonteCarlo{Func: f, Samples: n}, standard)
	// The estimates' own standard deviations: 1/sqrt(2N) relative for the
	// mean's, and for the variance's from Var(X^4)-type moments, about
	// sqrt(Var((x^2-1)^2)/N)/(2 E) = sqrt(56/N)/4.
	if se := res.StandardErrors.Mean[0] * math.Sqrt(n); math.Abs(se-1) > 5/math.Sqrt(2*n) {
		t.Errorf("s.e. of the mean is %v/sqrt(N), want 1", se)
	}
	if se := res.StandardErrors.Cov.At(0, 0) * math.Sqrt((n-1)/2.0); math.Abs(se-1) > 5*math.Sqrt(56.0/n)/4 {
		t.Errorf("s.e. of the variance is %v sqrt(2/(N-1)), want 1", se)
	}
	if want := res.StandardErrors.Cov.At(0, 0) / res.Cov.At(0, 0); math.Abs(res.Accuracy.Bound/want-1) > 1e-12 {
		t.Errorf("the estimate of the error is %v, want %v", res.Accuracy.Bound, want)
	}
}

// coverage returns the mean of ((estimate - truth)/s.e.)^2 over the seeds, for
// the mean and the covariance entry (0, j) of f.
func coverage(t *testing.T, mc MonteCarlo, in covprop.Gaussian, j int, mean, cov float64, seeds int) (m, c float64) {
	t.Helper()
	for seed := range seeds {
		mc.Seed = uint64(seed + 1)
		res := propagate(t, mc, in)
		m += math.Pow((res.Mean[0]-mean)/res.StandardErrors.Mean[0], 2) / float64(seeds)
		c += math.Pow((res.Cov.At(0, j)-cov)/res.StandardErrors.Cov.At(0, j), 2) / float64(seeds)
	}
	return m, c
}

// Over many seeds the squared errors in units of the standard errors average
// 1: S times the average is chi-square with S degrees of freedom, whose
// deviation is sqrt(2S). The plug-in standard errors add a term of order 1/N,
// for which 10/N leaves room. A standard error wrong by 10% leaves the range.
func TestCoverage(t *testing.T) {
	const seeds = 1000
	f := fn{2, 2, func(dst, x []float64) {
		dst[0], dst[1] = math.Sin(x[0])+math.Cos(x[0])+x[1], math.Cos(x[0])+x[1]/2
	}}
	in := covprop.Gaussian{Mean: []float64{0, 0}, Cov: covprop.Diagonal{1, 1}}
	// For Z standard normal E cos Z = exp(-1/2), E cos^2 Z = (1+exp(-2))/2.
	mean, varCos, varSin := math.Exp(-0.5), (1+math.Exp(-2))/2-math.Exp(-1), (1-math.Exp(-2))/2
	for _, mc := range []MonteCarlo{
		{Samples: 1000}, {Samples: 1000, Antithetic: true}, {Samples: 300}, {Samples: 300, Antithetic: true},
	} {
		mc.Func = f
		for j, cov := range []float64{varSin + varCos + 1, varCos + 0.5} {
			m, c := coverage(t, mc, in, j, mean, cov, seeds)
			slack := 4*math.Sqrt(2.0/seeds) + 10/float64(mc.Samples)
			if math.Abs(m-1) > slack || math.Abs(c-1) > slack {
				t.Errorf("N=%d, antithetic %v: squared errors average %.3f (mean) and %.3f (covariance 0,%d), want 1", mc.Samples, mc.Antithetic, m, c, j)
			}
		}
	}
}

// The unbiased estimates at the smallest sample sizes, averaged over many
// seeds: divisors N or N-2 would be off by a factor of two.
func TestSmallestSamplesAreUnbiased(t *testing.T) {
	const seeds = 4000
	f := fn{1, 1, func(dst, x []float64) { dst[0] = x[0] + x[0]*x[0] }}
	for _, mc := range []MonteCarlo{{Func: f, Samples: 2}, {Func: f, Samples: 4, Antithetic: true}} {
		var sum, sum2, mean, mean2 float64
		for seed := range seeds {
			mc.Seed = uint64(seed + 1)
			res := propagate(t, mc, standard)
			v := res.Cov.At(0, 0)
			sum, sum2 = sum+v, sum2+v*v
			mean, mean2 = mean+res.Mean[0], mean2+math.Pow(res.StandardErrors.Mean[0], 2)
		}
		avg := sum / seeds
		se := math.Sqrt((sum2/seeds - avg*avg) / seeds)
		if math.Abs(avg-3) > 5*se { // Var(x + x^2) = 1 + 2
			t.Errorf("antithetic %v: the variance averages %v +- %v, want 3", mc.Antithetic, avg, se)
		}
		if d := math.Abs(mean/seeds-1) / math.Sqrt(mean2/seeds/seeds); d > 5 {
			t.Errorf("antithetic %v: the mean averages %v, %.1f standard errors from 1", mc.Antithetic, mean/seeds, d)
		}
	}
}

// The streamed moments are those of all samples at once, computed here in the
// plainest way: outputs of very different scales and a mean far from zero.
func TestMomentsMatchDirectSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	const m, n = 3, 700
	plus, minus := make([][]float64, n), make([][]float64, n)
	for k := range n {
		z := normals(rng, m)
		plus[k] = []float64{1000 + z[0], 1e-6 * math.Exp(z[0]+z[1]), z[1] * z[2]}
		minus[k] = []float64{1000 - z[0], 1e-6 * math.Exp(-z[0]-z[1]), z[1] * z[2] * z[2]}
	}
	for _, antithetic := range []bool{false, true} {
		total := newMoments(m, antithetic)
		for lo, hi := 0, 0; lo < n; lo = hi {
			hi = min(n, lo+1+rng.IntN(200))
			u, v, s := newGeneral(m, hi-lo), newGeneral(m, 0), newGeneral(m, hi-lo)
			v.Data = nil
			if antithetic {
				v = newGeneral(m, hi-lo)
			}
			for i := range m {
				for k := lo; k < hi; k++ {
					if antithetic {
						u.Data[i*u.Stride+k-lo] = (plus[k][i] + minus[k][i]) / 2
						v.Data[i*v.Stride+k-lo] = (plus[k][i] - minus[k][i]) / 2
					} else {
						u.Data[i*u.Stride+k-lo] = plus[k][i]
					}
				}
			}
			local := newMoments(m, antithetic)
			local.set(u, v, s)
			total.merge(local)
		}
		mean := make([]float64, m)
		for k := range n {
			for i := range m {
				if antithetic {
					mean[i] += (plus[k][i] + minus[k][i]) / (2 * n)
				} else {
					mean[i] += plus[k][i] / n
				}
			}
		}
		cov := total.covariance()
		se := total.standardErrors(cov)
		for i := range m {
			for j := range m {
				var w1, w2, uu, ui, uj float64 // sums of w, w^2, d_i d_j, d_i^2, d_j^2
				for k := range n {
					a, b := plus[k][i]-mean[i], plus[k][j]-mean[j]
					w, du, dv := a*b, a, b
					if antithetic {
						c, d := minus[k][i]-mean[i], minus[k][j]-mean[j]
						w, du, dv = (a*b+c*d)/2, (a+c)/2, (b+d)/2
					}
					w1, w2 = w1+w, w2+w*w
					uu, ui, uj = uu+du*dv, ui+du*du, uj+dv*dv
				}
				wantCov := w1/n + uu/n/(n-1) // w/n = uu/n + vv/n
				wantSE := math.Sqrt((w2/n-w1/n*w1/n)/n + (uu*uu+ui*uj)/(n-1)/(n-1)/n/(n-1))
				// Rounding of the naive sums about a mean of 1000 deviations.
				scale := math.Sqrt(cov.Data[i*m+i] * cov.Data[j*m+j])
				if d := math.Abs(cov.Data[i*m+j] - wantCov); d > 1e-10*scale {
					t.Errorf("antithetic %v: covariance (%d,%d) %v, want %v", antithetic, i, j, cov.Data[i*m+j], wantCov)
				}
				if d := math.Abs(se.Cov.At(i, j) - wantSE); d > 1e-10*wantSE {
					t.Errorf("antithetic %v: s.e. (%d,%d) %v, want %v", antithetic, i, j, se.Cov.At(i, j), wantSE)
				}
			}
		}
	}
}

// Threads change nothing, down to the last bit; the seed changes everything.
func TestReproducible(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	in := gaussian(t, rng, 12, 4)
	f := fn{12, 3, func(dst, x []float64) { dst[0], dst[1], dst[2] = x[0]*x[4], math.Tanh(x[5]), math.Sin(x[3]) }}
	for _, antithetic := range []bool{false, true} {
		mc := MonteCarlo{Func: f, Samples: 3000, Antithetic: antithetic, Threads: 1}
		want := propagate(t, mc, in)
		for _, mc.Threads = range []int{0, 2, 3, 5, 100} {
			got := propagate(t, mc, in)
			if !slices.Equal(got.Mean, want.Mean) || !mat.Equal(got.Cov, want.Cov) ||
				!slices.Equal(got.StandardErrors.Mean, want.StandardErrors.Mean) || !mat.Equal(got.StandardErrors.Cov, want.StandardErrors.Cov) {
				t.Errorf("antithetic %v: %d threads change the result", antithetic, mc.Threads)
			}
		}
		mc.Seed = 2
		if other := propagate(t, mc, in); other.Mean[0] == want.Mean[0] {
			t.Error("another seed gives the same samples")
		}
		mc.Seed = 1 // what zero means
		if same := propagate(t, mc, in); same.Mean[0] != want.Mean[0] {
			t.Error("seed 1 is not the default")
		}
	}
}

func TestSampleCounts(t *testing.T) {
	f := fn{1, 1, func(dst, x []float64) { dst[0] = x[0] }}
	for _, mc := range []MonteCarlo{
		{Samples: 1}, {Samples: -5}, {Samples: 2, Antithetic: true}, {Samples: 5, Antithetic: true}, {Threads: -1},
	} {
		mc.Func = f
		if _, err := mc.Propagate(context.Background(), standard); err == nil {
			t.Errorf("%+v: no error", mc)
		}
	}
	last, total := 0, 0
	res := propagate(t, MonteCarlo{Func: f, Threads: 3, Progress: func(d, n int) {
		if d <= last {
			t.Errorf("progress goes from %d to %d", last, d)
		}
		last, total = d, n
	}}, standard)
	if last != 10000 || total != 10000 || !strings.Contains(res.Accuracy.Reason, "10000 samples") {
		t.Errorf("default samples: progress %d of %d, reason %q", last, total, res.Accuracy.Reason)
	}
}

// failing fails with err, or returns bad, for inputs beyond the limit.
type failing struct {
	limit float64
	err   error
	bad   float64
}

func (failing) InputDim() int  { return 1 }
func (failing) OutputDim() int { return 1 }
func (f failing) EvalTo(dst, x []float64) error {
	if dst[0] = x[0]; x[0] > f.limit {
		dst[0] = f.bad
		return f.err
	}
	return nil
}

// The first sample that fails is named, whatever the number of threads.
func TestFailingSampleIsNamed(t *testing.T) {
	boom := errors.New("boom")
	for _, f := range []failing{{3, boom, 0}, {3, nil, math.NaN()}, {3, nil, math.Inf(-1)}} {
		for _, antithetic := range []bool{false, true} {
			first := ""
			for _, threads := range []int{1, 2, 4} {
				_, err := MonteCarlo{Func: f, Samples: 50000, Threads: threads, Antithetic: antithetic}.Propagate(context.Background(), standard)
				if err == nil || !strings.Contains(err.Error(), "sample ") || f.err != nil && !errors.Is(err, boom) {
					t.Fatalf("the error is %v", err)
				}
				if first == "" {
					first = err.Error()
				}
				if err.Error() != first {
					t.Errorf("%d threads: %q, one thread: %q", threads, err, first)
				}
			}
		}
	}
	// Every input is NaN's: the first evaluation.
	_, err := MonteCarlo{Func: failing{-100, nil, math.NaN()}}.Propagate(context.Background(), standard)
	if err == nil || !strings.Contains(err.Error(), "sample 0:") {
		t.Errorf("the error is %v, want it to name sample 0", err)
	}
}

// Cancellation from inside an evaluation stops the run at once.
func TestCancel(t *testing.T) {
	for method, p := range map[string]func(f covprop.Func) covprop.Propagator{
		"monte carlo": func(f covprop.Func) covprop.Propagator { return MonteCarlo{Func: f, Samples: 1 << 40, Threads: 2} },
		"linear":      func(f covprop.Func) covprop.Propagator { return Linear{Func: f} },
		"unscented":   func(f covprop.Func) covprop.Propagator { return Unscented{Func: f} },
		"cubature":    func(f covprop.Func) covprop.Propagator { return Cubature{Func: f} },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		f := fn{1, 1, func(dst, x []float64) { dst[0] = x[0]; cancel() }}
		if _, err := p(f).Propagate(ctx, standard); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the error is %v", method, err)
		}
	}
}

// Fourth powers of deviations outside 1e-72 to 1e72 leave float64: their
// standard errors are unknown, not zero.
func TestExtremeScales(t *testing.T) {
	for _, scale := range []float64{1e-85, 1e-60, 1e60, 1e85} {
		f := fn{1, 1, func(dst, x []float64) { dst[0] = scale * x[0] }}
		res := propagate(t, MonteCarlo{Func: f}, standard)
		se, v := res.StandardErrors.Cov.At(0, 0)/scale/scale, res.Cov.At(0, 0)/scale/scale
		if math.Abs(v-1) > 0.1 {
			t.Errorf("scale %g: the variance is %g", scale, v)
		}
		if far := scale > 1e72 || scale < 1e-72; far != math.IsNaN(se) || far != math.IsInf(res.Accuracy.Bound, 1) {
			t.Errorf("scale %g: s.e. %g, bound %g", scale, se, res.Accuracy.Bound)
		}
	}
	f := fn{1, 1, func(dst, x []float64) { dst[0] = 1e200 * x[0] }}
	if _, err := (MonteCarlo{Func: f}).Propagate(context.Background(), standard); err == nil {
		t.Error("an overflowing variance: no error")
	}
}

// A constant output has no variance and no standard error, not even rounding.
func TestConstantOutput(t *testing.T) {
	f := fn{1, 2, func(dst, x []float64) { dst[0], dst[1] = 0.1, x[0] }}
	for _, antithetic := range []bool{false, true} {
		res := propagate(t, MonteCarlo{Func: f, Antithetic: antithetic}, standard)
		se := res.StandardErrors
		if res.Mean[0] != 0.1 || res.Cov.At(0, 0) != 0 || res.Cov.At(0, 1) != 0 || se.Mean[0] != 0 || se.Cov.At(0, 0) != 0 || se.Cov.At(0, 1) != 0 {
			t.Errorf("antithetic %v: %v, %v, %v", antithetic, res.Mean, res.Cov, se)
		}
	}
}

// A user's own simulator needs three methods. This one is the height of a
// projectile after one second, from an uncertain speed and angle.
type projectile struct{}

func (projectile) InputDim() int  { return 2 }
func (projectile) OutputDim() int { return 1 }
func (projectile) EvalTo(dst, x []float64) error {
	speed, angle := x[0], x[1]
	dst[0] = speed*math.Sin(angle) - 9.81/2
	return nil
}

func Example() {
	std, err := covprop.NewDiagonal([]float64{0.5, 0.1}) // m/s, rad
	if err != nil {
		panic(err)
	}
	in, err := covprop.NewGaussian([]float64{20, 0.8}, std)
	if err != nil {
		panic(err)
	}
	for _, p := range []covprop.Propagator{
		MonteCarlo{Func: projectile{}, Samples: 100_000},
		Linear{Func: projectile{}},
		Unscented{Func: projectile{}},
	} {
		res, err := p.Propagate(context.Background(), in)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%-20T %.2f +- %.2f m (%s)\n", p, res.Mean[0], res.Std()[0], res.Accuracy.Reason)
	}
	// Output:
	// baseline.MonteCarlo  9.37 +- 1.44 m (Monte Carlo, 100000 samples)
	// baseline.Linear      9.44 +- 1.44 m (first-order linearisation with central differences)
	// baseline.Unscented   9.37 +- 1.44 m (unscented transform)
}

// TestPartial interrupts a run: what it returns is the result of as many
// samples as it says, bit for bit.
func TestPartial(t *testing.T) {
	in := covprop.Gaussian{Mean: []float64{0.5}, Cov: covprop.Diagonal{2}}
	for _, mc := range []MonteCarlo{{}, {Antithetic: true}, {Sampler: Sobol}, {Sampler: Halton}} {
		mc.Samples, mc.Threads = 100000, 2
		name := fmt.Sprintf("%v, antithetic %v", mc.Sampler, mc.Antithetic)
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int64
		square := func(dst, x []float64) {
			if calls.Add(1) == 5000 {
				cancel()
			}
			dst[0] = x[0] * x[0]
		}
		mc.Func = fn{1, 1, square}
		mc.Partial = true
		got, err := mc.Propagate(ctx, in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		n := got.StandardErrors.Samples
		if n < 4000 || n > 6000 || !strings.Contains(got.Accuracy.Reason, "interrupted") {
			t.Errorf("%s: %d samples, %s", name, n, got.Accuracy.Reason)
		}
		mc.Samples = n
		want, err := mc.Propagate(t.Context(), in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Mean[0] != want.Mean[0] || got.Cov.At(0, 0) != want.Cov.At(0, 0) || got.StandardErrors.Mean[0] != want.StandardErrors.Mean[0] {
			t.Errorf("%s: %v and %v, but %v and %v of %d samples", name, got.Mean, got.Cov, want.Mean, want.Cov, n)
		}
		if strings.Contains(want.Accuracy.Reason, "interrupted") {
			t.Errorf("%s: a whole run says %s", name, want.Accuracy.Reason)
		}
		if _, err := mc.Propagate(ctx, in); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: nothing was done, but the error is %v", name, err)
		}
	}
}
