package onnx

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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

// A sketch builds a network of random numbers that are exact in float32.
type sketch struct {
	t       *testing.T
	rng     *rand.Rand
	b       *graph.Builder
	shapes  map[graph.Tensor][]int
	tensors []graph.Tensor
}

func newSketch(t *testing.T, seed uint64) *sketch {
	return &sketch{t: t, rng: rand.New(rand.NewPCG(seed, 3)), b: graph.NewBuilder(), shapes: map[graph.Tensor][]int{}}
}

func (s *sketch) numbers(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(float32(s.rng.NormFloat64() / 2))
	}
	return x
}

func (s *sketch) input(shape ...int) graph.Tensor {
	s.t.Helper()
	x, err := s.b.Input("x", shape)
	return s.tensor(x, shape, err)
}

func (s *sketch) tensor(x graph.Tensor, shape []int, err error) graph.Tensor {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	s.shapes[x] = shape
	s.tensors = append(s.tensors, x)
	return x
}

// add returns a function that adds a node with the rule that a constructor returned.
func (s *sketch) add(name string, shape []int, in ...graph.Tensor) func(layer.Rule, error) graph.Tensor {
	return func(r layer.Rule, err error) graph.Tensor {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
		x, err := s.b.Add(graph.Node{Name: name, Op: r.Name(), Rule: r, Inputs: in, Output: name, Shape: shape})
		return s.tensor(x, shape, err)
	}
}

// affine adds an affine map along the axis between outer and inner.
func (s *sketch) affine(name string, x graph.Tensor, shape []int, outer, inner int) graph.Tensor {
	s.t.Helper()
	m, n := product(shape)/outer/inner, product(s.shapes[x])/outer/inner
	a, err := layer.NewAffine(s.numbers(m*n), s.numbers(m), m, n, outer, inner)
	return s.add(name, shape, x)(a, err)
}

func (s *sketch) act(name string, x graph.Tensor, acts ...activation.Activation) graph.Tensor {
	s.t.Helper()
	e, err := layer.NewElementwise(acts, product(s.shapes[x]))
	return s.add(name, s.shapes[x], x)(e, err)
}

// build returns the network with outputs that have the names given.
func (s *sketch) build(names string, outputs ...graph.Tensor) *graph.Network {
	s.t.Helper()
	for i, name := range strings.Fields(names) {
		if err := s.b.Output(name, outputs[i]); err != nil {
			s.t.Fatal(err)
		}
	}
	n, err := s.b.Build()
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// chain returns the network of an affine map, an activation of what is near a point, a
// sum with the map and a second map, on tensors of the given shapes.
func chain(t *testing.T, act activation.Activation, in, hidden, out []int, outer, inner int) *graph.Network {
	t.Helper()
	s := newSketch(t, 3)
	h := s.affine("first", s.input(in...), hidden, outer, inner)
	x := h
	if at, ok := near[act]; ok {
		scale, err := layer.NewScale([]float64{1. / 64}, []float64{at}, product(hidden))
		x = s.add("near", hidden, h)(scale, err)
	}
	a := s.act("act", x, act)
	sum, err := layer.NewSum([]float64{1, -0.5}, product(hidden))
	y := s.add("sum", hidden, a, h)(sum, err)
	return s.build("y hidden", s.affine("last", y, out, outer, inner), y)
}

// near has a point for the activations that are not functions on the whole line.
var near = map[activation.Activation]float64{
	activation.Acos(): 0.5, activation.Acosh(): 2, activation.Asin(): 0.5, activation.Atanh(): 0.5, activation.Log(): 1,
	activation.Power(-2): -1, activation.Power(2.5): 1, activation.Reciprocal(): 1, activation.Sqrt(): 1, activation.Tan(): 0.5,
}

// writtenActivations returns activations by name: all that there are.
func writtenActivations(t *testing.T) map[string]activation.Activation {
	t.Helper()
	all := map[string]activation.Activation{}
	for _, name := range append(activation.Names(), "leaky_relu_0.25", "elu_0.5", "quick_gelu_1.5", "quick_gelu_0", "quick_gelu_1", "celu_0", "celu_2") {
		a, err := activation.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = a
	}
	inf := math.Inf(1)
	more := []activation.Activation{
		activation.Clip(-0.5, 1.25), activation.Clip(-inf, 0.5), activation.Clip(0.25, inf), activation.Clip(1, -1), activation.Cosh(),
		activation.Cube(), activation.Power(4), activation.SELU(1.5, 1.25), activation.Shrink(0.5, 0.25), activation.Sinh(),
	}
	for _, c := range [][]float64{{3}, {1, 2}} {
		p, err := activation.Polynomial(c...)
		if err != nil {
			t.Fatal(err)
		}
		more = append(more, p)
	}
	for _, a := range append(more, slices.Collect(maps.Keys(near))...) {
		all[a.Name()] = a
	}
	return all
}

// TestWrite checks that a network that was written is read back as the same: values
// and moments agree to rounding, and to that of parameters to float32.
func TestWrite(t *testing.T) {
	const parameters = 3e-7 // parameters such as 0.01 are rounded to float32, 6e-8
	for name, act := range writtenActivations(t) {
		t.Run(name, func(t *testing.T) {
			compareWritten(t, chain(t, act, []int{1, 3}, []int{1, 4}, []int{1, 2}, 1, 1), parameters)
		})
	}
	unrounded := activation.SELU(1.6732632423543772, 1.0507009873554805)
	compareWritten(t, chain(t, unrounded, []int{1, 3}, []int{1, 4}, []int{1, 2}, 1, 1), parameters)
	for name, shapes := range map[string]struct {
		in, hidden, out []int
		outer, inner    int
	}{
		"rows":    {[]int{2, 3}, []int{2, 4}, []int{2, 1}, 2, 1},
		"images":  {[]int{2, 3, 2, 1}, []int{2, 4, 2, 1}, []int{2, 1, 2}, 2, 2},
		"vectors": {[]int{3}, []int{4}, []int{2}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			compareWritten(t, chain(t, activation.Tanh(), shapes.in, shapes.hidden, shapes.out, shapes.outer, shapes.inner), rounding)
		})
	}
}

