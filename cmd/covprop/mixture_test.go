package main

import (
	"math"
	"strings"
	"testing"
)

// TestMixture: the mixture around an input where the closure fails is nearer
// to Monte Carlo than the moments, and its quantiles and probabilities go
// together.
func TestMixture(t *testing.T) {
	args := acasAt("0.005", "--method", "mixture", "--quantile", "0.1,0.9", "--budget", "40", "--audit", "64")
	at := propagateJSON(t, args...).Mixture.Outputs[0].Quantiles[1].Values[2]
	r := propagateJSON(t, append(args, "--exceed", number(at), "--exceed", "-1e9")...)
	o := r.Mixture.Outputs[0]
	if r.Mixture.Components < 2 || o.Name != r.Outputs[0].Name || len(o.Quantiles) != 2 || len(o.Exceed) != 2 || r.Audit == nil {
		t.Fatalf("got %+v", r.Mixture)
	}
	for i := range 5 {
		if low, high := o.Quantiles[0].Values[i], o.Quantiles[1].Values[i]; !(low <= high) {
			t.Errorf("element %d: quantiles %v, %v", i, low, high)
		}
		if o.Exceed[1].Probability[i] != 1 {
			t.Errorf("element %d is above -1e9 with probability %v", i, o.Exceed[1].Probability[i])
		}
	}
	// number writes six digits of the quantile.
	if p := o.Exceed[0].Probability[2]; math.Abs(p-.1) > 1e-2 {
		t.Errorf("P(y > 90%% quantile) is %v", p)
	}
	truth := propagateJSON(t, acasAt("0.005", "--method", "montecarlo", "--samples", "100000")...).Outputs[0]
	moments := propagateJSON(t, acasAt("0.005", "--audit", "0")...).Outputs[0]
	var before, after float64
	for i, s := range truth.Std {
		before += math.Pow(moments.Std[i]/s-1, 2)
		after += math.Pow(r.Outputs[0].Std[i]/s-1, 2)
	}
	if after > before {
		t.Errorf("squared errors of the standard deviations: %g, of the method moment %g", after, before)
	}
	out := mustExecute(t, append([]string{"propagate"}, append(args, "--exceed", "0")...)...)
	for _, want := range []string{"a mixture of ", "10%", "90%", "P(y > 0)", "\naudit     "} {
		if !strings.Contains(out, want) {
			t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
}

func TestMixtureFlags(t *testing.T) {
	for flags, want := range map[string]string{
		"--quantile 0.5":                      "--quantile and --exceed need --method mixture",
		"--method mixture --quantile 1":       "--quantile must lie between 0 and 1",
		"--method mixture --exceed x":         `--exceed: "x" is not a finite number`,
		"--method mixture --budget 0":         "at least one propagation",
		"--method mixture --budget 0s":        "above zero",
		"--method mixture --budget soon":      "neither a number of propagations",
		"--budget 2s":                         "--budget has no meaning for the method moment",
		"--method mixture --rel-error 2":      "--rel-error must lie between 0 and 1",
		"--method unscented --rel-error 0.05": "--rel-error has no meaning",
	} {
		_, stderr, status := execute(append(append([]string{"propagate"}, acasAt("0.001")...), strings.Fields(flags)...)...)
		if status != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: status %d, %s", flags, status, stderr)
		}
	}
}
