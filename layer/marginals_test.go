package layer_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/cpu"
	"github.com/covprop/covprop/layer"
)

// mixed returns n units: piecewise linear ones, ordinary, dead and certain, and
// others.
func mixed(n int) (acts []activation.Activation, mu, v []float64) {
	of := []activation.Activation{activation.ReLU(), activation.LeakyReLU(.1), activation.ReLU6(), activation.Tanh(), activation.Identity(), activation.Step(), activation.HardSwish()}
	rng := rand.New(rand.NewPCG(9, 1))
	acts, mu, v = make([]activation.Activation, n), make([]float64, n), make([]float64, n)
	for i := range acts {
		acts[i], mu[i], v[i] = of[rng.IntN(len(of))], 3*rng.NormFloat64(), 2*rng.Float64()
		switch rng.IntN(6) {
		case 0:
			v[i] = 0
		case 1:
			mu[i] = -200
		}
	}
	return acts, mu, v
}

// TestMomentsOfMany: a unit has the same moments and covariances alone as among
// others, in every place of a batch and with any number of threads, and means
// and variances are those of package activation, which are to 1e-14.
func TestMomentsOfMany(t *testing.T) {
	ctx := context.Background()
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		defer cpu.Force(isa)()
		for _, n := range []int{1, 2, 31, 32, 33, 75} {
			acts, mu, v := mixed(n)
			e, err := layer.NewElementwise(acts, n)
			if err != nil {
				t.Fatal(err)
			}
			var one, two layer.Moments
			if err := e.MomentsTo(ctx, &one, mu, v, true, layer.Options{}); err != nil {
				t.Fatal(err)
			}
			if err := e.MomentsTo(ctx, &two, mu, v, true, layer.Options{Threads: 2}); err != nil {
				t.Fatal(err)
			}
			if one.Accuracy != two.Accuracy || one.Uncertain != two.Uncertain {
				t.Errorf("%v, n %d: accuracy %v with one thread, %v with two", isa, n, one.Accuracy, two.Accuracy)
			}
			h := make([]float64, 65) // as many as MomentsTo asks for, which quadrature adapts to
			for i, a := range acts {
				if one.Mean[i] != two.Mean[i] || one.Variance[i] != two.Variance[i] || one.Gain[i] != two.Gain[i] {
					t.Errorf("%v, n %d, %s: other moments with two threads", isa, n, a.Name())
				}
				variance, _ := activation.Marginal(a, h, mu[i], math.Sqrt(v[i]), layer.DefaultTol)
				if math.Abs(one.Mean[i]-h[0]) > 1e-14*math.Sqrt(variance) || math.Abs(one.Variance[i]-variance) > 1e-14*variance {
					t.Errorf("%v, n %d, %s(%v, %v): mean %v, variance %v, want %v, %v", isa, n, a.Name(), mu[i], v[i], one.Mean[i], one.Variance[i], h[0], variance)
				}
				if want := h[1] / math.Sqrt(v[i]); v[i] > 0 && math.Abs(one.Gain[i]-want) > 1e-13*math.Sqrt(variance/v[i]) {
					t.Errorf("%v, n %d, %s(%v, %v): gain %v, want %v", isa, n, a.Name(), mu[i], v[i], one.Gain[i], want)
				}
			}
		}
	}
}

// TestNoTail: where the series ends, or the output is constant, the covariance
// has no error, although rounding leaves a difference between a variance and its
// terms. The Moments held other tails before.
func TestNoTail(t *testing.T) {
	for _, c := range []struct {
		a     activation.Activation
		mu, v float64
		end   bool
	}{
		{activation.ReLU(), .1, 1, false},
		{activation.Tanh(), .1, 1, false},
		{activation.ReLU(), -200, 1, true},
		{activation.HardSwish(), -200, 1, true},
		{activation.Identity(), 1, 2, true},
		{activation.Square(), .3, 2, true},
		{activation.Log(), 1, 4, true}, // linearised
	} {
		var m layer.Moments
		var acc covprop.Accuracy
		for _, a := range []activation.Activation{activation.GELU(), c.a} {
			e, err := layer.NewElementwise([]activation.Activation{a}, 2)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.MomentsTo(context.Background(), &m, []float64{c.mu, c.mu}, []float64{c.v, c.v}, true, layer.Options{}); err != nil {
				t.Fatal(err)
			}
			cov := blas64.General{Rows: 2, Cols: 2, Stride: 2, Data: []float64{c.v, c.v / 2, c.v / 2, c.v}}
			if acc, err = layer.CovarianceTo(context.Background(), cov, cov, &m, &m, true, layer.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if c.end != (acc == covprop.Accuracy{}) {
			t.Errorf("%s(%v, %v): %+v", c.a.Name(), c.mu, c.v, acc)
		}
	}
}

// TestMomentsErrorAmongMany names the unit at fault, wherever it is.
func TestMomentsErrorAmongMany(t *testing.T) {
	const n = 40
	e, err := layer.NewElementwise([]activation.Activation{activation.ReLU()}, n)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 7, 31, 32, 39} {
		for _, threads := range []int{1, 2} {
			for text, set := range map[string]func(mu, v []float64){
				"coefficient 0 of relu at mean NaN and standard deviation 1 is NaN: the moments do not exist in float64":   func(mu, _ []float64) { mu[at] = math.NaN() },
				"coefficient 0 of relu at mean +Inf and standard deviation 1 is +Inf: the moments do not exist in float64": func(mu, _ []float64) { mu[at] = math.Inf(1) },
				"relu at mean 0.5 and standard deviation +Inf is":                                                          func(_, v []float64) { v[at] = math.Inf(1) },
				"relu at mean 0.5 and standard deviation NaN is NaN: the moments do not exist in float64":                  func(_, v []float64) { v[at] = -1 },
			} {
				mu, v := make([]float64, n), make([]float64, n)
				for i := range mu {
					mu[i], v[i] = .5, 1
				}
				set(mu, v)
				var m layer.Moments
				err := e.MomentsTo(context.Background(), &m, mu, v, true, layer.Options{Threads: threads})
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("unit %d, %d threads: %v, want %s", at, threads, err, text)
				}
			}
		}
	}
}

