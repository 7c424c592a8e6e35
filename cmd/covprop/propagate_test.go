package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"codeberg.org/sbinet/npyio/npz"
	"gonum.org/v1/gonum/mat"
)

// The documented form of propagate's JSON, written down apart from the types
// that write it.
type wantResult struct {
	Schema  int     `json:"schema"`
	Version string  `json:"version"`
	Model   string  `json:"model"`
	Method  string  `json:"method"`
	Seed    *uint64 `json:"seed"`
	Samples int     `json:"samples"`
	Outputs []struct {
		Name   string      `json:"name"`
		Shape  []int       `json:"shape"`
		Mean   []float64   `json:"mean"`
		Std    []float64   `json:"std"`
		Cov    [][]float64 `json:"cov"`
		MeanSE []*float64  `json:"mean_se"`
		StdSE  []*float64  `json:"std_se"`
	} `json:"outputs"`
	Cross []struct {
		A   string      `json:"a"`
		B   string      `json:"b"`
		Cov [][]float64 `json:"cov"`
	} `json:"cross"`
	Accuracy struct {
		Status string   `json:"status"`
		Reason string   `json:"reason"`
		Bound  *float64 `json:"bound"`
		Nodes  []struct {
			Name   string   `json:"name"`
			Op     string   `json:"op"`
			Rule   string   `json:"rule"`
			Status string   `json:"status"`
			Bound  *float64 `json:"bound"`
			Reason string   `json:"reason"`
		} `json:"nodes"`
	} `json:"accuracy"`
	Audit   *wantAudit `json:"audit"`
	Mixture *struct {
		Components int `json:"components"`
		Outputs    []struct {
			Name      string `json:"name"`
			Quantiles []struct {
				P      float64   `json:"p"`
				Values []float64 `json:"values"`
			} `json:"quantiles"`
			Exceed []struct {
				Threshold   float64   `json:"threshold"`
				Probability []float64 `json:"probability"`
			} `json:"exceed"`
		} `json:"outputs"`
	} `json:"mixture"`
	ElapsedMS *float64 `json:"elapsed_ms"`
}

func propagateJSON(t *testing.T, args ...string) wantResult {
	t.Helper()
	var r wantResult
	decodeStrictly(t, mustExecute(t, append([]string{"propagate", "--format", "json"}, args...)...), &r)
	return r
}

