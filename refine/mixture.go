package refine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/sample"
)

const (
	// DefaultBudget is the cost of a Mixture, in propagations, by default.
	DefaultBudget = 200
	// DefaultDirections is the number of input directions a Mixture splits.
	DefaultDirections = 8
)

// Mixture splits the input Gaussian into narrower ones, propagates each
// analytically, and recombines the results by the laws of total expectation
// and covariance (see covprop.Mixture): the narrower the input of a network,
// the more nearly it is linear and the closure right.
//
// Result.Mixture is the mixture of the propagated Gaussians. Its distribution
// is no better than that of the split (see Split): by default probabilities
// are good to some hundredths, and those of inputs beyond three standard
// deviations are not to be relied on.
//
// Splits are made along the leading directions of the active subspace, the
// eigenvectors of E[J'WJ] of the Jacobian J with respect to the whitened input
// (Constantine 2015), W = diag(1/E|J_i|^2). Every split is an experiment: it
// shows what the moments of the component were off by along that direction.
// The next is made where such a change is predicted to be the largest.
//
// The error left is estimated as the sum of all predicted changes, that of the
// directions beyond the leading ones by their part of E[J'WJ], plus the errors
// of the splits themselves: of the first, which gets as many nodes as it needs,
// the difference that twice the nodes make, and of the others in proportion to
// what they changed. Above 1/2 it is given as +Inf, for unknown. It is no bound: what
// the closure hides from a split and the Jacobian from its points is not seen.
//
// The result does not depend on the number of threads; with a Deadline it
// depends on the time.
type Mixture struct {
	// Network is what is propagated through, with its options. Their MaxBytes
	// is the memory that the components may take, too.
	Network *graph.Network
	// RelError ends the refinement when the estimated error is below it: of
	// means in standard deviations, of variances relative to them. Zero means
	// DefaultRelError.
	RelError float64
	// Budget ends it in any case: the cost in propagations, that of finding
	// the directions included, but not that of Check. Zero means
	// DefaultBudget; at least 1.
	Budget float64
	// Deadline, if positive, ends it after that time. The first propagation is
	// finished nevertheless.
	Deadline time.Duration
	// Check, if set, compares a result with samples, as Audit.Check does: at
	// the end, and whenever the number of components has doubled. The
	// refinement ends when it finds the result consistent, and does not end
	// for RelError while it finds an error.
	Check func(ctx context.Context, in covprop.Gaussian, res *covprop.Result) (*covprop.Audit, error)
	// Split is how a component is split; the zero value is DefaultSplit.
	Split Split
	// Directions is the largest number of directions; zero means
	// DefaultDirections. To look at one takes as many propagations as a split
	// has nodes.
	Directions int
	// Components, if set, is the least number of components, whatever the
	// error: the moments may be right long before the shape of the mixture is.
	Components int
	// Threads is the number of threads; zero means that of the network's
	// options.
	Threads int
	// Progress, if set, is called with the propagations done and the most
	// there may be.
	Progress func(done, total int)
}

// Propagate implements covprop.Propagator. A result without closure or other
// approximation, such as that of an affine network, is not split unless
// Components asks for it.
func (m Mixture) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	if err := m.prepare(); err != nil {
		return covprop.Result{}, err
	}
	start := time.Now()
	res, err := m.Network.Propagate(ctx, in)
	if err != nil {
		return covprop.Result{}, err
	}
	root, err := sample.NewPrincipal(ctx, in.Cov)
	if err != nil {
		return covprop.Result{}, fmt.Errorf("mixture: %w", err)
	}
	if m.Progress != nil {
		m.Progress(1, int(m.Budget))
	}
	if root.Rank() == 0 || res.Accuracy.Status != covprop.Approximate && m.Components <= 1 {
		res.Mixture = &covprop.Mixture{Weights: []float64{1}, Components: []covprop.Gaussian{cloneGaussian(res.Gaussian)}}
		return res, m.check(ctx, in, &res)
	}
	if err := m.checkMemory(in.Dim()); err != nil {
		return covprop.Result{}, err
	}
	limited := ctx
	if m.Deadline > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithDeadline(ctx, start.Add(m.Deadline))
		defer cancel()
	}
	r := newRefinement(&m, in, root, &res)
	why, err := m.refine(ctx, limited, r)
	if err != nil {
		return covprop.Result{}, err
	}
	if r.checked == nil || r.checkedAt != len(r.leaves) {
		res = r.result(why)
		return res, m.check(ctx, in, &res)
	}
	res = r.result(why)
	res.Audit = r.checked
	return res, nil
}

