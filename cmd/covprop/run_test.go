package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const models = "../../testdata/models/"

const (
	acas   = models + "acasxu_1_1.onnx"                                // 5 inputs, 5 outputs
	digits = models + "marabou_mnist2x10.onnx"                         // 784 inputs, 10 outputs
	power  = models + "power_gelu.onnx"                                // 4 inputs, 1 output
	mandal = models + "marabou_certificate_and_controller_mandal.onnx" // 2 inputs of 4; outputs of 2, 1 and 1
)

// execute runs a command line in this process.
func execute(args ...string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	status = run(context.Background(), args, &out, &errs)
	return out.String(), errs.String(), status
}

// mustExecute runs a command line that is to succeed without a word on stderr.
func mustExecute(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, status := execute(args...)
	if status != 0 || stderr != "" {
		t.Fatalf("covprop %s: status %d, stderr %s", strings.Join(args, " "), status, stderr)
	}
	return stdout
}

// file writes a file into a folder that the test removes.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// diagonalCSV returns n rows of n numbers, zero off the diagonal.
func diagonalCSV(n int, diagonal float64) string {
	var b strings.Builder
	for i := range n {
		row := make([]string, n)
		for j := range row {
			row[j] = "0"
		}
		row[i] = fmt.Sprint(diagonal)
		b.WriteString(strings.Join(row, ",") + "\n")
	}
	return b.String()
}

