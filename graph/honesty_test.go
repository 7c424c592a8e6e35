package graph_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// What a result says of itself, in corners where it is tempting to be silent.

func standard(n int) covprop.Gaussian {
	v := make(covprop.Diagonal, n)
	for i := range v {
		v[i] = 1
	}
	return covprop.Gaussian{Mean: make([]float64, n), Cov: v}
}

// TestClosureThroughAffine: an affine activation between two nonlinear ones
// does not make the tensor Gaussian again.
func TestClosureThroughAffine(t *testing.T) {
	for _, mid := range []activation.Activation{activation.Identity(), must(activation.Polynomial(-.5, 2)), activation.Square()} {
		b := builder{graph.NewBuilder()}
		x := b.act(mid, 2, b.act(activation.ReLU(), 2, b.input(2)))
		net := b.build(b.act(activation.ReLU(), 2, x))
		res := must(net.Propagate(context.Background(), standard(2)))
		if res.Accuracy.Reason != "Gaussian closure" {
			t.Errorf("relu, %s, relu: %+v", mid.Name(), res.Accuracy)
		}
	}
}

// TestClosureWithinStep: relu(v) and an affine activation of relu(x) in one
// step, where v = x: their covariance takes x and relu(x) as jointly Gaussian.
func TestClosureWithinStep(t *testing.T) {
	b := builder{graph.NewBuilder()}
	x := b.input(2)
	v, u := b.act(activation.Identity(), 2, x), b.act(activation.ReLU(), 2, x)
	net := b.build(b.act(activation.ReLU(), 2, v), b.act(activation.Identity(), 2, u))
	res := must(net.Propagate(context.Background(), standard(2)))
	if res.Accuracy.Reason != "Gaussian closure" {
		t.Errorf("%+v", res.Accuracy)
	}
}

// TestNoClosureOfCertain: the maximum of tensors that are certain rests on
// nothing, wherever they come from.
func TestNoClosureOfCertain(t *testing.T) {
	b := builder{graph.NewBuilder()}
	u := b.act(activation.ReLU(), 2, b.input(2))
	c := b.add("c", must(layer.NewScale([]float64{0}, []float64{1}, 2)), u)
	net := b.build(u, b.add("max", must(layer.NewMax([][2]int{{0, 1}}, 2)), c))
	res := must(net.Propagate(context.Background(), standard(2)))
	if res.Accuracy.Reason == "Gaussian closure" {
		t.Errorf("%+v", res.Accuracy)
	}
}

// almostPSD is accepted by NewDense, as rounding to float32 makes such
// matrices, but has an eigenvalue of -1e-7.
func almostPSD() covprop.Gaussian {
	const c = 1 + 1e-7
	return must(covprop.NewGaussian([]float64{.1, .2}, must(covprop.NewDense(2, []float64{1, c, c, 1}))))
}

// TestNegativeVariance: x0 - x1 has a negative variance there. It becomes a
// certain value, uncorrelated with everything, and the node says so.
func TestNegativeVariance(t *testing.T) {
	b := builder{graph.NewBuilder()}
	x := b.input(2)
	d := b.add("d", must(layer.NewAffine([]float64{1, -1}, nil, 1, 2, 1, 1)), x)
	res := must(b.build(d, x).Propagate(context.Background(), almostPSD()))
	for j := range 3 {
		if res.Cov.At(0, j) != 0 || res.Cov.At(j, 0) != 0 {
			t.Errorf("covariance (0,%d) is %v, want 0", j, res.Cov.At(0, j))
		}
	}
	if res.Accuracy.Status != covprop.Approximate {
		t.Errorf("accuracy %+v", res.Accuracy)
	}
}

// TestCorrelationAboveOne: an affine map can blow the same defect up to a
// correlation of 39. It is taken as 1, and the node says so.
func TestCorrelationAboveOne(t *testing.T) {
	s := math.Sqrt(2e-7)
	b := builder{graph.NewBuilder()}
	z := b.add("z", must(layer.NewAffine([]float64{1, -(1 - s*1.0001), 1, 0}, nil, 2, 2, 1, 1)), b.input(2))
	res := must(b.build(b.act(activation.ReLU(), 2, z)).Propagate(context.Background(), almostPSD()))
	if res.Accuracy.Status != covprop.Approximate || res.Accuracy.Bound < 1 {
		t.Errorf("accuracy %+v", res.Accuracy)
	}
}

