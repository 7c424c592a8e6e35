package bayes

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/covprop/covprop/activation"
)

// benchmarkModel returns a network of 13 inputs, with so many ReLUs in every
// hidden layer, and the heteroscedastic likelihood.
func benchmarkModel(t testing.TB, hidden ...int) *Model {
	var layers []Layer
	for _, n := range hidden {
		layers = append(layers, Linear{Out: n}, Activation{activation.ReLU()})
	}
	return mustModel(t, 13, HeteroscedasticGaussian{1}, Prior{}, append(layers, Linear{Out: 2})...)
}

// BenchmarkStep is the loss and its gradient for a batch of 64.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name   string
		opts   Options
		hidden []int
	}{
		{"net=13-50-50-2/mode=exact", Options{}, []int{50, 50}},
		{"net=13-50-50-2/mode=dvi", Options{Mode: DVI}, []int{50, 50}},
		{"net=13-50-50-2/mode=diagonal", Options{Mode: Diagonal}, []int{50, 50}},
		{"net=13-50-50-2/mode=montecarlo10", Options{Mode: MonteCarlo}, []int{50, 50}},
		{"net=13-50-2/mode=exact", Options{}, []int{50}},
		{"net=13-50-2/mode=montecarlo10", Options{Mode: MonteCarlo}, []int{50}},
	} {
		b.Run(c.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			m := benchmarkModel(b, c.hidden...)
			theta, grad := m.Init(1), make([]float64, m.Size())
			batch := randomBatch(rng, 64, 13, m.Likelihood(), "certain")
			o, err := m.NewObjective(c.opts)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := o.Gradient(grad, theta, batch, Weights{Data: 500, KL: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestStepAllocatesNothing covers modes and forms of the input.
func TestStepAllocatesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, which runs with -short, drops pooled memory")
	}
	m := benchmarkModel(t, 20, 10)
	for _, o := range []Options{{}, {Mode: Series, Order: 4}, {Mode: DVI}, {Mode: Diagonal}, {Mode: MonteCarlo, Samples: 4}} {
		for _, kind := range []string{"certain", "variances", "covariances"} {
			rng := rand.New(rand.NewPCG(1, 2))
			batch := randomBatch(rng, 40, 13, m.Likelihood(), kind)
			theta, grad := randomTheta(rng, m), make([]float64, m.Size())
			obj, err := m.NewObjective(o)
			if err != nil {
				t.Fatal(err)
			}
			step := func() {
				if _, err := obj.Gradient(grad, theta, batch, Weights{Data: 100, KL: 1}); err != nil {
					t.Fatal(err)
				}
			}
			if n := testing.AllocsPerRun(5, step); n != 0 {
				t.Errorf("mode %v, %s input: %v allocations a step", o.Mode, kind, n)
			}
		}
	}
}

// BenchmarkAgainstMonteCarlo is the time of a step of Monte Carlo with 10 samples
// over that of an exact one, interleaved.
func BenchmarkAgainstMonteCarlo(b *testing.B) {
	for _, hidden := range [][]int{{50}, {50, 50}} {
		b.Run(fmt.Sprintf("hidden=%d/units=50", len(hidden)), func(b *testing.B) {
			m := benchmarkModel(b, hidden...)
			theta, grad := m.Init(1), make([]float64, m.Size())
			batch := randomBatch(rand.New(rand.NewPCG(1, 2)), 64, 13, m.Likelihood(), "certain")
			var times [2]time.Duration
			var objectives [2]*Objective
			for i, o := range [...]Options{{}, {Mode: MonteCarlo, Samples: 10}} {
				var err error
				if objectives[i], err = m.NewObjective(o); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				for i, o := range objectives {
					start := time.Now()
					if _, err := o.Gradient(grad, theta, batch, Weights{Data: 500, KL: 1}); err != nil {
						b.Fatal(err)
					}
					times[i] += time.Since(start)
				}
			}
			b.ReportMetric(float64(times[1])/float64(times[0]), "mc/exact")
		})
	}
}
