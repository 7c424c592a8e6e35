package onnx_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestFuseMax: a maximum and an activation change places if that is the same
// function, as making the activation's result an output, which prevents it,
// confirms.
func TestFuseMax(t *testing.T) {
	pool := nd("MaxPool", "a", "y", attrs{"kernel_shape": []int64{2, 2}})
	for _, c := range []struct {
		name  string
		nodes []*onnxpb.NodeProto
		last  string // the last rule
	}{
		{"relu", []*onnxpb.NodeProto{nd("Relu", "x", "a"), pool}, "relu"},
		{"tanh", []*onnxpb.NodeProto{nd("Tanh", "x", "a"), nd("GlobalMaxPool", "a", "y")}, "tanh"},
		{"reduce", []*onnxpb.NodeProto{nd("Sigmoid", "x", "a"), nd("ReduceMax", "a i", "y")}, "sigmoid"},
		{"min", []*onnxpb.NodeProto{nd("Relu", "x", "a"), nd("ReduceMin", "a i", "y")}, "relu"},
		{"leaky", []*onnxpb.NodeProto{nd("LeakyRelu", "x", "a", attrs{"alpha": float32(0.5)}), pool}, "leaky_relu_0.5"},

		{"decreasing", []*onnxpb.NodeProto{nd("LeakyRelu", "x", "a", attrs{"alpha": float32(-0.5)}), pool}, "max"},
		{"abs", []*onnxpb.NodeProto{nd("Abs", "x", "a"), pool}, "max"},
		{"used twice", []*onnxpb.NodeProto{nd("Relu", "x", "a"), nd("MaxPool", "a", "m", attrs{"kernel_shape": []int64{3, 3}}), nd("Add", "m a", "y")}, "sum"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := one(18, dims{1, 1, 3, 3}, inits{ints("i", 2)}, c.nodes...)
			net, err := m.read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			rules := net.Nodes()
			if last := rules[len(rules)-1]; last.Rule != c.last || last.Op != c.nodes[len(c.nodes)-1].GetOpType() {
				t.Errorf("the last rule is %+v", last)
			}
			m.out = []string{"y", "a"}
			apart, err := m.read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			x := []float64{-3, 1, 0.5, 2, -1, -2, 4, -0.25, -4}
			y, want := make([]float64, net.OutputDim()), make([]float64, apart.OutputDim())
			if err := net.EvalTo(y, x); err != nil {
				t.Fatal(err)
			}
			if err := apart.EvalTo(want, x); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(y, want[:len(y)]) {
				t.Errorf("got %v, want %v", y, want[:len(y)])
			}
		})
	}
}

// TestFuseMaxIndices: a use of MaxPool's Indices is refused as without the
// exchange.
func TestFuseMaxIndices(t *testing.T) {
	m := one(13, dims{1, 1, 2, 2}, nil, nd("Relu", "x", "a"), nd("MaxPool", "a", "y i", attrs{"kernel_shape": []int64{2, 2}}))
	m.out = []string{"y", "i"}
	if _, err := m.read(onnx.Importer{}); err == nil || !strings.Contains(err.Error(), `its output 1, "i", is not supported`) {
		t.Errorf("the error is %v", err)
	}
}

// TestFuseMaxMoments: with M the largest of four independent standard normal
// numbers, P(M < t) = Phi(t)^4, and so
//
//	E relu(M) = int_0^inf 1 - Phi(t)^4 dt,  E relu(M)^2 = int_0^inf 2 t (1 - Phi(t)^4) dt.
//
// Two rounds of maxima, each taken for Gaussian, are within 5%; the maximum of
// the four ReLUs, taken for Gaussian, would have a standard deviation that is off by 40%.
func TestFuseMaxMoments(t *testing.T) {
	tail := func(t float64) float64 { return 1 - math.Pow(math.Erfc(-t/math.Sqrt2)/2, 4) }
	mean := quad.Fixed(tail, 0, 12, 200, quad.Legendre{}, 1)
	square := quad.Fixed(func(t float64) float64 { return 2 * t * tail(t) }, 0, 12, 200, quad.Legendre{}, 1)
	std := math.Sqrt(square - mean*mean)
	net, err := one(13, dims{1, 1, 2, 2}, nil, nd("Relu", "x", "a"), nd("MaxPool", "a", "y", attrs{"kernel_shape": []int64{2, 2}})).read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := covprop.NewGaussian(make([]float64, 4), covprop.Diagonal{1, 1, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	r, err := net.Propagate(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	if got := math.Sqrt(r.Cov.At(0, 0)); !(math.Abs(r.Mean[0]-mean) <= 0.05*mean) || !(math.Abs(got-std) <= 0.05*std) {
		t.Errorf("mean %v and standard deviation %v, want %v and %v", r.Mean[0], got, mean, std)
	}
}
