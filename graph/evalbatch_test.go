package graph_test

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/cpu"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/onnx"
)

// models reads the networks of testdata/models.
func models(t testing.TB) map[string]*graph.Network {
	files := must(filepath.Glob("../testdata/models/*.onnx"))
	if len(files) < 10 {
		t.Fatalf("only %d models in testdata", len(files))
	}
	nets := make(map[string]*graph.Network)
	for _, f := range files {
		nets[strings.TrimSuffix(filepath.Base(f), ".onnx")] = must(onnx.ReadFile(f))
	}
	return nets
}

// inOrder yields networks by name, so that they get the same random numbers in
// every run.
func inOrder(nets map[string]*graph.Network) iter.Seq2[string, *graph.Network] {
	return func(yield func(string, *graph.Network) bool) {
		for _, name := range slices.Sorted(maps.Keys(nets)) {
			if !yield(name, nets[name]) {
				return
			}
		}
	}
}

// strided returns an r x c matrix of NaN, inside an array with guards.
func strided(r, c, stride int) blas64.General {
	a := blas64.General{Rows: r, Cols: c, Stride: stride, Data: make([]float64, r*stride)}
	for i := range a.Data {
		a.Data[i] = math.NaN()
	}
	return a
}

func column(a blas64.General, j int) []float64 {
	x := make([]float64, a.Rows)
	for i := range x {
		x[i] = a.Data[i*a.Stride+j]
	}
	return x
}

// checkBatch compares EvalBatchTo at B normal points with EvalTo. They add up
// the same terms in another order: the difference is rounding, some 1e-16 of the
// terms a layer, of which a chain of them may cancel.
func checkBatch(t *testing.T, net *graph.Network, rng *rand.Rand, points int) {
	t.Helper()
	x := strided(net.InputDim(), points, points+3)
	for i := range x.Rows {
		for j := range points {
			x.Data[i*x.Stride+j] = rng.NormFloat64()
		}
	}
	y := strided(net.OutputDim(), points, points+5)
	check(net.EvalBatchTo(y, x))
	// Sums go in another order; what they round is relative to the values that
	// the outputs have at any point, since at one point they may cancel.
	wants, scale := make([][]float64, points), 0.
	for j := range wants {
		wants[j] = make([]float64, net.OutputDim())
		check(net.EvalTo(wants[j], column(x, j)))
		for _, v := range wants[j] {
			scale = max(scale, math.Abs(v))
		}
	}
	for j, want := range wants {
		for i, got := range column(y, j) {
			if d := math.Abs(got - want[i]); !(d <= 1e-13*scale) {
				t.Fatalf("B=%d: output %d of point %d is %v, want %v", points, i, j, got, want[i])
			}
		}
	}
	for i := range y.Rows {
		for _, v := range y.Data[i*y.Stride+points:][:y.Stride-points] {
			if !math.IsNaN(v) {
				t.Fatalf("B=%d: row %d was written beyond its end", points, i)
			}
		}
	}
}

func TestEvalBatchModels(t *testing.T) {
	for name, net := range inOrder(models(t)) {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			for _, points := range []int{0, 1, 7, 257} {
				if net.InputDim() > 500 && points > 7 {
					points = 67 // more than a block; the single evaluations take long
				}
				checkBatch(t, net, rng, points)
			}
		})
	}
}

// rules returns a rule of every kind.
func rules(rng *rand.Rand) map[string]layer.Rule {
	at := []int{-1, 0, 1, 0, 1, 2, 1, 2, 3, 2, 3, -1} // one dimension, four positions, three taps, padding 1
	acts := func(a ...activation.Activation) layer.Rule { return must(layer.NewElementwise(a, 6)) }
	square := func(dst []float64, x ...[]float64) {
		for i, v := range x[0] {
			dst[i] = v * v * x[1][0]
		}
	}
	return map[string]layer.Rule{
		"affine":         must(layer.NewAffine(normals(rng, 12), normals(rng, 3), 3, 4, 1, 1)),
		"affine, outer":  must(layer.NewAffine(normals(rng, 12), normals(rng, 3), 3, 4, 9, 1)),
		"affine, inner":  must(layer.NewAffine(normals(rng, 12), nil, 3, 4, 2, 5)),
		"convolution":    must(layer.NewConv(normals(rng, 5*2*3), normals(rng, 5), at, 2, 1, 5, 2, 4, 3)),
		"square conv":    must(layer.NewConv(normals(rng, 2*2*3), nil, at, 1, 1, 2, 2, 4, 3)),
		"grouped conv":   must(layer.NewConv(normals(rng, 4*3), normals(rng, 4), at, 1, 2, 4, 2, 4, 3)),
		"sparse":         must(layer.NewSparse([]int{0, 2, 3}, []int{0, 2, 1}, normals(rng, 3), normals(rng, 2), 3, 2, 3)),
		"scale":          must(layer.NewScale(normals(rng, 5), normals(rng, 5), 5)),
		"sum":            must(layer.NewSum([]float64{1, -2.5, 1}, 5)),
		"select":         must(layer.NewSelect([]int{3, 0, 0, 2}, 4)),
		"concat":         must(layer.NewConcat(2, []int{3, 1, 2})),
		"reshape":        must(layer.NewReshape(4)),
		"one activation": acts(activation.GELU()),
		"activations":    acts(activation.ReLU(), activation.Tanh(), activation.Sigmoid(), activation.Step(), activation.Sin(), activation.Square()),
		"product":        must(layer.NewProduct(5)),
		"matrix product": must(layer.NewMatProduct(2, 3, 4, 2)),
		"max":            must(layer.NewMax([][2]int{{0, 1}, {2, 3}, {1, 2}}, 4)),
		"norm":           must(layer.NewNorm(2, 5, 1e-5, true)),
		"softmax":        must(layer.NewSoftmax(2, 4, false)),
		"log softmax":    must(layer.NewSoftmax(2, 4, true)),
		"argmax":         must(layer.NewArgMax(2, 4, false)),
		"linearised":     must(layer.NewLinearized("test", square, 4, 4, 2)),
	}
}

