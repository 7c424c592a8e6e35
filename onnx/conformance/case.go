package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// A dataSet is one pair of inputs and outputs of a case.
type dataSet struct {
	inputs  []*onnxpb.TensorProto // by input of the model, initializers aside
	outputs []*onnx.Tensor        // by output
}

// constantOps make constants of shapes and other constants by definition.
var constantOps = []string{"Shape", "Size", "Constant", "ConstantOfShape"}

// runCase runs the case in dir.
func runCase(dir string, res *result) {
	data, err := os.ReadFile(filepath.Join(dir, "model.onnx"))
	var mp onnxpb.ModelProto
	if err == nil {
		err = proto.Unmarshal(data, &mp)
	}
	if err != nil {
		res.fail("the model cannot be read: %v", err)
		return
	}
	for _, n := range mp.GetGraph().GetNode() {
		if !slices.Contains(res.ops, n.GetOpType()) {
			res.ops = append(res.ops, n.GetOpType())
		}
	}
	if res.skipOutputs(&mp); res.status != passed {
		return
	}
	sets := glob(dir, "test_data_set_*")
	if len(sets) == 0 {
		res.skip("has no data")
	}
	for _, set := range sets {
		d, err := readSet(set, &mp)
		if err != nil {
			res.skip("%v", err)
		} else {
			runSet(&mp, d, res)
		}
		if res.status != passed {
			return
		}
	}
}

// isConstant reports whether the model is of constantOps only.
func (r *result) isConstant() bool {
	return !slices.ContainsFunc(r.ops, func(op string) bool { return !slices.Contains(constantOps, op) })
}

// skipOutputs skips a case none of whose outputs is real, or that has one that
// is no tensor.
func (r *result) skipOutputs(mp *onnxpb.ModelProto) {
	anyReal := false
	for _, o := range mp.GetGraph().GetOutput() {
		t := o.GetType().GetTensorType()
		if t == nil {
			r.skip("the output %q is not a tensor", o.GetName())
			return
		}
		anyReal = anyReal || isReal(t.GetElemType())
	}
	if !anyReal && !r.isConstant() {
		r.skip("integer or boolean data")
	}
}

func isReal(dtype int32) bool {
	switch onnxpb.TensorProto_DataType(dtype) {
	case onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_DOUBLE, onnxpb.TensorProto_FLOAT16, onnxpb.TensorProto_BFLOAT16:
		return true
	}
	return false
}

// readSet reads the tensors of a data set.
func readSet(dir string, mp *onnxpb.ModelProto) (*dataSet, error) {
	var d dataSet
	for _, f := range glob(dir, "input_*.pb") {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var t onnxpb.TensorProto
		if err := proto.Unmarshal(data, &t); err != nil {
			return nil, fmt.Errorf("%s is not a tensor", filepath.Base(f))
		}
		d.inputs = append(d.inputs, &t)
	}
	if want := len(freeInputs(mp)); len(d.inputs) != want {
		return nil, fmt.Errorf("has data for %d inputs, but %d inputs", len(d.inputs), want)
	}
	for _, f := range glob(dir, "output_*.pb") {
		t, err := readTensor(f)
		if err != nil {
			return nil, err
		}
		d.outputs = append(d.outputs, t)
	}
	if want := len(mp.GetGraph().GetOutput()); len(d.outputs) != want {
		return nil, fmt.Errorf("has data for %d outputs, but %d outputs", len(d.outputs), want)
	}
	return &d, nil
}

func readTensor(file string) (*onnx.Tensor, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	t, err := onnx.DecodeTensor(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return t, checkTensor(filepath.Base(file), t)
}

// checkTensor refuses empty and non-finite tensors.
func checkTensor(what string, t *onnx.Tensor) error {
	if len(t.Values) == 0 {
		return fmt.Errorf("%s is empty", what)
	}
	for _, v := range t.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s is not finite", what)
		}
	}
	return nil
}

// freeInputs returns the inputs that have no initializer.
func freeInputs(mp *onnxpb.ModelProto) []*onnxpb.ValueInfoProto {
	g := mp.GetGraph()
	return slices.DeleteFunc(slices.Clone(g.GetInput()), func(v *onnxpb.ValueInfoProto) bool {
		return slices.ContainsFunc(g.GetInitializer(), func(t *onnxpb.TensorProto) bool { return t.GetName() == v.GetName() })
	})
}

var errNoInput = errors.New("no output depends on a real input")

// runSet runs a case on one data set, with the first real input as the
// uncertain one that allows it; with -all also those after it.
func runSet(mp *onnxpb.ModelProto, d *dataSet, res *result) {
	if res.isConstant() {
		runConstant(mp, d, res)
		return
	}
	var net *graph.Network
	var free []int
	var x []float64
	first := errNoInput
	for i, in := range d.inputs {
		if !isReal(in.GetDataType()) || net != nil && !res.all {
			continue
		}
		more, err := bind(mp, d, append(slices.Clone(free), i))
		if err == nil && len(more.Nodes()) == 0 {
			err = errNoInput
		}
		if err != nil {
			if first == errNoInput {
				first = err
			}
			continue
		}
		v, err := values(in)
		if err != nil {
			res.skip("%v", err)
			return
		}
		net, free, x = more, append(free, i), append(x, v...)
	}
	switch {
	case net != nil:
		res.nodes = uses(net)
		check(net, x, d, res)
	case first == errNoInput && !slices.ContainsFunc(d.inputs, func(t *onnxpb.TensorProto) bool { return isReal(t.GetDataType()) }):
		res.skip("integer or boolean data: it has no real input")
	default:
		res.skip("%v", first)
	}
}

// values decodes an uncertain input.
func values(p *onnxpb.TensorProto) ([]float64, error) {
	data, err := proto.Marshal(p)
	if err != nil {
		return nil, err
	}
	t, err := onnx.DecodeTensor(data)
	if err != nil {
		return nil, err
	}
	return t.Values, checkTensor("the uncertain input", t)
}

// bind returns the network of the model with all inputs as initializers but
// those free.
func bind(mp *onnxpb.ModelProto, d *dataSet, free []int) (*graph.Network, error) {
	m := proto.Clone(mp).(*onnxpb.ModelProto)
	im := onnx.Importer{Shapes: map[string][]int{}}
	for i, in := range freeInputs(mp) {
		t := d.inputs[i]
		if slices.Contains(free, i) {
			shape := make([]int, len(t.GetDims()))
			for k, n := range t.GetDims() {
				shape[k] = int(n)
			}
			im.Shapes[in.GetName()] = shape
			continue
		}
		t = proto.Clone(t).(*onnxpb.TensorProto)
		t.Name = proto.String(in.GetName())
		m.Graph.Initializer = append(m.Graph.Initializer, t)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return im.Read(bytes.NewReader(data))
}

// runConstant compares the outputs of a model of constantOps, beside an
// uncertain input that nothing depends on.
func runConstant(mp *onnxpb.ModelProto, d *dataSet, res *result) {
	m := proto.Clone(mp).(*onnxpb.ModelProto)
	m.Graph.Input = append(m.Graph.Input, &onnxpb.ValueInfoProto{
		Name: proto.String("conformance_bystander"),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
			ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
			Shape:    &onnxpb.TensorShapeProto{},
		}}},
	})
	net, err := bind(m, &dataSet{inputs: append(slices.Clone(d.inputs), &onnxpb.TensorProto{})}, []int{len(d.inputs)})
	if err != nil {
		res.skip("%v", err)
		return
	}
	check(net, []float64{0}, d, res)
	if res.status == passed {
		res.note = "a constant by definition"
	}
}
