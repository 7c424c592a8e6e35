package onnx_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// number is a float64 that JSON cannot write if it is not finite.
type number float64

func (x *number) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	v, err := strconv.ParseFloat(string(b), 64)
	*x = number(v)
	return err
}

// storedTensor is an input of a stored case.
type storedTensor struct {
	Type  string
	Shape []int64
	Data  []number
}

// storedCase is a node with its inputs and its output, made by
// testdata/ops.py.
type storedCase struct {
	Op     string
	Opset  int64
	Attrs  map[string]any
	Inputs []*storedTensor // nil where left out
	Shape  []int
	Want   []float64
}

var storedTypes = map[string]onnxpb.TensorProto_DataType{
	"float32": f32, "int64": i64, "int32": onnxpb.TensorProto_INT32, "uint8": onnxpb.TensorProto_UINT8, "bool": bool1,
}

// tensor is the tensor as an initializer.
func (s *storedTensor) tensor(name string) *onnxpb.TensorProto {
	typ := int32(storedTypes[s.Type])
	t := &onnxpb.TensorProto{Name: &name, DataType: &typ, Dims: s.Shape}
	for _, v := range s.Data {
		switch s.Type {
		case "float32":
			t.FloatData = append(t.FloatData, float32(v))
		case "int64":
			t.Int64Data = append(t.Int64Data, int64(v))
		default:
			t.Int32Data = append(t.Int32Data, int32(v))
		}
	}
	return t
}

func (c *storedCase) attrs() attrs {
	as := attrs{}
	for name, v := range c.Attrs {
		switch v := v.(type) {
		case []any:
			list := make([]int64, len(v))
			for i := range v {
				list[i] = int64(v[i].(float64))
			}
			as[name] = list
		case float64:
			if as[name] = int(v); slices.Contains([]string{"alpha", "beta", "lambd", "bias"}, name) {
				as[name] = float32(v)
			}
		default:
			as[name] = v
		}
	}
	return as
}

// model is the node with the inputs whose bit is set uncertain and the others
// constant, and the values of those that are uncertain. Another input, z,
// leaves something to propagate if there are none.
func (c *storedCase) model(uncertain int) (spec, []float64) {
	s := spec{opset: c.Opset, out: []string{"y", "w"}, in: []*onnxpb.ValueInfoProto{input("z")}}
	x, names := []float64{0}, ""
	for i, t := range c.Inputs {
		name := fmt.Sprint("i", i)
		switch {
		case t == nil:
			name = "_"
		case uncertain>>i&1 != 0:
			d := make([]any, len(t.Shape))
			for a := range d {
				d[a] = int(t.Shape[a])
			}
			s.in = append(s.in, input(name, d...))
			for _, v := range t.Data {
				x = append(x, float64(v))
			}
		default:
			s.inits = append(s.inits, t.tensor(name))
		}
		names += name + " "
	}
	s.nodes = []*onnxpb.NodeProto{nd(c.Op, names, "y", c.attrs()), nd("Relu", "z", "w")}
	return s, x
}

// TestStoredOps evaluates nodes as ONNX Runtime does, with every choice of
// their real inputs uncertain and the others constant. The stored values are
// float32, and sums of up to 24 of them: 2e-6 of the largest is 16 units.
func TestStoredOps(t *testing.T) {
	constantsOnly := []string{"GreaterOrEqual", "LessOrEqual", "IsNaN", "IsInf", "OneHot", "And", "Or"}
	data, err := os.ReadFile("testdata/ops.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []storedCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for k, c := range cases {
		t.Run(fmt.Sprint(k, c.Op), func(t *testing.T) {
			realInputs := 0
			for i, in := range c.Inputs {
				if in != nil && in.Type == "float32" {
					realInputs |= 1 << i
				}
			}
			scale := 0.
			for _, v := range c.Want {
				scale = max(scale, math.Abs(v))
			}
			for u := range realInputs + 1 {
				if u&^realInputs != 0 || u != 0 && slices.Contains(constantsOnly, c.Op) {
					continue
				}
				s, x := c.model(u)
				net, err := s.read(onnx.Importer{})
				if err != nil {
					t.Fatalf("%+v with %b uncertain: %v", c.Attrs, u, err)
				}
				if shape := net.Outputs()[0].Shape; !slices.Equal(shape, c.Shape) {
					t.Errorf("%+v with %b uncertain: shape %v, want %v", c.Attrs, u, shape, c.Shape)
				}
				y := make([]float64, net.OutputDim())
				if err := net.EvalTo(y, x); err != nil {
					t.Fatal(err)
				}
				for i, w := range c.Want {
					if !(math.Abs(y[i]-w) <= 2e-6*scale) {
						t.Errorf("%+v with %b uncertain: element %d is %v, want %v", c.Attrs, u, i, y[i], w)
					}
				}
			}
		})
	}
}
