package onnx_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// The types below build models for tests.

const (
	f32   = onnxpb.TensorProto_FLOAT
	i64   = onnxpb.TensorProto_INT64
	bool1 = onnxpb.TensorProto_BOOL
)

// spec is a model: inputs and outputs by name, the shape of every input.
type spec struct {
	opset   int64
	in      []*onnxpb.ValueInfoProto
	out     []string
	inits   []*onnxpb.TensorProto
	nodes   []*onnxpb.NodeProto
	imports []*onnxpb.OperatorSetIdProto
}

// attrs are attributes by name: int, float32, string, []int or a tensor.
type attrs map[string]any

// input is a float32 input. A dimension is an int or a symbolic name.
func input(name string, dims ...any) *onnxpb.ValueInfoProto { return typedInput(name, f32, dims...) }

func typedInput(name string, typ onnxpb.TensorProto_DataType, dims ...any) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range dims {
		dim := &onnxpb.TensorShapeProto_Dimension{}
		switch d := d.(type) {
		case int:
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}
		case string:
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d}
		}
		shape.Dim = append(shape.Dim, dim)
	}
	elem := int32(typ)
	return &onnxpb.ValueInfoProto{Name: &name, Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{ElemType: &elem, Shape: shape},
	}}}
}

// floats is a float32 tensor.
func floats(name string, dims []int64, v ...float32) *onnxpb.TensorProto {
	typ := int32(f32)
	return &onnxpb.TensorProto{Name: &name, DataType: &typ, Dims: dims, FloatData: v}
}

// ints is an int64 tensor of one dimension.
func ints(name string, v ...int64) *onnxpb.TensorProto {
	typ := int32(i64)
	return &onnxpb.TensorProto{Name: &name, DataType: &typ, Dims: []int64{int64(len(v))}, Int64Data: v}
}

// raw is a tensor with little-endian data.
func raw(name string, typ onnxpb.TensorProto_DataType, dims []int64, v any) *onnxpb.TensorProto {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	elem := int32(typ)
	return &onnxpb.TensorProto{Name: &name, DataType: &elem, Dims: dims, RawData: b.Bytes()}
}

// nd is a node without a name; in and out are lists separated by spaces, and
// "_" is an input left out.
func nd(op, in, out string, as ...attrs) *onnxpb.NodeProto {
	n := &onnxpb.NodeProto{OpType: &op, Output: strings.Fields(out)}
	for _, s := range strings.Fields(in) {
		n.Input = append(n.Input, strings.Trim(s, "_"))
	}
	for _, a := range as {
		for name, v := range a {
			n.Attribute = append(n.Attribute, attribute(name, v))
		}
	}
	return n
}

func attribute(name string, v any) *onnxpb.AttributeProto {
	a := &onnxpb.AttributeProto{Name: &name}
	switch v := v.(type) {
	case int:
		i := int64(v)
		a.Type, a.I = onnxpb.AttributeProto_INT.Enum(), &i
	case float32:
		a.Type, a.F = onnxpb.AttributeProto_FLOAT.Enum(), &v
	case string:
		a.Type, a.S = onnxpb.AttributeProto_STRING.Enum(), []byte(v)
	case []int64:
		a.Type, a.Ints = onnxpb.AttributeProto_INTS.Enum(), v
	case []float32:
		a.Type, a.Floats = onnxpb.AttributeProto_FLOATS.Enum(), v
	case *onnxpb.TensorProto:
		a.Type, a.T = onnxpb.AttributeProto_TENSOR.Enum(), v
	default:
		panic(v)
	}
	return a
}

// bytes encodes the model.
func (s spec) bytes() []byte {
	ir := int64(8)
	imports := append([]*onnxpb.OperatorSetIdProto{{Version: &s.opset}}, s.imports...)
	if s.opset < 0 {
		imports = s.imports
	}
	g := &onnxpb.GraphProto{Node: s.nodes, Initializer: s.inits, Input: s.in}
	for _, name := range s.out {
		g.Output = append(g.Output, &onnxpb.ValueInfoProto{Name: &name})
	}
	b, err := proto.Marshal(&onnxpb.ModelProto{IrVersion: &ir, OpsetImport: imports, Graph: g})
	if err != nil {
		panic(err)
	}
	return b
}

func (s spec) read(im onnx.Importer) (*graph.Network, error) {
	return im.Read(bytes.NewReader(s.bytes()))
}

// one is a model of one input x of shape dims, one output y and the nodes.
func one(opset int64, dims []any, inits []*onnxpb.TensorProto, nodes ...*onnxpb.NodeProto) spec {
	return spec{opset: opset, in: []*onnxpb.ValueInfoProto{input("x", dims...)}, out: []string{"y"}, inits: inits, nodes: nodes}
}

type (
	dims  = []any
	inits = []*onnxpb.TensorProto
)

// check reads the model and compares its value at x with want. Expected values
// are small whole or short numbers computed by hand: 1e-12 is rounding.
func (s spec) check(t *testing.T, x, want []float64) *graph.Network {
	t.Helper()
	net, err := s.read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	compareEval(t, net, x, want, 1e-12)
	return net
}

// upTo returns 1, 2, ..., n.
func upTo(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(i + 1)
	}
	return x
}

var inf32 = float32(math.Inf(1))
