package refine

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// In this file x is the input of an activation, s its standard deviations, r
// its correlations with 0 on the diagonal, and l and f its standardised
// cumulants, l_ij = kappa_iij/(s_i^2 s_j) and f_ij = kappa_iijj/(s_i s_j)^2.
// a, q, b and d are the coefficients c_k = s^k E_G[d^k/dx^k .] of y = g(x) and
// of the powers (y-m)^2, (y-m)^3 and (y-m)^4 about the Gaussian mean m.

// elementwise is an activation y_i = g_i(x_i). Its input has a Gram-Charlier
// series. Kept are the terms of first order in the cumulants and the correlations
// together that have kappa_ijk, kappa_iijj or one unit, and of the second order in
// kappa_3, which goes with kappa_4, those of one unit.
func (r *cumulantRun) elementwise(l *link) (covprop.Accuracy, error) {
	s, n := r.state, l.n
	v := make([]float64, n)
	for i := range v {
		if v[i] = row(s.cov, i)[i]; v[i] < 0 {
			return covprop.Accuracy{}, l.errorf("cumulant3: the corrected variance of input element %d is %.3g: the cumulants are too large for the expansion; use another method", i, v[i])
		}
	}
	x := r.standardize(v)
	if err := r.judge(l, x, v); err != nil {
		return covprop.Accuracy{}, err
	}
	var m layer.Moments
	o := layer.Options{Threads: r.threads}
	if err := l.activation.MomentsTo(r.ctx, &m, s.mean, v, true, o); err != nil {
		return covprop.Accuracy{}, l.located(r.ctx, err)
	}
	cov := newGeneral(n, n)
	acc, err := layer.CovarianceTo(r.ctx, cov, s.cov, &m, &m, true, o)
	if err != nil {
		return acc, err
	}
	if acc.Status == covprop.Approximate {
		r.clamped = max(r.clamped, acc.Bound)
	}
	acc = m.Accuracy.And(acc)
	c, err := newCoefficients(r.ctx, r.threads, l, s.mean, x.s, m.Mean)
	if err != nil {
		return acc, l.located(r.ctx, err)
	}
	r.quadrature = max(r.quadrature, c.estimate)
	e := &expansion{x: x, c: c, gain: m.Gain, gauss: cov, fourth: r.dropped == "", shift: make([]float64, n)}
	mean, last := e.means(m.Mean)
	if x.l.Rows > 0 {
		acc = acc.And(covprop.ApproximatedBy(relative(last, m.Variance), "third cumulants"))
	}
	var pairs blas64.General
	third := packed{}
	if !l.last {
		var iij blas64.General
		if iij, pairs, err = e.higher(r.ctx, r.threads, s.cov); err != nil {
			return acc, err
		}
		if third, err = e.third(r.ctx, r.threads, s.third, iij); err != nil {
			return acc, err
		}
	}
	s.lastMean, s.lastCov = e.lastMean(s.lastMean, last), e.lastCov(s.lastCov)
	s.mean, s.cov, s.third, s.fourth = mean, e.covariances(), third, pairs
	return acc, nil
}

// relative returns the root mean square of e, relative to that of the standard
// deviations of the variances v.
func relative(e, v []float64) float64 {
	num, den := 0., 0.
	for i := range e {
		num, den = num+e[i]*e[i], den+v[i]
	}
	if num == 0 {
		return 0
	}
	return math.Sqrt(num / den)
}

// A standardized tensor has its standard deviations, correlations and
// standardised cumulants; l and f are empty for a Gaussian.
type standardized struct {
	s       []float64
	r, l, f blas64.General // (n, n)
}

func (r *cumulantRun) standardize(v []float64) *standardized {
	t, n := r.state, len(v)
	x := &standardized{s: make([]float64, n), r: newGeneral(n, n)}
	inv := make([]float64, n) // 1/s, 0 for a constant, which has no cumulants
	for i := range v {
		if x.s[i] = math.Sqrt(v[i]); v[i] > 0 {
			inv[i] = 1 / x.s[i]
		}
	}
	gaussian := t.third.n == 0
	if !gaussian {
		x.l, x.f = newGeneral(n, n), newGeneral(n, n)
	}
	for i := range n {
		for j := range n {
			if i != j {
				row(x.r, i)[j] = row(t.cov, i)[j] * inv[i] * inv[j]
			}
			if !gaussian {
				row(x.l, i)[j] = t.third.at(i, i, j) * inv[i] * inv[i] * inv[j]
				row(x.f, i)[j] = row(t.fourth, i)[j] * inv[i] * inv[i] * inv[j] * inv[j]
			}
		}
	}
	return x
}