func TestExitStatus(t *testing.T) {
	dir := t.TempDir()
	garbage := file(t, "garbage.onnx", "this is no protobuf")
	negative := file(t, "negative.csv", "1,2,-3,4,5\n")
	header := file(t, "header.csv", "a,b,c,d,e\n1,2,3,4,5\n")
	asymmetric := file(t, "asymmetric.csv", "1,0.5,0,0,0\n0.1,1,0,0,0\n0,0,1,0,0\n0,0,0,1,0\n0,0,0,0,1\n")
	indefinite := file(t, "indefinite.json", "[1,2,0,0,0, 2,1,0,0,0, 0,0,1,0,0, 0,0,0,1,0, 0,0,0,0,1]")
	rectangular := file(t, "rectangular.json", "[[1,0,0,0,0,1,0,0,0,0,1,0,0],[0,0,0,0,0,1,0,0,0,0,1,0,1]]")
	short := file(t, "short.csv", "1,0\n0,1\n")
	std := []string{"--mean", "0", "--std", "0.01"}
	propagate := func(args ...string) []string { return append([]string{"propagate", acas}, args...) }
	with := func(args ...string) []string { return append(propagate(std...), args...) }
	compare := func(args ...string) []string {
		return append([]string{"compare", acas, "--mean", "0", "--std", "1"}, args...)
	}
	for _, c := range []struct {
		args   []string
		status int
		want   string // part of the message
	}{
		// Usage.
		{nil, 2, "expected one of"},
		{[]string{"bogus"}, 2, "bogus"},
		{[]string{"propagate"}, 2, "<model>"},
		{[]string{"inspect", acas, "--bogus"}, 2, "--bogus"},
		{propagate("--std", "0.01"), 2, "--mean is missing"},
		{propagate("--mean", "0"), 2, "--std or --cov is missing"},
		{propagate("--mean", "--std", "0.1"), 2, "--mean: a value is missing"},
		{with("--cov", "x.csv"), 2, "--std and --cov exclude each other"},
		{propagate("--mean", "zero", "--std", "1"), 2, `--mean "zero"`},
		{propagate("--mean", "1,2,", "--std", "1"), 2, `--mean "1,2,"`},
		{propagate("--mean", "0", "--cov", "0.1"), 2, "--std"},
		{propagate("--mean", "0", "--cov", "1,1,1,1,1"), 2, "--std"},
		{propagate("--mean", "0", "--mean", "1", "--std", "1"), 2, `"input" twice`},
		{propagate("--mean", "out=0", "--std", "1"), 2, `no input "out"`},
		{with("--input", "out"), 2, `no input "out"`},
		{with("--fix", "out=1"), 2, `no input "out"`},
		{with("--fix", "0.1"), 2, "NAME=VALUE"},
		{with("--shape", "1x5"), 2, "NAME=1x3x32x32"},
		{with("--shape", "input=1x5x"), 2, "--shape input=1x5x"},
		{with("--shape", "input=1x-5"), 2, "--shape input=1x-5"},
		{with("--shape", "input=99999999999x99999999999"), 2, "--shape"},
		{with("--shape", "out=1x5"), 2, `no input "out"`},
		{with("--order", "0"), 2, "--order"},
		{with("--order", "2.5"), 2, "--order"},
		{with("--order", "2", "--tol", "1e-6"), 2, "--order and --tol"},
		{with("--tol", "0"), 2, "--tol"},
		{with("--tol", "1"), 2, "--tol"},
		{with("--tol", "nan"), 2, "--tol"},
		{with("--samples", "1"), 2, "--samples"},
		{with("--samples", "-1"), 2, "--samples must be at least 2, not -1"},
		{with("--audit", "-5"), 2, "--audit must be at least 32 samples, or 0 for none, not -5"},
		{with("--budget", "-1", "--method", "mixture"), 2, "at least one propagation, not -1"},
		{with("--seed", "0"), 2, "--seed"},
		{with("--threads", "0"), 2, "--threads"},
		{with("--method", "magic"), 2, "--method"},
		{with("--max-memory", "lots"), 2, "--max-memory"},
		{with("--format", "xml"), 2, "--format"},
		{with("-o", "result.txt"), 2, "-o result.txt"},
		{with("-o", ""), 2, "name of the file is empty"},
		{[]string{"compare", acas, "--mean", "0", "--std", "1", "--methods", "magic"}, 2, `"magic"`},
		{[]string{"compare", acas, "--mean", "0", "--std", "1", "--methods", "linear,linear"}, 2, "twice"},
		{[]string{"compare", acas, "--mean", "0", "--std", "1", "-o", "x.npz"}, 2, ".json"},
		{compare("--samples", "1"), 2, "--samples must be at least 2, not 1"},
		{compare("--truth-samples", "1"), 2, "--truth-samples must be at least 2, not 1"},
		{compare("--truth-samples=-5"), 2, "--truth-samples must be at least 2, not -5"},
		{compare("--sampler", "sobol", "--truth-samples", "31"), 2, "--truth-samples must be at least 32 for --sampler sobol, not 31"},
		{with("--method", "montecarlo", "--sampler", "halton", "--samples", "31"), 2, "--samples must be at least 32 for --sampler halton, not 31"},
		{compare("--scales", "1,0"), 2, "--scales: a scale must be positive and finite, not 0"},
		{compare("--scales", "1,nan"), 2, "--scales: a scale must be positive and finite, not NaN"},
		{compare("--scales", "+inf"), 2, "--scales: a scale must be positive and finite, not +Inf"},
		{compare("--scales", "1e200"), 2, "--scales: with the scale 1e+200, the variance of input element 0"},
		{compare("--scales", "1e-200"), 2, "--scales: with the scale 1e-200, the variance of input element 0"},
		{compare("--scales", "1,2,1"), 2, "--scales lists 1 twice"},
		{compare("--scales", "lots"), 2, "--scales"},
		{compare("--sampler", "dice"), 2, "--sampler"},
		{compare("--plot", "x.pdf"), 2, "--plot x.pdf: the name must end in .svg or .png"},
		{with("--sampler", "sobol"), 2, "--sampler has no meaning for the method moment"},
		// Two inputs.
		{[]string{"propagate", mandal, "--mean", "0", "--std", "1"}, 2, `"input_1", "input_2"`},
		{[]string{"propagate", mandal, "--mean", "input_1=0", "--std", "input_1=1"}, 2, `"input_2" is neither uncertain nor fixed`},
		{[]string{"propagate", mandal, "--mean", "input_1=0", "--mean", "input_2=0", "--std", "input_1=1"}, 2, `"input_2" is neither uncertain nor fixed`},
		{[]string{"propagate", mandal, "--input", "input_1", "--mean", "0", "--std", "1"}, 2, `"input_2" is neither uncertain`},
		{[]string{"propagate", mandal, "--input", "input_1", "--fix", "input_1=0", "--mean", "0", "--std", "1"}, 2, "both uncertain"},
		{[]string{"propagate", mandal, "--fix", "input_1=0", "--mean", "input_1=0", "--std", "1"}, 2, "both uncertain"},
		{[]string{"propagate", mandal, "--fix", "input_1=0", "--fix", "input_1=1", "--mean", "0", "--std", "1"}, 2, "twice"},
		{[]string{"propagate", acas, "--fix", "input=1", "--mean", "0", "--std", "1"}, 2, "nothing to propagate"},
		// Model, data and numbers.
		{[]string{"inspect", filepath.Join(dir, "none.onnx")}, 1, "none.onnx"},
		{[]string{"inspect", garbage}, 1, "garbage.onnx"},
		{[]string{"propagate", garbage, "--mean", "0", "--std", "1"}, 1, "garbage.onnx"},
		{propagate("--mean", filepath.Join(dir, "none.csv"), "--std", "1"), 1, "none.csv"},
		{propagate("--mean", "0,0,0", "--std", "1"), 1, `--mean: has 3 values, but input "input" (1x1x1x5) has 5`},
		{propagate("--mean", "nan", "--std", "1"), 1, "--mean: the value is NaN"},
		{propagate("--mean", "0", "--std", "inf"), 1, "--std: the value is +Inf"},
		{propagate("--mean", "0", "--std", "1e200"), 1, "too large"},
		{propagate("--mean", "0", "--std", "-1"), 1, "--std: the value is -1"},
		{propagate("--mean", "0", "--std", negative), 1, "negative.csv: row 1, column 3 is -3"},
		{propagate("--mean", header, "--std", "1"), 1, `header.csv: row 1, column 1: "a" is not a number`},
		{propagate("--mean", "0", "--cov", asymmetric), 1, "asymmetric.csv: is not symmetric: entry (1,0)"},
		{propagate("--mean", "0", "--cov", indefinite), 1, "indefinite.json"},
		{propagate("--mean", "0", "--cov", rectangular), 1, "rectangular.json"},
		{propagate("--mean", "0", "--cov", short), 1, "short.csv: has 4 values, but the covariance of 5 elements has 5 x 5 = 25"},
		{propagate("--mean", "0", "--cov", short, "--max-memory", "100B"), 1, "--max-memory"},
		{with("--max-memory", "100B"), 1, "acasxu_1_1.onnx: the covariances need"},
		{with("--max-memory", "100B", "--method", "linear"), 1, "acasxu_1_1.onnx: the method linear needs"},
		{with("--max-memory", "100B", "--method", "unscented"), 1, "--max-memory"},
		{with("--max-memory", "100B", "--method", "montecarlo"), 1, "--max-memory"},
		{with("-o", filepath.Join(dir, "none", "r.json")), 1, "none/r.json"},
		{with("-o", filepath.Join(header, "r.json")), 1, "header.csv/r.json"},
		{compare("--plot", filepath.Join(dir, "none", "p.svg")), 1, "none/p.svg"},
		{[]string{"propagate", mandal, "--fix", "input_1=1,2,3", "--mean", "0", "--std", "1"}, 1, "input_1"},
	} {
		stdout, stderr, status := execute(c.args...)
		if status != c.status || !strings.Contains(stderr, c.want) {
			t.Errorf("covprop %s\n got status %d, %swant status %d, %s", strings.Join(c.args, " "), status, stderr, c.status, c.want)
		}
		if stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "covprop: ") {
			t.Errorf("covprop %s: want one line on stderr and none on stdout, got %q and %q", strings.Join(c.args, " "), stderr, stdout)
		}
		if (status == 2) != strings.Contains(stderr, "--help)") {
			t.Errorf("covprop %s: only a usage error is to mention --help: %s", strings.Join(c.args, " "), stderr)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"propagate", "--help"}, {"compare", "-h"}, {"inspect", "--help"}, {"version", "--help"}} {
		stdout, stderr, status := execute(args...)
		if status != 0 || stderr != "" || !strings.HasPrefix(stdout, "Usage: covprop") {
			t.Errorf("%v: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	if got := mustExecute(t, "version"); !strings.HasPrefix(got, "covprop 0.1.0\ngo1.") {
		t.Errorf("got %q", got)
	}
	var v struct {
		Schema           int
		Version, Go, ISA string
	}
	if decodeStrictly(t, mustExecute(t, "version", "--format", "json"), &v); v.Version != "0.1.0" || v.Schema != 1 || v.ISA == "" {
		t.Errorf("got %+v", v)
	}
}

func decodeStrictly(t *testing.T, text string, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in %.300s", err, text)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("there is something after the JSON")
	}
}

