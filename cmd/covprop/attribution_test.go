package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"codeberg.org/sbinet/npyio/npz"
	"gonum.org/v1/gonum/mat"
)

// wantAttributed is the JSON with --keep-input, --attribution and --classify.
type wantAttributed struct {
	wantResult
	InputCross []struct {
		Output string      `json:"output"`
		Input  string      `json:"input"`
		Cov    [][]float64 `json:"cov"`
	} `json:"input_cross"`
	Attribution []struct {
		Output string `json:"output"`
		Inputs []struct {
			Input  string      `json:"input"`
			Shares [][]float64 `json:"shares"`
			Total  []*float64  `json:"total"`
		} `json:"inputs"`
		Rest []*float64 `json:"rest"`
	} `json:"attribution"`
	Classify *struct {
		Output            string    `json:"output"`
		Predicted         int       `json:"predicted"`
		Probabilities     []float64 `json:"probabilities"`
		StandardErrors    []float64 `json:"standard_errors"`
		ChangeProbability float64   `json:"change_probability"`
		Accuracy          struct {
			Status string   `json:"status"`
			Reason string   `json:"reason"`
			Bound  *float64 `json:"bound"`
		} `json:"accuracy"`
	} `json:"classify"`
}

func attributedJSON(t *testing.T, args ...string) (r wantAttributed) {
	t.Helper()
	decodeStrictly(t, mustExecute(t, append([]string{"propagate", "--format", "json"}, args...)...), &r)
	return r
}

// TestKeepInput: for a small uncertainty the covariance with the input is the
// derivative, here by central differences of the forward pass, times the
// variance; and nothing of this is there without the flags.
func TestKeepInput(t *testing.T) {
	at := []float64{0.1, -0.2, 0.3, 0.4}
	forward := func(x []float64) float64 {
		text := strings.Trim(fmt.Sprintf("%.17g", x), "[]")
		return attributedJSON(t, power, "--mean", strings.ReplaceAll(text, " ", ","), "--std", "0").Outputs[0].Mean[0]
	}
	const std, h = 1e-5, 1e-5
	r := attributedJSON(t, power, "--mean", "0.1,-0.2,0.3,0.4", "--std", fmt.Sprint(std), "--keep-input", "--attribution")
	if len(r.InputCross) != 1 || r.InputCross[0].Output != "y" || r.InputCross[0].Input != "x" || len(r.InputCross[0].Cov) != 1 {
		t.Fatalf("input_cross is %+v", r.InputCross)
	}
	variance, sum := r.Outputs[0].Cov[0][0], 0.
	for j, c := range r.InputCross[0].Cov[0] {
		x := slices.Clone(at)
		x[j] = at[j] + h
		up := forward(x)
		x[j] = at[j] - h
		slope := (up - forward(x)) / (2 * h)
		// Third derivatives of a smooth network: h^2 relative; rounding 1e-16/h.
		if want := slope * std * std; math.Abs(c-want) > 1e-6*math.Abs(want) {
			t.Errorf("the covariance with input %d is %v, want %v", j, c, want)
		}
		s := r.Attribution[0].Inputs[0].Shares[0][j]
		if want := math.Pow(slope*std, 2) / variance; math.Abs(s-want) > 1e-6 {
			t.Errorf("the share of input %d is %v, want %v", j, s, want)
		}
		sum += s
	}
	total, rest := *r.Attribution[0].Inputs[0].Total[0], *r.Attribution[0].Rest[0]
	if math.Abs(total-sum) > 1e-12 || math.Abs(total+rest-1) > 1e-12 || math.Abs(rest) > 1e-6 {
		t.Errorf("the total is %v and the rest %v, want %v and nearly 0", total, rest, sum)
	}
	plain := mustExecute(t, "propagate", power, "--mean", "0", "--std", "1", "--format", "json")
	for _, key := range []string{"input_cross", "attribution", "classify"} {
		if strings.Contains(plain, key) {
			t.Errorf("%s without its flag: %s", key, plain)
		}
	}
}

