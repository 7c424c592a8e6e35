package onnx_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// typed is a tensor of any type without data.
func typed(name string, typ onnxpb.TensorProto_DataType, dims ...int64) *onnxpb.TensorProto {
	elem := int32(typ)
	return &onnxpb.TensorProto{Name: &name, DataType: &elem, Dims: dims}
}

// TestBadModels has one thing wrong in each model. The error must be a
// *covprop.ModelError with the node and operator, if one is to blame, and say
// what is wrong.
func TestBadModels(t *testing.T) {
	const huge = 1 << 40
	nan := float32(math.NaN())
	x2 := dims{2}
	c2 := floats("c", []int64{2}, 1, 2)
	relu := nd("Relu", "x", "y")
	add := nd("Add", "x c", "y")
	domain := func(n *onnxpb.NodeProto, d string) *onnxpb.NodeProto { n.Domain = &d; return n }
	with := func(s spec, f func(*spec)) spec { f(&s); return s }
	segmented := floats("c", []int64{2}, 1, 2)
	segmented.Segment = &onnxpb.TensorProto_Segment{}
	for _, c := range []struct {
		name     string
		model    spec
		im       onnx.Importer
		node, op string
		want     string
	}{
		{"no nodes", one(13, x2, nil), onnx.Importer{}, "", "", `no node makes the output "y"`},
		{"no opset", one(-1, x2, nil, relu), onnx.Importer{}, "", "", "does not say which version"},
		{"opset 5", one(5, x2, nil, relu), onnx.Importer{}, "", "", "uses opset 5, older than 6"},
		{"opset 99", one(99, x2, nil, relu), onnx.Importer{}, "", "", "uses opset 99, newer than"},
		{"opset negative", one(math.MinInt64, x2, nil, relu), onnx.Importer{}, "", "", "does not say which version"},
		{"cycle", one(13, x2, nil, nd("Add", "x b", "a"), nd("Relu", "a", "b"), nd("Relu", "a", "y")), onnx.Importer{}, "a", "Add", "cycle"},
		{"self", one(13, x2, nil, nd("Add", "x y", "y")), onnx.Importer{}, "y", "Add", "cycle"},
		{"made twice", one(13, x2, nil, relu, relu), onnx.Importer{}, "y", "Relu", `"y" is made twice`},
		{"shadows input", one(13, x2, nil, nd("Relu", "x", "x")), onnx.Importer{}, "x", "Relu", `"x" is made twice`},
		{"initializer twice", one(13, x2, inits{c2, c2}, relu), onnx.Importer{}, "", "", `"c" is made twice`},
		{"missing tensor", one(13, x2, nil, add), onnx.Importer{}, "y", "Add", `input "c" is neither`},
		{"missing output", with(one(13, x2, nil, relu), func(s *spec) { s.out = []string{"z"} }), onnx.Importer{}, "", "", `no node makes the output "z"`},
		{"output twice", with(one(13, x2, nil, relu), func(s *spec) { s.out = []string{"y", "y"} }), onnx.Importer{}, "", "", "listed twice"},
		{"no inputs", with(one(13, x2, inits{c2}, nd("Relu", "c", "y")), func(s *spec) { s.in = nil }), onnx.Importer{}, "", "", "has no inputs"},
		{"all fixed", one(13, x2, nil, relu), onnx.Importer{Fix: map[string][]float64{"x": {1}}}, "", "", "nothing to propagate"},

		{"unknown op", one(13, x2, nil, nd("Mystery", "x", "y")), onnx.Importer{}, "y", "Mystery", "is not supported"},
		{"loop", one(13, x2, nil, nd("Loop", "x", "y")), onnx.Importer{}, "y", "Loop", "control flow"},
		{"domain", one(13, x2, nil, domain(nd("Gelu", "x", "y"), "com.microsoft")), onnx.Importer{}, "y", "com.microsoft.Gelu", `domain "com.microsoft"`},
		{"too new", one(13, x2, nil, nd("Mish", "x", "y")), onnx.Importer{}, "y", "Mish", "from opset 18 on"},
		{"to integer", one(13, x2, nil, nd("Cast", "x", "y", attrs{"to": int(i64)})), onnx.Importer{}, "y", "Cast", "to int64"},
		{"training", one(12, x2, inits{floats("r", nil, 0.5), raw("t", bool1, nil, []byte{1})}, nd("Dropout", "x r t", "y")), onnx.Importer{}, "y", "Dropout", "training"},
		{"training 6", one(6, x2, nil, nd("Dropout", "x", "y")), onnx.Importer{}, "y", "Dropout", "training"},
		{"no constant", one(13, x2, nil, nd("Reshape", "x x", "y")), onnx.Importer{}, "y", "Reshape", "must be constant"},
		{"no input", one(13, x2, nil, nd("Relu", "", "y"), nd("Relu", "x", "z")), onnx.Importer{}, "y", "Relu", "input 0 is missing"},
		{"outputs", one(13, x2, nil, nd("Relu", "x", "y z")), onnx.Importer{}, "y", "Relu", "has 2 outputs"},
		{"attribute type", one(6, x2, nil, nd("Elu", "x", "y", attrs{"alpha": 1})), onnx.Importer{}, "y", "Elu", `"alpha" is INT, not FLOAT`},
		{"attribute NaN", one(6, x2, nil, nd("Elu", "x", "y", attrs{"alpha": nan})), onnx.Importer{}, "y", "Elu", `"alpha" is NaN`},

		{"attribute of another opset", one(13, dims{2, 2}, nil, nd("ReduceSum", "x", "y", attrs{"axes": []int64{0}})), onnx.Importer{}, "y", "ReduceSum", `has the attribute "axes", which is not one of the operator in opset 13`},
		{"attribute unknown", one(13, x2, nil, nd("Relu", "x", "y", attrs{"slope": float32(1)})), onnx.Importer{}, "y", "Relu", `has the attribute "slope"`},
		{"mode", one(28, dims{1, 1, 2, 2}, nil, nd("SpaceToDepth", "x", "y", attrs{"blocksize": 2, "mode": "CDR"})), onnx.Importer{}, "y", "SpaceToDepth", `the mode "CDR" is not known`},
		{"no broadcast of Gemm in 6", one(6, dims{1, 2}, inits{floats("w", []int64{2, 2}, 1, 0, 0, 1), c2}, nd("Gemm", "x w c", "y")), onnx.Importer{}, "y", "Gemm", "broadcast is off"},
		{"dequantised type", one(
			23, x2, inits{raw("q", onnxpb.TensorProto_INT8, []int64{2}, []int8{1, 2}), floats("s", nil, 0.5)},
			nd("DequantizeLinear", "q s", "d", attrs{"output_dtype": int(onnxpb.TensorProto_FLOAT16)}), nd("Add", "x d", "y"),
		), onnx.Importer{}, "d", "DequantizeLinear", "makes float16 with scales of float32"},
		{"dequantised blocks", one(
			21, x2, inits{raw("q", onnxpb.TensorProto_INT8, []int64{2}, []int8{1, 2}), floats("s", []int64{2}, 0.5, 1)},
			nd("DequantizeLinear", "q s", "d", attrs{"block_size": -1, "axis": 0}), nd("Add", "x d", "y"),
		), onnx.Importer{}, "d", "DequantizeLinear", "scales of shape [2] do not fit"},
		{"mixed types", one(13, x2, inits{ints("c", 1, 2), floats("f", []int64{2}, 0.5, 1)}, nd("Add", "c f", "g"), nd("Gather", "x g", "y")), onnx.Importer{}, "g", "Add", "combines int64 and float32"},
		{"root of integers", one(13, x2, inits{ints("c", 1, 2)}, nd("Sqrt", "c", "g"), nd("Gather", "x g", "y")), onnx.Importer{}, "g", "Sqrt", "which is not int64"},
		{"integer power", one(13, x2, inits{ints("c", 10), floats("k", nil, 30)}, nd("Pow", "c k", "g"), nd("Gather", "x g", "y")), onnx.Importer{}, "g", "Pow", "no integer that can be computed"},
		{"axis half", one(13, x2, inits{floats("a", nil, 0.5)}, nd("CumSum", "x a", "y")), onnx.Importer{}, "y", "CumSum", "is 0.5, which is not a whole number"},
		{"range of large integers", one(13, x2, inits{raw("a", i64, nil, int64(1)<<60), raw("b", i64, nil, int64(1)<<60+2), raw("d", i64, nil, int64(1))}, nd("Range", "a b d", "g"), nd("Gather", "x g", "y")), onnx.Importer{}, "g", "Range", "too large an integer"},
		{"shapes", one(13, dims{3}, inits{c2}, add), onnx.Importer{}, "y", "Add", "cannot be broadcast"},
		{"no broadcast in 6", one(6, dims{2, 2}, inits{c2}, add), onnx.Importer{}, "y", "Add", "broadcast is off"},
		{"inner sizes", one(13, dims{1, 3}, inits{floats("w", []int64{2, 2}, 1, 2, 3, 4)}, nd("MatMul", "x w", "y")), onnx.Importer{}, "y", "MatMul", "cannot be multiplied"},
		{"reshape", one(13, x2, inits{ints("s", 3, -1)}, nd("Reshape", "x s", "y")), onnx.Importer{}, "y", "Reshape", "cannot take the shape"},
		{"reshape huge", one(13, x2, inits{ints("s", huge, huge)}, nd("Reshape", "x s", "y")), onnx.Importer{}, "y", "Reshape", "out of range"},
		{"expand huge", one(13, x2, inits{ints("s", 1<<20, 1<<20, 2)}, nd("Expand", "x s", "y")), onnx.Importer{}, "y", "Expand", "more elements than the limit"},
		{"fill huge", one(13, x2, inits{ints("s", 1<<14, 1<<13)}, nd("ConstantOfShape", "s", "f"), nd("Add", "x f", "y")), onnx.Importer{MaxBytes: 1 << 20}, "f", "ConstantOfShape", "more memory than the 1"},
		{"range huge", one(13, x2, inits{floats("a", nil, 0), floats("b", nil, 1e30), floats("d", nil, 1)}, nd("Range", "a b d", "f"), nd("Add", "x f", "y")), onnx.Importer{}, "f", "Range", "too long"},
		{"work", one(
			13, dims{1, 1}, inits{ints("s", 2600, 2600)}, nd("ConstantOfShape", "s", "f"), nd("MatMul", "f f", "g"),
			nd("Gather", "g i", "h"), nd("Add", "x h", "y"), nd("Constant", "", "i", attrs{"value_int": 0}),
		), onnx.Importer{}, "g", "MatMul", "too long to compute"},

		{"reduce axis", one(18, x2, inits{ints("a", 1)}, nd("ReduceSum", "x a", "y")), onnx.Importer{}, "y", "ReduceSum", "the axis 1 does not exist"},
		{"reduce twice", one(18, dims{2, 2}, inits{ints("a", 1, -1)}, nd("ReduceMax", "x a", "y")), onnx.Importer{}, "y", "ReduceMax", "repeat one"},
		{"reduce nothing", one(18, x2, inits{floats("e", []int64{0})}, nd("ReduceMax", "e", "m"), nd("Add", "x m", "y")), onnx.Importer{}, "m", "ReduceMax", "an axis of size 0"},
		{"arg max axis", one(13, x2, nil, nd("ArgMax", "x", "y", attrs{"axis": 2})), onnx.Importer{}, "y", "ArgMax", "the axis 2 does not exist"},
		{"concat axis", one(13, x2, nil, nd("Concat", "x x", "y")), onnx.Importer{}, "y", "Concat", "has no axis"},
		{"concat shapes", one(13, dims{2, 2}, inits{floats("c", []int64{1, 3}, 1, 2, 3)}, nd("Concat", "x c", "y", attrs{"axis": 0})), onnx.Importer{}, "y", "Concat", "cannot be joined along axis 0"},
		{"tile", one(13, x2, inits{ints("r", 2, 2)}, nd("Tile", "x r", "y")), onnx.Importer{}, "y", "Tile", "has 2 repeats for 1 axes"},
		{"tile huge", one(13, x2, inits{ints("r", 1<<31-1)}, nd("Tile", "x r", "y")), onnx.Importer{}, "y", "Tile", "more elements than the limit"},
		{"cumsum axis", one(13, x2, inits{ints("a", 1)}, nd("CumSum", "x a", "y")), onnx.Importer{}, "y", "CumSum", "the axis 1 does not exist"},
		{"cumsum uncertain axis", one(13, x2, nil, nd("CumSum", "x x", "y")), onnx.Importer{}, "y", "CumSum", "must be constant"},
		{"where condition", one(16, x2, nil, nd("Where", "x x x", "y")), onnx.Importer{}, "y", "Where", "must be constant"},
		{"where type", one(16, x2, inits{ints("c", 1, 0)}, nd("Where", "c x x", "y")), onnx.Importer{}, "y", "Where", "chooses by int64"},
		{"where infinite", one(16, x2, inits{raw("c", bool1, []int64{2}, []byte{1, 0}), floats("i", nil, inf32)}, nd("Where", "c x i", "y")), onnx.Importer{}, "y", "Where", "is +Inf"},
		{"scatter reduction", one(18, x2, inits{ints("i", 1), floats("u", []int64{1}, 3)}, nd("ScatterElements", "x i u", "y", attrs{"reduction": "mul"})), onnx.Importer{}, "y", "ScatterElements", `the reduction "mul" is not supported`},
		{"scatter position", one(18, x2, inits{ints("i", 2), floats("u", []int64{1}, 3)}, nd("ScatterElements", "x i u", "y")), onnx.Importer{}, "y", "ScatterElements", "the position 2 does not exist on an axis of size 2"},
		{"gather depth", one(18, x2, inits{raw("i", i64, []int64{1, 2}, []int64{0, 0})}, nd("GatherND", "x i", "y")), onnx.Importer{}, "y", "GatherND", "do not fit a tensor of shape [2]"},
		{"einsum inputs", one(13, x2, nil, nd("Einsum", "x x", "y", attrs{"equation": "i->i"})), onnx.Importer{}, "y", "Einsum", "is not for 2 inputs"},
		{"einsum rank", one(13, x2, nil, nd("Einsum", "x", "y", attrs{"equation": "ij->i"})), onnx.Importer{}, "y", "Einsum", `"ij" does not fit a tensor of 1 dimensions`},
		{"einsum output", one(13, x2, nil, nd("Einsum", "x", "y", attrs{"equation": "i->ij"})), onnx.Importer{}, "y", "Einsum", "twice or from nowhere"},
		{"einsum letter", one(13, x2, nil, nd("Einsum", "x", "y", attrs{"equation": "1->1"})), onnx.Importer{}, "y", "Einsum", "'1' is not a letter"},
		{"einsum sizes", one(13, dims{2, 3}, nil, nd("Einsum", "x", "y", attrs{"equation": "ii->i"})), onnx.Importer{}, "y", "Einsum", "an axis of size 3 meets one of size 2"},
		{"power of negative", one(13, x2, inits{floats("k", nil, -2)}, nd("Pow", "k x", "y")), onnx.Importer{}, "y", "Pow", "its base must be above 0"},
		{"matrix batches", one(13, dims{2, 3, 2}, inits{floats("w", []int64{3, 2, 1}, make([]float32, 6)...)}, nd("MatMul", "x w", "y")), onnx.Importer{}, "y", "MatMul", "cannot be broadcast"},
		{"no constants", one(13, x2, nil, nd("Equal", "x x", "y")), onnx.Importer{}, "y", "Equal", "for constants only"},
		{"whole remainder", one(13, x2, nil, nd("Mod", "x x", "y")), onnx.Importer{}, "y", "Mod", "not supported"},

		{"NaN", one(13, x2, inits{floats("c", []int64{2}, 1, nan)}, add), onnx.Importer{}, "y", "Add", `element 1 of the initializer "c" is NaN`},
		{"Inf", one(13, dims{1, 2}, inits{floats("w", []int64{2, 1}, inf32, 1)}, nd("MatMul", "x w", "y")), onnx.Importer{}, "y", "MatMul", `element 0 of the initializer "w" is +Inf`},
		{"Inf folded", one(13, x2, inits{floats("c", []int64{2}, 1, -inf32)}, nd("Exp", "c", "e"), nd("Add", "x e", "y")), onnx.Importer{}, "e", "Exp", `"c" is -Inf`},
		{"Inf computed", one(13, x2, inits{floats("c", []int64{2}, 1, 0)}, nd("Reciprocal", "c", "e"), nd("Add", "x e", "y")), onnx.Importer{}, "y", "Add", `element 1 of the constant "e" is +Inf`},
		{"zero divisor", one(13, x2, inits{floats("c", []int64{2}, 1, 0)}, nd("Div", "x c", "y")), onnx.Importer{}, "y", "Div", `divides by zero in the initializer "c"`},
		{"integer zero divisor", one(13, x2, inits{ints("c", 0)}, nd("Div", "c c", "d"), nd("Reshape", "x d", "y")), onnx.Importer{}, "d", "Div", "by zero"},
		{"too few", one(13, x2, inits{floats("c", []int64{2}, 1)}, add), onnx.Importer{}, "y", "Add", `initializer "c" has 1 elements, but its shape [2] needs 2`},
		{"too few bytes", one(13, x2, inits{raw("c", f32, []int64{2}, []float32{1})}, add), onnx.Importer{}, "y", "Add", "has 4 bytes"},
		{"negative dimension", one(13, x2, inits{floats("c", []int64{-2}, 1, 2)}, add), onnx.Importer{}, "y", "Add", "negative dimension"},
		{"overflow", one(13, x2, inits{floats("c", []int64{1<<31 - 1, 1<<31 - 1, 1<<31 - 1})}, add), onnx.Importer{}, "y", "Add", "more elements than the limit"},
		{"huge dimension", one(13, x2, inits{floats("c", []int64{huge})}, add), onnx.Importer{}, "y", "Add", "out of range"},
		{"Clip bound", one(13, x2, inits{floats("b", nil, -inf32)}, nd("Clip", "x _ b", "y")), onnx.Importer{}, "y", "Clip", "the bounds -Inf and -Inf leave nothing finite"},
		{"rank", one(13, x2, inits{floats("c", slices.Repeat([]int64{1}, 40), 1)}, add), onnx.Importer{}, "y", "Add", "40 dimensions"},
		{"element limit", one(13, x2, inits{c2}, add), onnx.Importer{MaxElements: 1}, "", "", `the input "x" a tensor`},
		{"segment", one(13, x2, inits{segmented}, add), onnx.Importer{}, "y", "Add", "segments"},
		{"float8", one(13, x2, inits{typed("c", onnxpb.TensorProto_FLOAT8E4M3FN, 2)}, add), onnx.Importer{}, "y", "Add", "type float8e4m3fn"},
		{"int4", one(13, x2, inits{typed("c", onnxpb.TensorProto_INT4, 2)}, add), onnx.Importer{}, "y", "Add", "type int4"},
		{"string", one(13, x2, inits{typed("c", onnxpb.TensorProto_STRING, 2)}, add), onnx.Importer{}, "y", "Add", "type string"},
		{"complex", one(13, x2, inits{typed("c", onnxpb.TensorProto_COMPLEX64, 2)}, add), onnx.Importer{}, "y", "Add", "type complex64"},
		{"unknown type", one(13, x2, inits{typed("c", 77, 2)}, add), onnx.Importer{}, "y", "Add", "type 77"},

		{"symbolic", one(13, dims{"N", 3, "H", "W"}, nil, relu), onnx.Importer{}, "", "", "[N, 3, H, W]: say its size, for instance with --shape x=1x3x32x32"},
		{"shape misfit", one(13, dims{"N", 3}, nil, relu), onnx.Importer{Shapes: map[string][]int{"x": {1, 4}}}, "", "", "which the shape [1 4] given does not fit"},
		{"shape negative", one(13, dims{"N", 3}, nil, relu), onnx.Importer{Shapes: map[string][]int{"x": {-1, 3}}}, "", "", "does not fit"},
		{"shape rank", one(13, dims{"N", 3}, nil, relu), onnx.Importer{Shapes: map[string][]int{"x": {3}}}, "", "", "does not fit"},
		{"shape name", one(13, x2, nil, relu), onnx.Importer{Shapes: map[string][]int{"z": {3}}}, "", "", `has no input "z"; its inputs are "x"`},
		{"fix name", one(13, x2, nil, relu), onnx.Importer{Fix: map[string][]float64{"z": {3}}}, "", "", `has no input "z"; its inputs are "x"`},
		{"fix length", one(13, x2, nil, relu), onnx.Importer{Fix: map[string][]float64{"x": {1, 2, 3}}}, "", "", "fixed at 3 values, but has 2"},
		{"fix NaN", one(13, x2, nil, relu), onnx.Importer{Fix: map[string][]float64{"x": {math.NaN()}}}, "", "", "held fixed at NaN"},
		{"dimension 0", one(13, dims{0}, nil, relu), onnx.Importer{}, "", "", "has the dimension 0"},
		{"dimension -1", one(13, dims{-1}, nil, relu), onnx.Importer{}, "", "", "has the dimension -1"},
		{"integer input", with(one(13, x2, nil, relu), func(s *spec) { s.in[0] = typedInput("x", i64, 2) }), onnx.Importer{}, "", "", "--fix x=VALUE"},
		{"fraction", with(one(13, x2, nil, relu), func(s *spec) { s.in[0] = typedInput("x", i64, 2) }), onnx.Importer{Fix: map[string][]float64{"x": {0.5}}}, "", "", "cannot be held fixed at 0.5"},
		{"no type", with(one(13, x2, nil, relu), func(s *spec) { s.in[0].Type = nil }), onnx.Importer{}, "", "", "is not a tensor"},
		{"no shape", with(one(13, x2, nil, relu), func(s *spec) { s.in[0].GetType().GetTensorType().Shape = nil }), onnx.Importer{}, "", "", "has no shape"},
		{"too large", one(13, x2, nil, relu), onnx.Importer{MaxBytes: 10}, "", "", "larger than the limit of 10 B"},
		{"negative limit", one(13, x2, nil, relu), onnx.Importer{MaxBytes: -1}, "", "", "negative limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := c.model.write(t)
			_, err := c.im.ReadFile(path)
			checkModelError(t, err, path, c.node, c.op, c.want)
			if d, err := c.im.Describe(path); err == nil && d.Err == nil {
				t.Error("Describe found nothing wrong")
			}
		})
	}
}

