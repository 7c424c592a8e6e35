package layer

import (
	"context"
	"errors"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// groupMoments are the moments of one group of a Norm, and the scratch to
// compute them. Within, x is in units in which E s = 1, s = x'x + n epsilon, and
// y is x/sqrt s.
type groupMoments struct {
	norm *Norm
	mean []float64      // (n) E y
	cov  blas64.General // (n, n) Cov(y)
	gain blas64.General // (n, n) E dy/dx
	acc  covprop.Accuracy
	tail float64 // the largest Var(y_i - (G x)_i)/Var(y_i)

	basis    normBasis
	integral normIntegrals
	first    blas64.General // (n, k) Q G diag(sqrt lambda), whose square is G Sigma G'
	tmp      blas64.General // (n, k) scratch
	errors   []float64      // (n) rounding of the variances
}

// groupFloats is the number of float64 that groupMoments hold.
func groupFloats(n int) int {
	return 4*n*n + basisFloats(n) + n*panelNodes + 2*normNodes + 8*n
}

// newGroupMoments cuts up work, of groupFloats elements.
func newGroupMoments(r *Norm, work []float64) *groupMoments {
	n := r.n
	take := func(size int) []float64 {
		part := work[:size:size]
		work = work[size:]
		return part
	}
	s := &groupMoments{norm: r}
	s.cov, s.gain = packed(n, n, take(n*n)), packed(n, n, take(n*n))
	s.basis = newNormBasis(n, r.center, take)
	k := s.basis.k
	s.first, s.tmp = packed(n, k, take(n*k)), packed(n, k, take(n*k))
	q := &s.integral
	q.m, q.lambda = s.basis.m, s.basis.lambda
	q.panel = packed(k, panelNodes, take(k*panelNodes))
	q.t, q.z = take(normNodes), take(normNodes)
	for _, v := range []*[]float64{&q.w, &q.d, &q.spread, &q.gainDiag, &q.g, &q.r} {
		*v = take(k)
	}
	s.mean, s.errors = take(n), take(n)
	return s
}

// run computes the moments of group g.
func (s *groupMoments) run(in *Joint, g int) error {
	if s.basis.k == 0 { // one element, centred
		s.mean[0], s.cov.Data[0], s.gain.Data[0] = 0, 0, 0
		s.acc, s.tail = covprop.Accuracy{}, 0
		return nil
	}
	if err := s.basis.load(s.norm, in, g); err != nil {
		return err
	}
	q, n := &s.integral, float64(s.norm.n)
	noise, size := 0., n*s.norm.epsilon
	for i, l := range q.lambda {
		noise += l
		size += l + q.m[i]*q.m[i]
	}
	if math.IsInf(size, 0) || math.IsNaN(size) {
		return errors.New("its sum of squares overflows float64")
	}
	if size < smallestSquare {
		return errors.New("it is zero without uncertainty, and so is epsilon: its norm is 0/0")
	}
	root := math.Sqrt(size)
	for i := range q.m {
		q.m[i] /= root
		q.lambda[i] /= size
	}
	for i := range s.basis.mean {
		s.basis.mean[i] /= root
	}
	q.e = n * s.norm.epsilon / size
	q.vectors()
	q.gainTo(s.basis.inner)
	if s.line() {
		s.fromLine()
	} else {
		s.fromGain()
		s.fromIntegrals()
	}
	s.acc = s.settle(noise / size)
	if s.basis.indefinite > 0 {
		s.acc = s.acc.And(covprop.ApproximatedBy(s.basis.indefinite, "the input covariance is not quite positive semidefinite"))
	}
	for i := range s.mean {
		s.mean[i] *= math.Sqrt(n)
	}
	for i := range s.cov.Data {
		s.cov.Data[i] *= n
		s.gain.Data[i] *= math.Sqrt(n) / root
	}
	return nil
}

// smallestSquare is the sum of squares below which float64 loses digits of its
// terms.
const smallestSquare = 0x1p-960

// fromGain computes the gain, and the root of the first-order covariance, from
// the gain in the eigenbasis, which is in basis.inner.
func (s *groupMoments) fromGain() {
	q := s.basis.q
	gemmTo(s.tmp, q, s.basis.inner)
	gemmTrans(s.gain, s.tmp, q, false)
	for i := range s.tmp.Rows {
		f := row(s.first, i)
		for j, v := range row(s.tmp, i) {
			f[j] = v * math.Sqrt(s.integral.lambda[j])
		}
	}
}

// fromIntegrals computes mean and covariance, about the mean or as E y y' - E y
// E y', whichever rounds less.
func (s *groupMoments) fromIntegrals() {
	q := &s.integral
	m, w, d := s.basis.mean, s.basis.x[0], s.basis.x[1]
	s.basis.toX(w, q.w)
	s.basis.toX(d, q.d)
	var about, plain float64 // traces of what the two forms are made of
	for i := range s.mean {
		s.mean[i] = (1+q.p1m1)*m[i] - d[i]
		about += q.varP*m[i]*m[i] + 2*math.Abs(m[i]*w[i]) + d[i]*d[i]
		plain += s.mean[i] * s.mean[i]
	}
	around := about+q.around <= plain+q.direct
	q.momentTo(s.basis.inner, around)
	gemmTo(s.tmp, s.basis.q, s.basis.inner)
	_ = kernel.MulSymTo(context.Background(), 1, s.cov, s.tmp, s.basis.q)

	for i := range s.cov.Rows {
		c, terms := row(s.cov, i), s.mean[i]*s.mean[i]
		if around {
			terms = q.varP*m[i]*m[i] + 2*math.Abs(m[i]*w[i]) + d[i]*d[i]
		}
		s.rounding(i, terms+c[i])
		for j := range i + 1 {
			if around {
				c[j] += q.varP*m[i]*m[j] - m[i]*w[j] - m[j]*w[i] - d[i]*d[j]
			} else {
				c[j] -= s.mean[i] * s.mean[j]
			}
		}
	}
	kernel.Mirror(s.cov)
}

// rounding notes that of variance i, made of terms that sum to scale in absolute
// value, and what the eigensolver adds to it.
func (s *groupMoments) rounding(i int, scale float64) {
	s.errors[i] = normUlps * (scale + s.solver(i))
}

// solver is G E G' for element i, where E, the eigensolver's change of Sigma, is
// as large as the largest eigenvalue; in units of rounding.
func (s *groupMoments) solver(i int) float64 {
	if !s.basis.uncertain[i] && !s.norm.center || s.basis.exact {
		return 0
	}
	g := vector(row(s.gain, i))
	return s.integral.lambda[s.basis.top] * blas64.Dot(g, g)
}

// normUlps is the rounding of a variance relative to the terms it is made of.
const normUlps = 0x1p-50

// line reports whether only one direction is uncertain; eigenvalues that are
// rounding then become zero.
func (s *groupMoments) line() bool {
	top := s.basis.top
	largest := s.integral.lambda[top]
	rounding := 0x1p-50 * largest
	if s.basis.exact {
		rounding = 0
	}
	for i, l := range s.integral.lambda {
		if i != top && l > rounding {
			return false
		}
	}
	if largest > 0 {
		clear(s.integral.lambda)
		s.integral.lambda[top] = largest
	}
	return largest > 0
}

// fromLine computes the moments of a group that varies in one direction u only:
// y = u f(a) + v h(a), v the part of its mean across u.
func (s *groupMoments) fromLine() {
	q, top := &s.integral, s.basis.top
	c := q.e
	for i, m := range q.m {
		if i != top {
			c += m * m
		}
	}
	l := newLineMoments(q.m[top], math.Sqrt(q.lambda[top]), c)
	s.basis.inner.Data[top*s.basis.inner.Stride+top] = l.gain
	s.fromGain()
	u, v := s.basis.x[0], s.basis.x[1]
	clear(q.r)
	q.r[top] = 1
	s.basis.toX(u, q.r)
	copy(q.r, q.m)
	q.r[top] = 0
	s.basis.toX(v, q.r)
	for i := range s.mean {
		s.mean[i] = u[i]*l.f + v[i]*l.h
		c := row(s.cov, i)
		for j := range i + 1 {
			c[j] = u[i]*u[j]*l.ff + (u[i]*v[j]+u[j]*v[i])*l.fh + v[i]*v[j]*l.hh
		}
		s.rounding(i, u[i]*u[i]*l.ff+2*math.Abs(u[i]*v[i]*l.fh)+v[i]*v[i]*l.hh)
	}
	kernel.Mirror(s.cov)
}

// gemmTo computes dst = a b, and gemmTrans dst = a b' or dst += a b', on one
// thread.
func gemmTo(dst, a, b blas64.General) {
	_ = kernel.MulTo(context.Background(), 1, dst, a, b, false)
}

func gemmTrans(dst, a, b blas64.General, add bool) {
	_ = kernel.MulTransTo(context.Background(), 1, dst, a, b, add)
}