// TestInterrupt cancels a run that would take days, as Ctrl-C does.
func TestInterrupt(t *testing.T) {
	for _, args := range [][]string{
		{"propagate", acas, "--mean", "0", "--std", "0.1", "--method", "montecarlo", "--samples", "1000000000000"},
	} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
		var stdout, stderr bytes.Buffer
		status := run(ctx, append(args, "-o", filepath.Join(dir, "out.json")), &stdout, &stderr)
		if status != 1 || stderr.String() != "covprop: interrupted\n" || stdout.Len() > 0 {
			t.Errorf("%s: status %d, stdout %q, stderr %q", args[0], status, &stdout, &stderr)
		}
		wantFiles(t, dir)
	}
}

// TestInterruptEarly cancels before the work begins.
func TestInterruptEarly(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, args := range [][]string{
		{"inspect", acas},
		{"propagate", acas, "--mean", "0", "--std", "0.1"},
		{"propagate", acas, "--mean", "0", "--std", "0.1", "--method", "linear"},
		{"propagate", acas, "--mean", "0", "--std", "0.1", "--method", "unscented"},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(ctx, args, &stdout, &stderr); status != 1 || stderr.String() != "covprop: interrupted\n" || stdout.Len() > 0 {
			t.Errorf("%v: status %d, stdout %q, stderr %q", args, status, &stdout, &stderr)
		}
	}
}

