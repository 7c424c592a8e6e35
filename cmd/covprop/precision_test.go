package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// TestPrecision: with --precision 32 the standard deviation is that of the
// default to a few float32 roundings, and the nodes say so.
func TestPrecision(t *testing.T) {
	args := []string{"propagate", "../../testdata/models/power_gelu.onnx", "--mean", "0", "--std", "0.1", "--format", "json"}
	std := func(more ...string) float64 {
		var r struct {
			Outputs []struct{ Std []float64 }
		}
		if err := json.Unmarshal([]byte(mustExecute(t, append(args, more...)...)), &r); err != nil {
			t.Fatal(err)
		}
		return r.Outputs[0].Std[0]
	}
	wide, narrow := std(), std("--precision", "32")
	if d := math.Abs(narrow/wide - 1); d == 0 || d > 1e-5 {
		t.Errorf("the standard deviation is %v in float32 and %v in float64", narrow, wide)
	}
	if out := mustExecute(t, append(args, "--precision", "32")...); !strings.Contains(out, "covariances in float32") {
		t.Error("no node states what float32 costs")
	}
}
