package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/covprop/covprop/internal/onnxpb"
)

// oneNode writes a model with the input x, the output y, both of the shape
// (1, 2), and one node between them. The constant c is (2, -3).
func oneNode(t *testing.T, op, inputs string) string {
	t.Helper()
	return writeModel(t, fmt.Sprintf(`node { name: "the node" op_type: %q %s output: "y" }`, op, inputs), "dim_value: 2", "y")
}

func writeModel(t *testing.T, node, secondDim, output string) string {
	t.Helper()
	const tensor = `{ name: %q type { tensor_type { elem_type: 1 shape { dim { dim_value: 1 } dim { %s } } } } }`
	return writeText(t, fmt.Sprintf(`ir_version: 8 opset_import { version: 17 } graph { name: "g" %s
		initializer { name: "c" data_type: 1 dims: 2 float_data: [2, -3] }
		input `+tensor+` output `+tensor+` }`, node, "x", secondDim, output, secondDim))
}

func writeText(t *testing.T, text string) string {
	t.Helper()
	var m onnxpb.ModelProto
	if err := prototext.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "model.onnx", string(b))
}

// TestExact propagates through y = (2 x_0, -3 x_1), whose moments are exact.
func TestExact(t *testing.T) {
	model := oneNode(t, "Mul", `input: "x" input: "c"`)
	r := propagateJSON(t, model, "--mean", "1,0.5", "--cov", "1,0.5,0.5,4")
	o := r.Outputs[0]
	if !slices.Equal(o.Mean, []float64{2, -1.5}) || !slices.Equal(o.Std, []float64{2, 6}) ||
		!slices.Equal(slices.Concat(o.Cov...), []float64{4, -3, -3, 36}) {
		t.Errorf("got %+v", o)
	}
	a := r.Accuracy
	if a.Status != "exact" || a.Reason != "" || a.Bound == nil || *a.Bound != 0 {
		t.Errorf("accuracy %+v", a)
	}
	if out := mustExecute(t, "propagate", model, "--mean", "1", "--std", "1"); !strings.Contains(out, "accuracy  exact\n") {
		t.Errorf("the text is\n%s", out)
	}
}

// TestCertified propagates through one nonlinear node, whose bound is known.
func TestCertified(t *testing.T) {
	model := oneNode(t, "Relu", `input: "x"`)
	r := propagateJSON(t, model, "--mean", "0", "--cov", "1,0.5,0.5,1")
	// Mean 1/sqrt(2 pi), variance 1/2 - 1/(2 pi), and the arc-cosine kernel of
	// Cho & Saul (2009): E = (sin a + (pi - a) cos a)/(2 pi), cos a = 1/2.
	mean, variance := 1/math.Sqrt(2*math.Pi), 0.5-0.5/math.Pi
	cov := (math.Sqrt(3)/2+(math.Pi-math.Pi/3)/2)/(2*math.Pi) - 0.5/math.Pi
	o := r.Outputs[0]
	// The default tolerance is 1e-9 of the two standard deviations.
	if math.Abs(o.Mean[1]-mean) > 1e-9*math.Sqrt(variance) || math.Abs(o.Cov[1][1]-variance) > 1e-9*variance || math.Abs(o.Cov[0][1]-cov) > 1e-9*variance {
		t.Errorf("got %v, %v; want %v, %v, %v", o.Mean, o.Cov, mean, variance, cov)
	}
	if a := r.Accuracy; a.Status == "approximate" || a.Bound == nil || *a.Bound > 1e-9 {
		t.Errorf("accuracy %+v", a)
	}
}

// TestUnsupported inspects a model that cannot be propagated.
func TestUnsupported(t *testing.T) {
	model := oneNode(t, "Bogus", `input: "x"`)
	var r struct {
		wantInspect
		Error string
	}
	decodeStrictly(t, mustExecute(t, "inspect", model, "--format", "json"), &r)
	if len(r.Nodes) != 1 || r.Nodes[0].Status != "unsupported" || r.Nodes[0].Reason == "" || r.Memory != nil || r.Error == "" {
		t.Errorf("got %+v", r)
	}
	if out := mustExecute(t, "inspect", model); !strings.Contains(out, "unsupported") || !strings.Contains(out, "memory      unknown") {
		t.Errorf("the text is\n%s", out)
	}
	_, stderr, status := execute("propagate", model, "--mean", "0", "--std", "1")
	for _, want := range []string{model, "the node", "Bogus"} {
		if status != 1 || !strings.Contains(stderr, want) {
			t.Errorf("status %d, stderr %s, which is to name %q", status, stderr, want)
		}
	}
}

// TestNoInputs has a model without inputs: it is at fault, not the command line.
func TestNoInputs(t *testing.T) {
	model := writeText(t, `opset_import { version: 17 } graph { initializer { name: "c" data_type: 1 float_data: 2 } output { name: "c" } }`)
	_, stderr, status := execute("propagate", model, "--mean", "0", "--std", "1")
	if status != 1 || !strings.Contains(stderr, model+": has no inputs") {
		t.Errorf("status %d, stderr %s", status, stderr)
	}
}

// TestSymbolic reads a model with a symbolic dimension that is not the first.
func TestSymbolic(t *testing.T) {
	model := writeModel(t, `node { name: "n" op_type: "Relu" input: "x" output: "y" }`, `dim_param: "N"`, "y")
	out := mustExecute(t, "inspect", model, "--format", "json")
	if !strings.Contains(out, `"shape":[1,null]`) {
		t.Errorf("got %s", out)
	}
	_, stderr, status := execute("propagate", model, "--mean", "0", "--std", "1")
	if status != 1 || !strings.Contains(stderr, "--shape") && !strings.Contains(stderr, `"x"`) {
		t.Errorf("status %d, stderr %s", status, stderr)
	}
	r := propagateJSON(t, model, "--mean", "0", "--std", "1", "--shape", "x=1x3")
	if !slices.Equal(r.Outputs[0].Shape, []int{1, 3}) {
		t.Errorf("got %+v", r.Outputs[0])
	}
}

// TestOverflow checks that a result that is not finite is an error for every
// method.
func TestOverflow(t *testing.T) {
	model := oneNode(t, "Exp", `input: "x"`)
	for _, method := range allMethods {
		stdout, stderr, status := execute("propagate", model, "--mean", "1000", "--std", "1", "--method", method)
		if status != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, stdout %s, stderr %s", method, status, stdout, stderr)
		}
	}
}

// TestHostileName checks that a name from a model cannot steer a terminal.
func TestHostileName(t *testing.T) {
	model := writeModel(t, `node { op_type: "Relu" input: "x" output: "a\033[2J\nb" }`, "dim_value: 2", "a\x1b[2J\nb")
	var all bytes.Buffer
	for _, args := range [][]string{
		{"inspect", model},
		{"propagate", model, "--mean", "0", "--std", "1", "--explain"},
		{"compare", model, "--mean", "0", "--std", "1", "--samples", "10"},
		{"propagate", model, "--mean", "0", "--std", "1", "--max-memory", "1B"},
	} {
		run(context.Background(), args, &all, &all)
	}
	if strings.Contains(all.String(), "\x1b") {
		t.Errorf("an escape sequence reached the terminal: %q", all.String())
	}
	if !strings.Contains(all.String(), `"a\x1b[2J\nb"`) {
		t.Errorf("the name is missing: %q", all.String())
	}
}
