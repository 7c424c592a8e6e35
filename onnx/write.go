package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"

	"gonum.org/v1/gonum/blas/blas64"
	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/layer"
)

// What Write writes: the versions in which Gelu became an operator.
const (
	writtenOpset = 20
	writtenIR    = 9
)

// Write writes a network of affine maps, activations and sums as an ONNX model,
// operator set 20, that Read reads back; the same network makes the same bytes.
// Weights are rounded to float32, 6e-8 relative, which all runtimes compute in.
// Any other rule is an error that names the node.
//
// Where every tensor is one row, (1, n), the first dimension is free: a runtime takes
// as many rows as there are.
func Write(w io.Writer, net *graph.Network) error {
	g := &writer{net: net, layers: net.Layers(), graph: &onnxpb.GraphProto{Name: proto.String("covprop")}, used: map[string]bool{}, nodes: map[string]bool{}}
	if err := g.write(); err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	model := &onnxpb.ModelProto{
		IrVersion: proto.Int64(writtenIR), ProducerName: proto.String("covprop"), ProducerVersion: proto.String(covprop.Version),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(writtenOpset)}},
		Graph:       g.graph,
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(model)
	if err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	_, err = w.Write(raw)
	return err
}

// A writer collects the nodes of a graph.
type writer struct {
	net    *graph.Network
	layers []graph.Layer
	graph  *onnxpb.GraphProto
	used   map[string]bool // names of values
	nodes  map[string]bool // and of nodes
	inputs []string        // names of the network's inputs
	values []string        // names of the layers' outputs
	fixed  bool            // a shape was written down, so that rows cannot be many
}

func (w *writer) write() error {
	for _, in := range w.net.Inputs() {
		w.inputs = append(w.inputs, w.name(in.Name))
	}
	outputs, sources := w.net.Outputs(), w.net.OutputSources()
	// An output that is a layer's gives that its name.
	names := make([]string, len(outputs))
	w.values = make([]string, len(w.layers))
	for i, s := range sources {
		names[i] = w.name(outputs[i].Name)
		if s.Constant == nil && s.Layer >= 0 && w.values[s.Layer] == "" && slices.Equal(outputs[i].Shape, w.layers[s.Layer].Shape) {
			w.values[s.Layer] = names[i]
		}
	}
	for i := range w.layers {
		if w.values[i] == "" {
			w.values[i] = w.name(fmt.Sprint("t", i))
		}
		if err := w.layer(i); err != nil {
			return fmt.Errorf("node %q (%s): %w", w.layers[i].Name, w.layers[i].Op, err)
		}
	}
	for i, s := range sources {
		switch {
		case s.Constant != nil:
			value, err := w.constant(names[i]+".value", outputs[i].Shape, s.Constant)
			if err != nil {
				return err
			}
			w.node("Identity", names[i], names[i], nil, value)
			w.fixed = true
		case s.Layer < 0 && slices.Equal(w.net.Inputs()[-1-s.Layer].Shape, outputs[i].Shape):
			w.node("Identity", names[i], names[i], nil, w.inputs[-1-s.Layer])
		case s.Layer < 0 || !slices.Equal(w.layers[s.Layer].Shape, outputs[i].Shape):
			w.reshape(names[i], w.value(s.Layer), outputs[i].Shape)
		case w.values[s.Layer] != names[i]:
			w.node("Identity", names[i], names[i], nil, w.values[s.Layer])
		}
	}
	rows := !w.fixed
	for _, in := range w.net.Inputs() {
		rows = rows && len(in.Shape) == 2 && in.Shape[0] == 1
	}
	for i, in := range w.net.Inputs() {
		w.graph.Input = append(w.graph.Input, valueInfo(w.inputs[i], in.Shape, rows))
	}
	for i, out := range outputs {
		w.graph.Output = append(w.graph.Output, valueInfo(names[i], out.Shape, rows))
	}
	return nil
}

// value returns the name of layer i's output, or of input -1-i.
func (w *writer) value(i int) string {
	if i < 0 {
		return w.inputs[-1-i]
	}
	return w.values[i]
}

// shape returns the shape of that value.
func (w *writer) shape(i int) []int {
	if i < 0 {
		return w.net.Inputs()[-1-i].Shape
	}
	return w.layers[i].Shape
}

// name returns a name for a value that no other has, text if possible.
func (w *writer) name(text string) string { return unique(w.used, text) }

func unique(used map[string]bool, text string) string {
	name := text
	for k := 1; name == "" || used[name]; k++ {
		name = fmt.Sprintf("%s_%d", text, k)
	}
	used[name] = true
	return name
}

// layer writes layer i.
func (w *writer) layer(i int) error {
	l := &w.layers[i]
	switch r := l.Rule.(type) {
	case *layer.Affine:
		return w.affine(l, r, w.values[i])
	case *layer.Elementwise:
		a := r.Activation(0)
		for k := range r.OutputLen() {
			if !reflect.DeepEqual(a, r.Activation(k)) {
				return fmt.Errorf("different activations in one node are not written")
			}
		}
		return w.activation(a, l.Name, w.values[i], w.value(l.Inputs[0]))
	case *layer.Sum:
		return w.sum(l, r, w.values[i])
	}
	return fmt.Errorf("the rule %s is not written; only affine maps, activations and sums are", l.Rule.Name())
}

