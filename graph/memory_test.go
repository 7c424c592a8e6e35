package graph_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// TestResidualMemory: a residual block of width n, y = relu(x + f(relu(f(x))))
// with maps f that work in place, takes three n x n blocks at its peak: those
// of the two branches and the one between them.
func TestResidualMemory(t *testing.T) {
	const n = 200
	rng := rand.New(rand.NewPCG(1, 2))
	b := builder{graph.NewBuilder()}
	x := b.act(activation.ReLU(), n, b.affine(rng, n, 3, b.input(3)))
	for range 3 {
		f := b.add("f", must(layer.NewScale(normals(rng, n), nil, n)), x)
		f = b.act(activation.ReLU(), n, f)
		f = b.add("g", must(layer.NewScale(normals(rng, n), nil, n)), f)
		x = b.act(activation.ReLU(), n, b.add("sum", must(layer.NewSum([]float64{1, 1}, n)), x, f))
	}
	net := b.build(b.affine(rng, 1, n, x))
	vectors := int64(8 * n * (2*layer.UnitFloats(true, 0) + 20))
	if peak, want := net.PeakBytes(), 3*8*int64(n*n)+vectors; peak > want {
		t.Errorf("the peak is %d bytes, want at most %d", peak, want)
	}
}

// TestPostponed: the linear branch, which is wider than its input, waits until
// the other, wider still inside, is done.
func TestPostponed(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n, out, wide = 50, 200, 400
	b := builder{graph.NewBuilder()}
	x := b.act(activation.ReLU(), n, b.affine(rng, n, n, b.input(n)))
	short := b.affine(rng, out, n, x)
	y := b.act(activation.ReLU(), wide, b.affine(rng, wide, n, x))
	y = b.act(activation.ReLU(), wide, b.affine(rng, wide, wide, y))
	sum := b.add("sum", must(layer.NewSum([]float64{1, 1}, out)), short, b.affine(rng, out, wide, y))
	net := b.build(b.affine(rng, 1, out, sum))
	// Twice the widest block and its product with the weights, and what ties
	// it to x: with the short branch in its place that would be four times as
	// much.
	vectors := n*n + wide*(layer.UnitFloats(true, 0)+20)
	if peak, want := net.PeakBytes(), 8*int64(2*wide*wide+2*wide*n+vectors); peak > want {
		t.Errorf("the peak is %d bytes, want at most %d", peak, want)
	}
	if nodes := net.Nodes(); nodes[len(nodes)-3].Shape[0] != out {
		t.Errorf("the short branch does not wait: %v", nodes)
	}
}

// TestKeepInputRefused: without covariances there are none to keep.
func TestKeepInputRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	net := mlp(rng, 2, 3, 1).With(graph.Options{KeepInput: true, Diagonal: true})
	if _, err := net.Propagate(context.Background(), covprop.Gaussian{Mean: []float64{0, 0}, Cov: covprop.Diagonal{1, 1}}); err == nil {
		t.Error("no error")
	}
}

// TestManyOutputs: of five hundred outputs of one element it is not the
// covariances that take the memory but the record of where each of them is:
// over a hundred thousand of them, at more than a hundred bytes.
func TestManyOutputs(t *testing.T) {
	const n = 500
	b := builder{graph.NewBuilder()}
	x := b.input(n)
	var outputs []graph.Tensor
	for i := range n {
		outputs = append(outputs, b.add("part", must(layer.NewSelect([]int{i}, n)), x))
	}
	if peak := b.build(outputs...).PeakBytes(); peak < n*n/2*100 {
		t.Errorf("the peak is %d bytes", peak)
	}
}
