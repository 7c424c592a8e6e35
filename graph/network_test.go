package graph_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/ref"
	"github.com/covprop/covprop/layer"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func normals(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}

// randomCov returns an n x n covariance of the given rank.
func randomCov(rng *rand.Rand, n, rank int) *covprop.Dense {
	a := mat.NewDense(n, rank, normals(rng, n*rank))
	var s mat.Dense
	s.Mul(a, a.T())
	return must(covprop.NewDense(n, s.RawMatrix().Data))
}

// builder adds nodes with less ceremony.
type builder struct{ *graph.Builder }

func (b builder) input(n int) graph.Tensor { return must(b.Input(fmt.Sprint("x", n), []int{n})) }

func (b builder) add(name string, r layer.Rule, in ...graph.Tensor) graph.Tensor {
	return must(b.Add(graph.Node{Name: name, Op: "Test", Rule: r, Inputs: in, Output: name, Shape: []int{r.OutputLen()}}))
}

func (b builder) act(a activation.Activation, n int, in graph.Tensor) graph.Tensor {
	return b.add(a.Name(), must(layer.NewElementwise([]activation.Activation{a}, n)), in)
}

func (b builder) affine(rng *rand.Rand, out, in int, x graph.Tensor) graph.Tensor {
	w := normals(rng, out*in)
	for i := range w {
		w[i] /= math.Sqrt(float64(in))
	}
	return b.add("affine", must(layer.NewAffine(w, normals(rng, out), out, in, 1, 1)), x)
}

func (b builder) build(outputs ...graph.Tensor) *graph.Network {
	for i, t := range outputs {
		if err := b.Output(fmt.Sprint("y", i), t); err != nil {
			panic(err)
		}
	}
	return must(b.Build())
}

// randomLinear builds a random graph of linear nodes in which tensors are used
// many times, with two inputs and several outputs.
func randomLinear(rng *rand.Rand) *graph.Network {
	b := builder{graph.NewBuilder()}
	const n = 6
	ts := []graph.Tensor{b.input(n), b.input(n)}
	pick := func() graph.Tensor { return ts[rng.IntN(len(ts))] }
	for range 3 + rng.IntN(8) {
		x := pick()
		var r layer.Rule
		in := []graph.Tensor{x}
		switch rng.IntN(7) {
		case 0:
			r = must(layer.NewAffine(normals(rng, n*n), normals(rng, n), n, n, 1, 1))
		case 1: // a block of rows
			r = must(layer.NewAffine(normals(rng, 9), normals(rng, 3), 3, 3, 2, 1))
		case 2: // a matrix from the left
			r = must(layer.NewAffine(normals(rng, 4), normals(rng, 2), 2, 2, 1, 3))
		case 3:
			r = must(layer.NewScale(normals(rng, n), normals(rng, 1), n))
		case 4:
			r = must(layer.NewSelect([]int{5, 0, 3, 3, 1, 2}, n))
		case 5:
			r = must(layer.NewReshape(n))
		case 6:
			r = must(layer.NewSum([]float64{1, -1, .5}, n))
			in = append(in, pick(), pick())
		}
		ts = append(ts, b.add(r.Name(), r, in...))
	}
	return b.build(ts[len(ts)-1], pick(), pick())
}