// TestMomentsAllocate: not with one thread, once the Moments have room.
func TestMomentsAllocate(t *testing.T) {
	const n = 75
	acts, mu, v := mixed(n)
	for i, a := range acts {
		if a == activation.Tanh() {
			acts[i] = activation.GELU() // the scratch of quadrature is pooled, which the race detector upsets
		}
	}
	for _, acts := range [][]activation.Activation{acts, {activation.ReLU()}} {
		e, err := layer.NewElementwise(acts, n)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []layer.Options{{}, {Threads: 1}, {Order: 70}, {Order: 3, TruncateDiagonal: true}} {
			var m layer.Moments
			run := func() {
				if err := e.MomentsTo(context.Background(), &m, mu, v, true, o); err != nil {
					t.Fatal(err)
				}
			}
			run()
			if allocs := testing.AllocsPerRun(20, run); allocs != 0 {
				t.Errorf("%d activations, %+v: %v allocations a call", len(acts), o, allocs)
			}
		}
	}
}

// BenchmarkMoments reports the time of a unit's 64 coefficients and tails for
// layers of n units, with means of up to three standard deviations.
func BenchmarkMoments(b *testing.B) {
	for _, a := range []activation.Activation{activation.ReLU(), activation.LeakyReLU(.1), activation.ReLU6(), activation.Step()} {
		for _, n := range []int{50, 100, 1000} {
			b.Run(fmt.Sprintf("%s/n=%d", a.Name(), n), func(b *testing.B) {
				e, err := layer.NewElementwise([]activation.Activation{a}, n)
				if err != nil {
					b.Fatal(err)
				}
				rng := rand.New(rand.NewPCG(1, uint64(n)))
				mu, v := make([]float64, n), make([]float64, n)
				for i := range mu {
					v[i] = .1 + rng.Float64()
					mu[i] = rng.NormFloat64()
				}
				var m layer.Moments
				b.ReportAllocs()
				for b.Loop() {
					if err := e.MomentsTo(context.Background(), &m, mu, v, true, layer.Options{}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/unit")
			})
		}
	}
}

// uncomparable is a user's own activation of a type that == panics on.
type uncomparable struct {
	activation.Activation
	_ []int
}

// TestUncomparable: such an activation is as good as any other, on its own and
// among others, in memory that is used again.
func TestUncomparable(t *testing.T) {
	const n = 80
	own := uncomparable{Activation: activation.ReLU()}
	mixed := make([]activation.Activation, n)
	for i := range mixed {
		mixed[i] = activation.Tanh()
		if i%3 == 0 {
			mixed[i] = own
		}
	}
	mu, v := make([]float64, n), make([]float64, n)
	for i := range v {
		mu[i], v[i] = float64(i%7)-3, 1
	}
	for _, acts := range [][]activation.Activation{{own}, mixed} {
		rule, err := layer.NewElementwise(acts, n)
		if err != nil {
			t.Fatal(err)
		}
		var m layer.Moments
		for _, threads := range []int{1, 1, 2} {
			if err := rule.MomentsTo(context.Background(), &m, mu, v, true, layer.Options{Threads: threads}); err != nil {
				t.Fatal(err)
			}
			cov := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
			for i := range n {
				for j := range n {
					cov.Data[i*n+j] = .5
				}
			}
			if _, err := layer.CovarianceTo(context.Background(), cov, cov, &m, &m, true, layer.Options{Threads: threads}); err != nil {
				t.Fatal(err)
			}
		}
		rule.Exactness()
		rule.Name()
	}
}
