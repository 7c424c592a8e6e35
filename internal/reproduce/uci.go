package reproduce

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/stat"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/bayes"
	"github.com/covprop/covprop/bayes/train"
	"github.com/covprop/covprop/internal/kernel"
)

// UCI is the regression benchmark of Hernandez-Lobato & Adams (2015, arXiv
// 1502.05336) on tables of the UCI repository: Bayesian networks with one layer of
// 50 ReLUs, on 20 splits of each set into examples to train with and to test with,
// as Wu et al. (2019, arXiv 1810.03958) report them. One rule, [UCIRule], holds for
// all sets and modes; it was chosen on parts of the training examples.
type UCI struct {
	Dir    string   // has a folder for each set
	Sets   []string // of UCISets
	Modes  []string // of UCIModes
	Splits int      // the first so many
	Seed   uint64
	// Steps of training; 0 means those of UCIRule.
	Steps int
	// Members are the networks whose predictions are mixed; 0 means 1.
	Members  int
	Threads  int // splits at a time; 0 means one a processor
	Progress func(done, total int)
}

// UCISets are the sets of the benchmark that are at hand.
var UCISets = []string{"boston", "concrete", "energy", "power", "wine-red", "yacht"}

// UCIModes are the ways to train, by name: mcvi is Monte Carlo variational
// inference with ten samples.
var UCIModes = []string{"exact", "dvi", "mcvi", "diagonal"}

// UCIHidden is the number of ReLUs.
const UCIHidden = 50

// UCIRule is how every network is trained.
var UCIRule = train.Config{Objective: bayes.Options{Beta: 0.5}}.WithDefaults()

// UCIPrior is the prior of all weights.
var UCIPrior = bayes.Prior{Variance: 4}

// A UCIResult is that of one set in one mode, over Splits splits.
type UCIResult struct {
	Set, Mode string
	Splits    int
	// LogDensity is the mean test log likelihood of an example, by the full
	// predictive density, in units of the target, and LogDensitySE the standard
	// error of the mean over splits. PlugIn leaves the predictive variance of the
	// network's outputs out.
	LogDensity, LogDensitySE, PlugIn float64
	RMSE, RMSESE                     float64
	// Coverage is the fraction of test targets within the central 90%
	// intervals.
	Coverage float64
	// Seconds of training and testing, of all splits together on one thread
	// each.
	Seconds float64
}

// Check returns an error if the experiment cannot be run.
func (u *UCI) Check() error {
	for _, s := range u.Sets {
		if !slices.Contains(UCISets, s) {
			return fmt.Errorf("there is no set %q; there are %v", s, UCISets)
		}
	}
	for _, m := range u.Modes {
		if !slices.Contains(UCIModes, m) {
			return fmt.Errorf("there is no mode %q; there are %v", m, UCIModes)
		}
	}
	switch {
	case len(u.Sets) == 0 || len(u.Modes) == 0:
		return fmt.Errorf("there are no sets or no modes")
	case u.Splits < 1:
		return fmt.Errorf("the number of splits must be at least 1, not %d", u.Splits)
	case u.Steps < 0 || u.Threads < 0 || u.Members < 0:
		return fmt.Errorf("the numbers of steps, threads and members must not be negative, as %d, %d and %d are", u.Steps, u.Threads, u.Members)
	}
	return nil
}

// uciScore is that of one split.
type uciScore struct{ logDensity, plugIn, rmse, coverage, seconds float64 }

// Run trains and tests. If ctx ends, it returns the results that are complete and
// the error.
func (u *UCI) Run(ctx context.Context) ([]UCIResult, error) {
	if err := u.Check(); err != nil {
		return nil, err
	}
	threads := u.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var (
		results []UCIResult
		done    atomic.Int64
		mu      sync.Mutex // of Progress
	)
	total := len(u.Sets) * len(u.Modes) * u.Splits
	for _, name := range u.Sets {
		set, err := readUCI(u.Dir, name)
		if err != nil {
			return results, err
		}
		if u.Splits > len(set.tests) {
			return results, fmt.Errorf("%s has %d splits, fewer than %d", name, len(set.tests), u.Splits)
		}
		for _, mode := range u.Modes {
			scores := make([]uciScore, u.Splits)
			err := kernel.Parallel(ctx, threads, u.Splits, func(k int) (err error) {
				scores[k], err = u.split(ctx, set, mode, k)
				if n := int(done.Add(1)); u.Progress != nil && err == nil {
					mu.Lock()
					defer mu.Unlock()
					u.Progress(n, total)
				}
				return err
			})
			if err != nil {
				return results, err
			}
			results = append(results, newUCIResult(name, mode, scores))
		}
	}
	return results, nil
}

