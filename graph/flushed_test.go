package graph_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// TestFlushed: covariances below 2^-1022 are 0, so the sum of eight equal ReLUs that
// are all but off can lose its standard deviation, eight times that of one. Where it
// does, the result does not call itself certified.
func TestFlushed(t *testing.T) {
	const n = 8
	b := graph.NewBuilder()
	x, err := b.Input("x", []int{n})
	if err != nil {
		t.Fatal(err)
	}
	relu, err := layer.NewElementwise([]activation.Activation{activation.ReLU()}, n)
	if err != nil {
		t.Fatal(err)
	}
	h, err := b.Add(graph.Node{Name: "relu", Rule: relu, Inputs: []graph.Tensor{x}, Output: "h", Shape: []int{n}})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := layer.NewAffine(slices.Repeat([]float64{1}, n), nil, 1, n, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Add(graph.Node{Name: "sum", Rule: sum, Inputs: []graph.Tensor{h}, Output: "y", Shape: []int{1}})
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
	for _, a := range []float64{30, 36, 37, 37.4, 38} {
		cov, err := covprop.NewDense(n, slices.Repeat([]float64{1}, n*n))
		if err != nil {
			t.Fatal(err)
		}
		res, err := net.Propagate(context.Background(), covprop.Gaussian{Mean: slices.Repeat([]float64{-a}, n), Cov: cov})
		if err != nil {
			t.Fatal(err)
		}
		var m [1]float64
		v, _ := activation.Marginal(activation.ReLU(), m[:], -a, 1, 1e-9)
		ratio := math.Sqrt(res.Cov.At(0, 0)) / (n * math.Sqrt(v))
		if right := math.Abs(ratio-1) < 1e-9; !right && res.Accuracy.Status != covprop.Approximate {
			t.Errorf("a = %v: the standard deviation is %v of the true one, and %v", a, ratio, res.Accuracy)
		}
		if a == 30 && res.Accuracy.Status == covprop.Approximate {
			t.Errorf("a = %v: %v, although nothing is lost", a, res.Accuracy)
		}
	}
}
