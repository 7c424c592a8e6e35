package refine

import (
	"context"
	"math"
	"sync"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/layer"
)

// cumulants are the joint cumulants of the elements of one tensor x, as far as
// they are kept.
type cumulants struct {
	mean []float64      // (n)
	cov  blas64.General // (n, n), both triangles
	// third has kappa_ijk; empty before the first activation, where x is
	// Gaussian, and after the last, where nothing needs it.
	third packed
	// fourth, (n, n), has kappa_iijj; empty if third is.
	fourth blas64.General
	// lastMean and lastCov are the parts of mean and cov that are due to
	// fourth cumulants, or would be, to first order: the last terms of the
	// expansion, an estimate of what the next ones are.
	lastMean []float64
	lastCov  blas64.General
}

// A packed tensor is symmetric in its three indices, (n, n, n), and holds the
// entries (i, j, k) with j >= k.
type packed struct {
	n    int
	data []float64 // (n, n(n+1)/2)
}

// slab returns the entries (i, j, k) with j >= k, row j from j(j+1)/2 on.
func (t packed) slab(i int) []float64 {
	p := pairs(t.n)
	return t.data[i*p : (i+1)*p]
}

// at returns entry (i, j, k).
func (t packed) at(i, j, k int) float64 { return t.slab(i)[pair(j, k)] }

// pairs is the number of pairs j >= k below n, pair the place of one.
func pairs(n int) int { return n * (n + 1) / 2 }

func pair(j, k int) int {
	if j < k {
		j, k = k, j
	}
	return j*(j+1)/2 + k
}

// symmetrize copies the entries i >= j >= k to those with j > i.
func (t packed) symmetrize(ctx context.Context) error {
	for i := range t.n {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := t.slab(i)
		for j := i + 1; j < t.n; j++ {
			row, from := s[pairs(j):][:j+1], t.slab(j)
			copy(row[:i+1], from[pairs(i):])
			for k := i + 1; k <= j; k++ {
				row[k] = from[pairs(k)+i]
			}
		}
	}
	return nil
}

// newCumulants returns the cumulants of a Gaussian.
func newCumulants(in covprop.Gaussian) *cumulants {
	n := in.Dim()
	s := &cumulants{mean: append([]float64(nil), in.Mean...), cov: newGeneral(n, n), lastMean: make([]float64, n), lastCov: newGeneral(n, n)}
	for i := range n {
		if d, ok := in.Cov.(covprop.Diagonal); ok {
			row(s.cov, i)[i] = d[i]
			continue
		}
		for j := range n {
			row(s.cov, i)[j] = in.Cov.At(i, j)
		}
	}
	return s
}

// scale is the map y = diag(d) x + b.
func (s *cumulants) scale(rule layer.Linear, d []float64) {
	s.mean = forward(rule, s.mean)
	for i, f := range d {
		s.lastMean[i] *= f
		for j, g := range d {
			row(s.cov, i)[j] *= f * g
			row(s.lastCov, i)[j] *= f * g
			if s.fourth.Rows > 0 {
				row(s.fourth, i)[j] *= f * f * g * g
			}
		}
		if s.third.n == 0 {
			continue
		}
		t := s.third.slab(i)
		for j, g := range d {
			for k, h := range d[:j+1] {
				t[pairs(j)+k] *= f * g * h
			}
		}
	}
}

func forward(rule layer.Linear, x []float64) []float64 {
	y := make([]float64, rule.OutputLen())
	rule.Forward(y, x)
	return y
}

// affine is the map y = A x + b. Means, covariances and third cumulants are
// exact; fourth cumulants see affineFourth.
func (r *cumulantRun) affine(rule layer.Linear, a blas64.General) (err error) {
	s := r.state
	s.mean = forward(rule, s.mean)
	scale := s.varianceScale(rule)
	if s.cov, err = r.sandwich(a, s.cov); err != nil {
		return err
	}
	if s.lastCov, err = r.sandwich(a, s.lastCov); err != nil {
		return err
	}
	last := newGeneral(a.Rows, 1)
	if err := kernel.MulTo(r.ctx, 1, last, a, matrix(s.lastMean, a.Cols, 1), false); err != nil {
		return err
	}
	s.lastMean = last.Data
	if s.third.n > 0 {
		if s.third, err = r.contract(a, s.third); err != nil {
			return err
		}
		if s.fourth, err = r.affineFourth(a, s.fourth); err != nil {
			return err
		}
	}
	s.settle(scale)
	return nil
}

// varianceScale returns what the variances of y = A x + b could be if nothing
// cancelled: (sum |a_k| sigma_k)^2 <= n sum a_k^2 v_k, and rounding adds another
// n.
func (s *cumulants) varianceScale(rule layer.Linear) []float64 {
	v, scale := make([]float64, s.cov.Rows), make([]float64, rule.OutputLen())
	for i := range v {
		v[i] = row(s.cov, i)[i]
	}
	rule.Matrix(0).SquareMulTo(scale, v, false)
	for i := range scale {
		scale[i] *= float64(len(v)) * float64(len(v))
	}
	return scale
}