// rounding is the tolerance where all numbers are exact in float32: the same rules run
// on the same numbers, in an order of their own. The covariances of a Heaviside function
// and of its steep hard sigmoid come from different formulas.
const rounding = 1e-11

// TestWriteRandom writes random graphs of all rules that Write knows, half of them of
// rows, (1, n), only.
func TestWriteRandom(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(strconv.Itoa(int(seed)), func(t *testing.T) { compareWritten(t, randomNetwork(t, seed), rounding) })
	}
}

// randomNetwork returns a graph of all rules in random order.
func randomNetwork(t *testing.T, seed uint64) *graph.Network {
	t.Helper()
	s := newSketch(t, seed)
	rows := seed%2 == 0
	shape := func(n int) []int {
		switch {
		case rows:
			return []int{1, n}
		case n%2 == 0:
			return []int{2, n / 2, 1}
		}
		return []int{n}
	}
	acts := []activation.Activation{
		activation.ReLU(), activation.Tanh(), activation.LeakyReLU(0.25), activation.GELU(), activation.SiLU(), activation.Sin(),
		activation.LogSigmoid(), activation.Erf(), activation.Clip(-0.5, 0.75), activation.Step(),
	}
	s.input(shape(4)...)
	last := s.tensors[0]
	steps := []string{"affine", "act", "slopes", "scale", "shift", "sum", "select", "concat", "reshape", "act", "affine", "sum"}
	s.rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	for k, step := range steps {
		x := s.tensors[s.rng.IntN(len(s.tensors))]
		if k%2 == 1 {
			x = last
		}
		n := product(s.shapes[x])
		name := step + strconv.Itoa(k)
		switch step {
		case "affine":
			last = s.affine(name, x, shape(2+s.rng.IntN(4)), 1, 1)
		case "act":
			last = s.act(name, x, acts[s.rng.IntN(len(acts))])
		case "slopes":
			slopes := []activation.Activation{activation.ReLU()}
			for _, c := range s.numbers(n)[1:] {
				slopes = append(slopes, activation.LeakyReLU(c))
			}
			last = s.act(name, x, slopes...)
		case "scale":
			r, err := layer.NewScale(s.numbers(n), s.numbers(n), n)
			last = s.add(name, s.shapes[x], x)(r, err)
		case "shift":
			r, err := layer.NewScale(nil, s.numbers(1), n)
			last = s.add(name, s.shapes[x], x)(r, err)
		case "sum":
			a := s.affine(name+"a", last, shape(n), 1, 1)
			b := s.act(name+"b", x, acts[s.rng.IntN(len(acts))])
			r, err := layer.NewSum([]float64{1, -1, 0.5}, n)
			last = s.add(name, shape(n), a, b, x)(r, err)
		case "select":
			index := []int{n - 1, 0, s.rng.IntN(n)}
			r, err := layer.NewSelect(index, n)
			last = s.add(name, shape(3), x)(r, err)
		case "concat":
			outer := 1
			if !rows && n%2 == 0 {
				outer = 2
			}
			a := s.affine(name+"a", last, shape(3*outer), 1, 1)
			r, err := layer.NewConcat(outer, []int{n / outer, 3, n / outer})
			last = s.add(name, shape(2*n+3*outer), x, a, x)(r, err)
		case "reshape":
			r, err := layer.NewReshape(n)
			to := []int{1, n}
			if !rows {
				to = []int{n, 1}
			}
			last = s.add(name, to, x)(r, err)
		}
	}
	if !rows {
		if err := s.b.Constant("constant", []int{2, 1}, []float64{0.5, -3}); err != nil {
			t.Fatal(err)
		}
	}
	return s.build("last twice input middle", last, last, s.tensors[0], s.tensors[len(s.tensors)/2])
}

