package refine

import (
	"context"
	"errors"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/qmc"
	"github.com/covprop/covprop/internal/sample"
)

// A subspace has the directions in which an input is split,
//
//	x = mu + V u + e,   u of q independent standard normals,   Cov(e) = Rest,
//
// V = L U for the root L of Sigma and orthonormal U, so Sigma = V V' + Rest.
type subspace struct {
	v      blas64.General // (n, q)
	rest   blas64.General // (n, n)
	lambda []float64      // (q), the weight of each direction, not increasing
	trace  float64        // the weight of all directions
}

// The Jacobian is taken at no more than maxJacobians points and at no fewer
// than minJacobians; in between, as many as cost jacobianShare propagations.
const (
	minJacobians, maxJacobians = 4, 32
	jacobianShare              = 4
)

// jacobians returns the number of points at which the Jacobian is taken, and
// what that costs in propagations. One takes a pass for every input.
func (m *Mixture) jacobians() (points int, cost float64) {
	one := float64(m.Network.InputDim()) * float64(m.Network.Operations()) /
		math.Max(1, float64(m.Network.PropagationOperations(false)))
	points = int(min(maxJacobians, max(minJacobians, jacobianShare/one)))
	return points, float64(points) * one
}

// newSubspace returns the leading directions of the active subspace, at most
// most. Where the Jacobian is zero at all points, they are principal axes.
func newSubspace(ctx context.Context, m *Mixture, in covprop.Gaussian, root *sample.Root, points, most int) (*subspace, error) {
	a, err := m.jacobianRows(ctx, in, root, points)
	if err != nil {
		return nil, err
	}
	u, lambda, err := rightVectors(a, min(most, root.Rank()))
	if err != nil {
		return nil, err
	}
	trace := 0.0
	for _, x := range a.Data {
		trace += x * x
	}
	if len(lambda) == 0 {
		u, lambda = axes(root.Rank(), min(most, root.Rank()))
		trace = float64(root.Rank())
	}
	s := &subspace{v: newGeneral(in.Dim(), u.Cols), lambda: lambda, trace: trace}
	root.MulTo(s.v, u)
	s.rest, err = restOf(ctx, m.Threads, root, s.v, u)
	return s, err
}

// jacobianRows returns the rows of the Jacobian with respect to the whitened
// input, at all points, each output's scaled to a mean square norm of 1: the
// matrix A (points m, r) with A'A = points E[J'WJ]. Points at which it is not
// finite are left out, as are outputs that do not change.
func (m *Mixture) jacobianRows(ctx context.Context, in covprop.Gaussian, root *sample.Root, points int) (blas64.General, error) {
	outputs, r := m.Network.OutputDim(), root.Rank()
	a := newGeneral(points*outputs, r)
	p, err := qmc.New(qmc.Sobol, r, 1, 0)
	if err != nil {
		return a, err
	}
	z, x := newGeneral(r, points), newGeneral(in.Dim(), points)
	p.NormalTo(z, 0)
	root.MulTo(x, z)
	at, square := make([]float64, in.Dim()), make([]float64, outputs)
	jac := mat.NewDense(outputs, in.Dim(), nil)
	for k := range points {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		for i := range at {
			at[i] = in.Mean[i] + x.Data[i*x.Stride+k]
		}
		if err := m.Network.JacobianTo(jac, at); err != nil {
			return a, err
		}
		rows := blas64.General{Rows: outputs, Cols: r, Stride: a.Stride, Data: a.Data[k*outputs*a.Stride:]}
		root.MulLeftTo(rows, jac.RawMatrix())
		for i := range outputs {
			norm := blas64.Nrm2(blas64.Vector{N: r, Inc: 1, Data: row(rows, i)})
			if math.IsNaN(norm) || math.IsInf(norm*norm, 0) {
				clear(row(rows, i))
				continue
			}
			square[i] += norm * norm / float64(points)
		}
	}
	for k := range a.Rows {
		if s := square[k%outputs]; s > 0 {
			blas64.Scal(1/math.Sqrt(s), blas64.Vector{N: r, Inc: 1, Data: row(a, k)})
		}
	}
	return a, nil
}

// negligible is the eigenvalue, relative to the largest, up to which A'w/sigma
// is not used: it is orthogonal to the others to eps/negligible only.
const negligible = 1e-8