// TestLinearGraphs propagates through random linear graphs: the covariance
// must be J Sigma J' with the Jacobian J found from the forward pass by
// differences, which are exact to rounding for a linear function. All moments
// are sums of a few thousand terms, hence 1e-11 of the largest.
func TestLinearGraphs(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		net := randomLinear(rng)
		n, m := net.InputDim(), net.OutputDim()
		mean := normals(rng, n)
		var cov covprop.Covariance = randomCov(rng, n, 1+rng.IntN(n))
		if seed%3 == 0 {
			cov = must(covprop.NewDiagonal([]float64{1, .5, 0, 2, 1, 1, .1, 3, 1, 0, 1, 1}))
		}
		in := must(covprop.NewGaussian(mean, cov))
		res := must(net.Propagate(context.Background(), in))

		f0, f1, x := make([]float64, m), make([]float64, m), make([]float64, n)
		if err := net.EvalTo(f0, x); err != nil {
			t.Fatal(err)
		}
		jac := mat.NewDense(m, n, nil)
		for j := range n {
			clear(x)
			x[j] = 1
			if err := net.EvalTo(f1, x); err != nil {
				t.Fatal(err)
			}
			for i := range m {
				jac.Set(i, j, f1[i]-f0[i])
			}
		}
		var js, want, diff mat.Dense
		js.Mul(jac, cov)
		want.Mul(&js, jac.T())
		diff.Sub(&want, res.Cov)
		if d, scale := mat.Max(absolute(&diff)), mat.Max(absolute(&want)); d > 1e-11*scale {
			t.Errorf("seed %d: covariance is off by %g of %g", seed, d, scale)
		}
		got := mat.NewDense(m, n, nil)
		if err := net.JacobianTo(got, mean); err != nil {
			t.Fatal(err)
		}
		diff.Reset()
		diff.Sub(jac, got)
		if d := mat.Max(absolute(&diff)); d > 1e-11*mat.Max(absolute(jac)) {
			t.Errorf("seed %d: Jacobian is off by %g", seed, d)
		}
		if err := net.EvalTo(f1, mean); err != nil {
			t.Fatal(err)
		}
		for i := range f1 {
			if d := math.Abs(f1[i] - res.Mean[i]); d > 1e-11*(1+math.Abs(f1[i])) {
				t.Errorf("seed %d: mean %d is off by %g", seed, i, d)
			}
		}
		if res.Accuracy.Status != covprop.Exact {
			t.Errorf("seed %d: a linear graph is %v (%s)", seed, res.Accuracy.Status, res.Accuracy.Reason)
		}
		for i := range m {
			for j := range m {
				if res.Cov.At(i, j) != res.Cov.At(j, i) {
					t.Fatalf("seed %d: not symmetric at (%d,%d)", seed, i, j)
				}
			}
		}
	}
}

func absolute(a *mat.Dense) *mat.Dense {
	var b mat.Dense
	b.Apply(func(_, _ int, v float64) float64 { return math.Abs(v) }, a)
	return &b
}

// TestParallelBranches checks the covariances between activations of the same
// tensor, of another one, and the tensor itself against two-dimensional
// quadrature: they are exact up to the series' tolerance, so there is no
// Gaussian closure to report.
func TestParallelBranches(t *testing.T) {
	relu, tanh := activation.ReLU(), activation.Tanh()
	for _, dense := range []bool{true, false} {
		b := builder{graph.NewBuilder()}
		x := b.input(2)
		r, h := b.act(relu, 2, x), b.act(tanh, 2, x)
		z := b.add("z", must(layer.NewAffine([]float64{1, 1, 1, -2}, nil, 2, 2, 1, 1)), x)
		rz := b.act(relu, 2, z)
		net := b.build(x, r, h, rz)
		mean := []float64{.3, -.4}
		sigma := [2]float64{.8, .6}
		rho := .7
		var cov covprop.Covariance = must(covprop.NewDiagonal(sigma[:]))
		c := 0.
		if dense {
			c = rho * sigma[0] * sigma[1]
			cov = must(covprop.NewDense(2, []float64{sigma[0] * sigma[0], c, c, sigma[1] * sigma[1]}))
		}
		res := must(net.Propagate(context.Background(), must(covprop.NewGaussian(mean, cov))))
		if res.Accuracy.Status == covprop.Approximate && res.Accuracy.Reason == "Gaussian closure" {
			t.Errorf("dense=%v: one layer of activations does not rest on the closure", dense)
		}
		// Moments of the pre-activations (x0, x1, z0, z1).
		mu := []float64{mean[0], mean[1], mean[0] + mean[1], mean[0] - 2*mean[1]}
		a := mat.NewDense(4, 2, []float64{1, 0, 0, 1, 1, 1, 1, -2})
		var as, s mat.Dense
		as.Mul(a, cov)
		s.Mul(&as, a.T())
		type unit struct {
			pre   int
			f     func(float64) float64
			kinks []float64
		}
		id := func(v float64) float64 { return v }
		units := []unit{
			{0, id, nil},
			{1, id, nil},
			{0, relu.Apply, []float64{0}},
			{1, relu.Apply, []float64{0}},
			{0, math.Tanh, nil},
			{1, math.Tanh, nil},
			{2, relu.Apply, []float64{0}},
			{3, relu.Apply, []float64{0}},
		}
		for i, u := range units {
			for j, w := range units[:i+1] {
				s1, s2 := math.Sqrt(s.At(u.pre, u.pre)), math.Sqrt(s.At(w.pre, w.pre))
				r := max(-1, min(1, s.At(u.pre, w.pre)/s1/s2))
				want := ref.Covariance(u.f, u.kinks, w.f, w.kinks, mu[u.pre], s1, mu[w.pre], s2, r)
				if d := math.Abs(res.Cov.At(i, j) - want); d > 2e-9*s1*s2 {
					t.Errorf("dense=%v: covariance (%d,%d) is %g, want %g (off by %g)", dense, i, j, res.Cov.At(i, j), want, d)
				}
			}
		}
	}
}

