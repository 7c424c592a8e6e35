package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/onnx"
)

const (
	f32 = onnxpb.TensorProto_FLOAT
	i64 = onnxpb.TensorProto_INT64
)

// tensor is a tensor in one of the types above.
func tensor(dtype onnxpb.TensorProto_DataType, shape []int64, values ...float64) *onnxpb.TensorProto {
	t := &onnxpb.TensorProto{DataType: proto.Int32(int32(dtype)), Dims: shape, RawData: []byte{}}
	for _, v := range values {
		if dtype == i64 {
			t.RawData = binary.LittleEndian.AppendUint64(t.RawData, uint64(int64(v)))
		} else {
			t.RawData = binary.LittleEndian.AppendUint32(t.RawData, math.Float32bits(float32(v)))
		}
	}
	return t
}

func vec(values ...float64) *onnxpb.TensorProto {
	return tensor(f32, []int64{int64(len(values))}, values...)
}

// testCase is a case with one node: inputs and outputs by name, in this order.
type testCase struct {
	op, in, out string // of the node
	names       string // of the model's inputs; in if empty
	inputs      []*onnxpb.TensorProto
	outputs     []*onnxpb.TensorProto
}

func (c testCase) write(t *testing.T, dir string) {
	t.Helper()
	info := func(name string, p *onnxpb.TensorProto) *onnxpb.ValueInfoProto {
		shape := &onnxpb.TensorShapeProto{}
		for _, d := range p.GetDims() {
			shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: d}})
		}
		return &onnxpb.ValueInfoProto{Name: proto.String(name), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
			TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(p.GetDataType()), Shape: shape},
		}}}
	}
	if c.names == "" {
		c.names = c.in
	}
	g := &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{{OpType: proto.String(c.op), Input: strings.Fields(c.in), Output: strings.Fields(c.out)}}}
	for i, name := range strings.Fields(c.names) {
		g.Input = append(g.Input, info(name, c.inputs[i]))
	}
	for i, name := range strings.Fields(c.out) {
		g.Output = append(g.Output, info(name, c.outputs[i]))
	}
	files := map[string]proto.Message{"model.onnx": &onnxpb.ModelProto{
		IrVersion: proto.Int64(8), Graph: g, OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(17)}},
	}}
	for i, p := range c.inputs {
		files[fmt.Sprintf("test_data_set_0/input_%d.pb", i)] = p
	}
	for i, p := range c.outputs {
		files[fmt.Sprintf("test_data_set_0/output_%d.pb", i)] = p
	}
	for name, m := range files {
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCases has one case for everything that can become of one.
func TestCases(t *testing.T) {
	nan := math.NaN()
	type tensors = []*onnxpb.TensorProto
	for _, c := range []struct {
		name string
		testCase
		status int
		want   string // a part of what is printed
	}{
		{"pass", testCase{"Tanh", "x", "y", "", tensors{vec(0, 1)}, tensors{vec(0, math.Tanh(1))}}, 0, "pass pass\n1 passed, 0 failed, 0 skipped\n"},
		{"kink", testCase{"Relu", "x", "y", "", tensors{vec(-1, 0, 2)}, tensors{vec(0, 0, 2)}}, 0, "pass kink: smooth in 2 of 3 elements"},
		{"large", testCase{"Expand", "x s", "y", "", tensors{vec(2), tensor(i64, []int64{1}, 40000)}, tensors{vec(slices.Repeat([]float64{2}, 40000)...)}}, 0, "pass large: variances only"},
		{"large input", testCase{"Tanh", "x", "y", "", tensors{vec(make([]float64, 30000)...)}, tensors{vec(make([]float64, 30000)...)}}, 0, "pass large input: variances only"},
		{"typed in", testCase{"Tanh", "x", "y", "", tensors{vec(1, 2)}, tensors{vec(0.7616, 0.9640)}}, 0, "pass typed in\n"},
		{"edge", testCase{"Sqrt", "x", "y", "", tensors{vec(0, 4)}, tensors{vec(0, 2)}}, 0, "pass edge: held certain"},
		{"jump", testCase{"Sign", "x", "y", "", tensors{vec(0)}, tensors{vec(0)}}, 0, "pass jump: mean only"},
		{"wrong", testCase{"Relu", "x", "y", "", tensors{vec(1, 2)}, tensors{vec(1, 2.125)}}, 1, `FAIL wrong: the output "y" is 2 at 1, want 2.125 within`},
		{"shape", testCase{"Relu", "x", "y", "", tensors{vec(1, 2)}, tensors{tensor(f32, []int64{1, 2}, 1, 2)}}, 1, "FAIL shape: "},
		{"second", testCase{"PRelu", "x s", "y", "s x", tensors{vec(0.5), vec(-1, 2)}, tensors{vec(-0.5, 2)}}, 0, "pass second\n"},
		{"matrix", testCase{"MatMul", "a b", "y", "", tensors{tensor(f32, []int64{1, 2}, 1, 2), tensor(f32, []int64{2, 1}, 3, 4)}, tensors{tensor(f32, []int64{1, 1}, 11)}}, 0, "pass matrix\n"},
		{"bound", testCase{"Reshape", "x s", "y", "", tensors{vec(1, 2), tensor(i64, []int64{2}, 2, 1)}, tensors{tensor(f32, []int64{2, 1}, 1, 2)}}, 0, "pass bound\n"},
		{"constant", testCase{"Shape", "x", "y", "", tensors{tensor(f32, []int64{1, 2}, 1, 2)}, tensors{tensor(i64, []int64{2}, 1, 2)}}, 0, "pass constant: a constant by definition"},
		{"wrong constant", testCase{"Shape", "x", "y", "", tensors{tensor(f32, []int64{1, 2}, 1, 2)}, tensors{tensor(i64, []int64{2}, 2, 2)}}, 1, "FAIL wrong constant: "},
		{"unknown", testCase{"NonZero2", "x", "y", "", tensors{vec(1)}, tensors{vec(1)}}, 0, `skip unknown: node "y" (NonZero2): the operator is not supported`},
		{"integer", testCase{"Neg", "x", "y", "", tensors{tensor(i64, []int64{1}, 1)}, tensors{tensor(i64, []int64{1}, -1)}}, 0, "skip integer: integer or boolean data"},
		{"integer input", testCase{"Cast", "x", "y", "", tensors{tensor(i64, []int64{1}, 1)}, tensors{vec(1)}}, 0, "skip integer input: integer or boolean data: it has no real input"},
		{"empty", testCase{"Relu", "x", "y", "", tensors{vec()}, tensors{vec()}}, 0, "skip empty: output_0.pb is empty"},
		{"nan", testCase{"Relu", "x", "y", "", tensors{vec(1)}, tensors{vec(nan)}}, 0, "skip nan: output_0.pb is not finite"},
		{"nan input", testCase{"Tanh", "x", "y", "", tensors{vec(math.Inf(1))}, tensors{vec(1)}}, 0, "skip nan input: the uncertain input is not finite"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.write(t, filepath.Join(dir, c.name))
			var out, errs strings.Builder
			if got := run([]string{"-v", dir}, &out, &errs); got != c.status {
				t.Errorf("exit status %d, want %d (%s)", got, c.status, errs.String())
			}
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("printed %q, want %q", out.String(), c.want)
			}
		})
	}
}

