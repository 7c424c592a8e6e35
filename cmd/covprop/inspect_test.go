package main

import (
	"slices"
	"strings"
	"testing"
)

// The documented form of inspect's JSON.
type wantInspect struct {
	Schema     int          `json:"schema"`
	Model      string       `json:"model"`
	Inputs     []wantTensor `json:"inputs"`
	Outputs    []wantTensor `json:"outputs"`
	Parameters int64        `json:"parameters"`
	Nodes      []struct {
		Name   string `json:"name"`
		Op     string `json:"op"`
		Rule   string `json:"rule"`
		Status string `json:"status"`
		Reason string `json:"reason"`
		Shape  []*int `json:"shape"`
	} `json:"nodes"`
	Memory *struct {
		PeakBytes int64 `json:"peak_bytes"`
	} `json:"memory"`
}

type wantTensor struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []*int `json:"shape"`
}

func TestInspectJSON(t *testing.T) {
	var r wantInspect
	decodeStrictly(t, mustExecute(t, "inspect", acas, "--format", "json"), &r)
	if r.Schema != 1 || r.Model != acas || len(r.Inputs) != 1 || len(r.Outputs) != 1 {
		t.Fatalf("got %+v", r)
	}
	in, out := r.Inputs[0], r.Outputs[0]
	if in.Name != "input" || !strings.HasPrefix(in.DType, "float") || !shapeIs(in.Shape, 1, 1, 1, 5) || out.Name != "linear_7_Add" || !shapeIs(out.Shape, 1, 5) {
		t.Errorf("input %+v, output %+v", in, out)
	}
	// 5*50 + 5*50*50 + 50*5 weights, 6*50 + 5 biases and 5 means of the input.
	if r.Parameters != 13310 {
		t.Errorf("%d parameters, want 13310", r.Parameters)
	}
	// At the peak there is at least one covariance of 50 x 50 numbers, and no
	// reason for more than ten.
	if r.Memory == nil || r.Memory.PeakBytes < 8*50*50 || r.Memory.PeakBytes > 10*8*50*50 {
		t.Errorf("memory %+v", r.Memory)
	}
	count := make(map[string]int)
	for _, n := range r.Nodes {
		count[n.Op+" "+n.Status]++
		if n.Status == "unsupported" {
			t.Errorf("node %+v", n)
		}
	}
	if count["MatMul exact"] != 7 || count["Relu exact"]+count["Relu certified"] != 6 {
		t.Errorf("nodes: %v", count)
	}
}

func shapeIs(got []*int, want ...int) bool {
	shape := []int{}
	for _, d := range got {
		if d == nil {
			return false
		}
		shape = append(shape, *d)
	}
	return slices.Equal(shape, want)
}

func TestInspectText(t *testing.T) {
	out := mustExecute(t, "inspect", mandal)
	for _, want := range []string{"parameters  1739", "KiB at the peak", "input_2  float32  1x4", "output_3  float32  1x1", "Gemm"} {
		if !strings.Contains(out, want) {
			t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
}

// TestInspectFlags checks that --shape and --fix reach the model.
func TestInspectFlags(t *testing.T) {
	var plain, shaped wantInspect
	decodeStrictly(t, mustExecute(t, "inspect", digits, "--format", "json"), &plain)
	decodeStrictly(t, mustExecute(t, "inspect", digits, "--format", "json", "--shape", "input=2x1x28x28"), &shaped)
	if !shapeIs(plain.Inputs[0].Shape, 1, 1, 28, 28) || !shapeIs(shaped.Inputs[0].Shape, 2, 1, 28, 28) {
		t.Errorf("inputs %+v and %+v", plain.Inputs, shaped.Inputs)
	}
	if shaped.Memory.PeakBytes <= plain.Memory.PeakBytes {
		t.Errorf("a batch of two needs %d bytes, one needs %d", shaped.Memory.PeakBytes, plain.Memory.PeakBytes)
	}
	var free, fixed wantInspect
	decodeStrictly(t, mustExecute(t, "inspect", mandal, "--format", "json"), &free)
	decodeStrictly(t, mustExecute(t, "inspect", mandal, "--format", "json", "--fix", "input_1=0.5"), &fixed)
	if fixed.Memory.PeakBytes >= free.Memory.PeakBytes {
		t.Errorf("with a fixed input %d bytes are needed, without %d", fixed.Memory.PeakBytes, free.Memory.PeakBytes)
	}
}
