package refine

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/sample"
	"github.com/covprop/covprop/layer"
)

// A fixed Propagator returns the moments it holds.
type fixed struct {
	covprop.Func
	mean, std []float64
}

func (f fixed) Propagate(context.Context, covprop.Gaussian) (covprop.Result, error) {
	v := make(covprop.Diagonal, len(f.std))
	for i, s := range f.std {
		v[i] = s * s
	}
	return covprop.Result{
		Gaussian: covprop.Gaussian{Mean: append([]float64(nil), f.mean...), Cov: v},
		Outputs:  []covprop.Output{{Name: "y", Shape: []int{len(f.mean)}, Len: len(f.mean)}},
		Accuracy: covprop.ApproximatedBy(math.Inf(1), "as the test likes"),
	}, nil
}

// A function is a Func of one closure.
type function struct {
	n, m int
	f    func(dst, x []float64)
}

func (f function) InputDim() int  { return f.n }
func (f function) OutputDim() int { return f.m }
func (f function) EvalTo(dst, x []float64) error {
	f.f(dst, x)
	return nil
}

func standard(n int) covprop.Gaussian {
	v := make(covprop.Diagonal, n)
	for i := range v {
		v[i] = 1
	}
	return covprop.Gaussian{Mean: make([]float64, n), Cov: v}
}

// square is y = (x_0 + x_1)^2 / 2, of mean 1 and standard deviation sqrt(2).
var square = function{2, 1, func(dst, x []float64) { dst[0] = (x[0] + x[1]) * (x[0] + x[1]) / 2 }}

func TestAuditFindsWrongMoments(t *testing.T) {
	cases := []struct {
		name      string
		mean, std float64
		want      covprop.Verdict
	}{
		{"right", 1, math.Sqrt2, covprop.Consistent},
		{"mean off by .05 standard deviations", 1 + .05*math.Sqrt2, math.Sqrt2, covprop.Consistent},
		{"mean off by .2 standard deviations", 1 + .2*math.Sqrt2, math.Sqrt2, covprop.ClosureError},
		{"variance too large by 40%", 1, math.Sqrt(2.8), covprop.ClosureError},
		{"variance too small by 40%", 1, math.Sqrt(1.2), covprop.ClosureError},
		{"no variance", 1, 0, covprop.ClosureError},
	}
	for _, c := range cases {
		for seed := range uint64(5) {
			res, err := Audit{Propagator: fixed{square, []float64{c.mean}, []float64{c.std}}, Seed: seed + 1}.Propagate(t.Context(), standard(2))
			if err != nil {
				t.Fatal(err)
			}
			a := res.Audit
			if a.Verdict != c.want {
				t.Errorf("%s, seed %d: %v, %s; want %v", c.name, seed+1, a.Verdict, a.Reason, c.want)
			}
			// Five standard errors, and the resolution of 1% at the end.
			if d := a.MeanDifference[0] - (c.mean-1)/math.Sqrt2; math.Abs(d) > 5*a.MeanDifferenceSE[0] {
				t.Errorf("%s: mean off by %g of its standard errors", c.name, d/a.MeanDifferenceSE[0])
			}
			if r := a.StdRatio[0] / (c.std / math.Sqrt2); math.Abs(r-1) > .05 {
				t.Errorf("%s: ratio off by a factor %g", c.name, r)
			}
			if a.StdRatioLow[0] > a.StdRatio[0] || a.StdRatioHigh[0] < a.StdRatio[0] {
				t.Errorf("%s: the interval %g to %g leaves out %g", c.name, a.StdRatioLow[0], a.StdRatioHigh[0], a.StdRatio[0])
			}
		}
	}
}

// TestConfidence asks that the intervals hold the truth as often as they say:
// of 400 intervals of 95%, 380 +- 4.4 do; 4 standard deviations are allowed
// below, and above there is no harm.
func TestConfidence(t *testing.T) {
	const runs = 400
	variance, means := 0, 0
	for seed := range uint64(runs) {
		res, err := Audit{Propagator: fixed{square, []float64{1}, []float64{math.Sqrt2}}, Samples: 1024, Seed: seed + 1}.Propagate(t.Context(), standard(2))
		if err != nil {
			t.Fatal(err)
		}
		a := res.Audit
		if a.StdRatioLow[0] <= 1 && 1 <= a.StdRatioHigh[0] {
			variance++
		}
		if math.Abs(a.MeanDifference[0]) <= sample.Confidence(.95)*a.MeanDifferenceSE[0] {
			means++
		}
	}
	if variance < 362 || means < 362 {
		t.Errorf("of %d intervals at 95%%, %d of a standard deviation and %d of a mean hold the truth", runs, variance, means)
	}
}

