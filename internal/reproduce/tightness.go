package reproduce

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/baseline"
	"github.com/covprop/covprop/graph"
)

// Tightness repeats section 4.2 of Wright, Nakahira & Moura (AISTATS 2024): how
// close analytic moments of the output of random networks come to those by
// Monte Carlo. Every run draws a network and an input, from random numbers that
// depend on the seed, the network's design and the index of the run only.
type Tightness struct {
	Nets    []string // of Designs
	Runs    int      // for each design
	Samples int      // of Monte Carlo in each run
	Seed    uint64
	Norm    Norm // "" means Spectral
	Threads int  // 0 means all processors
	// Progress, if set, is called after every run.
	Progress func(done, total int)
}

// A TightnessReport is what Tightness found.
type TightnessReport struct {
	Nets []TightnessNet
	// Partial says that the work was interrupted.
	Partial bool
}

// A TightnessNet is the result for one design.
type TightnessNet struct {
	Name, Title string
	Runs        int // done
	Methods     []TightnessMethod
	MonteCarlo  Stat // milliseconds
}

// A TightnessMethod compares a method with Monte Carlo over the runs.
type TightnessMethod struct {
	Name, Title string
	Mean        Stat // Monte Carlo's mean / the method's
	Variance    Stat // Monte Carlo's variance / the method's
	Difference  Stat // Monte Carlo's mean - the method's, in Monte Carlo's standard deviations
	Time        Stat // milliseconds
}

// A Stat is the average over runs and their standard deviation, with the
// divisor n - 1; NaN where there are too few runs.
type Stat struct{ Mean, Std float64 }

func newStat(x []float64) Stat {
	if len(x) == 0 {
		return Stat{math.NaN(), math.NaN()}
	}
	mean, std := stat.MeanStdDev(x, nil)
	return Stat{mean, std}
}

// tightnessMethods are the methods, and how they are made.
var tightnessMethods = []struct {
	name, title string
	of          func(s *subject, threads int) covprop.Propagator
}{
	{"exact", "exact moments (default)", func(s *subject, threads int) covprop.Propagator {
		return s.whole.With(graph.Options{Threads: threads})
	}},
	{"k4", "K = 4, truncated diagonal (Wright et al. 2024)", func(s *subject, threads int) covprop.Propagator {
		return s.whole.With(graph.Options{Order: 4, TruncateDiagonal: true, Threads: threads})
	}},
	{"pldnn", "PL-DNN (Bibi et al. 2018)", func(s *subject, threads int) covprop.Propagator {
		return PLDNN{Before: s.before, After: s.after, Threads: threads}
	}},
	{"pldnn0", "PL-DNN, variance as for zero mean", func(s *subject, threads int) covprop.Propagator {
		return PLDNN{Before: s.before, After: s.after, ZeroMean: true, Threads: threads}
	}},
	{"linear", "linearisation", func(s *subject, _ int) covprop.Propagator { return baseline.Linear{Func: s.whole} }},
}

// Check returns an error if t cannot be run.
func (t *Tightness) Check() error {
	if err := checkRuns(t.Runs, t.Samples, t.Threads, t.Norm); err != nil {
		return err
	}
	if len(t.Nets) == 0 {
		return fmt.Errorf("the list of networks is empty")
	}
	for i, name := range t.Nets {
		if !slices.Contains(Designs(), name) {
			return fmt.Errorf("the network %q is not one of %s", name, strings.Join(Designs(), ", "))
		}
		if slices.Contains(t.Nets[:i], name) {
			return fmt.Errorf("the network %s is listed twice", name)
		}
	}
	return nil
}

// Run does the work. If ctx ends, it returns what is done so far, marked as
// partial, and the error of ctx.
func (t *Tightness) Run(ctx context.Context) (*TightnessReport, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	r := &TightnessReport{}
	for k, name := range t.Nets {
		at := slices.Index(Designs(), name)
		samples := newTightnessSamples()
		var err error
		for run := 0; run < t.Runs && err == nil; run++ {
			if err = t.run(ctx, &designs[at], t.random(at, run), samples); err != nil {
				err = fmt.Errorf("%s, run %d: %w", name, run, err)
			} else if t.Progress != nil {
				t.Progress(k*t.Runs+run+1, len(t.Nets)*t.Runs)
			}
		}
		r.Nets = append(r.Nets, samples.net(&designs[at]))
		switch {
		case err != nil && ctx.Err() != nil:
			r.Partial = true
			return r, ctx.Err()
		case err != nil:
			return nil, err
		}
	}
	return r, nil
}

// random returns the random numbers of a run.
func (t *Tightness) random(design, run int) *rand.Rand {
	key := [32]byte{16: 't', 17: 'i', 18: 'g', 19: 'h', 20: 't'}
	binary.LittleEndian.PutUint64(key[:], t.Seed)
	binary.LittleEndian.PutUint32(key[8:], uint32(design))
	binary.LittleEndian.PutUint32(key[12:], uint32(run))
	return rand.New(rand.NewChaCha8(key))
}

// tightnessSamples are the results of the runs so far.
type tightnessSamples struct {
	methods    [][4][]float64 // mean, variance, difference and time of every method
	monteCarlo []float64      // milliseconds
}

func newTightnessSamples() *tightnessSamples {
	return &tightnessSamples{methods: make([][4][]float64, len(tightnessMethods))}
}

// run adds one run to s, all of it or nothing.
func (t *Tightness) run(ctx context.Context, d *design, rng *rand.Rand, s *tightnessSamples) error {
	in := randomInput(rng, d.inputs, t.Norm)
	sub, err := d.draw(rng)
	if err != nil {
		return err
	}
	mc := baseline.MonteCarlo{Func: sub.whole, Samples: t.Samples, Seed: max(rng.Uint64(), 1), Threads: t.Threads}
	truth, time, err := timed(ctx, mc, in)
	if err != nil {
		return err
	}
	found := make([][4]float64, len(tightnessMethods))
	mean, variance := truth.Mean[0], truth.Cov.At(0, 0)
	for i, m := range tightnessMethods {
		res, time, err := timed(ctx, m.of(&sub, t.Threads), in)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		found[i] = [4]float64{mean / res.Mean[0], variance / res.Cov.At(0, 0), (mean - res.Mean[0]) / math.Sqrt(variance), time}
	}
	for i, f := range found {
		for j, x := range f {
			s.methods[i][j] = append(s.methods[i][j], x)
		}
	}
	s.monteCarlo = append(s.monteCarlo, time)
	return nil
}

// timed returns a method's result and its time in milliseconds.
func timed(ctx context.Context, p covprop.Propagator, in covprop.Gaussian) (covprop.Result, float64, error) {
	start := time.Now()
	res, err := p.Propagate(ctx, in)
	return res, float64(time.Since(start).Nanoseconds()) / 1e6, err
}

func (s *tightnessSamples) net(d *design) TightnessNet {
	n := TightnessNet{Name: d.name, Title: d.title, Runs: len(s.monteCarlo), MonteCarlo: newStat(s.monteCarlo)}
	for i, m := range tightnessMethods {
		x := s.methods[i]
		n.Methods = append(n.Methods, TightnessMethod{
			Name: m.name, Title: m.title, Mean: newStat(x[0]), Variance: newStat(x[1]), Difference: newStat(x[2]), Time: newStat(x[3]),
		})
	}
	return n
}
