package refine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/qmc"
	"github.com/covprop/covprop/internal/sample"
)

// The limits of an audit. A result is consistent if every mean is surely
// within meanLimit standard deviations of the truth and every variance within
// a fraction varianceLimit, and a closure error if one is surely beyond.
const (
	meanLimit     = .1
	varianceLimit = .2
	auditSure     = .95 // the confidence that is "surely"
)

const (
	// maxSamples and resolution end an audit: the samples are as many as
	// resolve a standard deviation to 1%, and no more than 50,000, those that
	// look at the nodes included.
	maxSamples = 50000 - nodeSamples
	resolution = .01
	// freeOperations is the number of multiply-adds that an audit may always
	// spend: a fraction of a second. Beyond, it may spend half of what the
	// propagation took. Samples that look at the nodes are at most a third of
	// the others, which leaves these three quarters.
	freeOperations = 1e9
	comparing      = .75
	// minFirst to maxFirst are the points of each replicate at the start: as
	// many as firstOperations multiply-adds allow. The more there are, the
	// rarer the events that cannot go unseen.
	minFirst, maxFirst = 128, 512
	firstOperations    = 2e8
	// minCarriers is how many samples must carry a variance before its
	// standard error is believed: the spread between replicates says little
	// of an event that few of them have seen.
	minCarriers = 100
	// constantStd is the standard deviation, relative to the value, up to
	// which an output is constant to rounding.
	constantStd = 1e-12
)

// auditSeed sets the points apart from those of a sampling method with the same
// seed, whose errors an audit could not see otherwise.
const auditSeed = 0x6175646974000000

// An Audit compares the moments that a Propagator returns with randomised
// quasi-Monte Carlo samples of the function: scrambled Sobol points in the
// principal axes of the input, with the propagation's own gain as control
// variate where the result has it (Result.InputCov).
//
// Unless Samples says otherwise, there are as many samples as resolve every
// standard deviation to 1%, and as many as there may be where one is smaller
// than the result's, which a rare event could explain. There may be 50,000,
// but no more multiply-adds than 10^9, or than half the propagation's own if
// that is more; what looks for the first broken node of a network is part of
// both. They are counted, not timed, so that an audit repeats, bit for bit and
// for any number of threads.
//
// An event rarer than one in the number of samples is not seen.
type Audit struct {
	// Propagator is what is audited.
	Propagator covprop.Propagator
	// Func is what is sampled; it may be nil if Propagator is a Func itself,
	// as a network is.
	Func covprop.Func
	// Samples is the number of evaluations, rounded up to a multiple of 16,
	// besides those that look at the nodes; zero chooses. It must be at least 32.
	Samples int
	// Seed selects the samples; zero means 1.
	Seed uint64
	// Threads is the number of threads; zero means all processors.
	Threads int
	// Progress, if set, is called with the evaluations done and the most there
	// may be.
	Progress func(done, total int)
}

// Propagate implements covprop.Propagator: the Propagator's result with its
// Audit. A network is asked for its gain, too, where that costs little, and its
// nodes are audited one by one if the verdict is a closure error. A function that
// overflows at a sample makes the audit inconclusive. If ctx ends during the audit,
// the result is returned with the error, with an audit that says so.
func (a Audit) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	if a.Propagator == nil {
		return covprop.Result{}, errors.New("audit: there is nothing to audit")
	}
	net, ok := a.Propagator.(*graph.Network)
	if !ok {
		res, err := a.Propagator.Propagate(ctx, in)
		if err != nil {
			return covprop.Result{}, err
		}
		res.Audit, err = a.checkOr(ctx, in, &res)
		return res, err
	}
	var trace trace
	res, err := trace.propagate(ctx, net, in)
	if err != nil {
		return covprop.Result{}, err
	}
	if res.Audit, err = a.checkOr(ctx, in, &res); err != nil {
		trace.forget(net, &res)
		return res, err
	}
	if res.Audit.Verdict == covprop.ClosureError {
		err = a.nodes(ctx, net, in, &trace, res.Audit)
	}
	trace.forget(net, &res)
	return res, err
}

// checkOr is Check; where ctx ends it returns an audit that says so, with the error.
func (a *Audit) checkOr(ctx context.Context, in covprop.Gaussian, res *covprop.Result) (*covprop.Audit, error) {
	audit, err := a.Check(ctx, in, res)
	if err != nil && ctx.Err() != nil {
		audit = a.unsampled(res, "interrupted")
	}
	return audit, err
}

