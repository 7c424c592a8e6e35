package onnx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/onnx"
)

// FuzzRead: whatever the bytes, Read returns a network that can be evaluated
// or a *covprop.ModelError, without a panic and within small limits.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"marabou_certificate_and_controller_mandal"} {
		data, err := os.ReadFile(filepath.Join(shipped, name+".onnx"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	w := floats("w", []int64{2, 3}, 1, 2, 3, 4, 5, 6)
	for _, s := range []spec{
		one(13, dims{2, 3}, inits{w}, nd("Add", "x w", "y")),
		one(13, dims{"N", 2}, inits{w}, nd("MatMul", "x w", "a"), nd("Transpose", "a", "y")),
		one(13, dims{3}, consts, parse("a = Div x r2; e = Erf a; p = Add e one; m = Mul x p; y = Mul m half")...),
		one(13, dims{3}, consts, parse("q = Pow x three; r = Mul q c3; s = Add x r; u = Mul s k2pi; v = Tanh u; p = Add v one; m = Mul x half; y = Mul m p")...),
		one(6, dims{2, 3}, inits{floats("s", []int64{3}, 1, 2, 3)}, nd("PRelu", "x s", "a"), nd("Slice", "a", "b", attrs{"starts": []int64{0}, "ends": []int64{1}}), nd("Split", "b", "y z", attrs{"axis": 1, "split": []int64{1, 2}})),
		one(13, dims{2, 3}, inits{ints("s", 0, -1), ints("a", 1)}, nd("Shape", "x", "h"), nd("Gather", "h a", "g"), nd("Concat", "g g", "c", attrs{"axis": 0}), nd("ConstantOfShape", "c", "k"), nd("MatMul", "x k", "r"), nd("Reshape", "r s", "y")),
		one(21, dims{2, 3}, inits{w}, nd("Gemm", "x w x", "b", attrs{"transB": 1}), nd("Expand", "x a", "y"), nd("Range", "a a a", "c"), nd("DequantizeLinear", "a w", "d")),
	} {
		f.Add(s.bytes())
	}
	im := onnx.Importer{MaxBytes: 1 << 16, MaxElements: 1 << 12}
	f.Fuzz(func(t *testing.T, data []byte) {
		net, err := im.Read(bytes.NewReader(data))
		if d, derr := im.DescribeFrom(bytes.NewReader(data)); (err == nil) != (derr == nil && d.Err == nil) {
			t.Errorf("Read says %v, Describe %v", err, derr)
		}
		if err != nil {
			if _, ok := err.(*covprop.ModelError); !ok {
				t.Errorf("the error is %v (%T)", err, err)
			}
			return
		}
		y := make([]float64, net.OutputDim())
		if err := net.EvalTo(y, make([]float64, net.InputDim())); err != nil {
			t.Errorf("the network cannot be evaluated: %v", err)
		}
	})
}