// judge refuses cumulants for which the expansion is worth nothing, and gives
// up the fourth where they are too large.
func (r *cumulantRun) judge(l *link, x *standardized, v []float64) error {
	if x.l.Rows == 0 {
		return nil
	}
	units, skewness, kurtosis := 0., 0., 0.
	for i := range v {
		if v[i] > 0 {
			units++
			skewness += row(x.l, i)[i] * row(x.l, i)[i]
			kurtosis += row(x.f, i)[i] * row(x.f, i)[i]
		}
	}
	if units == 0 {
		return nil
	}
	skewness, kurtosis = math.Sqrt(skewness/units), math.Sqrt(kurtosis/units)
	if !(skewness <= largestSkewness) {
		return l.errorf("cumulant3: the inputs, %d wide, have a root mean square skewness of %.2g, beyond %v, where an expansion in cumulants may be worse than none; use another method", l.n, skewness, float64(largestSkewness))
	}
	r.skewness = max(r.skewness, skewness)
	if !(kurtosis <= largestKurtosis) && r.dropped == "" {
		r.dropped = l.name
	}
	return nil
}

// An expansion makes the cumulants of y from those of x.
type expansion struct {
	x      *standardized
	c      *coefficients
	gain   []float64      // (n) E_G g' = a_1/s
	gauss  blas64.General // (n, n) Cov_G y
	fourth bool           // whether fourth cumulants are used
	shift  []float64      // (n) E y - E_G y
}

// means returns E y = m + shift,
//
//	shift_i = l_ii a_3/6 + f_ii a_4/24 + l_ii^2 a_6/72,
//
// and the sizes of the last two terms, which may cancel by chance.
func (e *expansion) means(m []float64) (mean, last []float64) {
	mean, last = append([]float64(nil), m...), make([]float64, len(m))
	if e.x.l.Rows == 0 {
		return mean, last
	}
	a := &e.c.a
	for i := range m {
		l, f := row(e.x.l, i)[i], row(e.x.f, i)[i]
		kurtosis, square := f*a[4][i]/24, l*l*a[6][i]/72
		e.shift[i] = l * a[3][i] / 6
		if e.fourth {
			e.shift[i] += kurtosis + square
		}
		last[i] = math.Abs(kurtosis) + math.Abs(square)
		mean[i] += e.shift[i]
	}
	return mean, last
}

// covariances returns Cov y: for i != j
//
//	Cov_G(y_i, y_j) + l_ij a_2i a_1j/2 + l_ji a_1i a_2j/2 + f_ij a_2i a_2j/4,
//
// and Var y_i = q_0 + l_ii q_3/6 + f_ii q_4/24 + l_ii^2 q_6/72 - shift_i^2.
func (e *expansion) covariances() blas64.General {
	if e.x.l.Rows == 0 {
		return e.gauss
	}
	a, q, n := &e.c.a, &e.c.q, len(e.shift)
	cov := newGeneral(n, n)
	for i := range n {
		for j, c := range row(e.gauss, i) {
			l := row(e.x.l, i)[j]
			if i == j {
				c += l*q[3][i]/6 - e.shift[i]*e.shift[i]
			} else {
				c += (l*a[2][i]*a[1][j] + row(e.x.l, j)[i]*a[1][i]*a[2][j]) / 2
			}
			if e.fourth {
				f, _ := e.fourthCov(i, j)
				c += f
			}
			row(cov, i)[j] = c
		}
	}
	return cov
}

// fourthCov is the part of Cov(y_i, y_j) that is due to fourth cumulants. Of a
// variance size has the sizes of its two terms.
func (e *expansion) fourthCov(i, j int) (cov, size float64) {
	a, q, f := &e.c.a, &e.c.q, row(e.x.f, i)[j]
	if i != j {
		cov = f * a[2][i] * a[2][j] / 4
		return cov, cov
	}
	l := row(e.x.l, i)[i]
	kurtosis, square := f*q[4][i]/24, l*l*q[6][i]/72
	return kurtosis + square, math.Abs(kurtosis) + math.Abs(square)
}

// lastMean and lastCov add what is due to fourth cumulants here to what came
// in, which the gain transports.
func (e *expansion) lastMean(in, last []float64) []float64 {
	for i, g := range e.gain {
		last[i] += g * in[i]
	}
	return last
}

func (e *expansion) lastCov(in blas64.General) blas64.General {
	for i, g := range e.gain {
		for j, h := range e.gain {
			c := &row(in, i)[j]
			*c *= g * h
			if e.x.l.Rows > 0 {
				_, size := e.fourthCov(i, j)
				*c += size
			}
		}
	}
	return in
}

// located returns err as one of the node, unless ctx ended.
func (l *link) located(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return l.errorf("%w", err)
}
