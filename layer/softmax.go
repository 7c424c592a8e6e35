package layer

import (
	"context"
	"errors"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/kernel"
)

// Softmax is the softmax p of groups of n elements, or its logarithm:
//
//	p_i = e^{x_i} / sum_k e^{x_k},   E dp/dx = E[diag(p) - p p'],   E d(log p)/dx = I - 1 E p'.
//
// Groups of two are functions of one difference, p_1 = sigmoid(x_1 - x_2) and
// log p_1 = -softplus(x_2 - x_1), with the moments of elementwise rules.
// Larger groups have no closed form: a Taylor series while the variances
// of the differences are small, quasi-Monte Carlo where they are not; whichever
// has the smaller estimated error. Between groups s and t the covariance is
// G_s Cov(x_s, x_t) G_t' with their gains G, the first term of a series whose
// rest is bounded by what G_s Cov(x_s) G_s' leaves of the variances.
type Softmax struct {
	groups, n int
	log       bool
	inputs    [1]int
	pairs     *differenceRule // if n == 2
}

// NewSoftmax returns the softmax of every row of x, (groups, n), or its
// logarithm.
func NewSoftmax(groups, n int, log bool) (*Softmax, error) {
	if groups < 1 || n < 1 {
		return nil, errors.New("the tensor is empty")
	}
	s := &Softmax{groups: groups, n: n, log: log, inputs: [1]int{groups * n}}
	if n != 2 {
		return s, nil
	}
	act, sign := activation.Sigmoid(), 1.
	own, other := make([]int, 2*groups), make([]int, 2*groups)
	for k := range own {
		own[k], other[k] = k, k^1
	}
	if log {
		act, sign, own, other = activation.Softplus(), -1, other, own
	}
	e, err := NewElementwise([]activation.Activation{act}, 2*groups)
	s.pairs = &differenceRule{differences: differences{own, other}, rule: e, sign: sign}
	return s, err
}

// Name implements Rule.
func (s *Softmax) Name() string {
	if s.log {
		return "log softmax"
	}
	return "softmax"
}

// Inputs implements Rule.
func (s *Softmax) Inputs() []int { return s.inputs[:] }

// OutputLen implements Rule.
func (s *Softmax) OutputLen() int { return s.inputs[0] }

// Exactness implements Rule.
func (s *Softmax) Exactness() covprop.Accuracy {
	switch s.n {
	case 1:
		return covprop.Accuracy{}
	case 2:
		return s.pairs.rule.Exactness()
	}
	return covprop.ApproximatedBy(math.Inf(1), taylorReason+" or "+sampleReason)
}

// Forward implements Rule.
func (s *Softmax) Forward(dst []float64, x ...[]float64) {
	for i := 0; i < len(dst); i += s.n {
		y := dst[i : i+s.n]
		if s.log {
			logSoftmax(y, x[0][i:i+s.n])
		} else {
			softmax(y, x[0][i:i+s.n])
		}
	}
}

// softmax writes e^{x_i - max x} / sum_k e^{x_k - max x}.
func softmax(dst, x []float64) {
	most, sum := x[largest(x)], 0.
	for i, v := range x {
		dst[i] = math.Exp(v - most)
		sum += dst[i]
	}
	for i := range dst {
		dst[i] /= sum
	}
}

// logSoftmax writes x_i - log sum_k e^{x_k}.
func logSoftmax(dst, x []float64) {
	at := largest(x)
	most, excess := x[at], logExcess(x, at)
	for i, v := range x {
		dst[i] = v - most - excess
	}
}

// logExcess returns log sum_k e^{x_k} - x_at, x_at the largest element, with
// full relative accuracy where it is small.
func logExcess(x []float64, at int) float64 {
	rest := 0.
	for k, v := range x {
		if k != at {
			rest += math.Exp(v - x[at])
		}
	}
	return math.Log1p(rest)
}

// largest returns the position of the first largest element.
func largest(x []float64) (at int) {
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return at
}

// softmaxWorkers is the most groups that are computed at a time.
const softmaxWorkers = 8

// WorkFloats implements Nonlinear: the scratch of the groups that are computed
// at a time, and the gains of all groups or of those.
func (s *Softmax) WorkFloats(diagonal bool) int {
	workers := min(s.groups, softmaxWorkers)
	squares := workers * (groupSquares + 1)
	switch {
	case s.n == 2:
		return 0
	case diagonal:
		squares += workers
	default:
		squares += s.groups
	}
	return squares * s.n * s.n
}

// MomentsTo implements Nonlinear.
func (s *Softmax) MomentsTo(ctx context.Context, dst *Response, in *Joint, o Options) (covprop.Accuracy, error) {
	if s.n == 2 {
		var m Moments
		acc, psd, err := s.pairs.momentsTo(ctx, dst, &m, in, o)
		if err == nil && dst.Gain != nil {
			dst.Gain[0] = s.pairs.gain(m.Gain)
		}
		return acc.And(psd), err
	}
	c, work := in.Between(0, 0), dst.Work
	take := func() blas64.General {
		a := blas64.General{Rows: s.n, Cols: s.n, Stride: s.n, Data: work[:s.n*s.n]}
		work = work[s.n*s.n:]
		return a
	}
	gain := blockGain{groups: s.groups, n: s.n}
	gains := dst.Gain != nil || !dst.Diagonal() // those between groups need them, too
	if gains {
		gain.data, work = work[:s.groups*s.n*s.n], work[s.groups*s.n*s.n:]
	}
	if dst.Gain != nil {
		dst.Gain[0] = gain
	}
	// Groups are dealt out so that no group depends on the number of threads.
	workers := make([]group, min(s.groups, softmaxWorkers))
	points := &normalPoints{dim: s.n - 1}
	for w := range workers {
		workers[w] = newGroup(s.n, s.log, points, take)
		workers[w].threads = max(1, o.Threads/len(workers))
		if dst.Diagonal() {
			workers[w].cov = take()
		}
		if !gains {
			workers[w].gain = take()
		}
	}
	accs, tails := make([]covprop.Accuracy, s.groups), make([]float64, s.groups)
	err := kernel.Parallel(ctx, o.Threads, len(workers), func(w int) error {
		g := &workers[w]
		for k := w; k < s.groups; k += len(workers) {
			at := k * s.n
			g.mean = dst.Mean[at : at+s.n]
			if !dst.Diagonal() {
				g.cov = window(dst.Cov, at, at, s.n)
			}
			if gains {
				g.gain = gain.block(k)
			}
			g.load(in.Mean[0], c, at)
			var err error
			if accs[k], err = g.moments(ctx); err != nil {
				return err
			}
			if dst.Diagonal() {
				for i := range s.n {
					dst.Variance[at+i] = row(g.cov, i)[i]
				}
			} else if s.groups > 1 {
				if tails[k], err = g.tail(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	var acc covprop.Accuracy
	for _, a := range accs {
		acc = acc.And(a)
	}
	if err != nil || dst.Diagonal() || s.groups == 1 {
		return acc, err
	}
	scratch := make([]blas64.General, len(workers))
	for w := range workers {
		scratch[w] = workers[w].a
	}
	bound, err := gain.between(ctx, o.Threads, dst.Cov, c, tails, scratch)
	if bound > 0 {
		acc = acc.Worse(covprop.ApproximatedBy(bound, betweenReason))
	}
	return acc, err
}
