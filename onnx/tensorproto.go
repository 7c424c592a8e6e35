package onnx

import (
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop/internal/onnxpb"
)

// A Tensor is the contents of an encoded tensor.
type Tensor struct {
	Name   string
	DType  string // such as "float32"
	Real   bool   // DType is a real type, not an integer or boolean one
	Shape  []int
	Values []float64 // row by row; integers beyond 2^53 are rounded
}

// DecodeTensor decodes a TensorProto, the form in which ONNX keeps single
// tensors in files (.pb). Its data must not be in yet another file.
func DecodeTensor(data []byte) (*Tensor, error) {
	var p onnxpb.TensorProto
	if err := proto.Unmarshal(data, &p); err != nil {
		return nil, errors.New("is not an ONNX tensor, or is truncated")
	}
	l, err := Importer{}.limits()
	if err != nil {
		return nil, err
	}
	t, err := (&model{limits: l}).decodeTensor(&p, "tensor")
	if err != nil {
		return nil, err
	}
	return &Tensor{Name: p.GetName(), DType: t.dtype.String(), Real: t.dtype.isFloat(), Shape: t.shape, Values: t.real()}, nil
}
