package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReproduceTightness(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.json")
	args := []string{"reproduce", "tightness", "--nets", "fc3", "--runs", "3", "--samples", "1000", "--seed", "2"}
	var r tightnessJSON
	decodeStrictly(t, mustExecute(t, append(args, "--format", "json")...), &r)
	if r.Schema != 1 || r.Experiment != "tightness" || r.Runs != 3 || r.Samples != 1000 || r.Seed != 2 || r.Norm != "spectral" || r.Partial || len(r.Nets) != 1 {
		t.Fatalf("got %+v", r)
	}
	n := r.Nets[0]
	if n.Name != "fc3" || n.Runs != 3 || len(n.Methods) != 5 || n.Methods[0].Method != "exact" || n.MonteCarlo.Mean == nil {
		t.Fatalf("got %+v", n)
	}
	// Of 3 runs of 1000 samples the variance has a standard error of 0.026;
	// the closure adds about 0.02. Five of both.
	if v := n.Methods[0].Variance; v.Mean == nil || v.Std == nil || *v.Mean < 0.83 || *v.Mean > 1.17 {
		t.Errorf("the variance ratio of the exact moments is %v", v)
	}
	text := mustExecute(t, append(args, "-o", path)...)
	for _, want := range []string{"3 a network, 1000 samples each, seed 2", "100-100x3-1", "PL-DNN (Bibi et al. 2018)", " ± "} {
		if !strings.Contains(text, want) {
			t.Errorf("the text has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "partial") {
		t.Errorf("a whole result calls itself partial:\n%s", text)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var again tightnessJSON
	decodeStrictly(t, string(written), &again)
	if *again.Nets[0].Methods[0].Variance.Mean != *n.Methods[0].Variance.Mean {
		t.Error("the same seed gives another result")
	}
}

// TestReproducePartial interrupts before the first run.
func TestReproducePartial(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs bytes.Buffer
	status := run(ctx, []string{"reproduce", "tightness", "--nets", "fc3,fc7", "--runs", "4", "--samples", "100"}, &out, &errs)
	if status != 1 || errs.String() != "covprop: interrupted\n" {
		t.Errorf("status %d, stderr %q", status, errs.String())
	}
	for _, want := range []string{"partial: 0 of 4 runs done", "fc7\npartial: not reached"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the text has no %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	run(ctx, []string{"reproduce", "tightness", "--nets", "fc3", "--format", "json"}, &out, &errs)
	var r tightnessJSON
	decodeStrictly(t, out.String(), &r)
	if !r.Partial || r.Nets[0].Runs != 0 || r.Nets[0].Methods[0].Variance.Mean != nil {
		t.Errorf("got %+v", r)
	}
}

func TestReproduceCovariance(t *testing.T) {
	dir := t.TempDir()
	for name, start := range map[string]string{"a.svg": "<?xml", "a.png": "\x89PNG", "a.json": `{"schema":1,"experiment":"covariance"`} {
		path := filepath.Join(dir, name)
		text := mustExecute(t, "reproduce", "covariance", "--points", "21", "--runs", "10", "-o", path)
		if !strings.Contains(text, "Wu et al. 2019") || !strings.Contains(text, "at 10 random points, seed 1") {
			t.Errorf("the text is\n%s", text)
		}
		if b, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(b, []byte(start)) {
			t.Errorf("%s starts with %.40q, %v", name, b, err)
		}
	}
	var r figureJSON
	decodeStrictly(t, mustExecute(t, "reproduce", "covariance", "--points", "21", "--runs", "0", "--format", "json"), &r)
	if r.Points != 21 || r.Check != nil || len(r.Methods) != 4 || r.Exact != nil {
		t.Fatalf("got %+v", r)
	}
	// (q - 1 + asin(1/2)/2)/(2 pi), q = sqrt(3)/2, is the error of K = 1 at the
	// origin, which the grid has.
	if e := r.Methods[0].MaxError; e < 0.0203439 || e > 0.0203440 {
		t.Errorf("K = 1 is off by %g", e)
	}
}

func TestReproduceUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"number of runs must be at least 1, not 0":                           {"tightness", "--runs", "0"},
		"number of samples must be at least 2":                               {"tightness", "--samples", "1"},
		`"fc9" is not one of fc3, fc7`:                                       {"tightness", "--nets", "fc9"},
		"--seed must be at least 1 (see covprop reproduce tightness --help)": {"tightness", "--seed", "0"},
		"--seed must be at least 1 (see covprop reproduce covariance":        {"covariance", "--seed", "0"},
		"number of points must be from 2":                                    {"covariance", "--points", "1"},
		"number of runs must not be negative":                                {"covariance", "--runs=-1"},
		"the name must end in .svg or .png or .json":                         {"covariance", "-o", "a.txt"},
		"(see covprop reproduce --help)":                                     {"nothing"},
	} {
		_, stderr, status := execute(append([]string{"reproduce"}, args...)...)
		if status != 2 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d, stderr %s", args, status, stderr)
		}
	}
}