// TestQuiet: without -v only failures are shown.
func TestQuiet(t *testing.T) {
	dir := t.TempDir()
	x := []*onnxpb.TensorProto{vec(1)}
	testCase{"Relu", "x", "y", "", x, x}.write(t, filepath.Join(dir, "a"))
	testCase{"Neg", "x", "y", "", x, x}.write(t, filepath.Join(dir, "b"))
	var out, errs strings.Builder
	if got := run([]string{dir}, &out, &errs); got != 1 {
		t.Errorf("exit status %d", got)
	}
	if got := out.String(); !strings.HasPrefix(got, "FAIL b: ") || strings.Count(got, "\n") != 2 || !strings.HasSuffix(got, "\n1 passed, 1 failed, 0 skipped\n") {
		t.Errorf("printed %q", got)
	}
	if got := run(nil, &out, &errs); got != 2 {
		t.Errorf("without arguments: exit status %d", got)
	}
	if got := run([]string{filepath.Join(dir, "none")}, &out, &errs); got != 2 {
		t.Errorf("without a folder: exit status %d", got)
	}
	if got := run([]string{t.TempDir()}, &out, &errs); got != 2 {
		t.Errorf("with an empty folder: exit status %d", got)
	}
	link := filepath.Join(t.TempDir(), "link[1]")
	if err := os.Symlink(dir, link); err != nil {
		t.Skip(err)
	}
	out.Reset()
	if run([]string{link}, &out, &errs); !strings.Contains(out.String(), "1 passed, 1 failed") {
		t.Errorf("through a link it printed %q", out.String())
	}
}

