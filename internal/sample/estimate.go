package sample

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/stat/distuv"
)

// Estimates are means over the replicates of a stream, whose spread is their
// standard error. Each is helped by a control variate of known expectation,
// which the gain J of an analytic propagation gives: l = J z has mean 0 and
// covariance J J'. The coefficient of a replicate's control comes from the
// other replicates, so that nothing is biased by it, and a useless gain costs
// no more than the noise of that coefficient.

// crossFit writes q_r - beta_r c_r to dst for every replicate r, where the c_r
// have expectation zero and
//
//	beta_r = Cov(q, c)/Var(c) over the replicates but r
//
// (Hickernell, Lemieux & Owen 2005 on why the coefficient must be that of the
// replicates' means and not of the points), or 0 where c explains too little of
// q in them for the coefficient to be worth its noise: points that already
// integrate the linear part leave nothing to the control. dst may be q or c. In
// units of the largest deviations squares neither overflow nor vanish.
func crossFit(dst, q, c *[Replicates]float64) {
	mq, mc := mean(q), mean(c)
	unit, scale := largestDeviation(c, mc), largestDeviation(q, mq)
	if unit == 0 || scale == 0 {
		*dst = *q
		return
	}
	var sqq, sqc, scc float64
	for r := range q {
		dq, dc := (q[r]-mq)/scale, (c[r]-mc)/unit
		sqq += dq * dq
		sqc += dq * dc
		scc += dc * dc
	}
	// Leaving r out takes R/(R-1) times its product from a centred sum.
	const k = float64(Replicates) / (Replicates - 1)
	for r := range q {
		dq, dc := (q[r]-mq)/scale, (c[r]-mc)/unit
		beta := 0.0
		a, b, ab := sqq-k*dq*dq, scc-k*dc*dc, sqc-k*dq*dc
		if ab*ab > worthwhile*a*b && b > 0 {
			beta = ab / b
		}
		dst[r] = q[r] - scale*beta*(c[r]/unit)
	}
}

// worthwhile is the squared correlation between q and c from which on a
// coefficient is used: by chance 15 replicates exceed it once in twenty times.
const worthwhile = .26

func mean(q *[Replicates]float64) float64 {
	s := 0.0
	for _, x := range q {
		s += x
	}
	return s / Replicates
}

// largestDeviation returns the largest |x - m|.
func largestDeviation(q *[Replicates]float64, m float64) float64 {
	d := 0.0
	for _, x := range q {
		d = math.Max(d, math.Abs(x-m))
	}
	return d
}

// standardError returns the mean of the replicates and its standard error,
// which neither overflows nor vanishes before the deviations do.
func standardError(q *[Replicates]float64) (m, se float64) {
	m = mean(q)
	unit := largestDeviation(q, m)
	if unit == 0 {
		return m, 0
	}
	s := 0.0
	for _, x := range q {
		d := (x - m) / unit
		s += d * d
	}
	return m, unit * math.Sqrt(s/(Replicates*(Replicates-1)))
}

// Confidence returns the number of standard errors on either side of an
// estimate that hold the truth with probability p: Student's t.
func Confidence(p float64) float64 {
	return distuv.StudentsT{Sigma: 1, Nu: Replicates - 1}.Quantile((1 + p) / 2)
}

// Marginals are the sampled moments of the elements of y.
type Marginals struct {
	Mean, MeanSE         []float64
	Variance, VarianceSE []float64
	// Carriers is the number of samples that carry the variance, N over the
	// kurtosis: a third of N for a Gaussian, and the number of times that a
	// rare event was seen if it makes the variance.
	Carriers []float64
}

// Marginals returns the estimates of the elements.
func (s *Stream) Marginals() *Marginals {
	m := len(s.centre)
	e := &Marginals{}
	for _, p := range []*[]float64{&e.Mean, &e.MeanSE, &e.Variance, &e.VarianceSE, &e.Carriers} {
		*p = make([]float64, m)
	}
	var a [Replicates]float64
	for i, c := range s.centre {
		delta, se := s.offset(&a, i)
		e.Mean[i], e.MeanSE[i] = c+delta, se
		e.Variance[i], e.VarianceSE[i] = s.variance(&a, i, delta, se)
		e.Carriers[i] = s.carriers(i, delta)
	}
	return e
}