// compareWritten compares a network with what is read back.
func compareWritten(t *testing.T, net *graph.Network, tol float64) {
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
		if got := back.Outputs()[i]; got.Name != out.Name || !slices.Equal(got.Shape, out.Shape) {
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
		if !(math.Abs(got-want) <= tol*(1+math.Abs(want))) {
			t.Fatalf("%s %d is %v, want %v", what, i, got, want)
		}
	}
	for i := range a {
		close("value", i, b[i], a[i])
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
	for i, c := range []struct {
		net  *graph.Network
		free bool
	}{
		{chain(t, activation.ReLU(), []int{1, 3}, []int{1, 4}, []int{1, 2}, 1, 1), true},
		{chain(t, activation.ReLU(), []int{2, 3}, []int{2, 4}, []int{2, 2}, 2, 1), false},
		{chain(t, activation.ReLU(), []int{3}, []int{4}, []int{2}, 1, 1), false},
		{chain(t, activation.ReLU(), []int{1, 3}, []int{4}, []int{1, 2}, 1, 1), false},
		{randomNetwork(t, 0), true},
		{randomNetwork(t, 1), false},
	} {
		var raw bytes.Buffer
		if err := Write(&raw, c.net); err != nil {
			t.Fatal(err)
		}
		var m onnxpb.ModelProto
		if err := proto.Unmarshal(raw.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		for _, v := range append(m.Graph.Input, m.Graph.Output...) {
			if got := v.Type.GetTensorType().Shape.Dim[0].GetDimParam() == "rows"; got != c.free {
				t.Errorf("network %d: the first dimension of %s is free: %v", i, v.GetName(), got)
			}
		}
	}
}

// TestWrittenStep: on float32 numbers the Heaviside function is what it is written as.
func TestWrittenStep(t *testing.T) {
	written := activation.HardSigmoid(stepSlope, 0)
	for _, x := range []float64{0, math.Copysign(0, -1), 0x1p-127, -0x1p-149, 1, -1, math.MaxFloat32, -math.MaxFloat32, math.Inf(1), math.Inf(-1)} {
		if got, want := written.Apply(x), activation.Step().Apply(x); got != want {
			t.Errorf("at %v it is %v, want %v", x, got, want)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	own, err := activation.New("own", math.Sin, math.Cos)
	if err != nil {
		t.Fatal(err)
	}
	posing, err := activation.New("leaky_relu_0.5", math.Sin, math.Cos)
	if err != nil {
		t.Fatal(err)
	}
	quadratic, err := activation.Polynomial(1, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		act  activation.Activation
		want string
	}{
		{own, "(own): the activation own cannot be written"},
		{posing, "the activation leaky_relu_0.5 cannot be written"},
		{uncomparable{Activation: own}, "the activation own cannot be written"},
		{quadratic, "the activation polynomial_1_2_3 cannot be written: of degree above 1 only x^n can"},
		{activation.ELU(1e39), "the attribute alpha has the number 1e+39, which is no finite float32"},
		{activation.QuickGELU(-1e39), "y.constant has the number -1e+39, which is no finite float32"},
	} {
		s := newSketch(t, 1)
		net := s.build("y", s.act("h", s.input(1, 3), c.act))
		refuses(t, net, `onnx: node "h" (`+c.act.Name(), c.want)
	}
	s := newSketch(t, 1)
	x := s.input(1, 2)
	refuses(t, s.build("y", s.act("h", x, activation.Tanh(), activation.ReLU())), `node "h" (tanh...)`, "such as tanh, cannot be written")

	s = newSketch(t, 1)
	x = s.input(1, 2)
	a, err := layer.NewAffine([]float64{1, 1e39}, nil, 1, 2, 1, 1)
	refuses(t, s.build("y", s.add("h", []int{1, 1}, x)(a, err)), `node "h" (affine)`, "h.weight has the number 1e+39, which is no finite float32")

	conv, err := ReadFile("../testdata/models/zoo_mnist-8.onnx")
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, conv, "(Conv): the rule convolution cannot be written")

	if err := checkWrittenSize(1 << 31); err == nil || !strings.Contains(err.Error(), "takes 2147483648 bytes") {
		t.Errorf("a model that is too large: %v", err)
	}
}

// uncomparable is a user's own activation of a type that == panics on.
type uncomparable struct {
	activation.Activation
	_ []int
}

// refuses checks that a network is not written, and what the error says.
func refuses(t *testing.T, net *graph.Network, parts ...string) {
	t.Helper()
	var raw bytes.Buffer
	err := Write(&raw, net)
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v; want %q", err, part)
		}
	}
	if raw.Len() > 0 {
		t.Errorf("%d bytes were written nevertheless", raw.Len())
	}
}

// runtimeInput begins with the inputs that ONNX Runtime ran the files on.
var runtimeInput = []float64{0.5, -1, 2, -0.25}

// TestWriteRuntime compares with what ONNX Runtime 1.32 makes of the files: testdata/
// written has one for every activation and some graphs and, beside it, a line for each
// output. COVPROP_WRITE=1 writes the files anew; then testdata/written.py runs them.
func TestWriteRuntime(t *testing.T) {
	networks := map[string]*graph.Network{}
	for name, act := range writtenActivations(t) {
		networks[name] = chain(t, act, []int{1, 3}, []int{1, 4}, []int{1, 2}, 1, 1)
	}
	for seed := range uint64(6) {
		networks[fmt.Sprint("graph_", seed)] = randomNetwork(t, seed)
	}
	for name, net := range networks {
		t.Run(name, func(t *testing.T) { compareRuntime(t, filepath.Join("testdata/written", name), net) })
	}
}

func compareRuntime(t *testing.T, path string, net *graph.Network) {
	var raw bytes.Buffer
	if err := Write(&raw, net); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("COVPROP_WRITE") != "" {
		if err := os.WriteFile(path+".onnx", raw.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	stored, err := os.ReadFile(path + ".onnx")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored, raw.Bytes()) {
		t.Error("the file that ONNX Runtime ran is another; run it again (see the test's comment)")
	}
	text, err := os.ReadFile(path + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(text))
	got := make([]float64, net.OutputDim())
	if err := net.EvalTo(got, runtimeInput[:net.InputDim()]); err != nil {
		t.Fatal(err)
	}
	if len(want) != len(got) {
		t.Fatalf("%d numbers, want %d", len(want), len(got))
	}
	for i := range got {
		w, err := strconv.ParseFloat(want[i], 64)
		if err != nil {
			t.Fatal(err)
		}
		// Some operations in float32, some of them approximated by the runtime.
		if !(math.Abs(got[i]-w) <= 2e-6*(1+math.Abs(w))) {
			t.Errorf("output %d is %v, ONNX Runtime has %v", i, got[i], w)
		}
	}
}