// TestPropagateJSON checks the form of the JSON for every method.
func TestPropagateJSON(t *testing.T) {
	for _, method := range allMethods {
		if method == "cumulant3" { // which takes chains alone
			continue
		}
		r := propagateJSON(t, mandal, "--method", method, "--seed", "7", "--samples", "500",
			"--mean", "input_1=0.1,0.2,0.3,0.4", "--mean", "input_2=0.5", "--std", "input_1=0.1", "--std", "input_2=0.2")
		if r.Schema != 1 || r.Version != "0.1.0" || r.Model != mandal || r.Method != method || r.ElapsedMS == nil || *r.ElapsedMS <= 0 {
			t.Errorf("%s: head %+v", method, r)
		}
		sampled := slices.Contains([]string{"montecarlo", "hybrid"}, method)
		if sampled != (r.Samples >= 500) || sampled != (len(r.Outputs[0].MeanSE) == 2) || sampled != (len(r.Outputs[1].StdSE) == 1) {
			t.Errorf("%s: %d samples, standard errors %v", method, r.Samples, r.Outputs[0].MeanSE)
		}
		if (r.Seed != nil) != slices.Contains([]string{"montecarlo", "hybrid", "auto"}, method) || r.Seed != nil && *r.Seed != 7 {
			t.Errorf("%s: seed %v", method, r.Seed)
		}
		for i, name := range []string{"output_1", "output_2", "output_3"} {
			o, n := r.Outputs[i], []int{2, 1, 1}[i]
			if o.Name != name || !slices.Equal(o.Shape, []int{1, n}) || len(o.Mean) != n || len(o.Std) != n {
				t.Errorf("%s: output %+v", method, o)
			}
			if (o.Cov == nil) != (method == "diagonal") {
				t.Errorf("%s: cov %v", method, o.Cov)
			}
			for k, row := range o.Cov {
				// std is the root of the diagonal, both rounded once.
				if v := o.Std[k] * o.Std[k]; len(row) != n || math.Abs(row[k]-v) > 1e-15*v {
					t.Errorf("%s: row %v, std %v", method, row, o.Std[k])
				}
			}
		}
		if method == "diagonal" {
			if len(r.Cross) != 0 {
				t.Errorf("diagonal has cross-covariances %v", r.Cross)
			}
		} else if len(r.Cross) != 3 || r.Cross[1].A != "output_1" || r.Cross[1].B != "output_3" || len(r.Cross[1].Cov) != 2 || len(r.Cross[1].Cov[0]) != 1 {
			t.Errorf("%s: cross %v", method, r.Cross)
		}
		// Auto keeps the moments here, since the audit agrees with them.
		analytic := method == "moment" || method == "diagonal" || method == "auto" || method == "mixture"
		if r.Accuracy.Status != "approximate" || r.Accuracy.Reason == "" || (len(r.Accuracy.Nodes) > 0) != analytic {
			t.Errorf("%s: accuracy %+v", method, r.Accuracy)
		}
		for _, n := range r.Accuracy.Nodes {
			// An affine node is exact, unless the covariances it makes are ignored.
			exact := n.Status == "exact" && n.Bound != nil && *n.Bound == 0
			ignoring := n.Status == "approximate" && n.Bound == nil && n.Reason == "covariances ignored"
			if n.Op == "Gemm" && !(method != "diagonal" && exact || method == "diagonal" && (exact || ignoring)) {
				t.Errorf("%s: node %+v", method, n)
			}
		}
	}
}

// TestJSONForm checks what a decoder cannot see: that unknowns are written as
// null, that cross is there when empty, and that cov is absent and not null.
func TestJSONForm(t *testing.T) {
	out := mustExecute(t, "propagate", acas, "--mean", "0", "--std", "0.01", "--method", "diagonal", "--format", "json")
	var fields map[string]json.RawMessage
	decodeStrictly(t, out, &fields)
	if string(fields["seed"]) != "null" || string(fields["cross"]) != "[]" || strings.Contains(out, `"cov"`) {
		t.Errorf("got %s", out)
	}
}

// vector reads raw little-endian float32 numbers.
func vector(t *testing.T, name string) []float64 {
	t.Helper()
	raw, err := os.ReadFile(models + "vectors/" + name)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, len(raw)/4)
	if _, err := binary.Decode(raw, binary.LittleEndian, x); err != nil {
		t.Fatal(err)
	}
	y := make([]float64, len(x))
	for i := range x {
		y[i] = float64(x[i])
	}
	return y
}

// TestForwardPass checks the whole way from a file of numbers to JSON: without
// uncertainty the mean is the forward pass, which ONNX Runtime made in
// float32; rounding there leaves 1e-5 of the largest output.
func TestForwardPass(t *testing.T) {
	for _, model := range []string{acas, digits, power} {
		base := strings.TrimSuffix(filepath.Base(model), ".onnx")
		mean, err := json.Marshal(vector(t, base+".in0.bin"))
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range allMethods {
			r := propagateJSON(t, model, "--mean", file(t, "mean.json", string(mean)), "--std", "0", "--method", method, "--samples", "10")
			want := vector(t, base+".out0.bin")
			largest := 0.0
			for _, x := range want {
				largest = math.Max(largest, math.Abs(x))
			}
			for i, m := range r.Outputs[0].Mean {
				if math.Abs(m-want[i]) > 1e-5*largest || r.Outputs[0].Std[i] != 0 {
					t.Errorf("%s, %s: output %d is %v with std %v, want %v with 0", base, method, i, m, r.Outputs[0].Std[i], want[i])
				}
			}
		}
	}
}