// TestRareEvent has y = 1 with a probability of 1e-3 and 0 otherwise, once as
// a ReLU that wakes would, and once never.
func TestRareEvent(t *testing.T) {
	const p = 1e-3
	rare := function{1, 1, func(dst, x []float64) {
		dst[0] = 0
		if x[0] > 3.090232306167813 { // Phi(-x) = 1e-3
			dst[0] = 1
		}
	}}
	never := function{1, 1, func(dst, x []float64) { dst[0] = 3 }}
	sd := math.Sqrt(p * (1 - p))
	cases := []struct {
		name      string
		f         covprop.Func
		mean, std float64
		want      covprop.Verdict
		constant  int
	}{
		{"a Gaussian tail that wakes ten times as much", rare, .01, .2, covprop.ClosureError, 0},
		{"constant, as said", never, 3, 1e-9, covprop.Consistent, 1},
		{"constant, but said to be a Gaussian", never, 3.5, 1, covprop.ClosureError, 1},
		// A probability of 1e-8 of another value fits these moments.
		{"constant in all samples, perhaps not always", never, 3 + 1e-6, 1e-2, covprop.Inconclusive, 1},
	}
	for _, c := range cases {
		res, err := Audit{Propagator: fixed{c.f, []float64{c.mean}, []float64{c.std}}}.Propagate(t.Context(), standard(1))
		if err != nil {
			t.Fatal(err)
		}
		if a := res.Audit; a.Verdict != c.want || len(a.Constant) != c.constant {
			t.Errorf("%s: %v (%s), %d constant; want %v, %d", c.name, a.Verdict, a.Reason, len(a.Constant), c.want, c.constant)
		}
	}
	// With moments that are right, 50,000 samples see the event 50 times: too
	// few to say so.
	res, err := Audit{Propagator: fixed{rare, []float64{p}, []float64{sd}}}.Propagate(t.Context(), standard(1))
	if err != nil {
		t.Fatal(err)
	}
	if a := res.Audit; a.Verdict == covprop.ClosureError || a.Samples < maxSamples {
		t.Errorf("a rare event, moments right: %v after %d samples", a.Verdict, a.Samples)
	}
}

func TestOverflowIsInconclusive(t *testing.T) {
	f := function{1, 1, func(dst, x []float64) { dst[0] = math.Exp(400 * x[0]) }}
	res, err := Audit{Propagator: fixed{f, []float64{1}, []float64{1}}}.Propagate(t.Context(), standard(1))
	if err != nil {
		t.Fatal(err)
	}
	if a := res.Audit; a.Verdict != covprop.Inconclusive || !math.IsNaN(a.StdRatio[0]) {
		t.Errorf("%v, ratio %v", a.Verdict, a.StdRatio)
	}
}

