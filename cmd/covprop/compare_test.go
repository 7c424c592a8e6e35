package main

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The documented form of compare's JSON.
type wantCompare struct {
	Schema  int         `json:"schema"`
	Version string      `json:"version"`
	Model   string      `json:"model"`
	Truth   wantTruth   `json:"truth"`
	Methods []wantTrial `json:"methods"`
	Scales  []struct {
		Scale   float64     `json:"scale"`
		Truth   wantTruth   `json:"truth"`
		Methods []wantTrial `json:"methods"`
	} `json:"scales"`
	Partial bool `json:"partial"`
}

type wantTruth struct {
	truthHead
	Outputs []struct {
		Name   string     `json:"name"`
		Shape  []int      `json:"shape"`
		Mean   []float64  `json:"mean"`
		Std    []float64  `json:"std"`
		MeanSE []*float64 `json:"mean_se"`
		StdSE  []*float64 `json:"std_se"`
	} `json:"outputs"`
}

type truthHead struct {
	Method  string `json:"method"`
	Sampler string `json:"sampler"`
	Samples int    `json:"samples"`
	Seed    uint64 `json:"seed"`
	Partial bool   `json:"partial"`
}

type wantTrial struct {
	Method  string `json:"method"`
	Outputs []struct {
		Name              string    `json:"name"`
		Mean              []float64 `json:"mean"`
		Std               []float64 `json:"std"`
		MeanErrorStd      *float64  `json:"mean_error_std"`
		MeanErrorSE       *float64  `json:"mean_error_se"`
		CovErrorFrobenius *float64  `json:"cov_error_frobenius"`
		KLNats            *float64  `json:"kl_nats"`
		KLReason          string    `json:"kl_reason"`
	} `json:"outputs"`
	ElapsedMS float64 `json:"elapsed_ms"`
}

func compareJSONOf(t *testing.T, args ...string) wantCompare {
	t.Helper()
	var r wantCompare
	decodeStrictly(t, mustExecute(t, append([]string{"compare", "--format", "json"}, args...)...), &r)
	return r
}

func TestCompareJSON(t *testing.T) {
	r := compareJSONOf(t, acas, "--mean", "0.1", "--std", "0.01", "--samples", "2000", "--seed", "5")
	if r.Schema != 1 || r.Model != acas || r.Truth.truthHead != (truthHead{"montecarlo", "random", 2000, 5, false}) || r.Scales != nil || r.Partial || len(r.Methods) != 5 {
		t.Fatalf("got %+v", r)
	}
	truth := propagateJSON(t, acas, "--mean", "0.1", "--std", "0.01", "--method", "montecarlo", "--samples", "2000", "--seed", "5")
	for i, m := range r.Methods {
		if m.Method != allMethods[i] || len(m.Outputs) != 1 || m.ElapsedMS <= 0 {
			t.Fatalf("method %d: %+v", i, m)
		}
		o := m.Outputs[0]
		alone := propagateJSON(t, acas, "--mean", "0.1", "--std", "0.01", "--method", m.Method, "--samples", "2000", "--seed", "6")
		if !reflect.DeepEqual(o.Mean, alone.Outputs[0].Mean) || !reflect.DeepEqual(o.Std, alone.Outputs[0].Std) {
			t.Errorf("%s: compare and propagate disagree", m.Method)
		}
		// The definitions, written out: the root mean square of the error of
		// the mean, over the standard deviation and over the standard error,
		// and the Frobenius norm of the error of the covariance.
		var std, frobenius, norm float64
		for j, m := range o.Mean {
			w := truth.Outputs[0]
			std += math.Pow((m-w.Mean[j])/w.Std[j], 2) / 5
			for k := range 5 {
				got := 0.0
				if c := alone.Outputs[0].Cov; c != nil {
					got = c[j][k]
				} else if j == k {
					got = o.Std[j] * o.Std[j]
				}
				frobenius += math.Pow(got-w.Cov[j][k], 2)
				norm += w.Cov[j][k] * w.Cov[j][k]
			}
		}
		near := func(what string, got *float64, want float64) {
			t.Helper()
			if got == nil || math.Abs(*got-want) > 1e-9*want { // rounding of differences
				t.Errorf("%s: %s is %v, want %v", m.Method, what, got, want)
			}
		}
		near("mean_error_std", o.MeanErrorStd, math.Sqrt(std))
		near("mean_error_se", o.MeanErrorSE, math.Sqrt(std*2000)) // the standard error is std/sqrt(N)
		near("cov_error_frobenius", o.CovErrorFrobenius, math.Sqrt(frobenius/norm))
		if (o.KLNats == nil) == (o.KLReason == "") || o.KLNats != nil && *o.KLNats < 0 {
			t.Errorf("%s: KL %v, reason %q", m.Method, o.KLNats, o.KLReason)
		}
		// Two runs of Monte Carlo differ, by a few standard errors: the mean
		// square of five differences has the mean 2.
		if m.Method == "montecarlo" && !(*o.MeanErrorSE > 0 && *o.MeanErrorSE < 5) {
			t.Errorf("a second Monte Carlo run is off by %v standard errors", *o.MeanErrorSE)
		}
	}
}