// moments returns all numbers of a result in one vector.
func (r *wantResult) numbers() (x []float64) {
	for _, o := range r.Outputs {
		x = append(x, o.Mean...)
		x = append(x, slices.Concat(o.Cov...)...)
	}
	for _, c := range r.Cross {
		x = append(x, slices.Concat(c.Cov...)...)
	}
	return x
}

// TestSameInput checks that the ways of writing an input down mean the same.
func TestSameInput(t *testing.T) {
	want := propagateJSON(t, power, "--mean", "0.1,-0.2,0.3,0.4", "--std", "0.1")
	cov := diagonalCSV(4, 0.1*0.1)
	flat := "[" + strings.ReplaceAll(strings.TrimSpace(cov), "\n", ",") + "]"
	nested := "[[" + strings.ReplaceAll(strings.TrimSpace(cov), "\n", "],[") + "]]"
	for _, args := range [][]string{
		{"--mean", "x=0.1,-0.2,0.3,0.4", "--std", "x=0.1"},
		{"--mean", file(t, "m.csv", "0.1\n-0.2\n0.3\n0.4\n"), "--std", "0.1,0.1,0.1,0.1"},
		{"--mean", file(t, "m.json", "[[0.1,-0.2],[0.3,0.4]]"), "--std", file(t, "s.json", "0.1")},
		{"--mean", file(t, "m.npy", npyFile(1, 4, 0.1, -0.2, 0.3, 0.4)), "--std", "0.1"},
		{"--mean", file(t, "x=m.csv", "0.1,-0.2,0.3,0.4"), "--std", "0.1"},
		{"--input", "x", "--mean", "0.1,-0.2,0.3,0.4", "--std", "0.1"},
		{"--mean", "0.1,-0.2,0.3,0.4", "--cov", file(t, "c.csv", cov)},
		{"--mean", "0.1,-0.2,0.3,0.4", "--cov", file(t, "flat.json", flat)},
		{"--mean", "0.1,-0.2,0.3,0.4", "--cov", file(t, "nested.json", nested)},
	} {
		got := propagateJSON(t, append([]string{power}, args...)...)
		for i, x := range got.numbers() {
			// A diagonal and a dense covariance may be summed in another order.
			if w := want.numbers()[i]; math.Abs(x-w) > 1e-12*math.Abs(w) {
				t.Errorf("%v: number %d is %v, want %v", args, i, x, w)
			}
		}
	}
}

// TestFixedInput checks that an input held fixed is one without uncertainty,
// by name and through --input, and that --cov spans the inputs in order.
func TestFixedInput(t *testing.T) {
	mean := []string{"--mean", "input_2=0.5", "--mean", "input_1=0.1,0.2,0.3,0.4"}
	want := propagateJSON(t, append(mean, mandal, "--std", "input_1=0", "--std", "input_2=0.2")...)
	var cov strings.Builder // 0 for the four elements of input_1, 0.04 for those of input_2
	for i := range 64 {
		if i > 0 {
			cov.WriteByte(',')
		}
		if i%9 == 0 && i >= 36 {
			cov.WriteString("0.04")
		} else {
			cov.WriteString("0")
		}
	}
	for _, args := range [][]string{
		{"--fix", "input_1=0.1,0.2,0.3,0.4", "--mean", "0.5", "--std", "0.2"},
		{"--fix", "input_1=0.1,0.2,0.3,0.4", "--input", "input_2", "--mean", "input_2=0.5", "--std", "input_2=0.2"},
		{"--fix", "input_1=" + file(t, "a=b.csv", "0.1,0.2,0.3,0.4"), "--mean", "0.5", "--std", "0.2"},
		append(mean, "--cov", file(t, "c.csv", cov.String())),
	} {
		got := propagateJSON(t, append([]string{mandal}, args...)...)
		scale := 0.0
		for _, w := range want.numbers() {
			scale = math.Max(scale, math.Abs(w))
		}
		for i, x := range got.numbers() {
			// The same sums in another order; the series' tolerance is 1e-9 of
			// the standard deviations.
			if w := want.numbers()[i]; math.Abs(x-w) > 1e-9*scale {
				t.Errorf("%v: number %d is %v, want %v", args, i, x, w)
			}
		}
	}
}

