// Package sample draws points of a Gaussian and evaluates functions at them:
//
//	x = mu + L z,   L L' = Sigma,   z of r independent standard normals
//
// for points z of package qmc, random or quasi-random. Points are the columns
// of matrices. Sigma may be singular, and a diagonal Sigma never becomes an
// n x n matrix.
package sample

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// A Root is a square root of a covariance: Sigma = L L', L of shape (n, r)
// with r the numerical rank, so that mu + L z has covariance Sigma for r
// independent standard normal z. A variable of zero variance has a zero row.
//
// L is computed from the correlation matrix, so that every variance keeps its
// relative accuracy however the scales of the variables differ.
type Root struct {
	n, r int
	// For a Diagonal, direction k moves variable axes[k] by std[k], and what
	// follows is not used; for a Dense, axes is nil.
	axes []int
	std  []float64
	l    blas64.General // (n, r)
	// Rows pivots[:r] of the Cholesky root are the lower triangle of cholesky,
	// (r, r). It is L itself, or L is its product with the orthogonal matrix
	// whose transpose is axesT, (r, r).
	pivots   []int
	cholesky blas64.General
	axesT    blas64.General
	// dropped is the size of the most negative eigenvalue of the correlation
	// matrix, which was taken as zero; 0 if it is within rounding of that.
	dropped float64
}

const eps = 0x1p-52

const badShape = "sample: matrix shapes do not agree"

// NewRoot returns a root of cov: for a Diagonal that of each variable in turn,
// for a Dense the Cholesky factor with pivoting. ctx is looked at between the
// steps of a factorisation.
func NewRoot(ctx context.Context, cov covprop.Covariance) (*Root, error) {
	switch c := cov.(type) {
	case covprop.Diagonal:
		f := &Root{n: len(c), axes: []int{}}
		for i, v := range c {
			if v > 0 {
				f.axes = append(f.axes, i)
				f.std = append(f.std, math.Sqrt(v))
			}
		}
		f.r = len(f.axes)
		return f, nil
	case *covprop.Dense:
		return denseRoot(ctx, c.RawMatrix())
	}
	return nil, fmt.Errorf("a covariance of type %T has no square root here", cov)
}

// denseRoot tries the Cholesky factorisation with complete pivoting
// (Higham 2002, section 10.3), whose cost is n^2 r. It stops when what is left
// is rounding; if the product does not reproduce the correlation matrix, that
// matrix has negative eigenvalues larger than rounding, as a covariance
// rounded to float32 can, and the matrix without them is factorised.
func denseRoot(ctx context.Context, sigma blas64.General) (*Root, error) {
	std, active := make([]float64, 0, sigma.Rows), make([]int, 0, sigma.Rows)
	for i := range sigma.Rows {
		if v := sigma.Data[i*sigma.Stride+i]; v > 0 {
			std, active = append(std, math.Sqrt(v)), append(active, i)
		}
	}
	corr, err := correlation(sigma, std, active)
	if err != nil {
		return nil, err
	}
	f := &Root{n: sigma.Rows}
	root, pivots := pivotedCholesky(corr) // (k, r)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !reproduces(corr, root) {
		if f.dropped, err = clearNegative(corr); err != nil {
			return nil, err
		}
		root, pivots = pivotedCholesky(corr)
	}
	f.r = root.Cols
	f.l = newGeneral(f.n, f.r)
	for i, ai := range active {
		for k, x := range row(root, i) {
			f.l.Data[ai*f.l.Stride+k] = std[i] * x
		}
	}
	f.cholesky = newGeneral(f.r, f.r)
	for k, p := range pivots[:f.r] {
		f.pivots = append(f.pivots, active[p])
		copy(row(f.cholesky, k), row(f.l, active[p]))
	}
	return f, ctx.Err()
}

// correlation returns the (k, k) correlation matrix of the k active variables.
func correlation(sigma blas64.General, std []float64, active []int) (blas64.General, error) {
	corr := newGeneral(len(active), len(active))
	for i, ai := range active {
		for j, aj := range active {
			x := sigma.Data[ai*sigma.Stride+aj] / std[i] / std[j]
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return corr, &covprop.InputError{What: "covariance", Err: fmt.Errorf("entry (%d,%d) is not finite relative to the standard deviations", ai, aj)}
			}
			corr.Data[i*corr.Stride+j] = x
		}
		corr.Data[i*corr.Stride+i] = 1
	}
	return corr, nil
}

// pivotedCholesky returns L (k, r) with L L' = corr up to a remainder whose
// diagonal is at most k eps, provided corr is positive semidefinite, and the
// order of the rows in which L is lower triangular.
func pivotedCholesky(corr blas64.General) (l blas64.General, pivots []int) {
	k := corr.Rows
	if k == 0 {
		return newGeneral(0, 0), nil
	}
	a := blas64.Symmetric{N: k, Stride: k, Uplo: blas.Lower, Data: append([]float64(nil), corr.Data...)}
	pivots = make([]int, k)
	_, r, _ := lapack64.Pstrf(a, pivots, float64(k)*eps, make([]float64, 2*k))
	l = newGeneral(k, r)
	for i, p := range pivots { // row p of L is row i of the factor
		copy(row(l, p), a.Data[i*k:i*k+min(i+1, r)])
	}
	return l, pivots
}