// TestSkip checks y = x + relu(w x + b) in one dimension, where ignoring the
// cross-covariance would be far off, against quadrature.
func TestSkip(t *testing.T) {
	b := builder{graph.NewBuilder()}
	x := b.input(1)
	a := b.add("a", must(layer.NewAffine([]float64{-1.5}, []float64{.4}, 1, 1, 1, 1)), x)
	y := b.add("y", must(layer.NewSum([]float64{1, 1}, 1)), x, b.act(activation.ReLU(), 1, a))
	net := b.build(y)
	res := must(net.Propagate(context.Background(), must(covprop.NewGaussian([]float64{.2}, must(covprop.NewDiagonal([]float64{.9}))))))
	f := func(x float64) float64 { return x + max(0, .4-1.5*x) }
	kinks := []float64{.4 / 1.5}
	if want := ref.Mean(f, .2, .9, kinks); math.Abs(res.Mean[0]-want) > 1e-14 {
		t.Errorf("mean %v, want %v", res.Mean[0], want)
	}
	want := ref.Variance(f, .2, .9, kinks)
	if d := math.Abs(res.Cov.At(0, 0)/want - 1); d > 1e-13 {
		t.Errorf("variance %v, want %v (relative error %g)", res.Cov.At(0, 0), want, d)
	}
}

// mlp is a chain of affine and ReLU layers.
func mlp(rng *rand.Rand, widths ...int) *graph.Network {
	b := builder{graph.NewBuilder()}
	x := b.input(widths[0])
	for i, w := range widths[1:] {
		x = b.affine(rng, w, widths[i], x)
		if i < len(widths)-2 {
			x = b.act(activation.ReLU(), w, x)
		}
	}
	return b.build(x)
}

func TestZeroCovarianceIsForward(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	net := mlp(rng, 10, 40, 30, 4)
	mean := normals(rng, 10)
	want := make([]float64, 4)
	if err := net.EvalTo(want, mean); err != nil {
		t.Fatal(err)
	}
	for _, cov := range []covprop.Covariance{make(covprop.Diagonal, 10), must(covprop.NewDense(10, make([]float64, 100)))} {
		res := must(net.Propagate(context.Background(), must(covprop.NewGaussian(mean, cov))))
		for i, w := range want {
			if res.Mean[i] != w || res.Cov.At(i, i) != 0 {
				t.Errorf("%T: output %d is %v with variance %v, want %v and 0", cov, i, res.Mean[i], res.Cov.At(i, i), w)
			}
		}
		if res.Accuracy.Status == covprop.Approximate {
			t.Errorf("%T: a point evaluation is approximate: %s", cov, res.Accuracy.Reason)
		}
	}
}

// TestThreadsAndWorkspace: bit for bit the same results for any number of
// threads, with a workspace used before for another network and input, and
// from concurrent calls.
func TestThreadsAndWorkspace(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	net := mlp(rng, 20, 150, 90, 5)
	in := must(covprop.NewGaussian(normals(rng, 20), randomCov(rng, 20, 5)))
	want := must(net.With(graph.Options{Threads: 1}).Propagate(context.Background(), in))
	check := func(what string, got covprop.Result) {
		t.Helper()
		for i := range want.Mean {
			for j := range want.Mean {
				if got.Mean[i] != want.Mean[i] || got.Cov.At(i, j) != want.Cov.At(i, j) {
					t.Fatalf("%s: differs at (%d,%d)", what, i, j)
				}
			}
		}
	}
	check("three threads", must(net.With(graph.Options{Threads: 3}).Propagate(context.Background(), in)))
	ws := graph.NewWorkspace()
	var res covprop.Result
	other := mlp(rng, 3, 200, 2)
	oin := must(covprop.NewGaussian(normals(rng, 3), randomCov(rng, 3, 3)))
	for range 3 {
		if err := other.PropagateTo(context.Background(), &res, oin, ws); err != nil {
			t.Fatal(err)
		}
		if err := net.PropagateTo(context.Background(), &res, in, ws); err != nil {
			t.Fatal(err)
		}
		check("used workspace", res)
	}
	results := make(chan covprop.Result)
	for range 4 {
		go func() { results <- must(net.Propagate(context.Background(), in)) }()
	}
	for range 4 {
		check("concurrent", <-results)
	}
}

func TestErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	net := mlp(rng, 20, 150, 5)
	in := must(covprop.NewGaussian(normals(rng, 20), randomCov(rng, 20, 20)))

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := net.Propagate(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	var input *covprop.InputError
	short := must(covprop.NewGaussian(normals(rng, 3), randomCov(rng, 3, 3)))
	if _, err := net.Propagate(context.Background(), short); !errors.As(err, &input) {
		t.Errorf("wrong dimension: got %v", err)
	}
	bad := in
	bad.Mean = append([]float64{math.NaN()}, in.Mean[1:]...)
	if _, err := net.Propagate(context.Background(), bad); !errors.As(err, &input) {
		t.Errorf("NaN in the mean: got %v", err)
	}
	for _, o := range []graph.Options{{Tol: -1}, {Tol: 2}, {Tol: math.NaN()}, {Order: -1}, {Order: 2, Tol: 1e-3}} {
		if _, err := net.With(o).Propagate(context.Background(), in); !errors.As(err, &input) {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	var memory *covprop.MemoryError
	peak := net.PeakBytes()
	if _, err := net.With(graph.Options{MaxBytes: peak - 1}).Propagate(context.Background(), in); !errors.As(err, &memory) || memory.Peak != peak {
		t.Errorf("over the memory limit: got %v", err)
	}
	if _, err := net.With(graph.Options{MaxBytes: peak}).Propagate(context.Background(), in); err != nil {
		t.Errorf("at the memory limit: %v", err)
	}

	b := builder{graph.NewBuilder()}
	net = b.build(b.act(activation.Exp(), 1, b.input(1)))
	var model *covprop.ModelError
	huge := must(covprop.NewGaussian([]float64{1}, must(covprop.NewDiagonal([]float64{1e3}))))
	if _, err := net.Propagate(context.Background(), huge); !errors.As(err, &model) || model.Op != "Test" {
		t.Errorf("moments that overflow: got %v", err)
	}
}

// TestClosure: what lies downstream of two nonlinear nodes is approximate,
// what lies downstream of one is not.
func TestClosure(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	in := must(covprop.NewGaussian(normals(rng, 5), randomCov(rng, 5, 5)))
	one := must(mlp(rng, 5, 9, 3).Propagate(context.Background(), in))
	if one.Accuracy.Status != covprop.Certified || !(one.Accuracy.Bound <= layer.DefaultTol) {
		t.Errorf("one hidden layer: %+v", one.Accuracy)
	}
	two := must(mlp(rng, 5, 9, 9, 3).Propagate(context.Background(), in))
	if two.Accuracy.Status != covprop.Approximate || two.Accuracy.Reason != "Gaussian closure" {
		t.Errorf("two hidden layers: %+v", two.Accuracy)
	}
	if len(two.Nodes) != 5 {
		t.Errorf("%d nodes reported, want 5", len(two.Nodes))
	}
}

// TestDiagonal checks diagonal moment matching layer by layer against the
// definition: variances pass as (W o W) v and by the activation's variance.
func TestDiagonal(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	w, v := normals(rng, 12), []float64{.5, 1, 2}
	b := builder{graph.NewBuilder()}
	x := b.input(3)
	y := b.act(activation.ReLU(), 4, b.add("a", must(layer.NewAffine(w, nil, 4, 3, 1, 1)), x))
	net := b.build(y).With(graph.Options{Diagonal: true})
	res := must(net.Propagate(context.Background(), must(covprop.NewGaussian(make([]float64, 3), covprop.Diagonal(v)))))
	for i := range 4 {
		s := 0.
		for j := range 3 {
			s += w[i*3+j] * w[i*3+j] * v[j]
		}
		want := s * (.5 - .5/math.Pi) // the variance of relu(N(0, s))
		if d := math.Abs(res.Cov.At(i, i)/want - 1); d > 1e-14 {
			t.Errorf("variance %d is %v, want %v", i, res.Cov.At(i, i), want)
		}
	}
	if _, ok := res.Cov.(covprop.Diagonal); !ok || res.Accuracy.Status != covprop.Approximate {
		t.Errorf("got %T, %+v", res.Cov, res.Accuracy)
	}
}
