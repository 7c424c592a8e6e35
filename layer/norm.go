package layer

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// Norm is root mean square normalisation of groups of neighbouring elements,
//
//	y = x / sqrt(x'x/n + epsilon)
//
// of each group x of n, with the group's mean subtracted first where it is
// centred: RMSNorm and LayerNorm without their affine part, group, instance and
// L2 normalisation.
//
// The moments of a group and its gain are one-dimensional integrals, computed
// to rounding. Between two groups s and t only the first term of the Hermite
// expansion is taken, Cov(y_s, y_t) = G_s Cov(x_s, x_t) G_t'. By Cauchy and
// Schwarz what it leaves out is at most the product of the standard deviations
// of y_s - G_s x_s and y_t - G_t x_t, which are known: the bound returned.
type Norm struct {
	groups, n int
	epsilon   float64
	center    bool
	guard     guard
	inputs    [1]int
}

// NewNorm returns the rule that divides every group of n neighbouring elements
// of x, (groups, n), by the root of its mean square plus epsilon. center
// subtracts the group's mean first, as in layer normalisation. epsilon may be
// 0; then a group that is zero for certain is an error when moments are asked
// for.
func NewNorm(groups, n int, epsilon float64, center bool) (*Norm, error) {
	switch {
	case groups < 1 || n < 1:
		return nil, fmt.Errorf("%d groups of %d elements are empty", groups, n)
	case !(epsilon >= 0) || math.IsInf(epsilon, 0):
		return nil, fmt.Errorf("epsilon is %v; it must be finite and not negative", epsilon)
	case center && n == 1 && epsilon == 0:
		return nil, fmt.Errorf("groups of one element are 0/0 when centred and epsilon is 0")
	}
	return &Norm{groups: groups, n: n, epsilon: epsilon, center: center, inputs: [1]int{groups * n}}, nil
}

// Name implements Rule.
func (r *Norm) Name() string {
	if r.center {
		return "centred normalisation"
	}
	return "normalisation"
}

// Inputs implements Rule.
func (r *Norm) Inputs() []int { return r.inputs[:] }

// OutputLen implements Rule.
func (r *Norm) OutputLen() int { return r.inputs[0] }

// Exactness implements Rule.
func (r *Norm) Exactness() covprop.Accuracy {
	if r.guard.added > 0 {
		return covprop.ApproximatedBy(math.Inf(1), addedReason)
	}
	return covprop.CertifiedBy(normRounding, normQuadrature)
}

const (
	normQuadrature = "quadrature"
	// normRounding is the rounding to expect of the integrals.
	normRounding = 1e-14
)

// Forward implements Rule. A group that is zero gives NaN if epsilon is 0.
func (r *Norm) Forward(dst []float64, x ...[]float64) {
	for g := range r.groups {
		y := dst[g*r.n:][:r.n]
		r.centreTo(y, x[0][g*r.n:][:r.n])
		s := 0.
		for _, v := range y {
			s += v * v
		}
		root := math.Sqrt(s/float64(r.n) + r.epsilon)
		for i := range y {
			y[i] /= root
		}
	}
}

// centreTo writes x, less its mean if the rule centres, to dst.
func (r *Norm) centreTo(dst, x []float64) {
	copy(dst, x)
	if !r.center {
		return
	}
	mean := 0.
	for _, v := range x {
		mean += v / float64(r.n)
	}
	for i := range dst {
		dst[i] -= mean
	}
}

// normWorkers is the largest number of groups worked on at once.
const normWorkers = 8

func (r *Norm) workers() int { return min(r.groups, normWorkers) }

// WorkFloats implements Nonlinear: the gains, an n x n matrix for every group,
// and scratch for the groups that are worked on at once.
func (r *Norm) WorkFloats(diagonal bool) int {
	scratch := r.workers() * groupFloats(r.n)
	if diagonal {
		return scratch
	}
	return scratch + r.groups*r.n*r.n
}

// MomentsTo implements Nonlinear.
func (r *Norm) MomentsTo(ctx context.Context, dst *Response, in *Joint, o Options) (covprop.Accuracy, error) {
	gain := blockGain{groups: r.groups, n: r.n}
	if dst.Gain != nil || !dst.Diagonal() {
		gain.data = dst.Work[r.workers()*groupFloats(r.n):]
	}
	accs := make([]covprop.Accuracy, r.groups)
	tails := make([]float64, r.groups)
	err := kernel.Parallel(ctx, o.Threads, r.workers(), func(w int) error {
		s := newGroupMoments(r, dst.Work[w*groupFloats(r.n):][:groupFloats(r.n)])
		for g := w; g < r.groups; g += r.workers() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := s.run(in, g); err != nil {
				return fmt.Errorf("group %d of %d: %w", g, r.groups, err)
			}
			copy(dst.Mean[g*r.n:], s.mean)
			accs[g], tails[g] = s.acc.And(s.guarded(in, g)), s.tail
			if gain.data != nil {
				copy(gain.block(g).Data, s.gain.Data)
			}
			for i := range r.n {
				if dst.Diagonal() {
					dst.Variance[g*r.n+i] = s.cov.Data[i*r.n+i]
				} else {
					copy(row(dst.Cov, g*r.n+i)[g*r.n:], row(s.cov, i))
				}
			}
		}
		return nil
	})
	if err != nil {
		return covprop.Accuracy{}, err
	}
	var acc covprop.Accuracy
	for _, a := range accs {
		acc = acc.And(a)
	}
	if dst.Gain != nil {
		dst.Gain[0] = gain
	}
	if dst.Diagonal() {
		return acc, nil
	}
	scratch := make([]blas64.General, r.workers())
	for w := range scratch {
		scratch[w] = packed(r.n, r.n, dst.Work[w*r.n*r.n:][:r.n*r.n])
	}
	bound, err := gain.between(ctx, o.Threads, dst.Cov, in.Between(0, 0), tails, scratch)
	return acc.And(covprop.CertifiedBy(bound, betweenReason)), err
}