// Check audits a result for the input in.
func (a Audit) Check(ctx context.Context, in covprop.Gaussian, res *covprop.Result) (*covprop.Audit, error) {
	if err := a.prepare(in); err != nil {
		return nil, err
	}
	if n := a.Func.OutputDim(); res.Dim() != n {
		return nil, fmt.Errorf("audit: the result has %d elements, but the function %d", res.Dim(), n)
	}
	if c := res.InputCov; c != nil {
		if m, n := c.Dims(); m != res.Dim() || n != in.Dim() {
			return nil, fmt.Errorf("audit: the covariance with the input is %d x %d, want %d x %d", m, n, res.Dim(), in.Dim())
		}
	}
	most := a.mostPoints(in)
	task := sample.Task{Func: a.Func, In: in, InputCov: gainOf(res), Kind: qmc.Sobol, Seed: a.Seed ^ auditSeed, Threads: a.Threads}
	if a.Progress != nil {
		task.Progress = func(done int) { a.Progress(done, sample.Replicates*most) }
	}
	s, err := sample.NewStream(ctx, task)
	var at *sample.SampleError
	if errors.As(err, &at) {
		return a.unsampled(res, err.Error()), nil
	}
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if most < 2 {
		return a.unsampled(res, "no samples, which would cost more than half the propagation; ask for a number of samples to have it audited all the same"), nil
	}
	if s.Certain() {
		most = 2
	}
	for n := min(firstPoints(a.Func), most); ; n = min(2*n, most) {
		if a.Samples > 0 {
			n = most
		}
		err := s.Grow(ctx, n)
		if errors.As(err, &at) {
			return a.unsampled(res, err.Error()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		m := s.Marginals()
		if n == most || resolved(m, resolution, 2*resolution, 1) && !suspect(m, res, varianceLimit) {
			return judge(s.Samples(), a.Seed, res, m, meanLimit, varianceLimit), nil
		}
	}
}

// prepare fills in the defaults.
func (a *Audit) prepare(in covprop.Gaussian) error {
	if a.Func == nil {
		f, ok := a.Propagator.(covprop.Func)
		if !ok {
			return fmt.Errorf("audit: a %T is no function that could be sampled; set Func", a.Propagator)
		}
		a.Func = f
	}
	if a.Seed == 0 {
		a.Seed = 1
	}
	if a.Threads == 0 {
		a.Threads = runtime.GOMAXPROCS(0)
	}
	switch {
	case a.Samples != 0 && a.Samples < 2*sample.Replicates:
		return fmt.Errorf("audit: at least %d samples are needed, not %d", 2*sample.Replicates, a.Samples)
	case a.Threads < 0:
		return fmt.Errorf("audit: the number of threads is %d", a.Threads)
	case in.Dim() != a.Func.InputDim():
		return &covprop.InputError{What: "mean", Err: fmt.Errorf("has %d elements, but the function takes %d", in.Dim(), a.Func.InputDim())}
	}
	return in.Check()
}

// mostPoints is the number of points of each replicate, at most; with fewer
// than 2 there is no audit.
func (a *Audit) mostPoints(in covprop.Gaussian) int {
	if a.Samples > 0 {
		return (a.Samples-1)/sample.Replicates + 1
	}
	n := float64(maxSamples)
	if net, ok := a.Func.(*graph.Network); ok {
		audited, ok := a.Propagator.(interface{ PropagationOperations(diagonal bool) int64 })
		if !ok {
			audited = net
		}
		_, diagonal := in.Cov.(covprop.Diagonal)
		budget := max(freeOperations, float64(audited.PropagationOperations(diagonal))/2)
		n = min(n, comparing*budget/float64(max(net.Operations(), 1)))
	}
	return int(n / sample.Replicates)
}

// firstPoints is the number of points of each replicate to start with.
func firstPoints(f covprop.Func) int {
	if net, ok := f.(*graph.Network); ok {
		n := firstOperations / sample.Replicates / float64(max(net.Operations(), 1))
		return int(min(max(n, minFirst), maxFirst))
	}
	return minFirst
}

// gainOf returns the result's Cov(y, x), with no rows if it has none.
func gainOf(res *covprop.Result) blas64.General {
	if res.InputCov == nil {
		return blas64.General{}
	}
	return res.InputCov.RawMatrix()
}

// resolved reports whether k standard errors of every mean are at most a
// fraction meanLimit of the standard deviation, and those of every variance a
// fraction varianceLimit of it. Elements that are constant in all samples are
// resolved.
func resolved(m *sample.Marginals, meanLimit, varianceLimit, k float64) bool {
	for i, v := range m.Variance {
		if constant(m.Mean[i], v) {
			continue
		}
		if !(k*m.MeanSE[i] <= meanLimit*math.Sqrt(v) && k*m.VarianceSE[i] <= varianceLimit*v && m.Carriers[i] >= minCarriers) {
			return false
		}
	}
	return true
}

// suspect reports whether a variance of res is larger than the samples can
// explain. That may be the closure, or a rare event that no sample saw: before
// it is called an error, as many samples are taken as an audit may take.
func suspect(m *sample.Marginals, res *covprop.Result, varianceLimit float64) bool {
	t := sample.Confidence(auditSure)
	for i, v := range m.Variance {
		high := v + t*m.VarianceSE[i]
		if s := res.Cov.At(i, i); s > (1+varianceLimit)*high && math.Sqrt(s) > negligibleStd*math.Abs(m.Mean[i]) {
			return true
		}
	}
	return false
}

// constant reports whether a variance is one of rounding.
func constant(mean, variance float64) bool {
	return math.Sqrt(math.Max(0, variance)) <= constantStd*math.Abs(mean)
}
