package graph_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/onnx"
)

// BenchmarkMLP propagates a dense covariance through a random ReLU network of
// seven hidden layers, on one thread.
func BenchmarkMLP(b *testing.B) {
	for _, n := range []int{100, 400} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 1))
			net := mlp(rng, n, n, n, n, n, n, n, n, 1)
			in := must(covprop.NewGaussian(normals(rng, n), randomCov(rng, n, 2*n)))
			benchmark(b, net.With(graph.Options{Threads: 1}), in)
		})
	}
}

// BenchmarkModels propagates an isotropic covariance through trained networks.
func BenchmarkModels(b *testing.B) {
	for _, name := range []string{"acasxu_1_1", "energy_tanh_silu", "mjp_go1_policy"} {
		b.Run(name, func(b *testing.B) {
			net, err := onnx.ReadFile("../testdata/models/" + name + ".onnx")
			if err != nil {
				b.Fatal(err)
			}
			std := make([]float64, net.InputDim())
			for i := range std {
				std[i] = .01
			}
			in := must(covprop.NewGaussian(make([]float64, len(std)), must(covprop.NewDiagonal(std))))
			benchmark(b, net.With(graph.Options{Threads: 1}), in)
		})
	}
}

func benchmark(b *testing.B, net *graph.Network, in covprop.Gaussian) {
	ws := graph.NewWorkspace()
	var res covprop.Result
	b.ReportAllocs()
	for b.Loop() {
		if err := net.PropagateTo(context.Background(), &res, in, ws); err != nil {
			b.Fatal(err)
		}
	}
}
