package main

import (
	"math"
	"strings"
	"testing"
)

// TestCumulant3: on a trained network the covariance is nearer to the truth
// than that of the moments, by a factor of four or so; it is audited, and says
// what it is.
func TestCumulant3(t *testing.T) {
	args := []string{models + "energy_tanh_silu.onnx", "--mean", "0", "--std", "0.5"}
	variance := func(extra ...string) (float64, wantResult) {
		r := propagateJSON(t, append(args[:len(args):len(args)], extra...)...)
		return r.Outputs[0].Cov[0][0], r
	}
	truth, _ := variance("--method", "montecarlo", "--sampler", "sobol", "--samples", "65536")
	moment, _ := variance("--audit", "0")
	got, r := variance("--method", "cumulant3", "--strict")
	if before, after := math.Abs(moment-truth), math.Abs(got-truth); after > before/2 {
		t.Errorf("the variance is off by %.3g, with the method moment by %.3g", after, before)
	}
	if r.Audit == nil || r.Audit.Verdict != "consistent" || r.Accuracy.Status != "approximate" ||
		!strings.Contains(r.Accuracy.Reason, "third cumulants") || len(r.Accuracy.Nodes) == 0 {
		t.Errorf("got %+v, audit %+v", r.Accuracy, r.Audit)
	}
	for model, want := range map[string]string{
		acas:   "an expansion in cumulants may be worse than none",
		mandal: "must be a chain",
	} {
		args := []string{"propagate", model, "--mean", "0.1", "--std", "0.05", "--method", "cumulant3"}
		if model == mandal {
			args = append(args[:2], "--fix", "input_2=0.5", "--mean", "0.1", "--std", "0.05", "--method", "cumulant3")
		}
		_, stderr, status := execute(args...)
		if status != 1 || !strings.Contains(stderr, want) || !strings.Contains(stderr, model) {
			t.Errorf("%s: status %d, %q; want %q", model, status, stderr, want)
		}
	}
}
