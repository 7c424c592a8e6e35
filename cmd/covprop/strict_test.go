package main

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop/internal/onnxpb"
)

// rootModel is y = sqrt(x) for a scalar x.
func rootModel(t *testing.T) string {
	t.Helper()
	info := func(name string) *onnxpb.ValueInfoProto {
		return &onnxpb.ValueInfoProto{Name: &name, Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
			ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), Shape: &onnxpb.TensorShapeProto{},
		}}}}
	}
	data, err := proto.Marshal(&onnxpb.ModelProto{
		IrVersion: proto.Int64(8), OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Input: []*onnxpb.ValueInfoProto{info("x")}, Output: []*onnxpb.ValueInfoProto{info("y")},
			Node: []*onnxpb.NodeProto{{Name: proto.String("root"), OpType: proto.String("Sqrt"), Input: []string{"x"}, Output: []string{"y"}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "root.onnx", string(data))
}

// TestStrict: the square root of a number that may be negative can only be
// linearised; far from zero it need not be.
func TestStrict(t *testing.T) {
	model := rootModel(t)
	near := []string{"propagate", model, "--mean", "4", "--std", "1"}
	for _, method := range []string{"moment", "diagonal"} {
		out := mustExecute(t, append(near, "--method", method)...)
		if !strings.Contains(out, "linearised at the mean") {
			t.Errorf("%s: the result does not say that it is linearised:\n%s", method, out)
		}
		stdout, stderr, status := execute(append(near, "--method", method, "--strict")...)
		if status != 1 || stdout != "" || !strings.Contains(stderr, `node "root" (Sqrt)`) || !strings.Contains(stderr, "linearised") {
			t.Errorf("%s: status %d, stderr %s", method, status, stderr)
		}
		mustExecute(t, "propagate", model, "--mean", "4", "--std", "0.1", "--method", method, "--strict")
	}
}