// split trains and tests on split k.
func (u *UCI) split(ctx context.Context, set *uciSet, mode string, k int) (s uciScore, err error) {
	start := time.Now()
	options := map[string]bayes.Options{
		"exact": {}, "dvi": {Mode: bayes.DVI}, "diagonal": {Mode: bayes.Diagonal}, "mcvi": {Mode: bayes.MonteCarlo, Samples: 10},
	}[mode]
	scale := set.standardise(k)
	model, err := uciModel(set.inputs)
	if err != nil {
		return s, err
	}
	e := train.Ensemble{Model: model, Data: scale.batch(set.trains(k)), Config: UCIRule, Members: u.Members, Threads: 1}
	options.Beta = UCIRule.Objective.Beta
	e.Objective, e.Seed = options, u.Seed+uint64(k)*uint64(max(1, u.Members))
	if u.Steps > 0 {
		e.Steps = u.Steps
	}
	states, err := e.Train(ctx)
	if err != nil {
		return s, fmt.Errorf("%s, split %d, mode %s: %w", set.name, k, mode, err)
	}
	if mode == "mcvi" { // trained by samples, but tested as the others
		options = bayes.Options{}
	}
	test := scale.batch(set.tests[k])
	members := make([]*bayes.Prediction, len(states))
	for i, state := range states {
		p, err := model.NewPredictor(state.Chosen(), options)
		if err != nil {
			return s, err
		}
		if members[i], err = p.Predict(test); err != nil {
			return s, err
		}
	}
	prediction, err := bayes.Mix(members...)
	if err != nil {
		return s, err
	}
	scores, err := prediction.Score(test.Y)
	if err != nil {
		return s, err
	}
	unit := math.Log(scale.targetStd())
	return uciScore{
		logDensity: stat.Mean(scores.LogDensity, nil) - unit, plugIn: stat.Mean(scores.PlugIn, nil) - unit,
		rmse: scores.RMSE() * scale.targetStd(), coverage: scores.Coverage(0.9), seconds: time.Since(start).Seconds(),
	}, nil
}

// uciModel is one layer of ReLUs, and a mean and a log variance of the target.
func uciModel(inputs int) (*bayes.Model, error) {
	n, err := bayes.New(inputs, bayes.Linear{Out: UCIHidden}, bayes.Activation{Activation: activation.ReLU()}, bayes.Linear{Out: 2})
	if err != nil {
		return nil, err
	}
	return bayes.NewModel(n, bayes.HeteroscedasticGaussian{Targets: 1}, UCIPrior)
}

func newUCIResult(set, mode string, scores []uciScore) UCIResult {
	over := func(of func(*uciScore) float64) (mean, se float64) {
		x := make([]float64, len(scores))
		for i := range scores {
			x[i] = of(&scores[i])
		}
		s := newStat(x)
		return s.Mean, s.Std / math.Sqrt(float64(len(x)))
	}
	r := UCIResult{Set: set, Mode: mode, Splits: len(scores)}
	r.LogDensity, r.LogDensitySE = over(func(s *uciScore) float64 { return s.logDensity })
	r.PlugIn, _ = over(func(s *uciScore) float64 { return s.plugIn })
	r.RMSE, r.RMSESE = over(func(s *uciScore) float64 { return s.rmse })
	r.Coverage, _ = over(func(s *uciScore) float64 { return s.coverage })
	seconds, _ := over(func(s *uciScore) float64 { return s.seconds })
	r.Seconds = seconds * float64(len(scores))
	return r
}

// A uciScale standardises: inputs and, last, the target.
type uciScale struct {
	set       *uciSet
	mean, std []float64
}

// standardise returns the scale of the training examples of split k. A column that
// is constant there is only shifted.
func (s *uciSet) standardise(k int) *uciScale {
	c := &uciScale{set: s, mean: make([]float64, s.inputs+1), std: make([]float64, s.inputs+1)}
	rows := s.trains(k)
	for j := range c.mean {
		c.mean[j], c.std[j] = s.at(rows[0], j), 1
		if !slices.ContainsFunc(rows, func(i int) bool { return s.at(i, j) != c.mean[j] }) {
			continue
		}
		c.mean[j], c.std[j] = 0, 0
		for _, i := range rows {
			c.mean[j] += s.at(i, j) / float64(len(rows))
		}
		for _, i := range rows {
			d := s.at(i, j) - c.mean[j]
			c.std[j] += d * d / float64(len(rows))
		}
		c.std[j] = math.Sqrt(c.std[j])
	}
	return c
}

func (c *uciScale) targetStd() float64 { return c.std[c.set.inputs] }

// batch returns the given examples.
func (c *uciScale) batch(rows []int) bayes.Batch {
	n, d := len(rows), c.set.inputs
	x, y := make([]float64, n*d), make([]float64, n)
	for r, i := range rows {
		for j := range d {
			x[r*d+j] = (c.set.at(i, j) - c.mean[j]) / c.std[j]
		}
		y[r] = (c.set.at(i, d) - c.mean[d]) / c.std[d]
	}
	return bayes.Batch{X: blas64.General{Rows: n, Cols: d, Stride: d, Data: x}, Y: blas64.General{Rows: n, Cols: 1, Stride: 1, Data: y}}
}