// TestResultAsInput: a recursive filter feeds a result back in.
func TestResultAsInput(t *testing.T) {
	b := builder{graph.NewBuilder()}
	x := b.input(2)
	net := b.build(b.add("half", must(layer.NewScale([]float64{.5}, nil, 2)), x), x)
	for _, o := range []graph.Options{{}, {Diagonal: true}} {
		var res covprop.Result
		in := must(covprop.NewGaussian([]float64{1, 2}, must(covprop.NewDense(2, []float64{2, 1, 1, 3}))))
		if err := net.With(o).PropagateTo(context.Background(), &res, in, nil); err != nil {
			t.Fatal(err)
		}
		if err := net.With(o).PropagateTo(context.Background(), &res, res.Output(1), nil); err != nil {
			t.Fatal(err)
		}
		if res.Mean[0] != .5 || res.Mean[3] != 2 || res.Cov.At(0, 0) != .5 || res.Cov.At(3, 3) != 3 {
			t.Errorf("%+v: mean %v, variances %v and %v", o, res.Mean, res.Cov.At(0, 0), res.Cov.At(3, 3))
		}
	}
}

// TestHugePlans: sizes beyond any memory are refused, not wrapped around.
func TestHugePlans(t *testing.T) {
	b := builder{graph.NewBuilder()}
	const n = 1 << 28
	x := b.input(n)
	var outputs []graph.Tensor
	for range 40 {
		outputs = append(outputs, b.add("y", must(layer.NewScale(nil, nil, n)), x))
	}
	net := b.build(outputs...)
	if peak := net.PeakBytes(); peak < 1<<50 {
		t.Errorf("planned peak is %d", peak)
	}
	b = builder{graph.NewBuilder()}
	x = b.input(1 << 24)
	net = b.build(b.act(activation.ReLU(), 1<<24, x), x)
	var memory *covprop.MemoryError
	if _, err := net.Propagate(context.Background(), standard(1<<24)); !errors.As(err, &memory) {
		t.Errorf("got %v, want a MemoryError", err)
	}
}

// TestRepeatedInput: of the rules that work in place, only sums know what to do
// with one tensor used twice.
func TestRepeatedInput(t *testing.T) {
	b := graph.NewBuilder()
	x := must(b.Input("x", []int{2}))
	type twice struct{ layer.Linear }
	rule := twice{must(layer.NewSum([]float64{1, 1}, 2))}
	if _, err := b.Add(graph.Node{Name: "y", Rule: rule, Inputs: []graph.Tensor{x, x}, Output: "y", Shape: []int{2}}); err == nil {
		t.Error("a rule that is no sum takes the same tensor twice")
	}
}

// TestManyTerms: a sum of 300 tensors has 45,000 covariances, which must not
// take their number squared.
func TestManyTerms(t *testing.T) {
	b := builder{graph.NewBuilder()}
	x := b.input(1)
	var terms []graph.Tensor
	coef := make([]float64, 300)
	for i := range coef {
		coef[i] = 1
		terms = append(terms, b.act(activation.ReLU(), 1, x))
	}
	net := b.build(b.add("sum", must(layer.NewSum(coef, 1)), terms...))
	res := must(net.Propagate(context.Background(), standard(1)))
	want := 300 * 300 * (.5 - .5/math.Pi) // 300^2 Var relu(Z)
	if d := math.Abs(res.Cov.At(0, 0)/want - 1); d > 1e-9 {
		t.Errorf("variance %v, want %v", res.Cov.At(0, 0), want)
	}
}

// TestInfiniteSlope: a root at 0 is a point evaluation like any other where
// its input is certain.
func TestInfiniteSlope(t *testing.T) {
	root := must(activation.New("root", func(x float64) float64 { return math.Sqrt(math.Abs(x)) },
		func(x float64) float64 { return math.Copysign(.5/math.Sqrt(math.Abs(x)), x) }, 0))
	b := builder{graph.NewBuilder()}
	net := b.build(b.act(root, 1, b.input(1)))
	res, err := net.Propagate(context.Background(), covprop.Gaussian{Mean: []float64{0}, Cov: make(covprop.Diagonal, 1)})
	if err != nil || res.Mean[0] != 0 || res.Cov.At(0, 0) != 0 {
		t.Errorf("got %v, %v", res.Gaussian, err)
	}
}
