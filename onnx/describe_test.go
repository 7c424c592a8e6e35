package onnx_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// write writes the model to a new file and returns its path.
func (s spec) write(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, s.bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func describe(t *testing.T, s spec, im onnx.Importer) *onnx.Description {
	t.Helper()
	d, err := im.Describe(s.write(t))
	if err != nil {
		t.Fatal(err)
	}
	if (d.Network == nil) == (d.Err == nil) {
		t.Errorf("the network is %v with the error %v", d.Network, d.Err)
	}
	return d
}

// TestDescribe has every kind of node in one model: a constant, an affine map,
// an operator that is unknown and what comes after it, and one that nothing
// needs.
func TestDescribe(t *testing.T) {
	m := one(
		13, dims{"N", 2}, inits{floats("w", []int64{2, 3}, 1, 2, 3, 4, 5, 6), floats("s", nil, 2)},
		nd("Mul", "w s", "w2"),
		nd("MatMul", "x w2", "a"),
		nd("Sigmoid", "a", "b"),
		nd("Mystery", "b", "c"),
		nd("Relu", "c", "d"),
		nd("Add", "d s", "e"),
		nd("Mul", "c e", "y"),
		nd("Mul", "a b", "unused"),
	)
	d := describe(t, m, onnx.Importer{})
	want := []onnx.NodeInfo{
		{Name: "w2", Op: "Mul", Rule: "constant", Status: "exact", Shape: []int{2, 3}},
		{Name: "a", Op: "MatMul", Rule: "affine", Status: "exact", Shape: []int{1, 3}},
		{Name: "b", Op: "Sigmoid", Rule: "sigmoid", Status: "approximate", Shape: []int{1, 3}},
		{Name: "c", Op: "Mystery", Status: "unsupported", Reason: "the operator is not supported"},
		{Name: "d", Op: "Relu", Rule: "relu", Status: "exact", Reason: "shape unknown"},
		{Name: "e", Op: "Add", Rule: "sum", Status: "exact", Reason: "shape unknown"},
		{Name: "y", Op: "Mul", Rule: "product", Status: "exact", Reason: "shape unknown"},
		{Name: "unused", Op: "Mul", Rule: "unused", Status: "exact", Reason: "no output depends on it", Shape: []int{1, 3}},
	}
	order := map[string]int{}
	for i, n := range d.Nodes {
		order[n.Name] = i
		if n.Name == "b" {
			if n.Reason == "" {
				t.Error("an approximate node has no reason")
			}
			d.Nodes[i].Reason = ""
		}
	}
	for _, w := range want {
		if got := d.Nodes[order[w.Name]]; !reflect.DeepEqual(got, w) {
			t.Errorf("got %+v, want %+v", got, w)
		}
	}
	if len(d.Nodes) != len(want) {
		t.Errorf("%d nodes, want %d", len(d.Nodes), len(want))
	}
	if d.Parameters != 6 {
		t.Errorf("%d parameters, want 6: a scalar is none", d.Parameters)
	}
	if want := []onnx.TensorInfo{{Name: "x", DType: "float32", Shape: []int{1, 2}}}; !reflect.DeepEqual(d.Inputs, want) {
		t.Errorf("inputs %+v, want %+v", d.Inputs, want)
	}
	if d.Err == nil {
		t.Error("the model has an unknown operator, but no error")
	}
}

// TestDescribeUnresolved: a symbolic dimension without a value is -1 and the
// shapes after it are unknown.
func TestDescribeUnresolved(t *testing.T) {
	m := one(13, dims{"N", "L"}, nil, nd("Relu", "x", "y"))
	d := describe(t, m, onnx.Importer{})
	if got := d.Inputs[0].Shape; !reflect.DeepEqual(got, []int{-1, -1}) {
		t.Errorf("the input's shape is %v", got)
	}
	if n := d.Nodes[0]; n.Shape != nil || n.Reason != "shape unknown" || n.Status != "exact" {
		t.Errorf("the node is %+v", n)
	}
	d = describe(t, m, onnx.Importer{Shapes: map[string][]int{"x": {2, 3}}})
	if d.Err != nil || !reflect.DeepEqual(d.Nodes[0].Shape, []int{2, 3}) {
		t.Errorf("with a shape: %+v, %v", d.Nodes[0], d.Err)
	}
}

// TestInputs: several inputs, one fixed, one an initializer, in graph order.
func TestInputs(t *testing.T) {
	m := spec{
		opset: 13,
		in: []*onnxpb.ValueInfoProto{
			input("a", 2), typedInput("axis", i64, 1), input("w", 2), input("b", "N", 2),
		},
		out:   []string{"y", "k", "a"},
		inits: inits{floats("w", []int64{2}, 10, 20)},
		nodes: []*onnxpb.NodeProto{
			nd("Unsqueeze", "a axis", "u"), nd("Add", "u b", "s"), nd("Mul", "s w", "y"), nd("Add", "w w", "k"),
		},
	}
	net, err := m.read(onnx.Importer{
		Shapes: map[string][]int{"b": {2, 2}},
		Fix:    map[string][]float64{"axis": {0}},
	})
	if err != nil {
		t.Fatal(err)
	}
	compareEval(t, net, []float64{1, 2, 3, 4, 5, 6}, []float64{40, 120, 60, 160, 20, 40, 1, 2}, 1e-15)
	if in := net.Inputs(); len(in) != 2 || in[0].Name != "a" || in[1].Name != "b" || in[1].Offset != 2 {
		t.Errorf("inputs %+v", in)
	}
	// An initializer may be overridden, and one value stands for all.
	net, err = m.read(onnx.Importer{Fix: map[string][]float64{"axis": {0}, "b": {1}, "w": {1}}})
	if err != nil {
		t.Fatal(err)
	}
	compareEval(t, net, []float64{1, 2}, []float64{2, 3, 2, 2, 1, 2}, 1e-15)
}

// TestNodeOrder: nodes may be listed in any order.
func TestNodeOrder(t *testing.T) {
	m := one(13, dims{2}, consts, nd("Add", "a one", "y"), nd("Mul", "b two", "a"), nd("Relu", "x", "b"))
	m.check(t, []float64{-1, 3}, []float64{1, 7})
}

// TestDescribeSteps: a node of several steps is named after the least exact,
// not after what arranges its elements, and has the reasons of all of those.
func TestDescribeSteps(t *testing.T) {
	const closure = "Gaussian closure between its steps"
	series := "second-order Taylor series or quasi-Monte Carlo"
	for _, c := range []struct {
		node   *onnxpb.NodeProto
		rule   string
		status string
		reason string
	}{
		{nd("Softmax", "x", "y", attrs{"axis": 1}), "softmax", "approximate", series},
		{nd("LayerNormalization", "x s", "y"), "centred normalisation", "certified", "quadrature"},
		{nd("LpNormalization", "x", "y", attrs{"axis": 1}), "normalisation", "certified", "quadrature"},
		{nd("Attention", "x s s", "y", attrs{"q_num_heads": 1, "kv_num_heads": 1}), "softmax", "approximate", series},
		{
			nd("Attention", "x x x", "y", attrs{"q_num_heads": 1, "kv_num_heads": 1, "is_causal": 1}),
			"softmax", "approximate", "quadrature; " + series + "; " + closure,
		},
	} {
		s := floats("s", []int64{1, 3, 2}, 1, 2, 3, 4, 5, 6)
		if c.node.GetOpType() == "LayerNormalization" {
			s = floats("s", []int64{2}, 1, 2)
		}
		d := describe(t, one(24, dims{1, 3, 2}, inits{s}, c.node), onnx.Importer{})
		if n := d.Nodes[0]; n.Rule != c.rule || n.Status != c.status || n.Reason != c.reason {
			t.Errorf("%s: got %s, %s, %q, want %s, %s, %q", c.node.GetOpType(), n.Rule, n.Status, n.Reason, c.rule, c.status, c.reason)
		}
	}
}