// wantFiles checks that dir holds just the named files.
func wantFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if fmt.Sprint(have) != fmt.Sprint(names) {
		t.Errorf("the folder holds %v, want %v", have, names)
	}
}

// TestNoPartialFile checks that a write that fails half-way leaves the old
// file as it was and nothing beside it.
func TestNoPartialFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("disk full")
	err := outputFile(path).writeWith(func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		return failure
	})
	if !errors.Is(err, failure) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names the file", err)
	}
	wantFiles(t, dir, "out.json")
	if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
		t.Errorf("the old file became %q, %v", b, err)
	}
}

// TestOutputInTheWay checks that a folder of the output's name is an error.
func TestOutputInTheWay(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	_, stderr, status := execute("propagate", acas, "--mean", "0", "--std", "0.1", "-o", path)
	if status != 1 || !strings.Contains(stderr, path) {
		t.Errorf("status %d, stderr %s", status, stderr)
	}
	wantFiles(t, dir, "out.json")
}

// A fullWriter is a standard output that takes nothing.
type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestFullStandardOutput(t *testing.T) {
	for _, args := range [][]string{
		{"inspect", acas},
		{"propagate", acas, "--mean", "0", "--std", "0.1"},
		{"propagate", acas, "--mean", "0", "--std", "0.1", "--format", "json"},
		{"version"},
	} {
		var stderr bytes.Buffer
		status := run(context.Background(), args, fullWriter{}, &stderr)
		if status != 1 || !strings.Contains(stderr.String(), "standard output: no space left") {
			t.Errorf("%v: status %d, stderr %s", args, status, &stderr)
		}
	}
}
