package onnx_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/covprop/covprop/onnx"
)

// TestPyTorch reads layers as PyTorch exports them: their values are PyTorch's
// to the precision of float32, 1e-6 of the largest, and each is made of few
// rules.
func TestPyTorch(t *testing.T) {
	dir := filepath.Join("testdata", "pytorch")
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index map[string]struct{ X, Y []float64 }
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	attention := []string{"affine", "matrix product", "softmax", "matrix product", "affine"}
	rules := map[string][]string{
		"layer_norm":   {"centred normalisation"},
		"layer_norm_2": {"centred normalisation"},
		"normalize":    {"normalisation"},
		"rms_norm":     {"normalisation"},
		"channels":     {"centred normalisation"},
		"unbiased":     {"centred normalisation"},
		"softmax":      {"softmax"},
		"log_softmax":  {"log softmax"},
		"attention":    attention,
		"encoder":      append(slices.Clone(attention), "sum", "centred normalisation", "affine", "gelu", "affine", "sum", "centred normalisation"),
	}
	if len(index) != len(rules) {
		t.Errorf("%d models, want %d", len(index), len(rules))
	}
	for name, c := range index {
		t.Run(name, func(t *testing.T) {
			net, err := onnx.ReadFile(filepath.Join(dir, name+".onnx"))
			if err != nil {
				t.Fatal(err)
			}
			compareEval(t, net, c.X, c.Y, 1e-6)
			var got []string
			for _, n := range net.Nodes() {
				switch n.Rule {
				case "scale", "shift", "select", "reshape":
				default:
					got = append(got, n.Rule)
				}
			}
			if !slices.Equal(got, rules[name]) {
				t.Errorf("the rules are %q, want %q", got, rules[name])
			}
		})
	}
}
