package baseline

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// moments are the streamed co-moments, up to the fourth order, of n draws of
// an m-vector. A draw is u + v and u - v: for an antithetic pair of outputs
// the half sum u and the half difference v, otherwise a single output u and
// no v. With d = u - mean, every matrix is (m, m) and sums over the draws:
//
//	s2  = d d'      s21 = d^2 d'         s22 = d^2 d^2'
//	v2  = v v'      x   = (d v) v'       f   = v^2 v^2' + 2 (d v)(d v)'
//
// with elementwise squares and products. Of the symmetric ones only the upper
// triangle is kept. Two sets are merged exactly, whatever their means (Chan,
// Golub & LeVeque 1979 for the second order; Pebay 2008 beyond), so that the
// standard error of a covariance comes from its own fourth co-moment in one
// pass. Batch means would need less memory, but with k batches leave the
// standard error itself uncertain by a fraction 1/sqrt(2k).
type moments struct {
	n            float64
	mean         []float64
	s2, s21, s22 blas64.General
	v2, x, f     blas64.General // empty unless antithetic
}

func newMoments(m int, antithetic bool) *moments {
	t := &moments{mean: make([]float64, m), s2: newGeneral(m, m), s21: newGeneral(m, m), s22: newGeneral(m, m)}
	if antithetic {
		t.v2, t.x, t.f = newGeneral(m, m), newGeneral(m, m), newGeneral(m, m)
	}
	return t
}

// set makes t the moments of the draws in the columns of u and v, both
// (m, n); v.Data is nil if there is none. scratch is (m, n); all are
// overwritten.
func (t *moments) set(u, v, scratch blas64.General) {
	t.n = float64(u.Cols)
	for i := range t.mean {
		t.mean[i] = centreRow(row(u, i))
	}
	square := scratch
	multiply(square, u, u)
	mulTrans(t.s2, u, u, false)
	mulTrans(t.s21, square, u, false)
	mulTrans(t.s22, square, square, false)
	if v.Data == nil {
		return
	}
	multiply(square, v, v)
	multiply(u, u, v)
	mulTrans(t.v2, v, v, false)
	mulTrans(t.x, u, v, false)
	mulTrans(t.f, square, square, false)
	for i := range square.Rows {
		d := row(square, i)
		for k, x := range row(u, i) {
			d[k] = 2 * x
		}
	}
	mulTrans(t.f, square, u, true)
}

// mulTrans computes dst = a b', or dst += a b' if add is set, on the caller's
// goroutine and so without an error.
func mulTrans(dst, a, b blas64.General, add bool) {
	if err := kernel.MulTransTo(context.Background(), 1, dst, a, b, add); err != nil {
		panic(err)
	}
}

// centreRow subtracts the mean from u and returns it. Taking the first value
// off beforehand makes a constant exactly its own mean.
func centreRow(u []float64) float64 {
	first, sum := u[0], 0.0
	for k := range u {
		u[k] -= first
		sum += u[k]
	}
	mean := sum / float64(len(u))
	for k := range u {
		u[k] -= mean
	}
	return first + mean
}

// multiply writes the elementwise product of a and b to dst; they may be the
// same.
func multiply(dst, a, b blas64.General) {
	for i := range dst.Rows {
		d, x, y := row(dst, i), row(a, i), row(b, i)
		for k := range d {
			d[k] = x[k] * y[k]
		}
	}
}

// merge adds the draws of o to t. o is overwritten.
func (t *moments) merge(o *moments) {
	n := t.n + o.n
	shiftT, shiftO := make([]float64, len(t.mean)), make([]float64, len(t.mean))
	for i := range t.mean {
		delta := o.mean[i] - t.mean[i]
		if t.n == 0 {
			delta, t.mean[i] = 0, o.mean[i]
		}
		// Old mean minus new mean, for either set.
		shiftT[i], shiftO[i] = -delta*(o.n/n), delta*(t.n/n)
		t.mean[i] += delta * (o.n / n)
	}
	t.shift(shiftT)
	o.shift(shiftO)
	t.n = n
	add(t.s2, o.s2)
	add(t.s21, o.s21)
	add(t.s22, o.s22)
	add(t.v2, o.v2)
	add(t.x, o.x)
	add(t.f, o.f)
}