// ruleNetwork returns the network y = rule(x_1, ..., x_m), whose inputs are the
// rule's, as they are or behind a map of their own.
func ruleNetwork(rule layer.Rule, direct bool) *graph.Network {
	b := builder{graph.NewBuilder()}
	var in []graph.Tensor
	for i, n := range rule.Inputs() {
		x := must(b.Input(fmt.Sprint("x", i), []int{n}))
		if !direct {
			x = b.add("before", must(layer.NewScale([]float64{1.5}, []float64{.25}, n)), x)
		}
		in = append(in, x)
	}
	return b.build(b.add("y", rule, in...))
}

func TestEvalBatchRules(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for name, rule := range rules(rng) {
		t.Run(name, func(t *testing.T) {
			for _, direct := range []bool{true, false} {
				net := ruleNetwork(rule, direct)
				for _, points := range []int{0, 1, 7, 257} {
					checkBatch(t, net, rng, points)
				}
			}
		})
	}
}

// TestEvalBatchBranches has tensors that are used more than once, so that what
// is overwritten must not be too much: inputs, activations of one tensor, a
// tensor that is an output and goes on, constants.
func TestEvalBatchBranches(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	b := builder{graph.NewBuilder()}
	x, z := b.input(4), must(b.Input("z", []int{3}))
	h := b.affine(rng, 6, 4, x)
	relu, tanh := b.act(activation.ReLU(), 6, h), b.act(activation.Tanh(), 6, h)
	s := b.add("sum", must(layer.NewSum([]float64{1, 2, -1}, 6)), relu, tanh, h)
	gelu := b.act(activation.GELU(), 6, s)
	flat := b.add("flat", must(layer.NewReshape(6)), gelu)
	sq := b.act(activation.Square(), 6, flat)
	p := b.add("product", must(layer.NewProduct(6)), sq, relu)
	cat := b.add("concat", must(layer.NewConcat(1, []int{6, 3})), p, z)
	check(b.Constant("c", []int{2}, []float64{3, 4}))
	net := b.build(gelu, b.act(activation.ReLU(), 4, x), cat, x, flat)
	for _, points := range []int{1, 7, 257, 1000} {
		checkBatch(t, net, rng, points)
	}
}

// TestEvalBatchAlone checks that a point's values are the same, bit for bit,
// whatever the number of points: samplers rely on it for results that do not
// depend on the number of threads. That holds on every instruction set.
func TestEvalBatchAlone(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	nets := models(t)
	for name, rule := range rules(rng) {
		nets[name] = ruleNetwork(rule, false)
	}
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.Force(isa)()
			checkAlone(t, rng, nets)
		})
	}
}

func checkAlone(t *testing.T, rng *rand.Rand, nets map[string]*graph.Network) {
	for name, net := range inOrder(nets) {
		const points = 150
		x := strided(net.InputDim(), points, points)
		copy(x.Data, normals(rng, len(x.Data)))
		y := strided(net.OutputDim(), points, points)
		check(net.EvalBatchTo(y, x))
		for _, j := range []int{0, 63, 149} {
			alone := strided(net.OutputDim(), 1, 1)
			check(net.EvalBatchTo(alone, blas64.General{Rows: x.Rows, Cols: 1, Stride: 1, Data: column(x, j)}))
			for i, v := range column(y, j) {
				if v != alone.Data[i] {
					t.Errorf("%s: output %d of point %d is %v among others and %v alone", name, i, j, v, alone.Data[i])
					break
				}
			}
		}
	}
}

