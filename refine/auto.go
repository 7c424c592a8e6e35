package refine

import (
	"context"
	"errors"
	"fmt"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/sample"
)

// Auto propagates analytically, audits the result against the error asked for,
// and where the audit does not find it consistent goes on sampling as Hybrid
// does until the error is reached. Result.Audit says what the audit found, and
// Accuracy.Reason what was done.
//
// Mixtures are not tried: nothing but samples could tell whether they have
// reached the error, and samples enough to tell are enough for Hybrid.
type Auto struct {
	// Network is what is propagated through.
	Network *graph.Network
	// RelError, MaxSamples, Seed, Threads, MaxBytes and Progress are those of
	// Hybrid.
	RelError   float64
	MaxSamples int
	Seed       uint64
	Threads    int
	MaxBytes   int64
	Progress   func(done, total int)
}

// Propagate implements covprop.Propagator.
func (a Auto) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	if a.Network == nil {
		return covprop.Result{}, errors.New("auto: there is no network")
	}
	h := Hybrid{
		Func: a.Network, RelError: a.RelError, MaxSamples: a.MaxSamples, Seed: a.Seed,
		Threads: a.Threads, MaxBytes: a.MaxBytes, Progress: a.Progress,
	}
	if err := h.prepare(in); err != nil {
		return covprop.Result{}, err
	}
	var t trace
	res, err := t.propagate(ctx, a.Network, in)
	if err != nil {
		return covprop.Result{}, err
	}
	s, err := h.stream(ctx, in, gainOf(&res))
	if err != nil {
		return covprop.Result{}, fmt.Errorf("auto: %w", err)
	}
	if s.Certain() {
		h.MaxSamples = 2 * sample.Replicates
	}
	// Moments that are certified to the error asked for are better than any samples.
	certified := res.Accuracy.Status != covprop.Approximate && res.Accuracy.Bound <= h.RelError
	audit := Audit{Func: a.Network, Seed: h.Seed}
	sure, enough := sample.Confidence(hybridSure), sample.Replicates*audit.mostPoints(in)
	for n := min(firstPoints(h.Func), h.mostPoints()); ; n = min(2*n, h.mostPoints()) {
		if err := h.grow(ctx, s, n); err != nil {
			return covprop.Result{}, err
		}
		m := s.Marginals()
		found := judge(s.Samples(), h.Seed, &res, m, h.RelError, h.RelError)
		switch {
		case found.Verdict == covprop.Consistent, certified:
			res.Audit = found
			t.forget(a.Network, &res)
			return res, nil
		case n == h.mostPoints() || resolved(m, h.RelError, h.RelError, sure) && (s.Samples() >= enough || !suspect(m, &res, h.RelError)):
			refined, err := h.result(s)
			if err != nil {
				return covprop.Result{}, err
			}
			refined.Audit = found
			refined.Accuracy.Reason += "; the audit of the analytic moments: " + found.Verdict.String()
			if found.Verdict == covprop.ClosureError {
				err = audit.nodes(ctx, a.Network, in, &t, found)
			}
			return refined, err
		}
	}
}
