package graph_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// TestPrecision32 compares graphs of all kinds of rules with covariances in
// float32 with the same in float64. Nodes pass on what float32 costs, and state
// it with a margin of four; what reaches the outputs must be within ten times
// the largest statement, as means and single covariances are not what is
// stated, or 1e-3 where a nonlinear rule says that it does not know. Most graphs
// must not be refused, and most statements must be small enough to test by.
func TestPrecision32(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 6
	}
	ws := graph.NewWorkspace()
	refused, large := 0, 0
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 99))
		net := richDAG(rng).network()
		in := randomInput(rng, net.InputDim(), seed%4 == 0)
		want := must(net.With(graph.Options{Tol: 1e-10, KeepInput: seed%3 > 0}).Propagate(context.Background(), in))
		var got covprop.Result
		err := net.With(graph.Options{Tol: 1e-10, Precision: 32, KeepInput: seed%3 > 0}).PropagateTo(context.Background(), &got, in, ws)
		if err != nil {
			var model *covprop.ModelError
			if !errors.As(err, &model) || !strings.Contains(err.Error(), "float32") {
				t.Errorf("seed %d: %v", seed, err)
			}
			refused++
			continue
		}
		stated := 0x1p-22
		for _, n := range got.Nodes {
			if n.Status == covprop.Approximate && strings.Contains(n.Reason, "float32") {
				stated = max(stated, n.Bound)
			}
		}
		if stated > 1e-4 {
			large++
			stated = min(stated, 1e-4)
		}
		for i, m := range want.Mean {
			si := math.Sqrt(want.Cov.At(i, i))
			if d := math.Abs(got.Mean[i] - m); !(d <= 10*stated*(si+1e-2*math.Abs(m)+1e-4)) {
				t.Errorf("seed %d: mean %d is %v, in float64 %v (stated %.2g)", seed, i, got.Mean[i], m, stated)
			}
			for j := range i + 1 {
				sj := math.Sqrt(want.Cov.At(j, j))
				if d := math.Abs(got.Cov.At(i, j) - want.Cov.At(i, j)); !(d <= 10*stated*(si*sj+1e-6)) {
					t.Errorf("seed %d: covariance (%d,%d) is %v, in float64 %v (stated %.2g)", seed, i, j, got.Cov.At(i, j), want.Cov.At(i, j), stated)
				}
			}
			for j := range in.Dim() {
				if got.InputCov == nil {
					break
				}
				sj := math.Sqrt(in.Cov.At(j, j))
				if d := math.Abs(got.InputCov.At(i, j) - want.InputCov.At(i, j)); !(d <= 10*stated*(si*sj+1e-6)) {
					t.Errorf("seed %d: covariance of %d with input %d is %v, in float64 %v (stated %.2g)", seed, i, j, got.InputCov.At(i, j), want.InputCov.At(i, j), stated)
				}
			}
		}
	}
	t.Logf("%d of %d refused, %d state more than 1e-4", refused, seeds, large)
	if refused > int(seeds)/3 {
		t.Errorf("%d of %d graphs were refused", refused, seeds)
	}
}

// TestPrecision32Memory: half the memory, a little more for small parts.
func TestPrecision32Memory(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	net := mlp(rng, 500, 2000, 2000, 2)
	wide, narrow := net.PeakBytes(), net.With(graph.Options{Precision: 32}).PeakBytes()
	if float64(narrow) > .57*float64(wide) {
		t.Errorf("float32 takes %d bytes, float64 %d", narrow, wide)
	}
}

