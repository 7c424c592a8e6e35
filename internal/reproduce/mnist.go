package reproduce

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/baseline"
	"github.com/covprop/covprop/dataset"
	"github.com/covprop/covprop/graph"
)

// MNIST repeats the experiment of Wright, Nakahira & Moura (AISTATS 2024) with
// a network trained on MNIST: how close analytic moments of the logits come to
// those by Monte Carlo. The mean of a run's input is a test image drawn at
// random, after Standardize, and its covariance a random one of randomInput.
// Both depend on the seed and the index of the run only.
type MNIST struct {
	Net     *LeNet
	Test    *dataset.Images
	Runs    int
	Samples int // of Monte Carlo in each run
	Seed    uint64
	Norm    Norm // "" means Spectral
	Threads int  // 0 means all processors
	// MaxBytes is the memory that the covariances may take; 0 means no limit.
	// Those of the whole network are kept in float32: with the paper's width
	// they take 3.1 GB at once, of 25,088 units of the first layer.
	MaxBytes int64
	// Progress, if set, is called after every method of every run.
	Progress func(done, total int)
}

// An MNISTReport is what MNIST found.
type MNISTReport struct {
	Images     []int // the index of every run's test image
	Methods    []MNISTMethod
	MonteCarlo Stat // milliseconds
	// Partial says that the work was interrupted.
	Partial bool
}

// An MNISTMethod compares a method with Monte Carlo over the runs.
type MNISTMethod struct {
	Name, Title string
	Logits      []MNISTLogit
	All         MNISTLogit // over the logits of all runs
	Time        Stat       // milliseconds
	// Error says why the method failed; the rest is then empty.
	Error string
}

// An MNISTLogit compares the moments of one logit, or of all.
type MNISTLogit struct {
	Mean       Stat // Monte Carlo's mean / the method's
	Variance   Stat // Monte Carlo's variance / the method's
	Difference Stat // Monte Carlo's mean - the method's, in Monte Carlo's standard deviations
}

// Check returns an error if m cannot be run.
func (m *MNIST) Check() error {
	return checkRuns(m.Runs, m.Samples, m.Threads, m.Norm)
}

// An mnistMethod is a method and its results so far.
type mnistMethod struct {
	name, title string
	large       bool // it needs gigabytes
	by          func(ws *graph.Workspace) covprop.Propagator
	ratios      []mnistRatios // of the runs
	times       []float64     // milliseconds
	failed      error
}

// mnistRatios are the numbers of one run: of each logit, or of none.
type mnistRatios struct{ mean, variance, difference []float64 }

// methods returns the methods, those first that need little memory.
func (m *MNIST) methods() (truth *graph.Network, methods []*mnistMethod, err error) {
	net, err := m.Net.Network()
	if err != nil {
		return nil, nil, err
	}
	before, after, err := m.Net.halves()
	if err != nil {
		return nil, nil, err
	}
	exact := graph.Options{Precision: 32, Threads: m.Threads, MaxBytes: m.MaxBytes}
	k4 := exact
	k4.Order, k4.TruncateDiagonal = 4, true
	is := func(p covprop.Propagator) func(*graph.Workspace) covprop.Propagator {
		return func(*graph.Workspace) covprop.Propagator { return p }
	}
	in := func(o graph.Options) func(*graph.Workspace) covprop.Propagator {
		return func(ws *graph.Workspace) covprop.Propagator { return within{net.With(o), ws} }
	}
	return net, []*mnistMethod{
		{name: "linear", title: "linearisation", by: is(baseline.Linear{Func: net})},
		{name: "pldnn", title: "PL-DNN (Bibi et al. 2018)", large: true, by: is(PLDNN{Before: before, After: after, Threads: m.Threads})},
		{
			name: "pldnn0", title: "PL-DNN, variance as for zero mean", large: true,
			by: is(PLDNN{Before: before, After: after, ZeroMean: true, Threads: m.Threads}),
		},
		{name: "k4", title: "K = 4, truncated diagonal (Wright et al. 2024)", large: true, by: in(k4)},
		{name: "exact", title: "exact moments (default)", by: in(exact)}, // in the memory of k4
	}, nil
}

// A within propagates in the memory of a workspace.
type within struct {
	net *graph.Network
	ws  *graph.Workspace
}

// Propagate implements covprop.Propagator.
func (w within) Propagate(ctx context.Context, in covprop.Gaussian) (res covprop.Result, err error) {
	err = w.net.PropagateTo(ctx, &res, in, w.ws)
	return res, err
}