// TestShape propagates a batch of two, which is one Gaussian of twice the
// size.
func TestShape(t *testing.T) {
	one := propagateJSON(t, digits, "--mean", "0.3", "--std", "0.05", "--audit", "0")
	two := propagateJSON(t, digits, "--mean", "0.3", "--std", "0.05", "--audit", "0", "--shape", "input=2x1x28x28")
	o := two.Outputs[0]
	if !slices.Equal(o.Shape, []int{2, 10}) || len(o.Cov) != 20 {
		t.Fatalf("the output has the shape %v", o.Shape)
	}
	for i := range 20 {
		w := one.Outputs[0]
		// The two items are independent and alike.
		if math.Abs(o.Mean[i]-w.Mean[i%10]) > 1e-9*w.Std[i%10] || math.Abs(o.Std[i]/w.Std[i%10]-1) > 1e-9 {
			t.Errorf("element %d: %v +- %v, want %v +- %v", i, o.Mean[i], o.Std[i], w.Mean[i%10], w.Std[i%10])
		}
		for j := range 20 {
			if i/10 != j/10 && o.Cov[i][j] != 0 {
				t.Errorf("items %d and %d have the covariance %v", i, j, o.Cov[i][j])
			}
		}
	}
}

// TestOptions checks that the options reach the methods.
func TestOptions(t *testing.T) {
	args := []string{acas, "--mean", "0.1", "--std", "0.1"}
	numbers := func(more ...string) []float64 {
		r := propagateJSON(t, append(more, args...)...)
		return r.numbers()
	}
	exact, first := numbers(), numbers("--order", "1")
	if reflect.DeepEqual(exact, first) {
		t.Error("--order 1 changes nothing")
	}
	if reflect.DeepEqual(exact, numbers("--tol", "0.5")) {
		t.Error("--tol 0.5 changes nothing")
	}
	sampled := numbers("--method", "montecarlo", "--samples", "100")
	if reflect.DeepEqual(sampled, numbers("--method", "montecarlo", "--samples", "200")) {
		t.Error("--samples changes nothing")
	}
	if reflect.DeepEqual(sampled, numbers("--method", "montecarlo", "--samples", "100", "--seed", "2")) {
		t.Error("--seed changes nothing")
	}
	if !reflect.DeepEqual(sampled, numbers("--method", "montecarlo", "--samples", "100", "--seed", "1", "--threads", "1")) {
		t.Error("the same seed gives other samples with another number of threads")
	}
}

