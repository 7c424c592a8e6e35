package reproduce

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/baseline"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/onnx"
	"github.com/covprop/covprop/refine"
)

// ACAS measures what the audit notices, and what method auto reaches, on the
// collision avoidance networks ACAS Xu 1_1 to 1_9. The Gaussian closure fails
// badly there: later ReLUs are almost always off, and a Gaussian tail wakes
// them.
//
// A case is one network, one mean, uniform on (-0.4, 0.4)^5, and one standard
// deviation of independent elements.
type ACAS struct {
	// Dir has the files acasxu_1_1.onnx to acasxu_1_9.onnx.
	Dir string
	// Networks and Inputs are the numbers of networks and of means for each.
	Networks, Inputs int
	// Stds are the standard deviations.
	Stds []float64
	// TruthSamples is the number of scrambled Sobol points of the truth.
	TruthSamples int
	// MonteCarlo are the numbers of samples of plain Monte Carlo.
	MonteCarlo []int
	// RelError is the error that auto aims at.
	RelError float64
	Seed     uint64
	Threads  int
	Progress func(done, total int)
}

// DefaultACAS is the experiment of docs/accuracy.md: 225 cases.
func DefaultACAS(dir string) ACAS {
	return ACAS{
		Dir: dir, Networks: 9, Inputs: 5, Stds: []float64{.001, .005, .02, .05, .1},
		TruthSamples: 1 << 20, MonteCarlo: []int{1 << 14, 1 << 16, 1 << 18, 1 << 20},
		RelError: refine.DefaultRelError, Seed: 1,
	}
}

// An ACASCase is what was found in one case.
type ACASCase struct {
	Network, Input int
	X              []float64 // the mean of the input
	Std            float64
	Outputs        []ACASOutput

	Audit       *covprop.Audit
	FirstBroken string // the node, "" if none is known
	Refined     bool   // auto did not keep the analytic moments
	AutoReason  string

	// Times in milliseconds: of the propagation and its audit, of auto, and of
	// plain Monte Carlo by number of samples.
	AuditTime, AutoTime float64
	MonteCarloTime      []float64
}

// An ACASOutput is one output element of a case.
type ACASOutput struct {
	// Mean and Std are the truth; MeanSE and VarianceSE its standard errors,
	// in standard deviations and relative to the variance.
	Mean, Std, MeanSE, VarianceSE float64
	// MomentStd and AutoStd are the standard deviations found.
	MomentStd, AutoStd float64
	Moment, Auto       MomentError
	MonteCarlo         []MomentError // by number of samples
}

// A MomentError is the error of a mean in true standard deviations, and of a
// variance relative to the true one.
type MomentError struct{ Mean, Variance float64 }

// Within reports whether the errors are at most the given ones.
func (e MomentError) Within(mean, variance float64) bool {
	return math.Abs(e.Mean) <= mean && math.Abs(e.Variance) <= variance
}

// Size is the larger of the two.
func (e MomentError) Size() float64 { return math.Max(math.Abs(e.Mean), math.Abs(e.Variance)) }

// Constant reports whether an output counts as constant.
func (o *ACASOutput) Constant() bool { return o.constant(o.Std) }

// constant reports whether a standard deviation is at most 1e-6 of the output's
// magnitude.
func (o *ACASOutput) constant(std float64) bool { return !(std > 1e-6*math.Abs(o.Mean)) }

// Scored reports whether the output is not constant and its truth known to 2%.
func (o *ACASOutput) Scored() bool {
	return !o.Constant() && o.MeanSE <= .02 && o.VarianceSE <= .02
}

// Run runs all cases, in order; those done so far are returned with an error.
func (a ACAS) Run(ctx context.Context) ([]ACASCase, error) {
	var cases []ACASCase
	rng := rand.New(rand.NewPCG(a.Seed, 0))
	total := a.Networks * a.Inputs * len(a.Stds)
	nets := make([]*graph.Network, a.Networks)
	for k := range nets { // all of them before hours of work
		var err error
		if nets[k], err = onnx.ReadFile(a.file(k)); err != nil {
			return nil, err
		}
	}
	for k, net := range nets {
		for i := range a.Inputs {
			x := make([]float64, net.InputDim())
			for j := range x {
				x[j] = .8*rng.Float64() - .4
			}
			for _, std := range a.Stds {
				c := ACASCase{Network: k + 1, Input: i, X: x, Std: std}
				if err := a.run(ctx, net, &c); err != nil {
					return cases, fmt.Errorf("%s: %w", a.file(k), err)
				}
				cases = append(cases, c)
				if a.Progress != nil {
					a.Progress(len(cases), total)
				}
			}
		}
	}
	return cases, nil
}

// file names the file of network k, counted from 0.
func (a *ACAS) file(k int) string {
	return filepath.Join(a.Dir, fmt.Sprintf("acasxu_1_%d.onnx", k+1))
}

// run runs one case.
func (a *ACAS) run(ctx context.Context, net *graph.Network, c *ACASCase) error {
	net = net.With(graph.Options{Threads: a.Threads})
	v := make(covprop.Diagonal, len(c.X))
	for i := range v {
		v[i] = c.Std * c.Std
	}
	in := covprop.Gaussian{Mean: c.X, Cov: v}
	// A seed that no method under test has.
	truth, _, err := timed(ctx, baseline.MonteCarlo{Func: net, Sampler: baseline.Sobol, Samples: a.TruthSamples, Seed: a.Seed + 1000, Threads: a.Threads}, in)
	if err != nil {
		return err
	}
	moment, auditTime, err := timed(ctx, refine.Audit{Propagator: net, Seed: a.Seed, Threads: a.Threads}, in)
	if err != nil {
		return err
	}
	auto, autoTime, err := timed(ctx, refine.Auto{Network: net, RelError: a.RelError, Seed: a.Seed, Threads: a.Threads}, in)
	if err != nil {
		return err
	}
	c.Audit, c.AuditTime, c.AutoTime = moment.Audit, auditTime, autoTime
	c.Refined, c.AutoReason = auto.StandardErrors != nil, auto.Accuracy.Reason
	if k := c.Audit.FirstBroken; k >= 0 {
		c.FirstBroken = c.Audit.Nodes[k].Name
	}
	std, momentStd, autoStd := truth.Std(), moment.Std(), auto.Std()
	for i, m := range truth.Mean {
		s := std[i]
		o := ACASOutput{Mean: m, Std: s, MomentStd: momentStd[i], AutoStd: autoStd[i]}
		o.MeanSE, o.VarianceSE = truth.StandardErrors.Mean[i]/s, truth.StandardErrors.Cov.At(i, i)/(s*s)
		o.Moment, o.Auto = momentError(&moment, &truth, i), momentError(&auto, &truth, i)
		c.Outputs = append(c.Outputs, o)
	}
	for _, n := range a.MonteCarlo {
		mc, elapsed, err := timed(ctx, baseline.MonteCarlo{Func: net, Samples: n, Seed: a.Seed + 2000, Threads: a.Threads}, in)
		if err != nil {
			return err
		}
		c.MonteCarloTime = append(c.MonteCarloTime, elapsed)
		for i := range c.Outputs {
			c.Outputs[i].MonteCarlo = append(c.Outputs[i].MonteCarlo, momentError(&mc, &truth, i))
		}
	}
	return nil
}

// momentError compares element i of a result with the truth.
func momentError(r, truth *covprop.Result, i int) MomentError {
	v := truth.Cov.At(i, i)
	return MomentError{(r.Mean[i] - truth.Mean[i]) / math.Sqrt(v), r.Cov.At(i, i)/v - 1}
}
