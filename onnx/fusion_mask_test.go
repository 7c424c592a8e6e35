package onnx_test

import (
	"math"
	"strings"
	"testing"

	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestMask: -Inf masks elements of a softmax, added or put in their place; a
// row without other elements is refused.
func TestMask(t *testing.T) {
	minus := float32(math.Inf(-1))
	soft := nd("Softmax", "z", "y")
	cond := raw("c", bool1, []int64{1, 3}, []byte{1, 0, 1})
	e := math.E
	want := []float64{1 / (1 + e*e), 0, e * e / (1 + e*e), 1 / (1 + e*e), 0, e * e / (1 + e*e)}
	x := []float64{1, 2, 3, 4, 5, 6}
	for _, c := range []struct {
		name  string
		mask  *onnxpb.TensorProto
		nodes []*onnxpb.NodeProto
		err   string
	}{
		{"added", floats("m", []int64{3}, 0, minus, 0), []*onnxpb.NodeProto{nd("Add", "x m", "z"), soft}, ""},
		{"added left", floats("m", []int64{2, 3}, 0, minus, 0, 0, minus, 0), []*onnxpb.NodeProto{nd("Add", "m x", "z"), soft}, ""},
		{"instead", floats("m", nil, minus), []*onnxpb.NodeProto{nd("Where", "c x m", "z"), soft}, ""},
		{"a whole row", floats("m", []int64{2, 3}, 0, 0, 0, minus, minus, minus), []*onnxpb.NodeProto{nd("Add", "x m", "z"), soft}, "-Inf"},
		{"no softmax", floats("m", []int64{3}, 0, minus, 0), []*onnxpb.NodeProto{nd("Add", "x m", "z"), nd("Relu", "z", "y")}, "-Inf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := one(13, dims{2, 3}, inits{c.mask, cond}, c.nodes...)
			if c.err == "" {
				m.check(t, x, want)
			} else if _, err := m.read(onnx.Importer{}); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("the error is %v, want one with %q", err, c.err)
			}
		})
	}
}
