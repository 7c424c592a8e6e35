package graph_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/onnx"
)

func checkCount(t *testing.T, what string, got, want int64) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d operations, counted by hand %d", what, got, want)
	}
}

// TestOperationsOfMLP counts a network 3 - 5 - 7 with one ReLU by hand.
func TestOperationsOfMLP(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := builder{graph.NewBuilder()}
	x := b.input(3)
	net := b.build(b.affine(rng, 7, 5, b.act(activation.ReLU(), 5, b.affine(rng, 5, 3, x))))
	forward := int64(5*3 + 5 + 7*5)
	checkCount(t, "forward", net.Operations(), forward)

	const terms = 16
	relu := int64(terms * (5 + 5*6/2))
	first, second := int64(15*3+15*3), int64(35*5+35*4) // A Cov, and the triangle of (A Cov) A'
	dense := 15 + 35 + relu + first + second
	checkCount(t, "dense", net.PropagationOperations(false), dense)
	checkCount(t, "diagonal input", net.PropagationOperations(true), dense-15*3+15)
	order := net.With(graph.Options{Order: 4})
	checkCount(t, "order 4", order.PropagationOperations(false), dense-relu+relu/terms*4)
	diagonal := net.With(graph.Options{Diagonal: true})
	checkCount(t, "diagonal", diagonal.PropagationOperations(false), 15+35+15+35+5*terms)
	// The input stays: A Cov(x) is shared by Cov(y, x) and Cov(y), then there is
	// G Cov(h, x), (5, 3), and A Cov(h, x).
	kept := net.With(graph.Options{KeepInput: true})
	checkCount(t, "kept input", kept.PropagationOperations(false), dense+5*3+35*3)
}

// TestOperationsOfConvNet counts a convolution of two channels of 1 x 4 to three,
// with three taps and padding 1, followed by sums of pairs and a product.
func TestOperationsOfConvNet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := builder{graph.NewBuilder()}
	x := b.input(8)
	at := []int{-1, 0, 1, 0, 1, 2, 1, 2, 3, 2, 3, -1} // 10 of 12 taps meet a position
	conv := b.add("conv", must(layer.NewConv(normals(rng, 3*2*3), normals(rng, 3), at, 1, 1, 3, 2, 4, 3)), x)
	pool := must(layer.NewSparse([]int{0, 2, 4}, []int{0, 1, 2, 3}, []float64{.5, .5, .5, .5}, nil, 4, 3, 1))
	y := b.add("pool", pool, b.act(activation.Tanh(), 12, conv))
	s := b.add("sum", must(layer.NewSum([]float64{1, 1}, 6)), y, b.add("scale", must(layer.NewScale([]float64{2}, nil, 6)), y))
	net := b.build(b.add("product", must(layer.NewProduct(6)), s, b.add("flat", must(layer.NewReshape(6)), y)))
	checkCount(t, "forward", net.Operations(), 10*3*2+12+4*3+6+2*6+6)
}

// TestPropagationOperationsSaturate has more than an int64 counts.
func TestPropagationOperationsSaturate(t *testing.T) {
	const n = 1 << 21
	b := builder{graph.NewBuilder()}
	h := b.act(activation.Tanh(), n, b.input(n))
	for range 3000 {
		h = b.act(activation.Tanh(), n, h)
	}
	net := b.build(h)
	// 3001 steps of 16 n^2/2 and a little.
	if got := float64(net.PropagationOperations(false)); math.Abs(got/(3001*8.*n*n)-1) > 1e-5 {
		t.Errorf("%g operations", got)
	}
	// Entries of the covariance of a product of matrices, some 2^39, are sums of
	// 2^27 terms.
	b = builder{graph.NewBuilder()}
	net = b.build(b.add("y", must(layer.NewMatProduct(1, 1<<10, 1<<13, 1<<10)), b.input(1<<23), must(b.Input("z", []int{1 << 23}))))
	if got := net.PropagationOperations(false); got != math.MaxInt64 {
		t.Errorf("%d operations", got)
	}
}

// TestPropagationOperationsOfModels checks that every trained network has a
// count, which a dense input does not make smaller.
func TestPropagationOperationsOfModels(t *testing.T) {
	for name, net := range inOrder(models(t)) {
		forward, diagonal, dense := net.Operations(), net.PropagationOperations(true), net.PropagationOperations(false)
		t.Logf("%s: forward %d, propagation %d and %d", name, forward, diagonal, dense)
		if forward <= 0 || diagonal <= forward || dense < diagonal {
			t.Errorf("%s: forward %d, propagation %d and %d", name, forward, diagonal, dense)
		}
	}
}

// BenchmarkOperations reports the operations a nanosecond of propagations and of
// evaluations in batches: how far the counts stand for times.
func BenchmarkOperations(b *testing.B) {
	for _, name := range []string{"acasxu_1_1", "power_gelu", "energy_tanh_silu", "mjp_go1_policy"} {
		net := must(onnx.ReadFile("../testdata/models/" + name + ".onnx")).With(graph.Options{Threads: 1})
		std := make([]float64, net.InputDim())
		for i := range std {
			std[i] = .01
		}
		in := must(covprop.NewGaussian(make([]float64, len(std)), must(covprop.NewDiagonal(std))))
		b.Run(fmt.Sprintf("propagation/%s", name), func(b *testing.B) {
			ws := graph.NewWorkspace()
			var res covprop.Result
			for b.Loop() {
				check(net.PropagateTo(context.Background(), &res, in, ws))
			}
			b.ReportMetric(float64(net.PropagationOperations(true))*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "op/ns")
		})
		b.Run(fmt.Sprintf("evaluation/%s", name), func(b *testing.B) {
			const points = 256
			x, y := blas64.General{Rows: len(std), Cols: points, Stride: points, Data: make([]float64, len(std)*points)}, strided(net.OutputDim(), points, points)
			for b.Loop() {
				check(net.EvalBatchTo(y, x))
			}
			b.ReportMetric(float64(net.Operations())*points*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "op/ns")
		})
	}
}
