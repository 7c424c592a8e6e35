package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop/internal/onnxpb"
)

// node appends a node. Nodes have names of their own, since some readers want them.
func (w *writer) node(op, name, output string, attributes []*onnxpb.AttributeProto, inputs ...string) {
	if name == "" {
		name = output
	}
	w.graph.Node = append(w.graph.Node, &onnxpb.NodeProto{
		OpType: proto.String(op), Name: proto.String(unique(w.nodes, name)), Input: inputs, Output: []string{output}, Attribute: attributes,
	})
}

// inner appends a node between two others, and returns the name of its output.
func (w *writer) inner(op, output string, inputs ...string) string {
	output = w.name(output)
	w.node(op, "", output, nil, inputs...)
	return output
}

// reshape writes a value under another shape.
func (w *writer) reshape(out, in string, shape []int) {
	w.fixed = true
	w.node("Reshape", "", out, nil, in, w.integers(out+".shape", shape))
}

// constant adds a tensor of real numbers, and returns its name.
func (w *writer) constant(name string, shape []int, data []float64) string {
	t := w.tensor(name, onnxpb.TensorProto_FLOAT, shape)
	t.RawData = make([]byte, 0, 4*len(data))
	for _, x := range data {
		t.RawData = binary.LittleEndian.AppendUint32(t.RawData, math.Float32bits(w.float32(t.GetName(), x)))
	}
	return t.GetName()
}

// integers adds a list of integers, and returns its name.
func (w *writer) integers(name string, data []int) string {
	t := w.tensor(name, onnxpb.TensorProto_INT64, []int{len(data)})
	for _, x := range data {
		t.RawData = binary.LittleEndian.AppendUint64(t.RawData, uint64(x))
	}
	return t.GetName()
}

// tensor adds a tensor that is yet empty.
func (w *writer) tensor(name string, kind onnxpb.TensorProto_DataType, shape []int) *onnxpb.TensorProto {
	t := &onnxpb.TensorProto{Name: proto.String(w.name(name)), DataType: proto.Int32(int32(kind))}
	for _, d := range shape {
		t.Dims = append(t.Dims, int64(d))
	}
	w.graph.Initializer = append(w.graph.Initializer, t)
	return t
}

// float32 rounds a number. It is an error of the writer if that is not finite.
func (w *writer) float32(what string, x float64) float32 {
	y := float32(x)
	if z := float64(y); (math.IsInf(z, 0) || math.IsNaN(z)) && w.err == nil {
		w.err = fmt.Errorf("%s has the number %v, which is no finite float32", what, x)
	}
	return y
}

func (w *writer) floatAttribute(name string, x float64) *onnxpb.AttributeProto {
	y := w.float32("the attribute "+name, x)
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_FLOAT.Enum(), F: proto.Float32(y)}
}

func intAttribute(name string, x int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(x)}
}

func stringAttribute(name, x string) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte(x)}
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
