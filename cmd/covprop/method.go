package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/baseline"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/refine"
)

// The methods, in the order in which compare shows them.
const (
	moment     = "moment"
	diagonal   = "diagonal"
	linear     = "linear"
	unscented  = "unscented"
	monteCarlo = "montecarlo"
	mixture    = "mixture"
	cumulant3  = "cumulant3"
	hybrid     = "hybrid"
	auto       = "auto"
)

var allMethods = []string{moment, diagonal, linear, unscented, monteCarlo, mixture, cumulant3, hybrid, auto}

// analytic says that a method propagates node by node and says how exact each
// was.
func analytic(method string) bool {
	return method == moment || method == diagonal || method == mixture || method == cumulant3 || method == auto
}

// sampling says that a method draws samples, with a seed, and may take long.
func sampling(method string) bool {
	return method == monteCarlo || method == hybrid || method == auto
}

// The samplers, by name.
var samplers = map[string]baseline.Sampler{"random": baseline.Random, "sobol": baseline.Sobol, "halton": baseline.Halton}

// samplerName returns what a sampler is called in text.
func samplerName(sampler string) string {
	if sampler == "random" {
		return "Monte Carlo"
	}
	return "quasi-Monte Carlo (" + sampler + ")"
}

// A task is one method applied to one input.
type task struct {
	model   string // the file
	method  string
	seed    uint64 // of the methods that sample
	samples int    // of monteCarlo
	partial bool   // monteCarlo, if interrupted, returns what it has
	net     *graph.Network
	in      covprop.Gaussian
	flags   *methodFlags
	audit   auditing

	strict, keepInput bool // of the analytic methods
}

// auditing says whether to audit, and with how many samples; 0 lets the audit
// choose.
type auditing struct {
	on      bool
	samples int
}

// run applies the method and returns the result, all of whose numbers are
// finite, and the time it took. label names the work in the progress bar.
func (t *task) run(e *env, label string) (covprop.Result, time.Duration, error) {
	if err := t.checkMemory(); err != nil {
		return covprop.Result{}, 0, fmt.Errorf("%s: %w", t.model, err)
	}
	p := newProgress(e.stderr, label)
	start := time.Now()
	res, err := t.audited(p.update).Propagate(e.ctx, t.in)
	elapsed := time.Since(start)
	p.clear()
	var (
		memory *covprop.MemoryError
		model  *covprop.ModelError
	)
	switch {
	case err == nil:
		if err = checkResult(&res); err != nil {
			err = fmt.Errorf("%s: %w", t.model, err)
		}
	case errors.Is(err, context.Canceled) && res.Audit != nil: // it was the audit that ended
		if bad := checkResult(&res); bad == nil {
			return res, elapsed, err
		}
	case errors.As(err, &memory):
		err = fmt.Errorf("%s: %w (--max-memory, --method diagonal)", t.model, err)
	case errors.As(err, &model) && model.File == "":
		model.File = t.model
	}
	if err != nil {
		return covprop.Result{}, 0, err
	}
	return res, elapsed, nil
}

// audited returns the method, audited if that is asked for.
func (t *task) audited(progress func(done, total int)) covprop.Propagator {
	p := t.propagator(progress)
	if !t.audit.on || t.method == mixture { // which checks itself
		return p
	}
	return refine.Audit{
		Propagator: p, Func: t.net, Samples: t.audit.samples, Seed: t.seed, Threads: t.flags.threads(), Progress: progress,
	}
}

func (t *task) propagator(progress func(done, total int)) covprop.Propagator {
	f := t.flags
	switch t.method {
	case linear:
		return baseline.Linear{Func: t.net}
	case unscented:
		return baseline.Unscented{Func: t.net}
	case monteCarlo:
		return baseline.MonteCarlo{
			Func: t.net, Samples: t.samples, Sampler: samplers[f.Sampler], Seed: t.seed,
			Threads: f.threads(), Progress: progress, Partial: t.partial,
		}
	case mixture:
		return t.mixture(progress)
	case cumulant3:
		return refine.Cumulant3{Network: t.network(nil), Threads: f.threads(), MaxBytes: f.maxBytes(), Progress: progress}
	case hybrid:
		return refine.Hybrid{
			Func: t.net, Propagator: t.network(nil), RelError: f.relError(),
			Seed: t.seed, Threads: f.threads(), MaxBytes: f.maxBytes(), Progress: progress,
		}
	case auto:
		return refine.Auto{
			Network: t.network(nil), RelError: f.relError(),
			Seed: t.seed, Threads: f.threads(), MaxBytes: f.maxBytes(), Progress: progress,
		}
	}
	return t.network(progress)
}

// network returns the analytic network.
func (t *task) network(progress func(done, total int)) *graph.Network {
	o := graph.Options{
		Diagonal:  t.method == diagonal,
		Strict:    t.strict,
		KeepInput: t.keepInput,
		Threads:   t.flags.threads(),
		MaxBytes:  t.flags.maxBytes(),
		Progress:  progress,
	}
	if t.method != diagonal {
		o.Precision = t.flags.Precision
	}
	if t.flags.Order != nil {
		o.Order = *t.flags.Order
	}
	if t.flags.Tol != nil {
		o.Tol = *t.flags.Tol
	}
	return t.net.With(o)
}

// checkMemory reports a sampling or linear method whose matrices would exceed
// the limit; the analytic network plans its own memory. n and m are the
// dimensions of input and output.
func (t *task) checkMemory() error {
	n, m := float64(t.net.InputDim()), float64(t.net.OutputDim())
	threads := float64(t.flags.threads())
	if threads == 0 {
		threads = float64(runtime.GOMAXPROCS(0))
	}
	var numbers float64
	switch t.method {
	case linear: // the Jacobian, its product with the factor, the covariance
		numbers = 2*m*n + m*m
	case unscented: // the sums and differences over the sigma points
		numbers = 2*m*n + m*m
	case monteCarlo: // three accumulators a thread and their total; covariance and standard errors
		numbers = 3*(threads+1)*m*m + 2*m*m
	default:
		return nil
	}
	if _, dense := t.in.Cov.(*covprop.Dense); dense { // the covariance and its factorisation
		numbers += 5 * n * n
	}
	if limit := t.flags.maxBytes(); limit > 0 && 8*numbers > float64(limit) {
		return fmt.Errorf("the method %s needs %s for %.0f inputs and %.0f outputs, more than the limit of %s: raise --max-memory or use --method diagonal",
			t.method, covprop.FormatBytes(int64(min(8*numbers, math.MaxInt64/2))), n, m, covprop.FormatBytes(limit))
	}
	return nil
}

// checkResult reports a moment that is not finite, as when an exponential
// overflows.
func checkResult(r *covprop.Result) error {
	std := r.Std()
	for _, o := range r.Outputs {
		for i := range o.Len {
			if m, s := r.Mean[o.Offset+i], std[o.Offset+i]; !finite(m) || !finite(s) {
				return fmt.Errorf("output %q, element %d has the mean %v and the standard deviation %v: the numbers overflow float64", o.Name, i, m, s)
			}
		}
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
