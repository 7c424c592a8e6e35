package layer

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// differences are d_k = x[a_k] - x[b_k], k < m, of jointly Gaussian x.
type differences struct{ a, b []int }

// meanTo writes E d.
func (d differences) meanTo(dst, mu []float64) {
	for k := range dst {
		dst[k] = mu[d.a[k]] - mu[d.b[k]]
	}
}

// rounding is what counts as such in a covariance of differences, relative to
// the variances that it is the difference of.
const rounding = 1e-13

const notPSD = "a variance came out negative and was taken as 0: the input covariance is not quite positive semidefinite"

// varianceTo writes Var d for Cov x = c. A negative one is taken as 0; beyond
// rounding that is reported.
func (d differences) varianceTo(dst []float64, c Block) (acc covprop.Accuracy) {
	for k := range dst {
		var a covprop.Accuracy
		dst[k], a = differenceVariance(c, d.a[k], d.b[k])
		acc = acc.And(a)
	}
	return acc
}

// differenceVariance returns Var(x_a - x_b) for Cov x = c, as varianceTo does.
func differenceVariance(c Block, a, b int) (v float64, acc covprop.Accuracy) {
	scale := c.At(a, a) + c.At(b, b)
	v = scale - 2*c.At(a, b)
	if v < -rounding*scale {
		acc = covprop.ApproximatedBy(-v/scale, notPSD)
	}
	return max(v, 0), acc
}

// withinCorrelation returns the covariance x, or the nearest one with a
// correlation of at most 1 if only noise, the rounding of x, takes it beyond;
// sd is the product of the two standard deviations.
func withinCorrelation(x, sd, noise float64) float64 {
	if d := math.Abs(x) - sd; d > 0 && d <= noise {
		return math.Copysign(sd, x)
	}
	return x
}

// differenceTile is the number of rows that are one piece of parallel work.
const differenceTile = 32

// covarianceTo writes the lower triangle of
//
//	D_kl = c[a_k,a_l] - c[a_k,b_l] - c[b_k,a_l] + c[b_k,b_l]
//
// to dst, (m, m), for Cov x = c, (n, n); v is its diagonal. A correlation that
// rounding takes beyond 1 is 1.
func (d differences) covarianceTo(ctx context.Context, threads int, dst blas64.General, v []float64, c Block, n int) error {
	return kernel.Parallel(ctx, threads, (len(v)+differenceTile-1)/differenceTile, func(t int) error {
		rows := newBlockRows(c, n)
		for k := t * differenceTile; k < min(len(v), (t+1)*differenceTile); k++ {
			a, b := rows.pair(d.a[k], d.b[k])
			scale := rounding * math.Sqrt(a[d.a[k]]+b[d.b[k]])
			to := row(dst, k)[:k+1]
			for l := range to {
				p, q := d.a[l], d.b[l]
				x := (a[p] - a[q]) - (b[p] - b[q])
				to[l] = withinCorrelation(x, math.Sqrt(v[k])*math.Sqrt(v[l]), scale*math.Sqrt(c.At(p, p)+c.At(q, q)))
			}
		}
		return nil
	})
}

// blockRows gives the rows of a symmetric block, those of a dense one without
// a copy.
type blockRows struct {
	Block
	scratch [2][]float64 // (n), nil if dense
}

func newBlockRows(c Block, n int) blockRows {
	r := blockRows{Block: c}
	if c.Dense.Rows == 0 {
		r.scratch = [2][]float64{make([]float64, n), make([]float64, n)}
	}
	return r
}

// pair returns rows i and j, valid until the next call.
func (r *blockRows) pair(i, j int) (a, b []float64) {
	if r.scratch[0] == nil {
		return row(r.Dense, i), row(r.Dense, j)
	}
	clear(r.scratch[0])
	clear(r.scratch[1])
	r.scratch[0][i], r.scratch[1][j] = r.At(i, i), r.At(j, j)
	return r.scratch[0], r.scratch[1]
}

// A pairGain has two entries in a row: row k is wa_k at a_k plus wb_k at b_k.
type pairGain struct {
	differences
	wa, wb []float64 // (m)
}

// MulTo implements Gain.
func (g *pairGain) MulTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return kernel.Parallel(ctx, threads, (len(g.a)+differenceTile-1)/differenceTile, func(t int) error {
		for k := t * differenceTile; k < min(len(g.a), (t+1)*differenceTile); k++ {
			to, a, b := row(dst, k), row(src, g.a[k]), row(src, g.b[k])
			if !add {
				clear(to)
			}
			for j := range to {
				to[j] += g.wa[k]*a[j] + g.wb[k]*b[j]
			}
		}
		return nil
	})
}

// MulTransTo implements Gain.
func (g *pairGain) MulTransTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return kernel.Parallel(ctx, threads, (src.Rows+differenceTile-1)/differenceTile, func(t int) error {
		for i := t * differenceTile; i < min(src.Rows, (t+1)*differenceTile); i++ {
			to, x := row(dst, i), row(src, i)
			if !add {
				clear(to)
			}
			for k := range to {
				to[k] += g.wa[k]*x[g.a[k]] + g.wb[k]*x[g.b[k]]
			}
		}
		return nil
	})
}

// A differenceRule is y_k = sign g_k(x[a_k] - x[b_k]), the moments of which are
// those of an elementwise rule.
type differenceRule struct {
	differences
	rule *Elementwise
	sign float64
}

// momentsTo writes the moments of y to dst but for the gain, which is
// sign E g' in m.Gain. acc is the accuracy given the variances of the
// differences, and psd says whether those are what they should be.
func (r *differenceRule) momentsTo(ctx context.Context, dst *Response, m *Moments, in *Joint, o Options) (acc, psd covprop.Accuracy, err error) {
	size := len(r.a)
	mean, v := make([]float64, size), make([]float64, size)
	c := in.Between(0, 0)
	r.meanTo(mean, in.Mean[0])
	psd = r.varianceTo(v, c)
	if err := r.rule.MomentsTo(ctx, m, mean, v, !dst.Diagonal(), o); err != nil {
		return acc, psd, err
	}
	for k := range size {
		dst.Mean[k] = r.sign * m.Mean[k]
		m.Gain[k] *= r.sign
	}
	if dst.Diagonal() {
		copy(dst.Variance, m.Variance)
		return m.Accuracy, psd, nil
	}
	if err := r.covarianceTo(ctx, o.Threads, dst.Cov, v, c, len(in.Mean[0])); err != nil {
		return acc, psd, err
	}
	series, err := CovarianceTo(ctx, dst.Cov, dst.Cov, m, m, true, o)
	acc = series.Worse(m.Accuracy)
	acc.Bound = series.Bound + 2*m.Accuracy.Bound
	return acc, psd, err
}

// gain returns the gain w_k (e_a - e_b)' for the slopes w.
func (r *differenceRule) gain(w []float64) Gain {
	minus := make([]float64, len(w))
	for k, s := range w {
		minus[k] = -s
	}
	return &pairGain{differences: r.differences, wa: w, wb: minus}
}
