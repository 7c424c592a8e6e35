package onnx_test

import (
	"context"
	"math"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/baseline"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestFuseMax: the maximum of activations is the activation of the maximum,
// where the activation does not decrease and serves nothing else; the function
// stays the same.
func TestFuseMax(t *testing.T) {
	pool := nd("MaxPool", "h", "y", attrs{"kernel_shape": []int64{2, 2}})
	for _, c := range []struct {
		name  string
		nodes []*onnxpb.NodeProto
		last  string // the rule that the network ends with
	}{
		{"relu", []*onnxpb.NodeProto{nd("Relu", "x", "h"), pool}, "relu"},
		{"global", []*onnxpb.NodeProto{nd("Tanh", "x", "h"), nd("GlobalMaxPool", "h", "y")}, "tanh"},
		{"minimum", []*onnxpb.NodeProto{nd("LeakyRelu", "x", "h", attrs{"alpha": float32(0.5)}), nd("ReduceMin", "h", "y", attrs{"axes": []int64{2, 3}, "keepdims": 1})}, "leaky_relu_0.5"},
		{"decreasing", []*onnxpb.NodeProto{nd("LeakyRelu", "x", "h", attrs{"alpha": float32(-2)}), pool}, "max"},
		{"not monotone", []*onnxpb.NodeProto{nd("Sin", "x", "h"), pool}, "max"},
		{"used twice", []*onnxpb.NodeProto{nd("Relu", "x", "h"), nd("MaxPool", "h", "p", attrs{"kernel_shape": []int64{1, 1}}), nd("Add", "p h", "y")}, "sum"},
	} {
		t.Run(c.name, func(t *testing.T) {
			net, err := one(13, dims{1, 1, 2, 2}, nil, c.nodes...).read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			nodes := net.Nodes()
			if last := nodes[len(nodes)-1].Rule; last != c.last {
				t.Errorf("the last rule is %s, want %s", last, c.last)
			}
		})
	}
}

// TestFusedMaxIsBetter: of four rectified values, mostly zero, the standard
// deviation of the maximum is good to 15% with the maximum taken first. Taken
// last, as where the rectified values are an output, too, it is off by more
// than twice as much.
func TestFusedMaxIsBetter(t *testing.T) {
	in := covprop.Gaussian{Mean: []float64{-1, -1.5, -1, -2}, Cov: covprop.Diagonal{1, 1, 1, 1}}
	m := one(13, dims{1, 1, 2, 2}, nil, nd("Relu", "x", "h"), nd("MaxPool", "h", "y", attrs{"kernel_shape": []int64{2, 2}}))
	std := func(outputs ...string) (moment, sampled float64) {
		m.out = outputs
		net, err := m.read(onnx.Importer{})
		if err != nil {
			t.Fatal(err)
		}
		res, err := net.Propagate(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		mc, err := baseline.MonteCarlo{Func: net, Samples: 100000, Seed: 1}.Propagate(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		return res.Std()[0], mc.Std()[0]
	}
	got, want := std("y")
	last, _ := std("y", "h")
	if math.Abs(got/want-1) > .15 || math.Abs(last/want-1) < 2*math.Abs(got/want-1) {
		t.Errorf("the standard deviation is %v with the maximum first, %v with the maximum last, Monte Carlo %v", got, last, want)
	}
}
