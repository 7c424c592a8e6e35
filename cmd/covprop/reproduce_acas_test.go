package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/covprop/covprop/internal/reproduce"
)

func TestReproduceACASFlags(t *testing.T) {
	dir := t.TempDir()
	for flags, want := range map[string]string{
		"":                                      "--data",
		"--data " + dir + " --runs 0":           "--runs must be at least 1",
		"--data " + dir + " --seed 0":           "--seed must be at least 1",
		"--data " + dir + " --threads=-1":       "--threads must not be negative",
		"--data " + dir + " --rel-error 1":      "--rel-error must lie between 0 and 1",
		"--data " + dir + " --truth-samples 10": "--truth-samples must be at least 1024",
		"--data " + dir + "/none":               "none",
	} {
		_, stderr, status := execute(append([]string{"reproduce", "acasxu"}, strings.Fields(flags)...)...)
		if status != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%q: status %d, %s", flags, status, stderr)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "acasxu_1_1.onnx"), []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, status := execute("reproduce", "acasxu", "--data", dir)
	if status != 1 || !strings.Contains(stderr, "acasxu_1_1.onnx") {
		t.Errorf("status %d, %s", status, stderr)
	}
}

// TestACASReport writes the report of two cases in both forms.
func TestACASReport(t *testing.T) {
	a := reproduce.ACAS{
		Dir: "../../testdata/models", Networks: 1, Inputs: 1, Stds: []float64{.001, .05}, TruthSamples: 1 << 14,
		MonteCarlo: []int{1000}, RelError: .05, Seed: 1,
	}
	cases, err := a.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &acasReport{ACAS: a, Partial: true, Score: a.Score(cases), Cases: cases}
	text := string(r.text())
	for _, want := range []string{"partial: interrupted after 2 of 2 cases", "closure error", "1_1/1/0.05", "Monte Carlo", "largest errors of auto"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(r.json()); err != nil { // which refuses NaN
		t.Fatal(err)
	}
	var got struct {
		Schema, Cases, Scored, Bad int
		Partial                    bool
		Missed                     []string
		Results                    []struct {
			Verdict string
			Outputs []struct{ Mean, Std float64 }
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Schema != 1 || !got.Partial || got.Cases != 2 || got.Missed == nil || len(got.Results) != 2 || len(got.Results[1].Outputs) != 5 || got.Results[1].Verdict != "closure error" {
		t.Errorf("got %+v", got)
	}
}
