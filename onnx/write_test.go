package onnx

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/layer"
)

// chain returns the network of one affine map, an activation, a sum with the map and
// a second map, on tensors of the given shapes. All numbers are exact in float32.
func chain(t *testing.T, act activation.Activation, in, hidden, out []int, outer, inner int) *graph.Network {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 3))
	size := func(shape []int) int {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return n
	}
	numbers := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(float32(rng.NormFloat64() / 2))
		}
		return x
	}
	b := graph.NewBuilder()
	must := func(x graph.Tensor, err error) graph.Tensor {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	rule := func(r layer.Rule, err error) layer.Rule {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	affine := func(out, in []int) layer.Rule {
		m, k := size(out)/outer/inner, size(in)/outer/inner
		a, err := layer.NewAffine(numbers(m*k), numbers(m), m, k, outer, inner)
		return rule(a, err)
	}
	x := must(b.Input("x", in))
	h := must(b.Add(graph.Node{Name: "first", Op: "Gemm", Rule: affine(hidden, in), Inputs: []graph.Tensor{x}, Output: "h", Shape: hidden}))
	e, err := layer.NewElementwise([]activation.Activation{act}, size(hidden))
	a := must(b.Add(graph.Node{Name: "act", Op: act.Name(), Rule: rule(e, err), Inputs: []graph.Tensor{h}, Output: "a", Shape: hidden}))
	sum, err := layer.NewSum([]float64{1, -0.5}, size(hidden))
	s := must(b.Add(graph.Node{Name: "sum", Op: "Add", Rule: rule(sum, err), Inputs: []graph.Tensor{a, h}, Output: "s", Shape: hidden}))
	y := must(b.Add(graph.Node{Name: "last", Op: "Gemm", Rule: affine(out, hidden), Inputs: []graph.Tensor{s}, Output: "l", Shape: out}))
	if err := b.Output("y", y); err != nil {
		t.Fatal(err)
	}
	if err := b.Output("hidden", s); err != nil {
		t.Fatal(err)
	}
	n, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWrite checks that a network that was written is read back as the same: values
// and moments agree to rounding, and to that of parameters to float32.
func TestWrite(t *testing.T) {
	for _, name := range append(activation.Names(), "leaky_relu_0.25", "elu_0.5", "quick_gelu_1.5") {
		act, err := activation.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			compareWritten(t, chain(t, act, []int{1, 3}, []int{1, 4}, []int{1, 2}, 1, 1), name == "heaviside")
		})
	}
	for name, shapes := range map[string]struct {
		in, hidden, out []int
		outer, inner    int
	}{
		"rows":    {[]int{2, 3}, []int{2, 4}, []int{2, 1}, 2, 1},
		"images":  {[]int{2, 3, 2, 1}, []int{2, 4, 2, 1}, []int{2, 1, 2}, 2, 2},
		"vectors": {[]int{3}, []int{4}, []int{2}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			compareWritten(t, chain(t, activation.Tanh(), shapes.in, shapes.hidden, shapes.out, shapes.outer, shapes.inner), false)
		})
	}
}