// TestCompareSingular checks that scores without a meaning are null.
func TestCompareSingular(t *testing.T) {
	r := compareJSONOf(t, acas, "--mean", "0.1", "--std", "0", "--samples", "10", "--methods", "moment,linear")
	for _, m := range r.Methods {
		o := m.Outputs[0]
		if o.KLNats != nil || !strings.Contains(o.KLReason, "singular") {
			t.Errorf("%s: KL %v, reason %q", m.Method, o.KLNats, o.KLReason)
		}
		if o.MeanErrorStd == nil || *o.MeanErrorStd != 0 {
			t.Errorf("%s: the error of an exact mean is %v", m.Method, o.MeanErrorStd)
		}
	}
}

func TestCompareText(t *testing.T) {
	out := mustExecute(t, "compare", mandal, "--fix", "input_2=0.1", "--mean", "0.1", "--std", "0.1", "--samples", "100", "--methods", "linear,montecarlo")
	for _, want := range []string{"100 samples, seed 1", "output output_3 (1x1)", "truth", "linear", "standard deviation", "KL", "with seed 2"} {
		if !strings.Contains(out, want) {
			t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "unscented") {
		t.Errorf("a method that was not asked for:\n%s", out)
	}
}

func TestCompareFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.json")
	out := mustExecute(t, "compare", power, "--mean", "0", "--std", "0.1", "--samples", "100", "-o", path)
	if !strings.Contains(out, "truth") {
		t.Errorf("standard output is %s", out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r wantCompare
	if decodeStrictly(t, string(text), &r); len(r.Methods) != 5 {
		t.Errorf("got %+v", r)
	}
	wantFiles(t, dir, "c.json")
}

// TestCompareFailure checks that a method that fails does not cost the others
// their results.
func TestCompareFailure(t *testing.T) {
	// Enough for the truth, whose matrices are those of 10 outputs, and not
	// for the Jacobian with its 784 columns.
	args := []string{"compare", digits, "--mean", "0.1", "--std", "0.1", "--samples", "20", "--threads", "1", "--max-memory", "100kB"}
	stdout, stderr, status := execute(append(args, "--methods", "montecarlo,linear")...)
	if status != 1 || !strings.HasPrefix(stderr, "covprop: failed: linear: ") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d, stderr %s", status, stderr)
	}
	if !strings.Contains(stdout, "failed") || !strings.Contains(stdout, "montecarlo") {
		t.Errorf("stdout:\n%s", stdout)
	}
}

func TestNextSeed(t *testing.T) {
	if nextSeed(1) != 2 || nextSeed(math.MaxUint64) != 1 {
		t.Errorf("got %d and %d", nextSeed(1), nextSeed(math.MaxUint64))
	}
}
