package onnx_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/onnx"
)

// shipped is the models of the repository.
const shipped = "../testdata/models"

// TestShippedModels compares the forward pass of every model in the repository
// with ONNX Runtime's.
func TestShippedModels(t *testing.T) {
	compareAll(t, shipped)
}

// compareAll does it for every model in dir.
func compareAll(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no models in %s (%v)", dir, err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".onnx")
		t.Run(name, func(t *testing.T) { compareVectors(t, dir, name) })
	}
}

// TestAllModels does the same for a larger collection, in the folder that
// COVPROP_MODELS names.
func TestAllModels(t *testing.T) {
	dir := os.Getenv("COVPROP_MODELS")
	if dir == "" {
		t.Skip("COVPROP_MODELS does not name a folder with models and their vectors")
	}
	compareAll(t, dir)
}

// vectors describes one run of ONNX Runtime in vectors/index.json.
type vectors struct {
	Inputs, Outputs []struct {
		Name, DType, File string
		Shape             []int
	}
}

// compareVectors evaluates a model at the recorded input. ONNX Runtime works
// in float32 (unit 6e-8) and sums up to some thousand products a unit, with
// cancellation: 1e-5 of the largest output.
func compareVectors(t *testing.T, dir, name string) {
	data, err := os.ReadFile(filepath.Join(dir, "vectors", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct{ Models map[string]vectors }
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	v, ok := index.Models[name]
	if !ok {
		t.Fatalf("there is no vector for %s", name)
	}
	net, err := onnx.ReadFile(filepath.Join(dir, name+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	var x, want []float64
	for _, in := range v.Inputs {
		x = append(x, readFloats(t, filepath.Join(dir, "vectors", in.File))...)
	}
	for _, out := range v.Outputs {
		want = append(want, readFloats(t, filepath.Join(dir, "vectors", out.File))...)
	}
	compareEval(t, net, x, want, 1e-5)
}

// compareEval checks net(x) against want; tol is relative to the largest
// element.
func compareEval(t *testing.T, net *graph.Network, x, want []float64, tol float64) {
	t.Helper()
	if net.InputDim() != len(x) || net.OutputDim() != len(want) {
		t.Fatalf("the network maps %d to %d numbers, want %d to %d", net.InputDim(), net.OutputDim(), len(x), len(want))
	}
	got := make([]float64, len(want))
	if err := net.EvalTo(got, x); err != nil {
		t.Fatal(err)
	}
	scale := 0.
	for _, w := range want {
		scale = math.Max(scale, math.Abs(w))
	}
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= tol*scale) {
			t.Errorf("output %d is %.9g, want %.9g (the largest is %.3g)", i, got[i], w, scale)
		}
	}
}

func readFloats(t *testing.T, file string) []float64 {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, len(data)/4)
	if err := binary.Read(bytes.NewReader(data), binary.LittleEndian, x); err != nil {
		t.Fatal(err)
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}
