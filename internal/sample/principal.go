package sample

import (
	"context"
	"errors"
	"math"
	"sort"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

const (
	// orthogonal is the largest cosine between two columns that counts as
	// none; it decides which axes there are, not whether L L' is Sigma.
	orthogonal = 1e-10
	maxSweeps  = 30 // of Jacobi's method; a handful is usual
)

// NewPrincipal returns a root of cov whose columns are its principal axes in
// the order of decreasing variance: orthogonal eigenvectors of cov times the
// square roots of its eigenvalues. For a Diagonal they are the variables. The
// cost for a Dense is of order n^3; ctx is looked at between steps.
//
// With C the Cholesky root and V the eigenvectors of C'C, L = C V: an
// orthogonal V leaves every row's length, so every variance, as accurate as it
// is in C. Where the variances of the axes differ so much that V is orthogonal
// but C V not, one-sided Jacobi rotations finish the work; after a pivoted
// Cholesky factorisation they find small axes with relative accuracy (Demmel &
// Veselic 1992).
func NewPrincipal(ctx context.Context, cov covprop.Covariance) (*Root, error) {
	f, err := NewRoot(ctx, cov)
	if err != nil {
		return nil, err
	}
	if f.axes != nil {
		sort.Stable(byVariance{f})
		return f, nil
	}
	if f.r == 0 {
		return f, nil
	}
	f.axesT, err = eigenvectors(f.l)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lt := newGeneral(f.r, f.n) // L'
	if err := kernel.MulTransTo(ctx, 1, lt, f.axesT, f.l, false); err != nil {
		return nil, err
	}
	if err := jacobi(ctx, lt, f.axesT); err != nil {
		return nil, err
	}
	f.takeAxes(lt)
	return f, ctx.Err()
}

// byVariance sorts the axes of a Diagonal's root.
type byVariance struct{ *Root }

func (b byVariance) Len() int           { return b.r }
func (b byVariance) Less(i, j int) bool { return b.std[i] > b.std[j] }
func (b byVariance) Swap(i, j int) {
	b.std[i], b.std[j] = b.std[j], b.std[i]
	b.axes[i], b.axes[j] = b.axes[j], b.axes[i]
}

// eigenvectors returns those of l'l in its rows, in decreasing order.
func eigenvectors(l blas64.General) (blas64.General, error) {
	r := l.Cols
	largest := 0.0
	for _, x := range l.Data {
		largest = max(largest, math.Abs(x))
	}
	lt := newGeneral(r, l.Rows) // scaled, so that squares neither overflow nor all vanish
	for i := range l.Rows {
		for k, x := range row(l, i) {
			lt.Data[k*lt.Stride+i] = x / largest
		}
	}
	gram := newGeneral(r, r)
	uncancelled(kernel.MulSymTo(context.Background(), 1, gram, lt, lt))
	var eig mat.EigenSym
	if !eig.Factorize(mat.NewSymDense(r, gram.Data), true) {
		return gram, errors.New("the principal axes of the covariance did not converge")
	}
	var q mat.Dense
	eig.VectorsTo(&q) // columns, in increasing order
	for k := range r {
		for i := range r {
			gram.Data[k*gram.Stride+i] = q.At(i, r-1-k)
		}
	}
	return gram, nil
}

// jacobi rotates pairs of rows of lt, (r, n), until all are orthogonal, and the
// rows of axes with them (Hestenes 1958).
func jacobi(ctx context.Context, lt, axes blas64.General) error {
	size := make([]float64, lt.Rows)
	unit, cosines := newGeneral(lt.Rows, lt.Cols), newGeneral(lt.Rows, lt.Rows)
	for range maxSweeps {
		for k := range size {
			size[k] = blas64.Nrm2(vector(row(lt, k)))
			for i, x := range row(lt, k) {
				row(unit, k)[i] = x / size[k]
			}
		}
		if err := kernel.MulLowerTo(ctx, 1, cosines, unit, unit); err != nil {
			return err
		}
		done := true
		for i := range lt.Rows {
			for _, c := range row(cosines, i)[:i] {
				done = done && math.Abs(c) <= orthogonal
			}
		}
		if done {
			return nil
		}
		for i := range lt.Rows {
			for j := i + 1; j < lt.Rows; j++ {
				rotate(lt, axes, i, j)
			}
		}
	}
	return errors.New("the principal axes of the covariance did not converge")
}

// rotate makes rows i and j of lt orthogonal by a rotation, which it applies to
// those of axes too: the smaller of the two angles that do.
func rotate(lt, axes blas64.General, i, j int) {
	p, q := vector(row(lt, i)), vector(row(lt, j))
	a, b := blas64.Nrm2(p), blas64.Nrm2(q)
	cosine := 0.0
	for k, x := range p.Data {
		cosine += (x / a) * (q.Data[k] / b)
	}
	if math.Abs(cosine) <= orthogonal/2 {
		return
	}
	zeta := (b/a - a/b) / (2 * cosine)
	t := math.Copysign(1/(math.Abs(zeta)+math.Hypot(1, zeta)), zeta)
	c := 1 / math.Hypot(1, t)
	blas64.Rot(p, q, c, -t*c)
	blas64.Rot(vector(row(axes, i)), vector(row(axes, j)), c, -t*c)
}

// takeAxes sets L to the transpose of lt, with columns of decreasing length,
// and sorts the rows of axesT with them.
func (f *Root) takeAxes(lt blas64.General) {
	size, order := make([]float64, f.r), make([]int, f.r)
	for k := range size {
		size[k], order[k] = blas64.Nrm2(vector(row(lt, k))), k
	}
	sort.SliceStable(order, func(i, j int) bool { return size[order[i]] > size[order[j]] })
	axes := newGeneral(f.r, f.r)
	for k, o := range order {
		copy(row(axes, k), row(f.axesT, o))
		for i, x := range row(lt, o) {
			f.l.Data[i*f.l.Stride+k] = x
		}
	}
	f.axesT = axes
}

func vector(x []float64) blas64.Vector { return blas64.Vector{N: len(x), Inc: 1, Data: x} }