// TestFiles checks that .json and .npz hold what goes to standard output
// otherwise, and that a summary takes its place there.
func TestFiles(t *testing.T) {
	for _, model := range []string{acas, mandal} {
		dir := t.TempDir()
		args := []string{"propagate", model, "--mean", "0.1", "--std", "0.05", "--seed", "3"}
		if model == mandal {
			args = append(args, "--fix", "input_2=0.2")
		}
		var want, got wantResult
		decodeStrictly(t, mustExecute(t, append(args, "--format", "json")...), &want)
		out := mustExecute(t, append(args, "-o", filepath.Join(dir, "r.json"))...)
		if !strings.Contains(out, "r.json") || !strings.Contains(out, "accuracy") || strings.Contains(out, "index") {
			t.Errorf("the summary is %s", out)
		}
		text, err := os.ReadFile(filepath.Join(dir, "r.json"))
		if err != nil {
			t.Fatal(err)
		}
		decodeStrictly(t, string(text), &got)
		got.ElapsedMS, want.ElapsedMS = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the file holds %+v, want %+v", got, want)
		}
		var summary struct {
			Schema                       int
			Version, Model, Method, File string
			Seed                         *uint64
			Outputs                      []struct {
				Name  string
				Shape []int
			}
			Accuracy struct {
				Status, Reason string
				Bound          *float64
			}
			Audit     *wantAudit
			ElapsedMS float64 `json:"elapsed_ms"`
		}
		path := filepath.Join(dir, "r.npz")
		decodeStrictly(t, mustExecute(t, append(args, "-o", path, "--format", "json")...), &summary)
		if summary.File != path || summary.Accuracy.Status != want.Accuracy.Status || len(summary.Outputs) != len(want.Outputs) {
			t.Errorf("the summary is %+v", summary)
		}
		checkNPZ(t, path, &want)
		wantFiles(t, dir, "r.json", "r.npz")
	}
}

func checkNPZ(t *testing.T, path string, want *wantResult) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string, v any) {
		t.Helper()
		if err := npz.Read(bytes.NewReader(b), name+".npy", v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	vectorIs := func(name string, want []float64) {
		t.Helper()
		var got []float64
		if read(name, &got); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	matrixIs := func(name string, want [][]float64) {
		t.Helper()
		var got mat.Dense
		read(name, &got)
		if r, c := got.Dims(); r != len(want) || c != len(want[0]) || !slices.Equal(got.RawMatrix().Data, slices.Concat(want...)) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	wantNames := []string{}
	for i, o := range want.Outputs {
		prefix := "out" + string(rune('0'+i)) + "/"
		vectorIs(prefix+"mean", o.Mean)
		vectorIs(prefix+"std", o.Std)
		matrixIs(prefix+"cov", o.Cov)
		wantNames = append(wantNames, o.Name)
	}
	arrays := 3 * len(want.Outputs)
	if len(want.Outputs) == 1 {
		vectorIs("mean", want.Outputs[0].Mean)
		vectorIs("std", want.Outputs[0].Std)
		matrixIs("cov", want.Outputs[0].Cov)
		arrays += 3
	} else {
		matrixIs("cross/0_1", want.Cross[0].Cov)
		matrixIs("cross/0_2", want.Cross[1].Cov)
		matrixIs("cross/1_2", want.Cross[2].Cov)
		arrays += 3
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) != arrays+1 {
		t.Errorf("the archive has %d entries, want %d", len(z.File), arrays+1)
	}
	f, err := z.Open("names.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	if err := json.NewDecoder(f).Decode(&names); err != nil || !slices.Equal(names, wantNames) {
		t.Errorf("names.json holds %v, %v", names, err)
	}
}

// TestText checks the parts of the text form.
func TestText(t *testing.T) {
	out := mustExecute(t, "propagate", acas, "--mean", "0.1", "--std", "0.05")
	for _, want := range []string{"method    moment", "output linear_7_Add (1x5)", "index", "covariance", "accuracy  approximate (Gaussian closure); worst node"} {
		if !strings.Contains(out, want) {
			t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "bounds are relative") {
		t.Errorf("nodes without --explain:\n%s", out)
	}
	explained := mustExecute(t, "propagate", acas, "--mean", "0.1", "--std", "0.05", "--explain")
	if n := strings.Count(explained, "Relu"); n < 6 { // the network has six
		t.Errorf("--explain shows %d of 6 ReLUs:\n%s", n, explained)
	}
	large := mustExecute(t, "propagate", digits, "--mean", "0.1", "--std", "0.05", "--shape", "input=3x1x28x28", "--audit", "0")
	if !strings.Contains(large, "... and 18 more") || strings.Contains(large, "covariance") {
		t.Errorf("a long output:\n%s", large)
	}
}