// TestEvalBatchNotFinite puts NaN and infinities in one element of a point:
// every output is what EvalTo makes of it, and the other points know nothing of
// it.
func TestEvalBatchNotFinite(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	nets := map[string]*graph.Network{"mlp": mlp(rng, 5, 20, 20, 3)}
	for name, rule := range rules(rng) {
		nets[name] = ruleNetwork(rule, true)
	}
	for name, net := range inOrder(nets) {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			const points, at = 20, 11
			x := strided(net.InputDim(), points, points)
			copy(x.Data, normals(rng, len(x.Data)))
			for i := range x.Rows {
				x.Data[i*points+at] = 1 // in 0 to 4, where ArgMax has no tie with Inf
			}
			x.Data[at] = bad
			y := strided(net.OutputDim(), points, points)
			check(net.EvalBatchTo(y, x))
			want := make([]float64, net.OutputDim())
			for j := range points {
				check(net.EvalTo(want, column(x, j)))
				for i, got := range column(y, j) {
					same := got == want[i] || math.IsNaN(got) && math.IsNaN(want[i]) || math.Abs(got-want[i]) < 1e-12
					if !same {
						t.Errorf("%s, %v: output %d of point %d is %v, want %v", name, bad, i, j, got, want[i])
					}
				}
			}
		}
	}
}

func TestEvalBatchShapes(t *testing.T) {
	net := mlp(rand.New(rand.NewPCG(1, 1)), 3, 4, 2)
	data := make([]float64, 30)
	general := func(r, c, stride, n int) blas64.General {
		return blas64.General{Rows: r, Cols: c, Stride: stride, Data: data[:n]}
	}
	good := general(2, 5, 5, 10)
	for _, c := range []struct{ dst, x blas64.General }{
		{good, general(2, 5, 5, 10)},                 // rows of x
		{good, general(3, 4, 4, 12)},                 // columns
		{general(3, 5, 5, 15), general(3, 5, 5, 15)}, // rows of dst
		{good, general(3, 5, 5, 14)},                 // x too short
		{good, general(3, 5, 4, 15)},                 // rows overlap
		{general(2, 5, 6, 10), general(3, 5, 5, 15)}, // dst too short
		{general(2, -1, 5, 10), general(3, -1, 5, 15)},
		{blas64.General{Rows: 2, Cols: 1}, blas64.General{Rows: 3, Cols: 1}},
	} {
		if err := net.EvalBatchTo(c.dst, c.x); err == nil {
			t.Errorf("dst %d x %d (%d), x %d x %d (%d): no error", c.dst.Rows, c.dst.Cols, c.dst.Stride, c.x.Rows, c.x.Cols, c.x.Stride)
		}
		if err := net.EvalBatchObserved(c.dst, c.x, nil); err == nil {
			t.Error("no error of the observed evaluation")
		}
	}
	// The last row may end with its last element.
	check(net.EvalBatchTo(general(2, 5, 9, 14), general(3, 5, 6, 17)))
}

func TestEvalBatchConcurrent(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	net := must(onnx.ReadFile("../testdata/models/concrete_ln_gelu_residual.onnx"))
	x := strided(net.InputDim(), 100, 100)
	copy(x.Data, normals(rng, len(x.Data)))
	want := strided(net.OutputDim(), 100, 100)
	check(net.EvalBatchTo(want, x))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got := strided(net.OutputDim(), 100, 100)
			for range 5 {
				check(net.EvalBatchTo(got, x))
				for i, v := range want.Data {
					if got.Data[i] != v {
						t.Errorf("value %d is %v, want %v", i, got.Data[i], v)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestEvalBatchAllocations checks that steady evaluation takes its memory from
// the network.
func TestEvalBatchAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, which runs with -short, drops pooled memory")
	}
	for name, net := range inOrder(models(t)) {
		if name == "digits_attention" { // MatProduct and Softmax forward in pieces of their own
			continue
		}
		x, y := strided(net.InputDim(), 100, 100), strided(net.OutputDim(), 100, 100)
		clear(x.Data)
		if n := testing.AllocsPerRun(5, func() { check(net.EvalBatchTo(y, x)) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkEvalBatch reports the time of a point, and how many times faster it
// is than alone.
func BenchmarkEvalBatch(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, name := range []string{"acasxu_1_1", "power_gelu", "energy_tanh_silu", "mjp_go1_policy", "marabou_cnn_max_mninst3"} {
		net := must(onnx.ReadFile("../testdata/models/" + name + ".onnx"))
		const points = 512
		x, y := strided(net.InputDim(), points, points), strided(net.OutputDim(), points, points)
		copy(x.Data, normals(rng, len(x.Data)))
		b.Run(fmt.Sprintf("%s/n=%d", name, points), func(b *testing.B) {
			for b.Loop() {
				check(net.EvalBatchTo(y, x))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/points, "ns/point")
		})
	}
}
