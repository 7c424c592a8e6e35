package graph_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// branched returns a network with two inputs and a constant, in which tensors
// are outputs, have several users and other shapes.
func branched(rng *rand.Rand) *graph.Network {
	b := builder{graph.NewBuilder()}
	x, z := b.input(4), must(b.Input("z", []int{6}))
	h := b.affine(rng, 6, 4, x)
	relu, tanh := b.act(activation.ReLU(), 6, h), b.act(activation.Tanh(), 6, z)
	s := b.add("sum", must(layer.NewSum([]float64{1, 2, -1}, 6)), relu, tanh, h)
	flat := b.add("flat", must(layer.NewReshape(6)), s)
	p := b.add("product", must(layer.NewProduct(6)), flat, z)
	check(b.Constant("c", []int{2}, []float64{3, 4}))
	return b.build(p, flat, z, relu)
}

// TestLayers evaluates networks layer by layer, as another package would.
func TestLayers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	nets := models(t)
	nets["branched"] = branched(rng)
	for name, net := range inOrder(nets) {
		x := normals(rng, net.InputDim())
		inputs, nodes := net.Inputs(), net.Nodes()
		var values [][]float64
		at := func(i int) []float64 {
			if i >= 0 {
				return values[i]
			}
			in := inputs[-1-i]
			return x[in.Offset:][:in.Len]
		}
		for i, l := range net.Layers() {
			if n := nodes[i]; n.Name != l.Name || n.Op != l.Op || n.Rule != l.Rule.Name() {
				t.Errorf("%s: layer %d is %q, node %q", name, i, l.Name, n.Name)
			}
			var args [][]float64
			for _, k := range l.Inputs {
				if k >= i || k >= 0 && nodes[k].Rule == "reshape" {
					t.Fatalf("%s: layer %d reads layer %d", name, i, k)
				}
				args = append(args, at(k))
			}
			y := make([]float64, l.Rule.OutputLen())
			l.Rule.Forward(y, args...)
			values = append(values, y)
		}
		if len(values) != len(nodes) {
			t.Errorf("%s: %d layers, %d nodes", name, len(values), len(nodes))
		}
		want := make([]float64, net.OutputDim())
		check(net.EvalTo(want, x))
		outputs := net.Outputs()
		for i, s := range net.OutputSources() {
			got := s.Constant
			if got == nil {
				got = at(s.Layer)
			}
			for k, v := range got {
				if w := want[outputs[i].Offset+k]; v != w {
					t.Errorf("%s: element %d of output %d is %v, want %v", name, k, i, v, w)
				}
			}
		}
	}
}

// TestObservers compares what the two observers see where nothing is uncertain:
// the same means, to the rounding of TestEvalBatchModels, and no variance.
func TestObservers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	nets := models(t)
	nets["branched"] = branched(rng)
	for name, net := range inOrder(nets) {
		x := normals(rng, net.InputDim())
		nodes := net.Nodes()
		var seen [][]float64
		n := net.With(graph.Options{Observe: func(node int, mean, variance []float64) {
			if node != len(seen) || len(mean) != len(variance) {
				t.Fatalf("%s: node %d after %d; %d means and %d variances", name, node, len(seen), len(mean), len(variance))
			}
			seen = append(seen, append([]float64{}, mean...))
			for i, v := range variance {
				if v != 0 {
					t.Errorf("%s: element %d of node %d has the variance %v", name, i, node, v)
				}
			}
		}})
		must(n.Propagate(context.Background(), must(covprop.NewGaussian(x, make(covprop.Diagonal, len(x))))))
		if len(seen) != len(nodes) {
			t.Errorf("%s: %d nodes of %d seen", name, len(seen), len(nodes))
		}
		count := 0
		in := blas64.General{Rows: len(x), Cols: 1, Stride: 1, Data: x}
		check(net.EvalBatchObserved(strided(net.OutputDim(), 1, 1), in, func(node int, y blas64.General) {
			if node != count || y.Cols != 1 || y.Rows != size(nodes[node].Shape) || y.Rows != len(seen[node]) {
				t.Fatalf("%s: node %d is %d, of %d x %d values", name, count, node, y.Rows, y.Cols)
			}
			count++
			scale := 0.
			for _, v := range seen[node] {
				scale = max(scale, math.Abs(v))
			}
			for i, want := range seen[node] {
				if got := y.Data[i*y.Stride]; !(math.Abs(got-want) <= 1e-13*scale) {
					t.Errorf("%s: element %d of node %d is %v, want %v", name, i, node, got, want)
				}
			}
		}))
		if count != len(nodes) {
			t.Errorf("%s: %d nodes of %d evaluated", name, count, len(nodes))
		}
	}
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// TestObserve compares the marginals that are observed with those of a network
// whose outputs are all its tensors.
func TestObserve(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	b := builder{graph.NewBuilder()}
	var all []graph.Tensor
	h, n := b.input(4), 4
	for _, m := range []int{6, 3} {
		h = b.affine(rng, m, n, h)
		all = append(all, h)
		h, n = b.act(activation.GELU(), m, h), m
		all = append(all, h)
	}
	net := b.build(all...)
	for _, diagonal := range []bool{false, true} {
		for _, o := range []graph.Options{{}, {Diagonal: true}, {Precision: 32}} {
			in := randomInput(rng, 4, diagonal)
			want := must(net.With(o).Propagate(context.Background(), in))
			calls := 0
			o.Observe = func(node int, mean, variance []float64) {
				calls++
				out := want.Outputs[node]
				for i := range mean {
					k := out.Offset + i
					if mean[i] != want.Mean[k] || variance[i] != want.Cov.At(k, k) {
						t.Errorf("node %d: element %d has the moments %v, %v, want %v, %v", node, i, mean[i], variance[i], want.Mean[k], want.Cov.At(k, k))
					}
				}
			}
			must(net.With(o).Propagate(context.Background(), in))
			if calls != 4 {
				t.Errorf("%d calls", calls)
			}
			check(net.With(o).PropagateBatch(context.Background(), make([]covprop.Result, 1), []covprop.Gaussian{in}))
			if calls != 4 {
				t.Errorf("a batch is observed")
			}
		}
	}
}

func TestObserveAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, which runs with -short, drops pooled memory")
	}
	rng := rand.New(rand.NewPCG(4, 3))
	sum := 0.
	net := mlp(rng, 5, 30, 70, 3).With(graph.Options{Threads: 1, Observe: func(_ int, mean, variance []float64) { sum += mean[0] + variance[0] }})
	in, ws := randomInput(rng, 5, false), graph.NewWorkspace()
	var res covprop.Result
	if n := testing.AllocsPerRun(20, func() { check(net.PropagateTo(context.Background(), &res, in, ws)) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}