// settle makes those elements certain whose variance is nothing but rounding.
func (s *cumulants) settle(scale []float64) {
	const rounding = 0x1p-48 // of a sum of products, with a margin
	for i, w := range scale {
		if !(math.Abs(row(s.cov, i)[i]) <= rounding*w) {
			continue
		}
		for j := range scale {
			row(s.cov, i)[j], row(s.cov, j)[i] = 0, 0
			row(s.lastCov, i)[j], row(s.lastCov, j)[i] = 0, 0
			if s.third.n == 0 {
				continue
			}
			row(s.fourth, i)[j], row(s.fourth, j)[i] = 0, 0
			clear(s.third.slab(i)[pairs(j):][:j+1])
			for k := range scale {
				s.third.slab(j)[pair(i, k)] = 0
			}
		}
	}
}

// sandwich returns A c A' for a symmetric c.
func (r *cumulantRun) sandwich(a, c blas64.General) (blas64.General, error) {
	p, dst := newGeneral(a.Rows, a.Cols), newGeneral(a.Rows, a.Rows)
	if err := kernel.MulTo(r.ctx, r.threads, p, a, c, false); err != nil {
		return dst, err
	}
	return dst, kernel.MulSymTo(r.ctx, r.threads, dst, p, a)
}

// contract returns kappa'_abc = sum_ijk A_ai A_bj A_ck kappa_ijk, in t's memory
// where it fits. One product with t as a matrix (n, pairs) sums over i for all
// a; two for every a then sum over j and k, for a >= b >= c.
func (r *cumulantRun) contract(a blas64.General, t packed) (packed, error) {
	m, n := a.Rows, a.Cols
	r.spare = resize(r.spare, m*pairs(n))
	mid := matrix(r.spare, m, pairs(n))
	if err := kernel.MulTo(r.ctx, r.threads, mid, a, matrix(t.data, n, pairs(n)), false); err != nil {
		return t, err
	}
	dst := packed{n: m, data: resize(t.data, m*pairs(m))}
	pool := sync.Pool{New: func() any { return newContraction(m, n) }}
	err := kernel.Parallel(r.ctx, r.threads, m, func(i int) error {
		// The largest come first, so that threads end together.
		i = m - 1 - i
		w := pool.Get().(*contraction)
		defer pool.Put(w)
		return w.run(r.ctx, a, row(mid, i), dst.slab(i)[:pairs(i+1)], i+1)
	})
	if err != nil {
		return dst, err
	}
	return dst, dst.symmetrize(r.ctx)
}

// A contraction is the work space of one thread.
type contraction struct{ full, half, lower blas64.General }

func newContraction(m, n int) *contraction {
	return &contraction{full: newGeneral(n, n), half: newGeneral(m, n), lower: newGeneral(m, m)}
}

// run writes the lower triangle of B s B' to dst, for the symmetric matrix
// whose lower triangle is s and the first rows B of a.
func (w *contraction) run(ctx context.Context, a blas64.General, s, dst []float64, rows int) error {
	for j := range w.full.Rows {
		copy(row(w.full, j), s[pairs(j):][:j+1])
	}
	kernel.Mirror(w.full)
	b := matrix(a.Data, rows, a.Cols)
	half, lower := matrix(w.half.Data, rows, a.Cols), matrix(w.lower.Data, rows, rows)
	if err := kernel.MulTo(ctx, 1, half, b, w.full, false); err != nil {
		return err
	}
	if err := kernel.MulLowerTo(ctx, 1, lower, half, b); err != nil {
		return err
	}
	for j := range rows {
		copy(dst[pairs(j):], row(lower, j)[:j+1])
	}
	return nil
}

// affineFourth returns the fourth cumulants of pairs,
//
//	kappa'_aabb = sum_ij A_ai^2 A_bj^2 kappa_iijj,    kappa'_aaaa = 3 sum_{i != j} A_ai^2 A_aj^2 kappa_iijj + sum_i A_ai^4 kappa_iiii,
//
// from those of pairs alone. Of the terms left out, those with kappa_iijk and
// kappa_ijkl, and for a != b those that pair the other way, have random signs
// where weights do, and are smaller by a root of the width.
func (r *cumulantRun) affineFourth(a, k blas64.General) (blas64.General, error) {
	m, n := a.Rows, a.Cols
	square := newGeneral(m, n)
	for i := range m {
		for j, x := range row(a, i) {
			row(square, i)[j] = x * x
		}
	}
	dst, err := r.sandwich(square, k)
	if err != nil {
		return dst, err
	}
	for i := range m {
		own := 0.
		for j, x := range row(square, i) {
			own += x * x * row(k, j)[j]
		}
		row(dst, i)[i] = 3*row(dst, i)[i] - 2*own
	}
	return dst, nil
}

// resize returns x, or new memory, with the length n and undefined contents.
func resize(x []float64, n int) []float64 {
	if cap(x) < n {
		return make([]float64, n)
	}
	return x[:n]
}

// matrix returns data as an (r, c) matrix.
func matrix(data []float64, r, c int) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: c, Data: data[:r*c]}
}
