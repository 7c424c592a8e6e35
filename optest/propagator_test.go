package optest

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/baseline"
)

// curved is a mildly nonlinear function of three variables.
type curved struct{}

func (curved) InputDim() int  { return 3 }
func (curved) OutputDim() int { return 2 }
func (curved) EvalTo(dst, x []float64) error {
	dst[0] = math.Sin(x[0]) + x[1]*x[2]
	dst[1] = 3 * x[2]
	return nil
}

// straight is affine, so that every method is right.
type straight struct{ curved }

func (straight) EvalTo(dst, x []float64) error {
	dst[0] = x[0] + 2*x[1] - 3
	dst[1] = x[0] - x[2]
	return nil
}

func TestBaselinesConform(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	inputs := map[string]covprop.Gaussian{
		"full rank": RandomGaussian(rng, 3, 6, 0.5),
		"rank 1":    RandomGaussian(rng, 3, 1, 0.5),
		"diagonal":  {Mean: []float64{1, 2, 3}, Cov: covprop.Diagonal{1, 0, 0.1}},
	}
	methods := func(f covprop.Func) map[string]covprop.Propagator {
		return map[string]covprop.Propagator{
			"linear":      baseline.Linear{Func: f},
			"unscented":   baseline.Unscented{Func: f},
			"cubature":    baseline.Cubature{Func: f},
			"monte carlo": baseline.MonteCarlo{Func: f, Seed: 5},
			"antithetic":  baseline.MonteCarlo{Func: f, Seed: 5, Antithetic: true},
		}
	}
	for name, in := range inputs {
		for method, p := range methods(curved{}) {
			samples := 0
			if method == "monte carlo" || method == "antithetic" {
				samples = 20000 // only these claim to be right for any f
			}
			t.Run(method+"/"+name, func(t *testing.T) {
				TestPropagator(t, p, curved{}, in, PropagatorOptions{Samples: samples})
			})
		}
		for method, p := range methods(straight{}) {
			t.Run(method+"/"+name+"/affine", func(t *testing.T) {
				TestPropagator(t, p, straight{}, in, PropagatorOptions{Samples: 20000})
			})
		}
	}
}

// failing returns the names of the checks that fail.
func failing(checks []check) (names []string) {
	for _, c := range checks {
		if c.run() != nil {
			names = append(names, c.name)
		}
	}
	return names
}

// detects fails unless the check of that name does.
func detects(t *testing.T, fault, name string, checks []check) {
	t.Helper()
	i := slices.IndexFunc(checks, func(c check) bool { return c.name == name })
	if i < 0 {
		t.Fatalf("there is no check %q", name)
	}
	if checks[i].run() == nil {
		t.Errorf("%s: the check %q does not fail", fault, name)
	}
}

// broken is linearisation with a fault.
type broken struct {
	baseline.Linear
	fault func(res *covprop.Result, in covprop.Gaussian)
}

func (b broken) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	res, err := b.Linear.Propagate(ctx, in)
	if err == nil {
		b.fault(&res, in)
	}
	return res, err
}

// anything ignores every rule for its arguments.
type anything struct{}

func (anything) Propagate(context.Context, covprop.Gaussian) (covprop.Result, error) {
	return covprop.Result{}, nil
}

func TestBrokenPropagatorsFail(t *testing.T) {
	in := RandomGaussian(rand.New(rand.NewPCG(2, 2)), 3, 6, 0.5)
	opts := PropagatorOptions{Samples: 20000}
	f := straight{}
	linear := baseline.Linear{Func: f}
	if failed := failing(propagatorChecks(linear, f, in, opts)); failed != nil {
		t.Fatalf("without a fault, %q fail", failed)
	}
	entry := func(res *covprop.Result, i, j int) *float64 {
		m := res.Cov.(*covprop.Dense).RawMatrix()
		return &m.Data[i*m.Stride+j]
	}
	var shared covprop.Result
	counter := 0.0
	for _, c := range []struct {
		fault, check string
		f            func(res *covprop.Result, in covprop.Gaussian)
	}{
		{"short mean", "shape", func(res *covprop.Result, _ covprop.Gaussian) { res.Mean = res.Mean[:1] }},
		{"NaN mean", "shape", func(res *covprop.Result, _ covprop.Gaussian) { res.Mean[1] = math.NaN() }},
		{"no outputs", "shape", func(res *covprop.Result, _ covprop.Gaussian) { res.Outputs = nil }},
		{"asymmetric", "symmetric", func(res *covprop.Result, _ covprop.Gaussian) { *entry(res, 0, 1) += 1e-15 }},
		{"indefinite", "positive semidefinite", func(res *covprop.Result, _ covprop.Gaussian) {
			c := math.Sqrt(*entry(res, 0, 0)**entry(res, 1, 1)) * (1 + 1e-9)
			*entry(res, 0, 1), *entry(res, 1, 0) = c, c
		}},
		{"exact with a reason to doubt", "accuracy", func(res *covprop.Result, _ covprop.Gaussian) { res.Accuracy.Status = covprop.Exact }},
		{"better than its nodes", "accuracy", func(res *covprop.Result, _ covprop.Gaussian) {
			res.Nodes = []covprop.NodeAccuracy{{Accuracy: res.Accuracy}}
			res.Accuracy = covprop.Accuracy{}
		}},
		{"changed input", "input unchanged", func(_ *covprop.Result, in covprop.Gaussian) { in.Mean[0] = math.Nextafter(in.Mean[0], 9) }},
		{"shared memory", "concurrent", func(res *covprop.Result, _ covprop.Gaussian) {
			if shared.Mean == nil {
				shared = *res
			}
			*res = shared
		}},
		{"history", "concurrent", func(res *covprop.Result, _ covprop.Gaussian) { counter++; res.Mean[0] += 1e-12 * counter }},
		{"offset", "zero covariance", func(res *covprop.Result, _ covprop.Gaussian) { res.Mean[0] += 1e-7 }},
		{"spread from nothing", "zero covariance", func(res *covprop.Result, _ covprop.Gaussian) { *entry(res, 0, 0) += 1e-7 }},
		{"wrong mean", "monte carlo", func(res *covprop.Result, _ covprop.Gaussian) { res.Mean[0] += 0.1 * res.Std()[0] }},
		{"wrong covariance", "monte carlo", func(res *covprop.Result, _ covprop.Gaussian) {
			d := 0.1 * res.Std()[0] * res.Std()[1]
			*entry(res, 0, 1), *entry(res, 1, 0) = *entry(res, 0, 1)+d, *entry(res, 1, 0)+d
		}},
	} {
		fresh := covprop.Gaussian{Mean: slices.Clone(in.Mean), Cov: in.Cov}
		sequential := propagatorChecks(serial{broken{linear, c.f}, make(chan struct{}, 1)}, f, fresh, opts)
		detects(t, c.fault, c.check, sequential)
	}
	detects(t, "no validation", "invalid input", propagatorChecks(anything{}, f, in, opts))
	detects(t, "no cancellation", "cancel", propagatorChecks(anything{}, f, in, opts))
}

// serial lets one call in at a time, so that the faults above are no races.
type serial struct {
	covprop.Propagator
	gate chan struct{}
}

func (s serial) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	s.gate <- struct{}{}
	defer func() { <-s.gate }()
	return s.Propagator.Propagate(ctx, in)
}
