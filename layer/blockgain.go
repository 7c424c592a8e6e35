package layer

import (
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/kernel"
)

// A blockGain is the gain of a rule that acts on groups of neighbouring
// elements: block diagonal, with an (n, n) matrix for every group.
type blockGain struct {
	groups, n int
	data      []float64 // (groups, n, n)
}

// block returns the gain of group i.
func (g blockGain) block(i int) blas64.General {
	return packed(g.n, g.n, g.data[i*g.n*g.n:][:g.n*g.n])
}

// MulTo implements Gain.
func (g blockGain) MulTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return kernel.Parallel(ctx, threads, g.groups, func(i int) error {
		return kernel.MulTo(ctx, 1, rows(dst, i*g.n, g.n), g.block(i), rows(src, i*g.n, g.n), add)
	})
}

// MulTransTo implements Gain.
func (g blockGain) MulTransTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return kernel.Parallel(ctx, threads, g.groups, func(i int) error {
		return kernel.MulTransTo(ctx, 1, cols(dst, i*g.n, g.n), cols(src, i*g.n, g.n), g.block(i), add)
	})
}

const betweenReason = "covariance between groups to first order"

// between writes G_s c_st G_t' to the blocks s != t of dst, the first order of
// the covariance between two groups. tails are the parts of the variances of
// each group that its gain does not explain, the worst relative to the
// variance: so in units of the standard deviations the error is at most
//
//	bound = sqrt(tail_s tail_t)   (Cauchy-Schwarz).
//
// scratch has an (n, n) matrix for each of the groups that are computed at a
// time.
func (g blockGain) between(ctx context.Context, threads int, dst blas64.General, c Block, tails []float64, scratch []blas64.General) (bound float64, err error) {
	bounds := make([]float64, len(scratch))
	err = kernel.Parallel(ctx, threads, len(scratch), func(w int) error {
		for s := w; s < g.groups; s += len(scratch) {
			for t := range s {
				to := window(dst, s*g.n, t*g.n, g.n)
				if c.Dense.Rows == 0 || allZero(window(c.Dense, s*g.n, t*g.n, g.n)) {
					for i := range g.n {
						clear(row(to, i))
					}
					continue
				}
				if err := kernel.MulTo(ctx, 1, scratch[w], g.block(s), window(c.Dense, s*g.n, t*g.n, g.n), false); err != nil {
					return err
				}
				if err := kernel.MulTransTo(ctx, 1, to, scratch[w], g.block(t), false); err != nil {
					return err
				}
				bounds[w] = max(bounds[w], math.Sqrt(tails[s]*tails[t]))
			}
		}
		return ctx.Err()
	})
	kernel.Mirror(dst)
	return slices.Max(bounds), err
}

// window returns the n x n block of a whose first entry is (i, j).
func window(a blas64.General, i, j, n int) blas64.General {
	return blas64.General{Rows: n, Cols: n, Stride: a.Stride, Data: a.Data[i*a.Stride+j:]}
}

// allZero reports whether all entries of a are 0.
func allZero(a blas64.General) bool {
	for i := range a.Rows {
		for _, v := range row(a, i) {
			if v != 0 {
				return false
			}
		}
	}
	return true
}