// TestAll: with -all both factors are uncertain, and then it is another rule.
func TestAll(t *testing.T) {
	dir := t.TempDir()
	in := []*onnxpb.TensorProto{vec(1, 2), vec(3, 4)}
	testCase{"Mul", "a b", "y", "", in, []*onnxpb.TensorProto{vec(3, 8)}}.write(t, filepath.Join(dir, "mul"))
	mp, err := os.ReadFile(filepath.Join(dir, "mul", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	var m onnxpb.ModelProto
	if err := proto.Unmarshal(mp, &m); err != nil {
		t.Fatal(err)
	}
	for all, want := range map[bool]string{false: "scale", true: "product"} {
		res := result{all: all, ops: []string{"Mul"}}
		d, err := readSet(filepath.Join(dir, "mul", "test_data_set_0"), &m)
		if err != nil {
			t.Fatal(err)
		}
		if runSet(&m, d, &res); res.status != passed || len(res.nodes) != 1 || res.nodes[0].rule != want {
			t.Errorf("all %v: %+v, want the rule %s", all, res, want)
		}
	}
	var out, errs strings.Builder
	if got := run([]string{"-v", "-all", dir}, &out, &errs); got != 0 || !strings.HasPrefix(out.String(), "pass mul\n") {
		t.Errorf("status %d, printed %q", got, out.String())
	}
}

// affine is the network y = w x, w of one row.
func affine(t *testing.T, w ...float64) *graph.Network {
	t.Helper()
	b := graph.NewBuilder()
	x, err := b.Input("x", []int{len(w)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := layer.NewAffine(w, nil, 1, len(w), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Add(graph.Node{Name: "y", Op: "Gemm", Rule: r, Inputs: []graph.Tensor{x}, Output: "y", Shape: []int{1}})
	if err == nil {
		err = b.Output("y", y)
	}
	if err != nil {
		t.Fatal(err)
	}
	net, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// TestFindsWrongCovariance: derivatives of another function fail both
// comparisons.
func TestFindsWrongCovariance(t *testing.T) {
	x := []float64{1, 2}
	right, wrong := affine(t, 1, 3), affine(t, 1, 3.01)
	s := differentiate(wrong, x, 1e-5, false)
	if len(s.smooth) != 1 {
		t.Fatalf("%d smooth elements, want 1", len(s.smooth))
	}
	moments := func(net *graph.Network) *covprop.Result {
		r, err := propagate(net.With(graph.Options{KeepInput: true}), x, s.variances(2))
		if err != nil {
			t.Fatal(err)
		}
		return &r
	}
	if err := s.check(moments(wrong)); err != nil {
		t.Errorf("the right covariance: %v", err)
	}
	r := moments(right)
	if err := s.check(r); err == nil || !strings.Contains(err.Error(), "gain") {
		t.Errorf("the wrong gain: %v", err)
	}
	if err := s.checkOutputs(r); err == nil {
		t.Error("the wrong covariance is not found")
	}
	if err := s.checkVariances(covprop.Diagonal{r.Cov.At(0, 0)}); err == nil {
		t.Error("the wrong variance is not found")
	}
}

// TestPanic: a panic is a failure.
func TestPanic(t *testing.T) {
	res := guard("c", func(*result) { panic("oops") })
	if res.status != failed || res.note != "panic: oops" {
		t.Errorf("got %v", res)
	}
}

// TestCoverageFile: the table in the repository has every operator the
// importer knows, none that it does not, and no failed case.
func TestCoverageFile(t *testing.T) {
	data, err := os.ReadFile("../../docs/coverage.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		if cells := strings.Split(line, "|"); len(cells) == 9 {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows[cells[1]] = cells
		}
	}
	for _, o := range onnx.Operators() {
		r := rows[o.Name]
		switch {
		case r == nil:
			t.Errorf("docs/coverage.md lacks %s: generate it again", o.Name)
		case r[2] != fmt.Sprint(o.Since) || (r[4] == "constants only") != (o.Rule == ""):
			t.Errorf("docs/coverage.md is out of date on %s: generate it again", o.Name)
		case r[6] != "0":
			t.Errorf("%s fails %s cases", o.Name, r[6])
		}
		delete(rows, o.Name)
	}
	if len(rows) != 2 { // the head and the line below it
		t.Errorf("docs/coverage.md has operators that the importer does not know: %v", rows)
	}
}

// TestCoverageTable: what the table says of an operator is its worst.
func TestCoverageTable(t *testing.T) {
	ops := []onnx.Operator{{Name: "A", Since: 7, Rule: "activation"}, {Name: "B", Since: 6}, {Name: "C", Since: 1, Rule: "sum"}}
	got := string(coverageTable(ops, []result{
		{status: passed, ops: []string{"A", "B"}, nodes: []nodeUse{{"A", "leaky_relu_0.01", covprop.Exact}, {"A", "clip_-Inf_1", covprop.Certified}}},
		{status: passed, ops: []string{"A"}, nodes: []nodeUse{{"A", "leaky_relu_0.2", covprop.Exact}}},
		{status: skipped, ops: []string{"A", "D"}, nodes: []nodeUse{{"A", "x", covprop.Approximate}}},
		{status: failed, ops: []string{"B"}},
	}))
	for _, want := range []string{
		"| A | 7 | leaky_relu, clip | certified | 2 | 0 | 1 |\n",
		"| B | 6 |  | constants only | 1 | 1 | 0 |\n",
		"| C | 1 | sum | no case | 0 | 0 | 0 |\n",
		"\nAll cases: 2 passed, 1 failed, 1 skipped.\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
}
