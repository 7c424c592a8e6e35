package onnx_test

import (
	"math"
	"slices"
	"testing"

	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestFuseConv: a convolution and what scales and shifts its channels are one
// convolution with the same value as without fusion, which making the
// convolution's result an output prevents.
func TestFuseConv(t *testing.T) {
	w := floats("w", []int64{4, 2, 1, 2}, 1, 2, 3, 4, -1, -2, -3, -4, 5, 6, 7, 8, 2, 4, 6, 8)
	half := floats("h", []int64{4, 1, 1, 2}, 1, -2, 3, -4, 5, -6, 7, -8)
	turned := floats("u", []int64{4, 2, 1, 2}, 8, 6, 4, 2, -8, 7, -6, 5, 4, -3, 2, -1, 1, 2, 3, 4)
	b := floats("b", []int64{4}, 10, 20, 30, 40)
	v := floats("v", []int64{4}, 1, 4, 0.25, 9)
	channel := floats("c", []int64{4, 1, 1}, 2, 3, 5, 7)
	first := floats("f", []int64{1, 4, 1, 1}, 1, -1, 2, -2)
	one1 := floats("o", []int64{1}, 3)
	column := floats("k", []int64{1, 2}, 2, 3)
	zero := floats("z", []int64{4, 1, 1}, 1, 0, 1, 1)
	elements := floats("e", []int64{4, 2, 2}, upTo32(16)...)
	pads := attrs{"pads": []int64{0, 1, 0, 0}}
	groups := attrs{"group": 2, "strides": []int64{2, 1}}
	norm := func(in string) *onnxpb.NodeProto {
		return nd("BatchNormalization", in, "y", attrs{"epsilon": float32(0.5)})
	}
	for _, c := range []struct {
		name     string
		opset    int64
		channels int
		nodes    []*onnxpb.NodeProto
		rules    int // 1 if all is fused
	}{
		{"norm", 9, 2, []*onnxpb.NodeProto{nd("Conv", "x w b", "m", pads), norm("m b v b v")}, 1},
		{"norm, no bias", 15, 2, []*onnxpb.NodeProto{nd("Conv", "x w", "m", pads), norm("m v b v v")}, 1},
		{"norm, groups", 9, 2, []*onnxpb.NodeProto{nd("Conv", "x h b", "m", groups), norm("m b v b v")}, 1},
		{"norm, transposed", 9, 4, []*onnxpb.NodeProto{nd("ConvTranspose", "x u b", "m", groups), norm("m b v b v")}, 1},
		{"add", 13, 2, []*onnxpb.NodeProto{nd("Conv", "x w b", "m"), nd("Add", "m c", "y")}, 1},
		{"add left", 13, 2, []*onnxpb.NodeProto{nd("Conv", "x w", "m"), nd("Add", "f m", "y")}, 1},
		{"subtract", 13, 2, []*onnxpb.NodeProto{nd("Conv", "x w b", "m"), nd("Sub", "m o", "y")}, 1},
		{"subtract from", 13, 2, []*onnxpb.NodeProto{nd("Conv", "x w b", "m"), nd("Sub", "c m", "y")}, 1},
		{"multiply", 13, 2, []*onnxpb.NodeProto{nd("Conv", "x w b", "m"), nd("Mul", "c m", "y")}, 1},
		{"divide", 13, 4, []*onnxpb.NodeProto{nd("ConvTranspose", "x u", "m", groups), nd("Div", "m f", "y")}, 1},
		{"chain", 13, 2, []*onnxpb.NodeProto{nd("Conv", "x w b", "m"), nd("Mul", "m c", "s"), nd("Add", "f s", "t"), norm("t b v b v")}, 1},

		{"divided", 13, 2, []*onnxpb.NodeProto{nd("Conv", "x w b", "m"), nd("Add", "m c", "s"), nd("Div", "c s", "y")}, 3},
		{"columns", 13, 2, []*onnxpb.NodeProto{nd("Conv", "x w b", "m", pads), nd("Mul", "m k", "y")}, 2},
		{"stretched", 13, 2, []*onnxpb.NodeProto{nd("Conv", "x w b", "m"), nd("Mul", "m k", "y")}, 3},
		{"used twice", 13, 2, []*onnxpb.NodeProto{nd("Conv", "x w b", "m"), nd("Mul", "m c", "s"), nd("Add", "m s", "y")}, 3},
		{"elements", 8, 2, []*onnxpb.NodeProto{
			nd("Conv", "x w", "m", pads), nd("BatchNormalization", "m e e e e", "y", attrs{"spatial": 0}),
		}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := one(c.opset, dims{1, c.channels, 2, 2}, inits{w, half, turned, b, v, channel, first, one1, column, zero, elements}, c.nodes...)
			fused, err := m.read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			rules := fused.Nodes()
			if len(rules) != c.rules {
				t.Errorf("%d rules, want %d: %+v", len(rules), c.rules, rules)
			}
			if c.rules == 1 && (rules[0].Name != "y" || rules[0].Op != c.nodes[0].GetOpType() || rules[0].Rule != "convolution") {
				t.Errorf("the rule is %+v", rules[0])
			}
			m.out = append([]string{"y"}, c.nodes[0].GetOutput()...)
			apart, err := m.read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			x := upTo(fused.InputDim())
			y, want := make([]float64, fused.OutputDim()), make([]float64, apart.OutputDim())
			if err := fused.EvalTo(y, x); err != nil {
				t.Fatal(err)
			}
			if err := apart.EvalTo(want, x); err != nil {
				t.Fatal(err)
			}
			want = want[:len(y)]
			scale := max(slices.Max(want), -slices.Min(want))
			for i := range y {
				if !(math.Abs(y[i]-want[i]) <= 1e-13*scale) { // rounding in sums of 5 products
					t.Errorf("element %d is %v, want %v", i, y[i], want[i])
				}
			}
		})
	}
	// Division by zero is an error of the division still.
	_, err := one(13, dims{1, 2, 2, 2}, inits{w, zero}, nd("Conv", "x w", "m"), nd("Div", "m z", "y")).read(onnx.Importer{})
	if err == nil {
		t.Error("division by zero was fused")
	}
}

func upTo32(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i + 1)
	}
	return x
}
