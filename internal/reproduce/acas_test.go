package reproduce

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/covprop/covprop"
)

// acasCase makes a case with one output of standard deviation 1 and mean 0.
func acasCase(verdict covprop.Verdict, moment, auto MomentError, monteCarlo ...MomentError) ACASCase {
	return ACASCase{
		Audit: &covprop.Audit{Verdict: verdict},
		Outputs: []ACASOutput{{
			Std: 1, MomentStd: 1, AutoStd: 1, MeanSE: .001, VarianceSE: .001,
			Moment: moment, Auto: auto, MonteCarlo: monteCarlo,
		}},
		AutoTime: 1000, MonteCarloTime: []float64{1000, 4000},
	}
}

func TestACASScore(t *testing.T) {
	fine, off := MomentError{.01, -.01}, MomentError{.01, .3}
	mc := []MomentError{{.08, 0}, {0, .02}}
	constant := acasCase(covprop.Consistent, fine, fine, mc...)
	constant.Outputs[0].Std, constant.Outputs[0].Mean = 1e-9, 1
	unknown := acasCase(covprop.Inconclusive, off, fine, mc...)
	unknown.Outputs[0].VarianceSE = .03
	cases := []ACASCase{
		acasCase(covprop.Consistent, fine, fine, mc...),
		acasCase(covprop.Consistent, off, fine, mc...),                                   // missed
		acasCase(covprop.ClosureError, off, MomentError{0, .06}, mc...),                  // auto beyond its aim
		acasCase(covprop.Inconclusive, MomentError{-.11, 0}, fine, mc...),                // inconclusive counts as flagged
		acasCase(covprop.Inconclusive, fine, fine, mc...),                                // a false alarm
		acasCase(covprop.ClosureError, MomentError{.05, .1}, MomentError{0, .04}, mc...), // neither bad nor good
		constant, // and auto says that it varies
		unknown,  // which is not scored
	}
	s := ACAS{RelError: .05, MonteCarlo: []int{100, 400}}.Score(cases)
	if s.Cases != 8 || s.Scored != 6 || s.Bad != 3 || s.Good != 2 {
		t.Errorf("%d cases, %d scored, %d bad, %d good; want 8, 6, 3, 2", s.Cases, s.Scored, s.Bad, s.Good)
	}
	if !slices.Equal(s.Missed, []int{1}) || !slices.Equal(s.Alarms, []int{4}) || !slices.Equal(s.AutoBeyond, []int{2}) || s.AutoWithin != 5 {
		t.Errorf("missed %v, alarms %v, auto beyond its aim in %v", s.Missed, s.Alarms, s.AutoBeyond)
	}
	if s.Constants != 1 || !slices.Equal(s.Unseen, []int{6}) {
		t.Errorf("%d constants, %v not said", s.Constants, s.Unseen)
	}
	if s.AutoTime != 6 || s.MonteCarlo[1].Time != 24 || s.AutoQuantile != .06 || s.MonteCarlo[0].Quantile != .08 || s.MonteCarlo[0].Within != 0 || s.MonteCarlo[1].Within != 6 {
		t.Errorf("auto %g s, %g; Monte Carlo %+v", s.AutoTime, s.AutoQuantile, s.MonteCarlo)
	}
	// From 6 s at .08 to 24 s at .02 the error falls as the time to the power
	// -1: .06 takes 8 s.
	if math.Abs(s.MonteCarloTime-8) > 1e-12 {
		t.Errorf("Monte Carlo takes %g s for the same quantile, want 8", s.MonteCarloTime)
	}
}

// TestACASRun runs two cases of the network that the tests have: at 0.001 the
// closure holds, at 0.05 it fails, the audit says so and auto mends it.
func TestACASRun(t *testing.T) {
	done := 0
	a := ACAS{
		Dir: "../../testdata/models", Networks: 1, Inputs: 1, Stds: []float64{.001, .05}, TruthSamples: 1 << 16,
		MonteCarlo: []int{1000}, RelError: .05, Seed: 1, Progress: func(n, _ int) { done = n },
	}
	cases, err := a.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) != 2 || done != 2 {
		t.Fatalf("%d cases, %d reported", len(cases), done)
	}
	if v := cases[0].Audit.Verdict; v != covprop.Consistent {
		t.Errorf("at 0.001: %v, %s", v, cases[0].Audit.Reason)
	}
	if v := cases[1].Audit.Verdict; v != covprop.ClosureError || cases[1].FirstBroken == "" || !cases[1].Refined {
		t.Errorf("at 0.05: %v, first broken %q, refined %v", v, cases[1].FirstBroken, cases[1].Refined)
	}
	for i, c := range cases {
		for k, o := range c.Outputs {
			// Auto's aim, and the truth's own 2%.
			if o.Scored() && o.Auto.Size() > .07 {
				t.Errorf("case %d, output %d: auto is off by %+v", i, k, o.Auto)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	a.Progress = func(int, int) { cancel() }
	if cases, err = a.Run(ctx); !errors.Is(err, context.Canceled) || len(cases) != 1 {
		t.Errorf("cancelled after a case: %d cases, %v", len(cases), err)
	}
}
