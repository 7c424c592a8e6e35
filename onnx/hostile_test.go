package onnx_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestHostileNodes gives every operator random inputs, attributes and
// outputs, most of them wrong: nothing may panic, and what is accepted must
// evaluate and agree with Describe.
func TestHostileNodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	ops := onnx.Operators()
	im := onnx.Importer{MaxBytes: 1 << 16, MaxElements: 1 << 12}
	accepted := map[string]bool{}
	for range 10000 {
		op := ops[rng.IntN(len(ops))].Name
		s := hostile(rng, op)
		data := s.bytes()
		net, err := im.Read(bytes.NewReader(data))
		d, derr := im.DescribeFrom(bytes.NewReader(data))
		if (err == nil) != (derr == nil && d.Err == nil) {
			t.Fatalf("%v: Read says %v, Describe %v", s.nodes[0], err, derr)
		}
		if err != nil {
			continue
		}
		accepted[op] = true
		y := make([]float64, net.OutputDim())
		if err := net.EvalTo(y, make([]float64, net.InputDim())); err != nil {
			t.Fatalf("%v: %v", s.nodes[0], err)
		}
	}
	if len(accepted) < len(ops)*2/3 {
		t.Errorf("only %d of %d operators were ever accepted: the test does not reach the others", len(accepted), len(ops))
	}
}

// TestManyUsers has a tensor that a hundred thousand products use, half of them
// in vain: the search for patterns must not go over all of them for each.
func TestManyUsers(t *testing.T) {
	s := spec{opset: 13, in: []*onnxpb.ValueInfoProto{input("x", 1)}, out: []string{"y"}}
	s.nodes = append(s.nodes, nd("Sigmoid", "x", "s"))
	var sum []string
	for i := range 50000 {
		live := fmt.Sprint("p", i)
		s.nodes = append(s.nodes, nd("Mul", "x s", live), nd("Mul", "x s", fmt.Sprint("q", i)))
		sum = append(sum, live)
	}
	s.nodes = append(s.nodes, nd("Sum", strings.Join(sum, " "), "y"))
	start := time.Now()
	if _, err := onnx.Read(bytes.NewReader(s.bytes())); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 20*time.Second { // takes less than one
		t.Errorf("took %v", d)
	}
}

// hostile is a model with a node of the given operator, and one after it.
func hostile(rng *rand.Rand, op string) spec {
	pool := inits{
		floats("f0", nil, 2), floats("f1", []int64{1}, 0), floats("f2", []int64{2}, 1, -2), floats("f3", []int64{3}, 1, 2, 3),
		floats("f23", []int64{2, 3}, 1, 2, 3, 4, 5, 6), floats("f32", []int64{3, 2}, 1, 2, 3, 4, 5, 6), floats("f223", []int64{2, 2, 3}, make([]float32, 12)...),
		floats("k", []int64{2, 2, 2, 2}, make([]float32, 16)...), floats("one", []int64{2}, 1, 1),
		floats("e", []int64{0}), floats("nan", []int64{2}, 1, float32(math.NaN())), floats("inf", nil, inf32),
		ints("i0"), ints("i1", 1), ints("im", -1), ints("i2", 1, 2), ints("i20", 2, 0), ints("i3", 0, 1, -1), ints("big", math.MaxInt64, math.MinInt64),
		raw("is", i64, nil, int64(1)), raw("t", bool1, []int64{2}, []byte{1, 0}), raw("ts", bool1, nil, []byte{0}),
		raw("q", onnxpb.TensorProto_INT8, []int64{2, 3}, []int8{1, 2, 3, 4, 5, 6}),
	}
	names := strings.Fields("x x x z z v _ u")
	for _, p := range pool {
		names = append(names, p.GetName())
	}
	switch rng.IntN(4) { // fewer, to be accepted more often
	case 0, 1:
		names = strings.Fields("x f32 f0 ts is")
	case 2:
		names = strings.Fields("g k one one h h") // images and sequences
	}
	pick := func(n int) string {
		var s []string
		for range n {
			s = append(s, names[rng.IntN(len(names))])
		}
		return strings.Join(s, " ")
	}
	as := attrs{}
	for _, name := range strings.Fields("alpha beta min max value_float") {
		if rng.IntN(4) == 0 {
			as[name] = float32(rng.IntN(5) - 2)
		}
	}
	for _, name := range strings.Fields("axis to allowzero transA transB broadcast num_outputs block_size value_int is_test start end keepdims upper exclusive reverse batch_dims noop_with_empty_axes fmod") {
		if rng.IntN(4) == 0 {
			as[name] = rng.IntN(12) - 3
		}
	}
	for _, name := range strings.Fields("group num_groups size p blocksize q_num_heads kv_num_heads") {
		as[name] = 1 + rng.IntN(3)
	}
	as["kernel_shape"] = []int64{1 + rng.Int64N(2), 2}
	for _, name := range strings.Fields("axes split starts ends perm value_ints pads strides dilations") {
		if rng.IntN(4) == 0 {
			as[name] = []int64{int64(rng.IntN(5) - 2), int64(rng.IntN(5) - 2), int64(rng.IntN(5) - 2)}[:rng.IntN(4)]
		}
	}
	for _, words := range []string{
		"equation ij->ji i,j->ij ij,jk ...j,j->... ii->i ij, ,-> i.j->i ij,ij->ji i,i->j", "reduction none add mul", "direction LEFT RIGHT UP",
	} {
		s := strings.Fields(words)
		as[s[0]] = s[1+rng.IntN(len(s)-1)]
	}
	if op == "Constant" {
		as = attrs{"value": pool[rng.IntN(len(pool))]}
	}
	opset := []int64{6, 7, 10, 11, 13, 15, 18, 21, 24, 28}[rng.IntN(10)]
	if rng.IntN(8) > 0 {
		maps.DeleteFunc(as, func(name string, _ any) bool { return !onnx.HasAttribute(op, name, int(opset)) })
	}
	outs := []string{"a", "a", "a b", "a b c", ""}[rng.IntN(5)]
	next := []string{"Add", "Mul", "Shape", "Relu", "Reshape", "MatMul"}[rng.IntN(6)]
	out := "y"
	if rng.IntN(2) == 0 {
		out = "a"
	}
	return spec{
		opset: opset,
		in:    []*onnxpb.ValueInfoProto{input("x", 2, 3), input("z", 3), input("v", 2), input("u"), input("g", 1, 2, 4, 4), input("h", 1, 2, 2)},
		out:   []string{out, "w"},
		inits: pool,
		nodes: []*onnxpb.NodeProto{nd(op, pick(rng.IntN(5)), outs, as), nd(next, "a "+pick(1), "y"), nd("Relu", "x", "w")},
	}
}