// Run does the work. If ctx ends, it returns what is done so far, marked as
// partial, and the error of ctx. A method that fails is reported, and not run
// again; if all do, that is an error.
func (m *MNIST) Run(ctx context.Context) (*MNISTReport, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	net, methods, err := m.methods()
	if err != nil {
		return nil, err
	}
	r := &MNISTReport{}
	var times []float64
	for run := range m.Runs {
		var image int
		var time float64
		if image, time, err = m.run(ctx, net, methods, run); err != nil {
			break
		}
		r.Images, times = append(r.Images, image), append(times, time)
	}
	r.MonteCarlo, r.Partial = newStat(times), err != nil && ctx.Err() != nil
	var failures []error
	for _, x := range methods {
		r.Methods = append(r.Methods, x.summary())
		if x.failed != nil {
			failures = append(failures, fmt.Errorf("%s: %w", x.name, x.failed))
		}
	}
	switch {
	case r.Partial:
		return r, ctx.Err()
	case err != nil:
		return nil, err
	case len(failures) == len(methods):
		return nil, errors.Join(failures...)
	}
	return r, nil
}

// random returns the random numbers of a run.
func (m *MNIST) random(run int) *rand.Rand {
	key := [32]byte{16: 'm', 17: 'n', 18: 'i', 19: 's', 20: 't'}
	binary.LittleEndian.PutUint64(key[:], m.Seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(run))
	return rand.New(rand.NewChaCha8(key))
}

// run adds one run to every method, or to none, and returns the index of its
// image and the milliseconds of Monte Carlo.
func (m *MNIST) run(ctx context.Context, net *graph.Network, methods []*mnistMethod, run int) (image int, ms float64, err error) {
	rng := m.random(run)
	image = rng.IntN(m.Test.Len())
	in := randomInput(rng, dataset.MNISTPixels, m.Norm)
	Standardize(in.Mean, m.Test.Image(image))
	progress := func(k int) {
		if m.Progress != nil {
			m.Progress(run*(len(methods)+1)+k, m.Runs*(len(methods)+1))
		}
	}
	mc := baseline.MonteCarlo{Func: net, Samples: m.Samples, Seed: max(rng.Uint64(), 1), Threads: m.Threads}
	truth, ms, err := timed(ctx, mc, in)
	if err != nil {
		return 0, 0, err
	}
	progress(1)
	found, times := make([]mnistRatios, len(methods)), make([]float64, len(methods))
	ws := graph.NewWorkspace()
	for i, x := range methods {
		if x.failed != nil {
			continue
		}
		if x.large { // or the peak would be the sum over the methods
			debug.FreeOSMemory()
		}
		res, ms, err := timed(ctx, x.by(ws), in)
		if ctx.Err() != nil {
			return 0, 0, ctx.Err()
		}
		if x.failed = err; err == nil {
			found[i], times[i] = newRatios(&truth, &res), ms
		}
		progress(i + 2)
	}
	for i, x := range methods {
		if x.failed == nil {
			x.ratios, x.times = append(x.ratios, found[i]), append(x.times, times[i])
		}
	}
	return image, ms, nil
}

// newRatios compares a result with Monte Carlo's.
func newRatios(truth, res *covprop.Result) (r mnistRatios) {
	for i, mean := range truth.Mean {
		v := truth.Cov.At(i, i)
		r.mean = append(r.mean, mean/res.Mean[i])
		r.variance = append(r.variance, v/res.Cov.At(i, i))
		r.difference = append(r.difference, (mean-res.Mean[i])/math.Sqrt(v))
	}
	return r
}

// summary averages over the runs.
func (x *mnistMethod) summary() MNISTMethod {
	s := MNISTMethod{Name: x.name, Title: x.title}
	if x.failed != nil {
		s.Error = x.failed.Error()
		return s
	}
	s.Time = newStat(x.times)
	of := func(logits func(r []float64) []float64) MNISTLogit {
		var all mnistRatios
		for _, r := range x.ratios {
			all.mean = append(all.mean, logits(r.mean)...)
			all.variance = append(all.variance, logits(r.variance)...)
			all.difference = append(all.difference, logits(r.difference)...)
		}
		return MNISTLogit{newStat(all.mean), newStat(all.variance), newStat(all.difference)}
	}
	for c := range dataset.MNISTClasses {
		s.Logits = append(s.Logits, of(func(r []float64) []float64 { return r[c : c+1] }))
	}
	s.All = of(func(r []float64) []float64 { return r })
	return s
}