// reproduces reports whether root root' is corr up to the rounding and the
// remainder of a pivoted Cholesky factorisation: 10 k eps an entry.
func reproduces(corr, root blas64.General) bool {
	k := corr.Rows
	if root.Cols == 0 {
		return k == 0
	}
	product := newGeneral(k, k)
	uncancelled(kernel.MulLowerTo(context.Background(), 1, product, root, root))
	for i := range k {
		for j, p := range row(product, i)[:i+1] {
			if !(math.Abs(p-corr.Data[i*corr.Stride+j]) <= 10*float64(k)*eps) {
				return false
			}
		}
	}
	return true
}

// clearNegative replaces corr = Q Lambda Q' by its positive part, and returns
// the size of the most negative eigenvalue unless it is rounding.
func clearNegative(corr blas64.General) (dropped float64, err error) {
	k := corr.Rows
	var eig mat.EigenSym
	if !eig.Factorize(mat.NewSymDense(k, corr.Data), true) {
		return 0, errors.New("the eigenvalues of the covariance did not converge")
	}
	lambda := eig.Values(nil) // in increasing order
	var q mat.Dense
	eig.VectorsTo(&q)
	rounding := float64(k) * eps * lambda[k-1]
	if -lambda[0] > rounding {
		dropped = -lambda[0]
	}
	root := q.RawMatrix()
	for i := range k {
		r := row(root, i)
		for j, l := range lambda {
			if l <= rounding {
				r[j] = 0
			} else {
				r[j] *= math.Sqrt(l)
			}
		}
	}
	uncancelled(kernel.MulSymTo(context.Background(), 1, corr, root, root))
	return dropped, nil
}

// uncancelled is told the error of a product whose context cannot be
// cancelled, the only error there is.
func uncancelled(err error) {
	if err != nil {
		panic(err)
	}
}

// Dim returns the number of variables, n.
func (f *Root) Dim() int { return f.n }

// Rank returns the number of columns of L, r.
func (f *Root) Rank() int { return f.r }

// ColumnTo writes column k of L to dst, of length n.
func (f *Root) ColumnTo(dst []float64, k int) {
	if f.axes != nil {
		clear(dst)
		dst[f.axes[k]] = f.std[k]
		return
	}
	for i := range dst {
		dst[i] = f.l.Data[i*f.l.Stride+k]
	}
}

// MulTo writes L z to x, (n, B), for z of shape (r, B), which it does not
// overlap.
func (f *Root) MulTo(x, z blas64.General) {
	if x.Rows != f.n || z.Rows != f.r || x.Cols != z.Cols {
		panic(badShape)
	}
	if f.axes == nil {
		uncancelled(kernel.MulTo(context.Background(), 1, x, f.l, z, false))
		return
	}
	for i := range x.Rows {
		clear(row(x, i))
	}
	for k, i := range f.axes {
		dst := row(x, i)
		for j, v := range row(z, k) {
			dst[j] = f.std[k] * v
		}
	}
}

// MulLeftTo writes a L to dst, (m, r), for a of shape (m, n), which it does not
// overlap.
func (f *Root) MulLeftTo(dst, a blas64.General) {
	if a.Cols != f.n || dst.Cols != f.r || dst.Rows != a.Rows {
		panic(badShape)
	}
	if f.axes == nil {
		uncancelled(kernel.MulTo(context.Background(), 1, dst, a, f.l, false))
		return
	}
	for i := range dst.Rows {
		d, s := row(dst, i), row(a, i)
		for k, axis := range f.axes {
			d[k] = s[axis] * f.std[k]
		}
	}
}

// WhitenTo writes Cov(y, z) to dst, (m, r), given c = Cov(y, x), (m, n), for
// x = mu + L z, so that c = Cov(y, z) L'. Since the pivots' part of x is the
// Cholesky root's triangle T times its z, Cov(y, z) = c T^-T there; triangular
// solves keep the accuracy of every variable whatever its scale (Higham 2002,
// theorem 8.5). dst does not overlap c.
func (f *Root) WhitenTo(dst, c blas64.General) {
	if c.Cols != f.n || dst.Cols != f.r || dst.Rows != c.Rows {
		panic(badShape)
	}
	if f.axes != nil {
		for i := range dst.Rows {
			d, s := row(dst, i), row(c, i)
			for k, axis := range f.axes {
				d[k] = s[axis] / f.std[k]
			}
		}
		return
	}
	if f.r == 0 || c.Rows == 0 {
		return
	}
	w := dst
	if f.axesT.Data != nil {
		w = newGeneral(dst.Rows, f.r)
	}
	for i := range w.Rows {
		d, s := row(w, i), row(c, i)
		for k, p := range f.pivots {
			d[k] = s[p]
		}
	}
	t := blas64.Triangular{N: f.r, Stride: f.cholesky.Stride, Data: f.cholesky.Data, Uplo: blas.Lower, Diag: blas.NonUnit}
	blas64.Trsm(blas.Right, blas.Trans, 1, t, w)
	if f.axesT.Data != nil {
		uncancelled(kernel.MulTransTo(context.Background(), 1, dst, w, f.axesT, false))
	}
}

// Note returns reason with a mention of the eigenvalue that was dropped.
func (f *Root) Note(reason string) string {
	if f.dropped == 0 {
		return reason
	}
	return fmt.Sprintf("%s; the eigenvalue %.2g of the input's correlation matrix was taken as 0", reason, -f.dropped)
}

// newGeneral returns a zero (r, c) matrix.
func newGeneral(r, c int) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: max(1, c), Data: make([]float64, r*c)}
}

// row returns row i of a, which need not have columns or data then.
func row(a blas64.General, i int) []float64 {
	if a.Cols == 0 {
		return nil
	}
	return a.Data[i*a.Stride : i*a.Stride+a.Cols]
}