// checkModelError checks that err is one sentence that names file, node and op
// and contains want.
func checkModelError(t *testing.T, err error, file, node, op, want string) {
	t.Helper()
	var me *covprop.ModelError
	if !errors.As(err, &me) {
		t.Fatalf("the error is %v (%T), not a *covprop.ModelError", err, err)
	}
	if me.File != file || me.Node != node || me.Op != op {
		t.Errorf("it names %q, %q, %q, want %q, %q, %q", me.File, me.Node, me.Op, file, node, op)
	}
	if s := err.Error(); !strings.Contains(s, want) || strings.Contains(s, "\n") || strings.HasSuffix(s, ".") {
		t.Errorf("the message is %q, want one sentence with %q", s, want)
	}
}

// TestNotModels has bytes that are no model.
func TestNotModels(t *testing.T) {
	good := one(13, dims{2}, inits{floats("c", []int64{2}, 1, 2)}, nd("Add", "x c", "y")).bytes()
	for name, data := range map[string][]byte{
		"empty":      {},
		"text":       []byte("this is not a model"),
		"zeros":      make([]byte, 100),
		"no graph":   {8, 8},
		"truncated":  good[:len(good)-7],
		"overlong":   {0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"open group": {0x3b},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := onnx.Read(bytes.NewReader(data))
			checkModelError(t, err, "", "", "", "is not an ONNX model")
		})
	}
	_, err := onnx.ReadFile(filepath.Join(t.TempDir(), "missing.onnx"))
	if err == nil || !errors.Is(err, os.ErrNotExist) || strings.Count(err.Error(), "missing.onnx") != 1 {
		t.Errorf("a missing file: %v", err)
	}
}