// TestPrecision32Refused: a difference of two elements that agree in all but
// the seventh digit has no digits in float32. A small variance says what it
// loses.
func TestPrecision32Refused(t *testing.T) {
	b := builder{graph.NewBuilder()}
	x := b.input(2)
	y := b.add("difference", must(layer.NewAffine([]float64{1, -1}, nil, 1, 2, 1, 1)), x)
	z := b.act(activation.ReLU(), 1, y)
	net := b.build(z)
	run := func(rho, v float64) (covprop.Result, error) {
		cov := must(covprop.NewDense(2, []float64{v, rho * v, rho * v, v}))
		return net.With(graph.Options{Precision: 32}).Propagate(context.Background(), covprop.Gaussian{Mean: []float64{1, 2}, Cov: cov})
	}
	for _, c := range []struct {
		rho, v float64
		want   string
	}{
		{1 - 1e-7, 1, "--precision 64"},
	} {
		_, err := run(c.rho, c.v)
		var model *covprop.ModelError
		if !errors.As(err, &model) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("correlation %v, variance %v: %v, want an error about %q", c.rho, c.v, err, c.want)
		}
	}
	if _, err := run(.9, 1); err != nil {
		t.Error(err)
	}
	res, err := run(.5, 1e-33)
	if err != nil || res.Nodes[0].Status != covprop.Approximate || res.Nodes[0].Bound < 1 {
		t.Errorf("a variance of 1e-33 gives %v, %v; want a statement", res.Nodes, err)
	}
	if _, err := net.With(graph.Options{Precision: 16}).Propagate(context.Background(), covprop.Gaussian{Mean: []float64{1, 2}, Cov: covprop.Diagonal{1, 1}}); err == nil {
		t.Error("a precision of 16 bits was accepted")
	}
}

// TestPrecision32Input: a dense input covariance is rounded like any other:
// what is too large is refused, what is too small is stated, and an output that
// is the input is not exact.
func TestPrecision32Input(t *testing.T) {
	b := builder{graph.NewBuilder()}
	x := b.input(2)
	net := b.build(x).With(graph.Options{Precision: 32})
	run := func(v float64) (covprop.Result, error) {
		cov := must(covprop.NewDense(2, []float64{v, 0, 0, v}))
		return net.Propagate(context.Background(), covprop.Gaussian{Mean: []float64{1, 2}, Cov: cov})
	}
	var input *covprop.InputError
	if _, err := run(1e50); !errors.As(err, &input) || !strings.Contains(err.Error(), "--precision 64") {
		t.Errorf("a variance of 1e50: %v", err)
	}
	for _, c := range []struct{ v, bound float64 }{{.1, 0x1p-22}, {1e-50, 1}} {
		res, err := run(c.v)
		if a := res.Accuracy; err != nil || a.Status != covprop.Approximate || a.Bound != c.bound {
			t.Errorf("a variance of %v: %+v, %v", c.v, a, err)
		}
	}
	small := mlp(rand.New(rand.NewPCG(1, 1)), 5, 50, 50, 3)
	if wide, narrow := small.PeakBytes(), small.With(graph.Options{Precision: 32}).PeakBytes(); narrow > 2*wide {
		t.Errorf("a small network takes %d bytes in float32, %d in float64", narrow, wide)
	}
}

// TestPrecision32Chain: (x1 - x2) - (x3 - x4) cancels a little in either step and
// all in both. It is refused where that leaves nothing, and otherwise within
// what is stated, which the first step alone does not say.
func TestPrecision32Chain(t *testing.T) {
	b := builder{graph.NewBuilder()}
	x := b.input(4)
	y := b.add("first", must(layer.NewAffine([]float64{1, -1, 0, 0, 0, 0, 1, -1}, nil, 2, 4, 1, 1)), x)
	z := b.add("second", must(layer.NewAffine([]float64{1, -1}, nil, 1, 2, 1, 1)), y)
	net := b.build(z)
	refused := 0
	for _, q := range []float64{1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1} {
		cov, s := make([]float64, 16), []float64{.5, -.5, .5, -.5}
		for i := range s {
			for j := range s {
				cov[4*i+j] = math.Pi/3 + q*s[i]*s[j]
			}
			cov[5*i] += q * q / 2
		}
		in := covprop.Gaussian{Mean: make([]float64, 4), Cov: must(covprop.NewDense(4, cov))}
		want := must(net.Propagate(context.Background(), in)).Cov.At(0, 0)
		res, err := net.With(graph.Options{Precision: 32}).Propagate(context.Background(), in)
		if err != nil {
			refused++
			continue
		}
		if d := math.Abs(res.Cov.At(0, 0)/want - 1); d > res.Accuracy.Bound {
			t.Errorf("q %v: the variance is off by %v of itself, and %v is stated", q, d, res.Accuracy.Bound)
		}
	}
	if refused < 2 || refused == 6 {
		t.Errorf("%d of 6 refused", refused)
	}
}
