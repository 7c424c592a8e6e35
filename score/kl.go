package score

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
)

// maxCondition is the largest condition number of a correlation matrix for
// which a divergence is computed; beyond it the covariance counts as singular.
// The divergence loses as many digits as the condition number has.
const maxCondition = 1e12

// KL returns the Kullback-Leibler divergence KL(p || q), in nats, of two
// Gaussians of dimension n (Kullback & Leibler 1951):
//
//	KL(p || q) = 1/2 [ tr(Sq^-1 Sp) - n - log det(Sq^-1 Sp) + (mq-mp)' Sq^-1 (mq-mp) ]
//
// It is an error if a covariance is singular, or singular to rounding (its
// correlation matrix has a condition number above 1e12): with q singular the
// divergence is infinite, or finite only in a subspace; with p singular it is
// infinite. It takes O(n^2) memory and O(n^3) time.
func KL(p, q covprop.Gaussian) (nats float64, err error) {
	n := p.Dim()
	if q.Dim() != n {
		return 0, fmt.Errorf("score: the Gaussians have dimensions %d and %d", n, q.Dim())
	}
	for _, g := range []struct {
		name string
		covprop.Gaussian
	}{{"first", p}, {"second", q}} {
		if err := g.Check(); err != nil {
			return 0, fmt.Errorf("score: %s distribution: %w", g.name, err)
		}
	}
	sp, sq := p.Std(), q.Std()
	cholP, err := factorize(p.Cov, sp, "first")
	if err != nil {
		return 0, err
	}
	cholQ, err := factorize(q.Cov, sq, "second")
	if err != nil {
		return 0, err
	}
	// With Sq = D L L' D, D the standard deviations of q, put
	// A = L^-1 D^-1 Sp D^-1 L^-T and d = L^-1 D^-1 (mq - mp).
	a, d := mat.NewDense(n, n, nil), mat.NewVecDense(n, nil)
	for i := range n {
		d.SetVec(i, (q.Mean[i]-p.Mean[i])/sq[i])
		for j := range n {
			a.Set(i, j, p.Cov.At(i, j)/sq[i]/sq[j])
		}
	}
	var l mat.TriDense
	cholQ.LTo(&l)
	if err := errors.Join(solve(a, &l, a), solve(a, &l, a.T())); err != nil {
		return 0, err
	}
	if err := d.SolveVec(&l, d); err != nil && !errors.As(err, new(mat.Condition)) {
		return 0, err
	}
	logDet := cholP.LogDet() - cholQ.LogDet()
	for i := range n {
		logDet += 2 * math.Log(sp[i]/sq[i])
	}
	spread, err := spreadTerm(a, logDet)
	if err != nil {
		return 0, err
	}
	return finite((spread+mat.Dot(d, d))/2, "divergence")
}

// spreadTerm returns tr A - n - log det A. Near A = I the terms cancel, and
// the sum of x - log(1+x) over the eigenvalues x of A - I does not; far from
// it, an eigenvalue of A may be too small to be seen in A - I.
func spreadTerm(a *mat.Dense, logDet float64) (float64, error) {
	n, _ := a.Dims()
	excess, err := excessEigenvalues(a)
	if err != nil {
		return 0, err
	}
	if excess[0] < -0.5 || excess[n-1] > 0.5 {
		return mat.Trace(a) - float64(n) - logDet, nil
	}
	sum := 0.0
	for _, x := range excess {
		sum += x - math.Log1p(x)
	}
	return sum, nil
}

// factorize returns the Cholesky factor of the correlation matrix of cov,
// whose standard deviations are std.
func factorize(cov covprop.Covariance, std []float64, name string) (*mat.Cholesky, error) {
	n := len(std)
	r := mat.NewSymDense(n, nil)
	for i, si := range std {
		if si == 0 {
			return nil, fmt.Errorf("score: the %s distribution is singular: element %d has no variance", name, i)
		}
		for j := i + 1; j < n; j++ {
			r.SetSym(i, j, cov.At(i, j)/si/std[j])
		}
		r.SetSym(i, i, 1)
	}
	var chol mat.Cholesky
	if !chol.Factorize(r) || !(chol.Cond() <= maxCondition) {
		return nil, fmt.Errorf("score: the %s distribution is singular to rounding", name)
	}
	return &chol, nil
}

// solve sets dst = l^-1 b. The condition of l has been dealt with.
func solve(dst *mat.Dense, l *mat.TriDense, b mat.Matrix) error {
	var x mat.Dense
	if err := x.Solve(l, b); err != nil && !errors.As(err, new(mat.Condition)) {
		return err
	}
	dst.Copy(&x)
	return nil
}

// excessEigenvalues returns the eigenvalues of A - I in increasing order.
func excessEigenvalues(a *mat.Dense) ([]float64, error) {
	n, _ := a.Dims()
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			x := a.At(i, j)/2 + a.At(j, i)/2
			if i == j {
				x--
			}
			s.SetSym(i, j, x)
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(s, false) {
		return nil, errors.New("score: the eigenvalues did not converge")
	}
	return eig.Values(nil), nil
}
