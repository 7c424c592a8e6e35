package covprop_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/onnx"
)

// TestZeroCovarianceIsForwardPass propagates the reference input of every
// shipped model without uncertainty: the mean must be ONNX Runtime's output
// and the covariance zero, for either form of the input covariance.
func TestZeroCovarianceIsForwardPass(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(modelDir, "vectors", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Models map[string]struct{ Inputs, Outputs []struct{ File string } }
	}
	if err := json.Unmarshal(src, &index); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(modelDir, "*.onnx"))
	if err != nil || len(index.Models) != len(files) || len(files) < 6 {
		t.Errorf("the index has %d models, but there are %d (%v)", len(index.Models), len(files), err)
	}
	for name, m := range index.Models {
		t.Run(name, func(t *testing.T) {
			net, err := onnx.ReadFile(filepath.Join(modelDir, name+".onnx"))
			if err != nil {
				t.Fatal(err)
			}
			var x, want []float64
			for _, v := range m.Inputs {
				x = append(x, readFloats(t, v.File)...)
			}
			for _, v := range m.Outputs {
				want = append(want, readFloats(t, v.File)...)
			}
			n := len(x)
			dense, err := covprop.NewDense(n, make([]float64, n*n))
			if err != nil {
				t.Fatal(err)
			}
			for _, cov := range []covprop.Covariance{make(covprop.Diagonal, n), dense} {
				out, err := net.Propagate(context.Background(), covprop.Gaussian{Mean: x, Cov: cov})
				if err != nil {
					t.Fatal(err)
				}
				checkPoint(t, out, want)
			}
		})
	}
}

// checkPoint compares the mean with want and every covariance with zero.
// ONNX Runtime computes in float32: a few layers of sums leave some 1e-6 of
// the largest output.
func checkPoint(t *testing.T, out covprop.Result, want []float64) {
	t.Helper()
	if len(out.Mean) != len(want) {
		t.Fatalf("%d outputs, want %d", len(out.Mean), len(want))
	}
	largest := 0.
	for _, w := range want {
		largest = max(largest, math.Abs(w))
	}
	for i, w := range want {
		if !(math.Abs(out.Mean[i]-w) <= 1e-5*largest) {
			t.Errorf("%T: output %d is %v, want %v", out.Cov, i, out.Mean[i], w)
		}
		for j := range want {
			if c := out.Cov.At(i, j); c != 0 {
				t.Errorf("%T: covariance (%d, %d) is %v, want 0", out.Cov, i, j, c)
			}
		}
	}
}

// readFloats reads little-endian float32 numbers.
func readFloats(t *testing.T, file string) []float64 {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(modelDir, "vectors", file))
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float64, len(raw)/4)
	for i := range x {
		x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	return x
}