// affine writes y = W x + b: as Gemm for rows (1, in), else as a product over the
// right axis of x, (outer, in, inner).
func (w *writer) affine(l *graph.Layer, r *layer.Affine, out string) error {
	m, bias, outer, inner := r.Weights()
	stem := l.Name
	if stem == "" {
		stem = out
	}
	if bias == nil {
		bias = make([]float64, m.Rows)
	}
	weights, err := w.constant(stem+".weight", []int{m.Rows, m.Cols}, rowMajor(m))
	if err != nil {
		return err
	}
	in := l.Inputs[0]
	if slices.Equal(w.shape(in), []int{1, m.Cols}) && slices.Equal(l.Shape, []int{1, m.Rows}) {
		b, err := w.constant(stem+".bias", []int{m.Rows}, bias)
		if err != nil {
			return err
		}
		w.node("Gemm", l.Name, out, []*onnxpb.AttributeProto{intAttribute("transB", 1)}, w.value(in), weights, b)
		return nil
	}
	b, err := w.constant(stem+".bias", []int{m.Rows, 1}, bias)
	if err != nil {
		return err
	}
	x, y, z := w.name(stem+".x"), w.name(stem+".y"), w.name(stem+".z")
	w.reshape(x, w.value(in), []int{outer, m.Cols, inner})
	w.node("MatMul", l.Name, y, nil, weights, x)
	w.node("Add", "", z, nil, y, b)
	w.reshape(out, z, l.Shape)
	return nil
}

func rowMajor(m blas64.General) []float64 {
	var data []float64
	for i := range m.Rows {
		data = append(data, m.Data[i*m.Stride:][:m.Cols]...)
	}
	return data
}

// sum writes y = sum_i c_i x_i.
func (w *writer) sum(l *graph.Layer, r *layer.Sum, out string) error {
	var terms []string
	for k, c := range r.Coefficients() {
		x := w.value(l.Inputs[k])
		if !slices.Equal(w.shape(l.Inputs[k]), l.Shape) {
			x = w.name(out + ".x")
			w.reshape(x, w.value(l.Inputs[k]), l.Shape)
		}
		if c != 1 {
			factor, err := w.constant(out+".factor", nil, []float64{c})
			if err != nil {
				return err
			}
			scaled := w.name(out + ".term")
			w.node("Mul", "", scaled, nil, x, factor)
			x = scaled
		}
		terms = append(terms, x)
	}
	op := "Sum"
	if len(terms) == 2 {
		op = "Add"
	}
	w.node(op, l.Name, out, nil, terms...)
	return nil
}

// reshape writes a value under another shape.
func (w *writer) reshape(out, in string, shape []int) {
	w.fixed = true
	name := w.name(out + ".shape")
	t := &onnxpb.TensorProto{Name: proto.String(name), DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)), Dims: []int64{int64(len(shape))}}
	for _, d := range shape {
		t.RawData = binary.LittleEndian.AppendUint64(t.RawData, uint64(d))
	}
	w.graph.Initializer = append(w.graph.Initializer, t)
	w.node("Reshape", "", out, nil, in, name)
}

// node appends a node. Nodes have names of their own, since some readers want them.
func (w *writer) node(op, name, output string, attributes []*onnxpb.AttributeProto, inputs ...string) {
	if name == "" {
		name = output
	}
	w.graph.Node = append(w.graph.Node, &onnxpb.NodeProto{
		OpType: proto.String(op), Name: proto.String(unique(w.nodes, name)), Input: inputs, Output: []string{output}, Attribute: attributes,
	})
}

// constant adds numbers, and returns their name.
func (w *writer) constant(name string, shape []int, data []float64) (string, error) {
	name = w.name(name)
	t := &onnxpb.TensorProto{Name: proto.String(name), DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))}
	for _, d := range shape {
		t.Dims = append(t.Dims, int64(d))
	}
	for _, x := range data {
		if y := float32(x); math.IsInf(float64(y), 0) || x != x {
			return "", fmt.Errorf("%s has the element %v, which is no finite float32", name, x)
		}
		t.RawData = binary.LittleEndian.AppendUint32(t.RawData, math.Float32bits(float32(x)))
	}
	w.graph.Initializer = append(w.graph.Initializer, t)
	return name, nil
}

// valueInfo describes an input or an output. With rows the first dimension is free.
func valueInfo(name string, shape []int, rows bool) *onnxpb.ValueInfoProto {
	dims := &onnxpb.TensorShapeProto{}
	for i, d := range shape {
		dim := &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}}
		if i == 0 && rows {
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "rows"}
		}
		dims.Dim = append(dims.Dim, dim)
	}
	return &onnxpb.ValueInfoProto{Name: proto.String(name), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), Shape: dims},
	}}}
}

func intAttribute(name string, x int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(x)}
}

func floatAttribute(name string, x float64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_FLOAT.Enum(), F: proto.Float32(float32(x))}
}

func stringAttribute(name, x string) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte(x)}
}