// TestManyParts: a small file must not make the decoder allocate without
// bounds. Two bytes make an empty node.
func TestManyParts(t *testing.T) {
	var g []byte
	for range 1<<20 + 1 {
		g = append(g, 0x0a, 0x00)
	}
	data, err := proto.Marshal(&onnxpb.ModelProto{OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(13)}}})
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, 0x3a, byte(len(g)&0x7f|0x80), byte(len(g)>>7&0x7f|0x80), byte(len(g)>>14&0x7f|0x80), byte(len(g)>>21))
	_, err = onnx.Read(bytes.NewReader(append(data, g...)))
	checkModelError(t, err, "", "", "", "more than 1048576 parts")
}

// TestUnusedIsHarmless: what no output needs may be wrong or unsupported.
func TestUnusedIsHarmless(t *testing.T) {
	s := one(
		13, dims{2}, inits{typed("f8", onnxpb.TensorProto_FLOAT8E5M2, 2), floats("bad", []int64{5}, 1)},
		nd("Relu", "x", "y"), nd("Mystery", "x", "z"), nd("Add", "x bad", "u"),
	)
	v, ml := int64(2), "ai.onnx.ml"
	s.imports = []*onnxpb.OperatorSetIdProto{{Domain: &ml, Version: &v}}
	s.check(t, []float64{-1, 1}, []float64{0, 1})
}