// rightVectors returns the right singular vectors U (r, q) of A that belong to
// the largest singular values, and these squared: the eigenvectors of A'A, or
// A'w/sigma for those w of AA', whichever is smaller. A zero A has none.
func rightVectors(a blas64.General, most int) (u blas64.General, lambda []float64, err error) {
	wide := a.Rows < a.Cols
	t := blas.Trans
	if wide {
		t = blas.NoTrans
	}
	n := min(a.Rows, a.Cols)
	gram := blas64.Symmetric{N: n, Stride: n, Uplo: blas.Upper, Data: make([]float64, n*n)}
	blas64.Syrk(t, 1, a, 0, gram)
	var eig mat.EigenSym
	if !eig.Factorize(mat.NewSymDense(n, gram.Data), true) {
		return u, nil, errors.New("the eigenvalues of the Jacobian's second moment did not converge")
	}
	values := eig.Values(nil) // in increasing order
	var q mat.Dense
	eig.VectorsTo(&q)
	w := q.RawMatrix()
	if values[n-1] <= 0 {
		return newGeneral(a.Cols, 0), nil, nil
	}
	k := 0
	for k < min(most, n) && !(wide && values[n-1-k] <= negligible*values[n-1]) {
		k++
	}
	u, lambda = newGeneral(a.Cols, k), make([]float64, k)
	for j := range lambda {
		lambda[j] = max(0, values[n-1-j]) // negative by rounding only
		from := blas64.Vector{N: n, Inc: w.Stride, Data: w.Data[n-1-j:]}
		to := blas64.Vector{N: a.Cols, Inc: u.Stride, Data: u.Data[j:]}
		if wide {
			blas64.Gemv(blas.Trans, 1/math.Sqrt(lambda[j]), a, from, 0, to)
		} else {
			blas64.Copy(from, to)
		}
	}
	return u, lambda, nil
}

// axes returns the first q unit vectors of r elements, with equal weights.
func axes(r, q int) (u blas64.General, lambda []float64) {
	u, lambda = newGeneral(r, q), make([]float64, q)
	for j := range q {
		u.Data[j*u.Stride+j], lambda[j] = 1, 1
	}
	return u, lambda
}

// restOf returns Sigma - V V' = P P', P = L - V U', which has no cancellation
// to leave a negative variance; it is zero where U is square.
func restOf(ctx context.Context, threads int, root *sample.Root, v, u blas64.General) (blas64.General, error) {
	rest := newGeneral(v.Rows, v.Rows)
	if u.Rows == u.Cols {
		return rest, nil
	}
	p, unit := newGeneral(v.Rows, u.Rows), newGeneral(u.Rows, u.Rows)
	for k := range u.Rows {
		unit.Data[k*unit.Stride+k] = 1
	}
	root.MulTo(p, unit)
	blas64.Gemm(blas.NoTrans, blas.Trans, -1, v, u, 1, p)
	return rest, kernel.MulSymTo(ctx, threads, rest, p, p)
}

// covarianceTo writes Rest + V diag(t^2) V', the covariance of a component
// with the standard deviations t, to dst, (n, n). scratch is (n, q).
func (s *subspace) covarianceTo(dst, scratch blas64.General, t []float64) {
	for i := range scratch.Rows {
		d, v := row(scratch, i), row(s.v, i)
		for j := range d {
			d[j] = t[j] * v[j]
		}
		copy(row(dst, i), row(s.rest, i))
	}
	n := dst.Rows
	blas64.Syrk(blas.NoTrans, 1, scratch, 1, blas64.Symmetric{N: n, Stride: dst.Stride, Uplo: blas.Upper, Data: dst.Data})
	for i := range n {
		for j := range i {
			dst.Data[i*dst.Stride+j] = dst.Data[j*dst.Stride+i]
		}
	}
}

// meanTo writes mu + V u to dst.
func (s *subspace) meanTo(dst, mu, u []float64) {
	copy(dst, mu)
	blas64.Gemv(blas.NoTrans, 1, s.v, blas64.Vector{N: len(u), Inc: 1, Data: u}, 1, blas64.Vector{N: len(dst), Inc: 1, Data: dst})
}
