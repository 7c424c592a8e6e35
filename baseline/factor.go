package baseline

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
)

// A factor is a square root of a covariance: Sigma = L L', L of shape (n, r)
// with r the numerical rank, so that mu + L Z has covariance Sigma for r
// independent standard normal Z. A variable of zero variance has a zero row.
//
// L is computed from the correlation matrix, so that every variance keeps its
// relative accuracy however the scales of the variables differ.
type factor struct {
	n, r int
	// For a Diagonal, direction k moves variable axes[k] by std[k], and l is
	// not used; for a Dense, axes is nil.
	axes []int
	std  []float64
	l    blas64.General // (n, r)
	// dropped is the size of the most negative eigenvalue of the correlation
	// matrix, which was taken as zero; 0 if it is within rounding of that.
	dropped float64
}

const eps = 0x1p-52

// newFactor returns a factor of cov. ctx is looked at between the steps of a
// dense factorisation.
func newFactor(ctx context.Context, cov covprop.Covariance) (*factor, error) {
	switch c := cov.(type) {
	case covprop.Diagonal:
		f := &factor{n: len(c), axes: []int{}}
		for i, v := range c {
			if v > 0 {
				f.axes = append(f.axes, i)
				f.std = append(f.std, math.Sqrt(v))
			}
		}
		f.r = len(f.axes)
		return f, nil
	case *covprop.Dense:
		return denseFactor(ctx, c.RawMatrix())
	}
	return nil, fmt.Errorf("baseline: a covariance of type %T has no factor here", cov)
}

// denseFactor tries the Cholesky factorisation with complete pivoting
// (Higham 2002, section 10.3), whose cost is n^2 r. It stops when what is left
// is rounding; if the product does not reproduce the correlation matrix, that
// matrix has negative eigenvalues larger than rounding, as a covariance
// rounded to float32 can, and its eigenvectors serve instead.
func denseFactor(ctx context.Context, sigma blas64.General) (*factor, error) {
	std, active := make([]float64, 0, sigma.Rows), make([]int, 0, sigma.Rows)
	for i := range sigma.Rows {
		if v := sigma.Data[i*sigma.Stride+i]; v > 0 {
			std, active = append(std, math.Sqrt(v)), append(active, i)
		}
	}
	f := &factor{n: sigma.Rows}
	corr := newGeneral(len(active), len(active)) // (k, k) for the k active variables
	for i, ai := range active {
		for j, aj := range active {
			x := sigma.Data[ai*sigma.Stride+aj] / std[i] / std[j]
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, &covprop.InputError{What: "covariance", Err: fmt.Errorf("entry (%d,%d) is not finite relative to the standard deviations", ai, aj)}
			}
			corr.Data[i*corr.Stride+j] = x
		}
		corr.Data[i*corr.Stride+i] = 1
	}
	root := pivotedCholesky(corr) // (k, r)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !reproduces(corr, root) {
		var err error
		if root, f.dropped, err = spectralRoot(corr); err != nil {
			return nil, err
		}
	}
	f.r = root.Cols
	f.l = newGeneral(f.n, f.r)
	for i, ai := range active {
		for k, x := range row(root, i) {
			f.l.Data[ai*f.l.Stride+k] = std[i] * x
		}
	}
	return f, ctx.Err()
}

// pivotedCholesky returns L (k, r) with L L' = corr up to a remainder whose
// diagonal is at most k eps, provided corr is positive semidefinite.
func pivotedCholesky(corr blas64.General) blas64.General {
	k := corr.Rows
	if k == 0 {
		return blas64.General{Stride: 1}
	}
	a := blas64.Symmetric{N: k, Stride: k, Uplo: blas.Lower, Data: append([]float64(nil), corr.Data...)}
	piv := make([]int, k)
	_, r, _ := lapack64.Pstrf(a, piv, float64(k)*eps, make([]float64, 2*k))
	l := newGeneral(k, r)
	for i, p := range piv { // row p of L is row i of the factor
		copy(row(l, p), a.Data[i*k:i*k+min(i+1, r)])
	}
	return l
}

// reproduces reports whether root root' is corr up to the rounding and the
// remainder of a pivoted Cholesky factorisation: 10 k eps an entry.
func reproduces(corr, root blas64.General) bool {
	k := corr.Rows
	if root.Cols == 0 {
		return k == 0
	}
	diff := newGeneral(k, k)
	copy(diff.Data, corr.Data)
	blas64.Syrk(blas.NoTrans, -1, root, 1, upper(diff))
	for i := range k {
		for _, d := range row(diff, i)[i:] {
			if !(math.Abs(d) <= 10*float64(k)*eps) {
				return false
			}
		}
	}
	return true
}

// spectralRoot returns Q Lambda^(1/2) for corr = Q Lambda Q', without the
// columns of eigenvalues that are zero to rounding or negative, and the size
// of the most negative one.
func spectralRoot(corr blas64.General) (root blas64.General, dropped float64, err error) {
	k := corr.Rows
	var eig mat.EigenSym
	if !eig.Factorize(mat.NewSymDense(k, corr.Data), true) {
		return root, 0, errors.New("baseline: the eigenvalues of the covariance did not converge")
	}
	lambda := eig.Values(nil) // in increasing order
	var q mat.Dense
	eig.VectorsTo(&q)
	first, rounding := 0, float64(k)*eps*lambda[k-1]
	for first < k && lambda[first] <= rounding {
		first++
	}
	if -lambda[0] > rounding {
		dropped = -lambda[0]
	}
	root = newGeneral(k, k-first)
	for i := range k {
		for j := range root.Cols {
			root.Data[i*root.Stride+j] = q.At(i, first+j) * math.Sqrt(lambda[first+j])
		}
	}
	return root, dropped, nil
}

// columnTo writes column k of L to dst, of length n.
func (f *factor) columnTo(dst []float64, k int) {
	if f.axes != nil {
		clear(dst)
		dst[f.axes[k]] = f.std[k]
		return
	}
	for i := range dst {
		dst[i] = f.l.Data[i*f.l.Stride+k]
	}
}

// rowsTo writes L z for every row z of zs (s, r) to the rows of dst (s, n).
func (f *factor) rowsTo(dst, zs blas64.General) {
	if f.axes == nil && f.r > 0 {
		blas64.Gemm(blas.NoTrans, blas.Trans, 1, zs, f.l, 0, dst)
		return
	}
	for s := range dst.Rows {
		x, z := row(dst, s), row(zs, s)
		clear(x)
		for k, i := range f.axes {
			x[i] = f.std[k] * z[k]
		}
	}
}

// note returns reason with a mention of the eigenvalue that was dropped.
func (f *factor) note(reason string) string {
	if f.dropped == 0 {
		return reason
	}
	return fmt.Sprintf("%s; the eigenvalue %.2g of the input's correlation matrix was taken as 0", reason, -f.dropped)
}