// refine splits until there is a reason to end, which it returns. limited is
// ctx with the deadline; beyond it what is half done is dropped.
func (m *Mixture) refine(ctx, limited context.Context, r *refinement) (why string, err error) {
	late := func(err error) bool {
		return errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil
	}
	if why, err = r.first(limited); late(err) {
		return m.deadline(), nil
	} else if err != nil || why != "" {
		return why, err
	}
	for checkAt, objected := 0, false; ; {
		converged := r.estimate() <= m.RelError && !objected
		if m.Check != nil && (converged || len(r.leaves) >= checkAt) {
			checkAt = 2 * len(r.leaves)
			verdict, err := r.check(ctx)
			if err != nil {
				return "", err
			}
			if verdict == covprop.Consistent && len(r.leaves) >= m.Components {
				return "when an audit found it consistent", nil
			}
			objected = verdict == covprop.ClosureError
			converged = converged && !objected
		}
		if converged && len(r.leaves) >= m.Components {
			return "with predicted changes below the error asked for", nil
		}
		splits := r.affordable()
		if splits == 0 {
			return r.spentReason(), nil
		}
		best := r.candidates(converged, splits)
		if len(best) == 0 {
			return "where no split is predicted to change anything", nil
		}
		if err := r.round(limited, best); late(err) {
			return m.deadline(), nil
		} else if err != nil {
			return "", err
		}
	}
}

func (m *Mixture) deadline() string { return fmt.Sprintf("when the time of %v was over", m.Deadline) }

// check adds the audit of a final result to it.
func (m *Mixture) check(ctx context.Context, in covprop.Gaussian, res *covprop.Result) (err error) {
	if m.Check != nil {
		res.Audit, err = m.Check(ctx, in, res)
	}
	return err
}

// prepare checks the options and fills in the defaults.
func (m *Mixture) prepare() error {
	if m.Network == nil {
		return errors.New("mixture: there is no network")
	}
	if m.RelError == 0 {
		m.RelError = DefaultRelError
	}
	if m.Budget == 0 {
		m.Budget = DefaultBudget
	}
	if m.Directions == 0 {
		m.Directions = DefaultDirections
	}
	if m.Split == (Split{}) {
		m.Split = DefaultSplit
	}
	o := m.Network.Options()
	if m.Threads == 0 {
		m.Threads = o.Threads
	}
	switch {
	case !(m.RelError > 0 && m.RelError < 1):
		return fmt.Errorf("mixture: the relative error must lie between 0 and 1, not at %v", m.RelError)
	case !(m.Budget >= 1 && m.Budget <= math.MaxInt32):
		return fmt.Errorf("mixture: the budget must be at least one propagation and less than 2^31, not %v", m.Budget)
	case m.Deadline < 0:
		return fmt.Errorf("mixture: the deadline is %v", m.Deadline)
	case m.Directions < 0:
		return fmt.Errorf("mixture: the number of directions is %d", m.Directions)
	case m.Components < 0:
		return fmt.Errorf("mixture: the number of components is %d", m.Components)
	case m.Threads < 0:
		return fmt.Errorf("mixture: the number of threads is %d", m.Threads)
	}
	if m.Threads == 0 {
		m.Threads = runtime.GOMAXPROCS(0)
	}
	o.Threads, o.Progress = m.Threads, nil
	m.Network = m.Network.With(o)
	return m.Split.check()
}

// checkMemory refuses an input whose covariances do not fit beside those of
// one propagation: that of what is not split, and that of a component.
func (m *Mixture) checkMemory(n int) error {
	limit, own := m.Network.Options().MaxBytes, 16*int64(n)*int64(n)
	if need := own + m.Network.PeakBytes(); limit > 0 && need > limit {
		return &covprop.MemoryError{Tensor: m.Network.Inputs()[0].Name, Bytes: own, Peak: need, Limit: limit}
	}
	return nil
}