// deepReLU returns a random ReLU network of three inputs, so many hidden layers
// of 8 units, and two outputs.
func deepReLU(t *testing.T, hidden int) *graph.Network {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	b := graph.NewBuilder()
	x, err := b.Input("x", []int{3})
	if err != nil {
		t.Fatal(err)
	}
	in := 3
	add := func(rule layer.Rule, op string, n int) {
		t.Helper()
		if x, err = b.Add(graph.Node{Name: op, Op: op, Rule: rule, Inputs: []graph.Tensor{x}, Output: op, Shape: []int{n}}); err != nil {
			t.Fatal(err)
		}
	}
	for k := range hidden + 1 {
		out := 8
		if k == hidden {
			out = 2
		}
		w := make([]float64, out*in)
		for i := range w {
			w[i] = rng.NormFloat64() * math.Sqrt(2/float64(in))
		}
		a, err := layer.NewAffine(w, nil, out, in, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		add(a, "affine", out)
		if k < hidden {
			e, err := layer.NewElementwise([]activation.Activation{activation.ReLU()}, out)
			if err != nil {
				t.Fatal(err)
			}
			add(e, "relu", out)
		}
		in = out
	}
	if err := b.Output("y", x); err != nil {
		t.Fatal(err)
	}
	net, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// TestFirstBrokenNode: with one hidden layer the moments are exact and the
// audit consistent; in a narrow network of six the closure breaks at a node
// after the second affine map, which is where it comes in.
func TestFirstBrokenNode(t *testing.T) {
	in := standard(3)
	res, err := Audit{Propagator: deepReLU(t, 1)}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if a := res.Audit; a.Verdict != covprop.Consistent || a.Nodes != nil || a.FirstBroken != -1 {
		t.Errorf("one hidden layer: %v, %s", a.Verdict, a.Reason)
	}
	res, err = Audit{Propagator: deepReLU(t, 6)}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	a := res.Audit
	if a.Verdict != covprop.ClosureError || len(a.Nodes) != 13 || a.FirstBroken < 3 {
		t.Fatalf("six hidden layers: %v, %s; %d nodes, the first broken is %d", a.Verdict, a.Reason, len(a.Nodes), a.FirstBroken)
	}
	for k, n := range a.Nodes[:3] { // exact: what remains is sampling
		if n.MeanDifference > .05 || math.Abs(n.StdRatio-1) > .05 {
			t.Errorf("node %d is exact, but off by %+v", k, n)
		}
	}
	if a.Nodes[0].Skewness > .2 || a.Nodes[1].Skewness < .5 {
		t.Errorf("skewness %g of a Gaussian, %g of its ReLU", a.Nodes[0].Skewness, a.Nodes[1].Skewness)
	}
}

func TestAuditOptions(t *testing.T) {
	p := fixed{square, []float64{1}, []float64{1}}
	for name, a := range map[string]Audit{
		"few samples":  {Propagator: p, Samples: 31},
		"threads":      {Propagator: p, Threads: -1},
		"not sampled":  {Propagator: struct{ covprop.Propagator }{p}},
		"other inputs": {Propagator: p, Func: function{3, 1, func(_, _ []float64) {}}},
	} {
		if _, err := a.Propagate(t.Context(), standard(2)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var first *covprop.Audit
	for threads := 1; threads <= 3; threads++ {
		res, err := Audit{Propagator: p, Samples: 1000, Threads: threads}.Propagate(t.Context(), standard(2))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = res.Audit
		}
		if res.Audit.Samples != 1008 || res.Audit.StdRatio[0] != first.StdRatio[0] {
			t.Errorf("%d threads: %d samples, ratio %v; want 1008, %v", threads, res.Audit.Samples, res.Audit.StdRatio[0], first.StdRatio[0])
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Audit{Propagator: p}).Propagate(ctx, standard(2)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestAuditTakesNothing: what an audit asks a network for beside is not in the
// result, and what the caller asked for is.
func TestAuditTakesNothing(t *testing.T) {
	in := standard(3)
	for _, keep := range []bool{false, true} {
		seen := 0
		net := deepReLU(t, 2).With(graph.Options{KeepInput: keep, Observe: func(int, []float64, []float64) { seen++ }})
		for name, p := range map[string]covprop.Propagator{"audit": Audit{Propagator: net}, "auto": Auto{Network: net, RelError: .5}} {
			seen = 0
			res, err := p.Propagate(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if (res.InputCov != nil) != keep || seen != len(net.Nodes()) {
				t.Errorf("%s, keep %v: input covariance %v; %d of %d nodes observed", name, keep, res.InputCov != nil, seen, len(net.Nodes()))
			}
		}
	}
}

// TestAuditCosts counts evaluations: never more than 50,000, nor more
// multiply-adds than 10^9 or half the propagation's own.
func TestAuditCosts(t *testing.T) {
	net := deepReLU(t, 6)
	counted := &counter{Network: net}
	for _, samples := range []int{0, 32, 1000} {
		counted.n = 0
		res, err := Audit{Propagator: net, Func: counted, Samples: samples}.Propagate(t.Context(), standard(3))
		if err != nil {
			t.Fatal(err)
		}
		a := res.Audit
		if a.Verdict != covprop.ClosureError && samples != 32 {
			t.Fatalf("%d samples: %v", samples, a.Verdict)
		}
		if counted.n != a.Samples || a.Samples+nodeSamples > 50000 || samples > 0 && a.Samples != (samples+15)/16*16 {
			t.Errorf("%d samples: %d evaluated, %d reported", samples, counted.n, a.Samples)
		}
	}
	// A network of which 10^9 multiply-adds buy fewer than 32 points.
	wide := affine(t, 8000, 8000)
	ops, own := float64(wide.Operations()), float64(wide.PropagationOperations(true))
	a := Audit{Propagator: wide.With(graph.Options{Diagonal: true})}
	if err := a.prepare(standard(8000)); err != nil {
		t.Fatal(err)
	}
	if n := a.mostPoints(standard(8000)); n >= 2 {
		t.Errorf("%d points of each replicate, of %g multiply-adds each; the propagation takes %g", n, ops, own)
	}
}

// A counter counts the points that a network is evaluated at.
type counter struct {
	*graph.Network
	mu sync.Mutex
	n  int
}

func (c *counter) EvalBatchTo(dst, x blas64.General) error {
	c.mu.Lock()
	c.n += x.Cols
	c.mu.Unlock()
	return c.Network.EvalBatchTo(dst, x)
}

// affine returns the network y = 0 x.
func affine(t *testing.T, out, in int) *graph.Network {
	t.Helper()
	b := graph.NewBuilder()
	x, err := b.Input("x", []int{in})
	if err != nil {
		t.Fatal(err)
	}
	rule, err := layer.NewAffine(make([]float64, out*in), nil, out, in, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Add(graph.Node{Name: "a", Op: "Gemm", Rule: rule, Inputs: []graph.Tensor{x}, Output: "y", Shape: []int{out}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Output("y", y); err != nil {
		t.Fatal(err)
	}
	net, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// TestAuditInterrupted: the moments are returned although their audit was ended.
func TestAuditInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := function{1, 1, func(dst, x []float64) {
		cancel() // at the first sample
		dst[0] = x[0]
	}}
	p := fixed{f, []float64{0.5}, []float64{2}}
	res, err := (Audit{Propagator: p, Samples: 1 << 20, Threads: 1}).Propagate(ctx, standard(1))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if res.Audit == nil || res.Audit.Verdict != covprop.Inconclusive || res.Audit.Reason != "interrupted" || res.Mean[0] != 0.5 || res.Cov.At(0, 0) != 4 {
		t.Errorf("got %+v", res)
	}
}

// rareReLU is y = x0 + c relu(x1 - 4), whose second term, once in 30,000 samples, has
// the given part of the first's variance: one hidden layer, so the moments are
// certified.
func rareReLU(t *testing.T, part float64) *graph.Network {
	t.Helper()
	var h [1]float64
	v, _ := activation.Marginal(activation.ReLU(), h[:], -4, 1, 1e-9)
	b := graph.NewBuilder()
	add := func(name string, r layer.Rule, err error, n int, in ...graph.Tensor) graph.Tensor {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		x, err := b.Add(graph.Node{Name: name, Rule: r, Inputs: in, Output: name, Shape: []int{n}})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	x, err := b.Input("x", []int{2})
	if err != nil {
		t.Fatal(err)
	}
	first, err := layer.NewAffine([]float64{1, 0, -1, 0, 0, 1}, []float64{0, 0, -4}, 3, 2, 1, 1)
	z := add("z", first, err, 3, x)
	relu, err := layer.NewElementwise([]activation.Activation{activation.ReLU()}, 3)
	r := add("r", relu, err, 3, z)
	last, err := layer.NewAffine([]float64{1, -1, math.Sqrt(part / v)}, nil, 1, 3, 1, 1)
	y := add("y", last, err, 1, r)
	if err := b.Output("y", y); err != nil {
		t.Fatal(err)
	}
	net, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// TestCertifiedRareEvent: samples that miss a rare event do not refute moments that
// are certified, and do not take their place.
func TestCertifiedRareEvent(t *testing.T) {
	for _, part := range []float64{.1, .25, 1} {
		net := rareReLU(t, part)
		for seed := range uint64(5) {
			res, err := (Audit{Propagator: net, Seed: seed + 1}).Propagate(t.Context(), standard(2))
			if err != nil {
				t.Fatal(err)
			}
			if res.Audit.Verdict == covprop.ClosureError {
				t.Errorf("part %v, seed %d: a closure error where there is no closure: %s", part, seed, res.Audit.Reason)
			}
			res, err = (Auto{Network: net, Seed: seed + 1}).Propagate(t.Context(), standard(2))
			if err != nil {
				t.Fatal(err)
			}
			if v := res.Cov.At(0, 0); math.Abs(v/(1+part)-1) > 1e-9 || res.Accuracy.Status == covprop.Approximate {
				t.Errorf("part %v, seed %d: variance %v, want %v; %v", part, seed, v, 1+part, res.Accuracy)
			}
		}
	}
}

// TestAuditManyOutputs: exact moments of a thousand outputs are no closure error, by
// few samples either. By chance one in twenty audits may call them that; these seeds
// do not.
func TestAuditManyOutputs(t *testing.T) {
	const m = 1000
	f := function{m, m, func(dst, x []float64) {
		for i, v := range x {
			dst[i] = max(0, v)
		}
	}}
	mean, std := make([]float64, m), make([]float64, m)
	for i := range m {
		mean[i], std[i] = 1/math.Sqrt(2*math.Pi), math.Sqrt(.5-.5/math.Pi)
	}
	for seed := range uint64(3) {
		res, err := (Audit{Propagator: fixed{f, mean, std}, Samples: 1024, Seed: seed + 1}).Propagate(t.Context(), standard(m))
		if err != nil {
			t.Fatal(err)
		}
		if res.Audit.Verdict == covprop.ClosureError {
			t.Errorf("seed %d: %s", seed, res.Audit.Reason)
		}
	}
}