// compareWritten compares a network with what is read back. A Heaviside function
// becomes two operators, which have the same values but not the same moments.
func compareWritten(t *testing.T, net *graph.Network, valuesOnly bool) {
	t.Helper()
	var raw, again bytes.Buffer
	if err := Write(&raw, net); err != nil {
		t.Fatal(err)
	}
	if err := Write(&again, net); err != nil || !bytes.Equal(raw.Bytes(), again.Bytes()) {
		t.Errorf("%v: the same network makes different files", err)
	}
	back, err := Read(bytes.NewReader(raw.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for i, out := range net.Outputs() {
		if got := back.Outputs()[i]; got.Name != out.Name || got.Len != out.Len {
			t.Errorf("output %d is %v, want %v", i, got, out)
		}
	}
	rng := rand.New(rand.NewPCG(9, 9))
	n := net.InputDim()
	in := covprop.Gaussian{Mean: make([]float64, n)}
	variances := make([]float64, n)
	for i := range n {
		in.Mean[i], variances[i] = rng.NormFloat64(), 0.1+0.1*rng.Float64()
	}
	if in.Cov, err = covprop.NewDiagonal(variances); err != nil {
		t.Fatal(err)
	}
	a, b := make([]float64, net.OutputDim()), make([]float64, net.OutputDim())
	if err := net.EvalTo(a, in.Mean); err != nil {
		t.Fatal(err)
	}
	if err := back.EvalTo(b, in.Mean); err != nil {
		t.Fatal(err)
	}
	close := func(what string, i int, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 3e-7*(1+math.Abs(want)) { // parameters such as 0.01 are rounded to float32, 6e-8
			t.Errorf("%s %d is %v, want %v", what, i, got, want)
		}
	}
	for i := range a {
		close("value", i, b[i], a[i])
	}
	if valuesOnly {
		return
	}
	p, err := net.Propagate(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	q, err := back.Propagate(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Mean {
		close("mean", i, q.Mean[i], p.Mean[i])
		for j := range p.Mean {
			close("covariance", i, q.Cov.At(i, j), p.Cov.At(i, j))
		}
	}
}

// TestWrittenRows checks that rows are free where they may be, and only there.
func TestWrittenRows(t *testing.T) {
	for _, c := range []struct {
		in, hidden, out []int
		outer           int
		free            bool
	}{
		{[]int{1, 3}, []int{1, 4}, []int{1, 2}, 1, true},
		{[]int{2, 3}, []int{2, 4}, []int{2, 2}, 2, false},
		{[]int{3}, []int{4}, []int{2}, 1, false},
	} {
		var raw bytes.Buffer
		if err := Write(&raw, chain(t, activation.ReLU(), c.in, c.hidden, c.out, c.outer, 1)); err != nil {
			t.Fatal(err)
		}
		var m onnxpb.ModelProto
		if err := proto.Unmarshal(raw.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		for _, v := range append(m.Graph.Input, m.Graph.Output...) {
			if got := v.Type.GetTensorType().Shape.Dim[0].GetDimParam() == "rows"; got != c.free {
				t.Errorf("inputs %v: the first dimension of %s is free: %v", c.in, v.GetName(), got)
			}
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	own, err := activation.New("own", math.Sin, math.Cos)
	if err != nil {
		t.Fatal(err)
	}
	net := chain(t, own, []int{1, 3}, []int{1, 4}, []int{1, 2}, 1, 1)
	if err := Write(&bytes.Buffer{}, net); err == nil || !strings.Contains(err.Error(), `node "act" (own): the activation own is not written`) {
		t.Errorf("an activation of one's own: %v", err)
	}
	conv, err := ReadFile("../testdata/models/zoo_mnist-8.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(&bytes.Buffer{}, conv); err == nil || !strings.Contains(err.Error(), "is not written; only affine maps") {
		t.Errorf("a convolution: %v", err)
	}
}

// TestWriteRuntime compares with what ONNX Runtime 1.32 makes of the files: testdata/
// written has one for every activation and, beside it, a row of the outputs "y" and
// "hidden" for the input (0.5, -1, 2). COVPROP_WRITE=1 writes the files anew; then
// testdata/written.py runs them.
func TestWriteRuntime(t *testing.T) {
	const dir = "testdata/written"
	for _, name := range activation.Names() {
		act, err := activation.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		net := chain(t, act, []int{1, 3}, []int{1, 4}, []int{1, 2}, 1, 1)
		var raw bytes.Buffer
		if err := Write(&raw, net); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name+".onnx")
		if os.Getenv("COVPROP_WRITE") != "" {
			if err := os.WriteFile(path, raw.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(stored, raw.Bytes()) {
			t.Errorf("%s: the file that ONNX Runtime ran is another; run it again (see this test's comment)", name)
		}
		text, err := os.ReadFile(filepath.Join(dir, name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(string(text))
		got := make([]float64, net.OutputDim())
		if err := net.EvalTo(got, []float64{0.5, -1, 2}); err != nil {
			t.Fatal(err)
		}
		if len(want) != len(got) {
			t.Fatalf("%s: %d numbers, want %d", name, len(want), len(got))
		}
		for i := range got {
			w, err := strconv.ParseFloat(want[i], 64)
			if err != nil {
				t.Fatal(err)
			}
			// Some operations in float32, some of them approximated by the runtime.
			if math.Abs(got[i]-w) > 2e-6*(1+math.Abs(w)) {
				t.Errorf("%s: output %d is %v, ONNX Runtime has %v", name, i, got[i], w)
			}
		}
	}
}
