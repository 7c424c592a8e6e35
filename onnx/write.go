package onnx

import (
	"fmt"
	"io"
	"math"
	"slices"

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

// Write writes a network as an ONNX model, operator set 20, that Read reads back with
// the same moments; the same network makes the same bytes. It knows affine maps, scales
// and shifts, sums, selections, concatenations, other shapes, and the activations of
// package activation but for polynomials of degree above 1 other than x^n. Any other rule
// is an error that names the node and its operator.
//
// Numbers are rounded to float32, in which all runtimes compute: 6e-8 relative, and
// 7e-46 absolute below 1.2e-38. One that has no float32 is an error. The Heaviside
// function is a hard sigmoid of slope 2^127, the same but for x between 0 and 2^-127.
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
	if err := checkWrittenSize(int64(proto.Size(model))); err != nil {
		return err
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(model)
	if err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	_, err = w.Write(raw)
	return err
}

// checkWrittenSize returns an error for a size that a protocol buffer may not have.
func checkWrittenSize(n int64) error {
	if n > math.MaxInt32 {
		return fmt.Errorf("onnx: the network takes %d bytes, but a model in one file may have %d", n, math.MaxInt32)
	}
	return nil
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
	err    error           // the first number that cannot be written
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
		err := w.layer(i)
		if err == nil {
			err = w.err
		}
		if err != nil {
			return fmt.Errorf("node %q (%s): %w", w.layers[i].Name, w.layers[i].Op, err)
		}
	}
	for i, s := range sources {
		switch {
		case s.Constant != nil:
			w.node("Identity", names[i], names[i], nil, w.constant(names[i]+".value", outputs[i].Shape, s.Constant))
			w.fixed = true
		case s.Layer >= 0 && w.values[s.Layer] == names[i]:
		default:
			w.node("Identity", names[i], names[i], nil, w.shaped(s.Layer, outputs[i].Shape, names[i]))
		}
	}
	w.describe(names)
	return w.err
}

// describe writes the inputs and the outputs, which have the names given.
func (w *writer) describe(names []string) {
	rows := !w.fixed
	for _, in := range w.net.Inputs() {
		rows = rows && isRow(in.Shape, in.Len)
	}
	for i, in := range w.net.Inputs() {
		w.graph.Input = append(w.graph.Input, valueInfo(w.inputs[i], in.Shape, rows))
	}
	for i, out := range w.net.Outputs() {
		w.graph.Output = append(w.graph.Output, valueInfo(names[i], out.Shape, rows))
	}
}

// layer writes layer i.
func (w *writer) layer(i int) error {
	l, out := &w.layers[i], w.values[i]
	switch r := l.Rule.(type) {
	case *layer.Reshape: // what comes after it reads what it reads
	case *layer.Elementwise:
		return w.elementwise(l, r, out)
	case *layer.Affine:
		w.affine(l, r, out)
	case *layer.Scale:
		w.scale(l, r, out)
	case *layer.Sum:
		w.sum(l, r, out)
	case *layer.Select:
		w.selection(l, r, out)
	case *layer.Concat:
		w.concat(l, r, out)
	default:
		return fmt.Errorf("the rule %s cannot be written", r.Name())
	}
	return nil
}

// value returns the name of layer i's output, or of input -1-i, and its shape.
func (w *writer) value(i int) (name string, shape []int) {
	if i < 0 {
		return w.inputs[-1-i], w.net.Inputs()[-1-i].Shape
	}
	return w.values[i], w.layers[i].Shape
}

// shaped returns the name of that value under a shape, which becomes a value with a
// name like stem's if it is another.
func (w *writer) shaped(i int, shape []int, stem string) string {
	name, has := w.value(i)
	if slices.Equal(has, shape) {
		return name
	}
	x := w.name(stem + ".x")
	w.reshape(x, name, shape)
	return x
}

// isRow reports whether a shape is (1, n).
func isRow(shape []int, n int) bool { return slices.Equal(shape, []int{1, n}) }

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