// offset writes the replicates' estimates of E d_i to a, and returns the
// estimate with its standard error.
func (s *Stream) offset(a *[Replicates]float64, i int) (delta, se float64) {
	var u [Replicates]float64
	n := float64(s.n)
	for r, t := range s.sums {
		a[r] = t.power[0][i] / n
		if t.l1 != nil {
			u[r] = t.l1[i] / n
		}
	}
	if s.gain.Rows > 0 {
		crossFit(a, a, &u)
	}
	return standardError(a)
}

// variance returns the estimate of Var d_i and its standard error. With the
// estimate delta of the mean, of standard error se,
//
//	E[mean of (d - delta)^2] = Var d - se^2
//
// for independent replicates, and (d - delta)^2 is stationary in delta, so
// that the error of the mean does not add to the spread to first order.
func (s *Stream) variance(a *[Replicates]float64, i int, delta, se float64) (v, vse float64) {
	var q, w [Replicates]float64
	n := float64(s.n)
	known := 0.0 // Var l_i
	if s.gain.Rows > 0 {
		known = blas64.Dot(vector(row(s.gain, i)), vector(row(s.gain, i)))
	}
	for r, t := range s.sums {
		q[r] = t.power[1][i]/n - 2*delta*a[r] + delta*delta
		if t.l2 != nil {
			w[r] = t.l2[i]/n - known
		}
	}
	v, vse = s.square(&q, &w, true)
	return v + se*se, vse
}

// square returns the mean of the second moments q and its standard error, with
// the help of the control w if there is one; but not where that would leave a
// variance that is not positive, as chance can where there are few points.
func (s *Stream) square(q, w *[Replicates]float64, variance bool) (c, se float64) {
	if s.gain.Rows > 0 {
		var helped [Replicates]float64
		crossFit(&helped, q, w)
		if c, se = standardError(&helped); c > 0 || !variance {
			return c, se
		}
	}
	return standardError(q)
}

// carriers returns N (E e^2)^2/E e^4 for e = d_i - delta.
func (s *Stream) carriers(i int, delta float64) float64 {
	total := float64(s.Samples())
	var mu [4]float64
	for k := range mu {
		for _, t := range s.sums {
			mu[k] += t.power[k][i] / total
		}
	}
	d2 := delta * delta
	second := mu[1] - 2*delta*mu[0] + d2
	fourth := mu[3] - 4*delta*mu[2] + 6*d2*mu[1] - 4*delta*d2*mu[0] + d2*d2
	if !(fourth > 0) {
		return 0
	}
	return total * second * second / fourth
}

// Covariance returns the estimate of Cov y and its standard errors, (m, m),
// for a stream with full sums.
func (s *Stream) Covariance() (cov, se blas64.General) {
	m, n := len(s.centre), float64(s.n)
	a := make([][Replicates]float64, m)
	delta := make([]float64, m)
	for i := range a {
		delta[i], _ = s.offset(&a[i], i)
	}
	cov, se = newGeneral(m, m), newGeneral(m, m)
	for i := range m {
		for j := range i + 1 {
			var q, w [Replicates]float64
			bias, known := 0.0, 0.0 // Cov(delta_i, delta_j), Cov(l_i, l_j)
			if s.gain.Rows > 0 {
				known = blas64.Dot(vector(row(s.gain, i)), vector(row(s.gain, j)))
			}
			for r, t := range s.sums {
				ai, aj := a[i][r], a[j][r]
				q[r] = t.dd.Data[i*m+j]/n - delta[i]*aj - delta[j]*ai + delta[i]*delta[j]
				bias += (ai - delta[i]) * (aj - delta[j]) / (Replicates * (Replicates - 1))
				if t.ll.Rows > 0 {
					w[r] = t.ll.Data[i*m+j]/n - known
				}
			}
			c, e := s.square(&q, &w, i == j)
			cov.Data[i*m+j], se.Data[i*m+j] = c+bias, e
			cov.Data[j*m+i], se.Data[j*m+i] = c+bias, e
		}
	}
	return cov, se
}