// TestAttributionInputs: two networks side by side, each of which has an input
// of its own, and one has none that is uncertain.
func TestAttributionInputs(t *testing.T) {
	args := []string{mandal, "--mean", "input_1=0.1,0.2,0.3,0.4", "--mean", "input_2=0.5", "--std", "input_1=0.1", "--attribution"}
	r := attributedJSON(t, append(args, "--std", "input_2=0.2")...)
	if len(r.Attribution) != 3 || r.InputCross != nil {
		t.Fatalf("attribution %+v, input_cross %+v", r.Attribution, r.InputCross)
	}
	for i, own := range []int{0, 0, 1} {
		a := r.Attribution[i]
		if a.Inputs[0].Input != "input_1" || a.Inputs[1].Input != "input_2" || len(a.Rest) != len(r.Outputs[i].Mean) {
			t.Fatalf("attribution of output %d: %+v", i, a)
		}
		for k := range a.Rest {
			// What an output does not depend on has no share at all.
			if *a.Inputs[own].Total[k] < 0.9 || *a.Inputs[1-own].Total[k] != 0 {
				t.Errorf("output %d, element %d: totals %v and %v", i, k, *a.Inputs[0].Total[k], *a.Inputs[1].Total[k])
			}
		}
	}
	certain := attributedJSON(t, append(args, "--std", "input_2=0")...).Attribution[2]
	if certain.Rest[0] != nil || certain.Inputs[0].Total[0] != nil || certain.Inputs[0].Shares[0] != nil {
		t.Errorf("shares without variance: %+v", certain)
	}
	text := mustExecute(t, append([]string{"propagate"}, append(args, "--std", "input_2=0")...)...)
	for _, want := range []string{"shares of the variance of output output_1", "all of input_1", "interactions and nonlinear", "input_1[2] 97.", "no variance"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}

// TestAttributionCorrelated: two sensors that are the same share what one of
// them has alone with the variance of both.
func TestAttributionCorrelated(t *testing.T) {
	cov := file(t, "c.csv", "0.01,0.01,0,0\n0.01,0.01,0,0\n0,0,0.01,0\n0,0,0,0.01\n")
	r := attributedJSON(t, power, "--mean", "0", "--cov", cov, "--attribution")
	s := r.Attribution[0].Inputs[0].Shares[0]
	// Equal regressors have equal coefficients in the pseudoinverse.
	if math.Abs(s[0]-s[1]) > 1e-9 || s[0] < 0.1 || *r.Attribution[0].Rest[0] < 0 || *r.Attribution[0].Rest[0] > 0.05 {
		t.Errorf("shares %v, rest %v", s, *r.Attribution[0].Rest[0])
	}
}

// TestInputFiles: the arrays in a .npz file are those of the JSON.
func TestInputFiles(t *testing.T) {
	dir := t.TempDir()
	args := []string{"propagate", acas, "--mean", "0.1", "--std", "0.05", "--keep-input", "--attribution", "--classify"}
	r := attributedJSON(t, args[1:]...)
	path := filepath.Join(dir, "r.npz")
	mustExecute(t, append(args, "-o", path)...)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	matrixIs := func(name string, want [][]float64) {
		t.Helper()
		var got mat.Dense
		if err := npz.Read(bytes.NewReader(b), name+".npy", &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if rows, cols := got.Dims(); rows != len(want) || cols != len(want[0]) || !slices.Equal(got.RawMatrix().Data, slices.Concat(want...)) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	vectorIs := func(name string, want []float64) {
		t.Helper()
		var got []float64
		if err := npz.Read(bytes.NewReader(b), name+".npy", &got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v (%v)", name, got, want, err)
		}
	}
	matrixIs("input_cross/0_0", r.InputCross[0].Cov)
	matrixIs("attribution/0_0", r.Attribution[0].Inputs[0].Shares)
	var rest []float64
	for _, x := range r.Attribution[0].Rest {
		rest = append(rest, *x)
	}
	vectorIs("rest/0", rest)
	vectorIs("classify/probabilities", r.Classify.Probabilities)
	vectorIs("classify/standard_errors", r.Classify.StandardErrors)
	text := mustExecute(t, args...)
	if !strings.Contains(text, "the covariances with the input are in the JSON and .npz forms") {
		t.Errorf("the text does not say where the covariances are:\n%s", text)
	}
}