// add adds b to a, both of the same shape and without gaps.
func add(a, b blas64.General) {
	for i, x := range b.Data {
		a.Data[i] += x
	}
}

// shift replaces every d by d + e, given that the d sum to zero. Highest
// orders come first since they use the lower ones.
func (t *moments) shift(e []float64) {
	m := len(e)
	s2, s21, s22 := t.s2.Data, t.s21.Data, t.s22.Data
	for i := range m {
		for j := i; j < m; j++ {
			s22[i*m+j] += 2*(e[j]*s21[i*m+j]+e[i]*s21[j*m+i]) + 4*e[i]*e[j]*s2[i*m+j] +
				e[j]*e[j]*s2[i*m+i] + e[i]*e[i]*s2[j*m+j] + t.n*e[i]*e[i]*e[j]*e[j]
		}
	}
	for i := range m {
		for j := range m {
			s21[i*m+j] += 2*e[i]*s2[min(i, j)*m+max(i, j)] + e[j]*s2[i*m+i] + t.n*e[i]*e[i]*e[j]
		}
	}
	for i := range m {
		for j := i; j < m; j++ {
			s2[i*m+j] += t.n * e[i] * e[j]
		}
	}
	if t.f.Data == nil {
		return
	}
	v2, x, f := t.v2.Data, t.x.Data, t.f.Data
	for i := range m {
		for j := i; j < m; j++ {
			f[i*m+j] += 2 * (e[j]*x[i*m+j] + e[i]*x[j*m+i] + e[i]*e[j]*v2[i*m+j])
		}
	}
	for i := range m {
		for j := range m {
			x[i*m+j] += e[i] * v2[min(i, j)*m+max(i, j)]
		}
	}
}

// covariance returns the unbiased estimate s2/(n-1) + v2/n of the covariance;
// v has mean zero, since exchanging the members of a pair changes its sign.
func (t *moments) covariance() blas64.General {
	m := len(t.mean)
	c := newGeneral(m, m)
	for k := range c.Data {
		c.Data[k] = t.s2.Data[k] / (t.n - 1)
		if t.v2.Data != nil {
			c.Data[k] += t.v2.Data[k] / t.n
		}
	}
	mirror(c)
	return c
}

// standardErrors returns those of the mean, sqrt(Cov_u,ii / n), and of cov,
// which must be t.covariance():
//
//	s.e.(C_ij)^2 = Var(w)/n + (Cov_u,ij^2 + Cov_u,ii Cov_u,jj)/(n(n-1)),  w = d_i d_j + v_i v_j
//
// where E w^2 = (s22 + f)/n and E w = (s2 + v2)/n; without v, the first term is
// (E[d_i^2 d_j^2] - C_ij^2)/n. The form is exact in the true moments (the
// second term comes from the mean being estimated) and its plug-in estimate is
// good to a relative 1/n.
//
// Fourth powers leave the range of float64 where the product of two variances
// lies outside 1e-290 to 1e290; such standard errors are NaN, for unknown.
func (t *moments) standardErrors(cov blas64.General) *covprop.StandardErrors {
	m, n := len(t.mean), t.n
	se := &covprop.StandardErrors{Mean: make([]float64, m)}
	covU := func(i, j int) float64 { return t.s2.Data[i*m+j] / (n - 1) }
	c := newGeneral(m, m)
	for i := range m {
		se.Mean[i] = math.Sqrt(covU(i, i) / n)
		for j := i; j < m; j++ {
			k := i*m + j
			scale := cov.Data[i*m+i] * cov.Data[j*m+j]
			switch {
			case cov.Data[i*m+i] == 0 || cov.Data[j*m+j] == 0:
				continue // a constant
			case !(scale > 1e-290 && scale < 1e290):
				c.Data[k] = math.NaN()
				continue
			}
			ew, ew2 := t.s2.Data[k]/n, t.s22.Data[k]/n
			if t.f.Data != nil {
				ew += t.v2.Data[k] / n
				ew2 += t.f.Data[k] / n
			}
			variance := math.Max(0, ew2-ew*ew) // negative by rounding only
			c.Data[k] = math.Sqrt(variance/n + (covU(i, j)*covU(i, j)+covU(i, i)*covU(j, j))/n/(n-1))
		}
	}
	mirror(c)
	se.Cov = covprop.DenseOf(c)
	return se
}
