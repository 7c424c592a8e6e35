package layer

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// A group is the softmax, or its logarithm, of n jointly Gaussian elements. It
// depends on w = x - mu - 1 (x_r - mu_r) only, with r the element of the largest
// mean: the moments of w keep their accuracy where p_r is nearly 1, and a
// variance that all elements share is gone.
type group struct {
	n       int
	log     bool
	threads int
	points  *normalPoints

	r       int
	p, logp []float64      // (n) softmax of the mean, and its logarithm
	w       blas64.General // Cov w; row and column r are 0
	noise   float64        // the largest rounding of its entries
	psd     covprop.Accuracy

	mean      []float64      // (n) results
	cov, gain blas64.General // (n, n)

	a, b, q blas64.General // (n, n) scratch
	v       []float64      // (n) scratch
}

// groupSquares is the number of n x n matrices that a group needs beside its
// results.
const groupSquares = 4

func newGroup(n int, log bool, points *normalPoints, take func() blas64.General) group {
	floats := make([]float64, 3*n)
	return group{
		n: n, log: log, points: points,
		p: floats[:n], logp: floats[n : 2*n], v: floats[2*n:],
		w: take(), a: take(), b: take(), q: take(),
	}
}

// load takes the group whose first element is at.
func (g *group) load(mu []float64, c Block, at int) {
	mu = mu[at : at+g.n]
	softmax(g.p, mu)
	logSoftmax(g.logp, mu)
	g.r = largest(mu)
	g.noise, g.psd = differenceCovariance(g.w, c, at, g.r)
}

// differenceCovariance writes Cov(x_i - x_r, x_j - x_r) for the elements of c
// from at on, and returns the largest rounding of an entry. As in differences,
// variances that are negative are taken as 0, which is reported beyond
// rounding, and correlations that rounding takes beyond 1 as 1.
func differenceCovariance(w blas64.General, c Block, at, r int) (noise float64, psd covprop.Accuracy) {
	scale := func(i int) float64 { return c.At(at+i, at+i) + c.At(at+r, at+r) }
	for i := range w.Rows {
		to := row(w, i)
		var a covprop.Accuracy
		if to[i] = 0; i != r {
			to[i], a = differenceVariance(c, at+i, at+r)
		}
		psd, noise = psd.And(a), max(noise, rounding*scale(i))
		for j := range i {
			x := (c.At(at+i, at+j) - c.At(at+i, at+r)) - (c.At(at+r, at+j) - c.At(at+r, at+r))
			to[j] = withinCorrelation(x, math.Sqrt(to[i])*math.Sqrt(row(w, j)[j]), rounding*math.Sqrt(scale(i)*scale(j)))
		}
	}
	kernel.Mirror(w)
	return noise, psd
}

const taylorReason = "second-order Taylor series"

// enoughTaylor is the estimated error of the Taylor series below which nothing
// else is tried.
const enoughTaylor = 1e-3

// mostTaylor is the estimated error beyond which the terms need not decrease,
// so that the estimate says nothing.
const mostTaylor = 0.1

// moments writes mean, cov and gain.
func (g *group) moments(ctx context.Context) (covprop.Accuracy, error) {
	acc, err := g.either(ctx)
	if err != nil {
		return acc, err
	}
	return acc.And(g.settle()).And(g.psd), nil
}

// settle takes elements whose variance is negative as certain: of elements
// that move together only the rounding of w is left. Where it is more than
// that it is reported.
func (g *group) settle() (acc covprop.Accuracy) {
	for i := range g.n {
		v := row(g.cov, i)[i]
		if v >= 0 {
			continue
		}
		if -v > g.noise {
			acc = acc.And(covprop.ApproximatedBy(-v/g.noise*rounding, notPSD))
		}
		for k := range g.n {
			row(g.cov, i)[k], row(g.cov, k)[i], row(g.gain, i)[k] = 0, 0, 0
		}
	}
	return acc
}

// either takes the Taylor series or quasi-Monte Carlo, whichever has the
// smaller estimate of its error.
func (g *group) either(ctx context.Context) (covprop.Accuracy, error) {
	if allZero(g.w) {
		g.point()
		return covprop.Accuracy{}, nil
	}
	taylor, err := g.taylor(ctx)
	if err != nil || taylor <= enoughTaylor {
		return covprop.ApproximatedBy(taylor, taylorReason), err
	}
	sampled, err := g.sample(ctx)
	if err != nil || sampled <= taylor || taylor > mostTaylor {
		return covprop.ApproximatedBy(sampled, sampleReason), err
	}
	_, err = g.taylor(ctx)
	return covprop.ApproximatedBy(taylor, taylorReason), err
}

// point writes the value and the derivatives at the mean.
func (g *group) point() {
	copy(g.mean, g.p)
	if g.log {
		copy(g.mean, g.logp)
	}
	for i := range g.n {
		clear(row(g.cov, i))
	}
	g.setGain(g.p, g.cov)
}

// setGain writes E dy/dx from m = E p and, for the softmax, c = Cov p. Its
// rows sum to 0, from which it gets its diagonal without cancellation.
func (g *group) setGain(m []float64, c blas64.General) {
	for i := range g.n {
		to, sum := row(g.gain, i), 0.
		for k := range to {
			if g.log {
				to[k] = -m[k]
			} else {
				to[k] = -(m[i]*m[k] + row(c, i)[k])
			}
			if k != i {
				sum += to[k]
			}
		}
		to[i] = -sum
	}
}

// taylor writes the moments to second order in the covariance and returns the
// estimate of their error relative to the standard deviations. With a = w -
// 1 p'w, C = Cov a and v_k = C_kk,
//
//	p_i(x) = p_i [ 1 + a_i + (a_i^2 - sum_k p_k a_k^2)/2 + ... ],
//	log p_i(x) = log p_i + a_i - sum_k p_k a_k^2/2 + ...,
//
//	E p_i = p_i (1 + (v_i - p'v)/2),                 E log p_i = log p_i - p'v/2,
//	G = diag(E p) - E p E p' - diag(p) C diag(p),    G = I - 1 E p',
//	Cov = G Cov(w) G' + the covariance of the quadratic terms:
//	      p_i p_j (C_ij^2 - t_i - t_j + p't)/2,      p't/2,    t_i = sum_k p_k C_ik^2.
func (g *group) taylor(ctx context.Context) (estimate float64, err error) {
	c, t := g.a, g.v
	spread := g.centre(c)
	m := g.mean
	for i := range g.n {
		m[i] = g.p[i] * (1 + (row(c, i)[i]-spread)/2)
	}
	if g.log {
		g.setGain(m, c)
	} else {
		for i := range g.n {
			for k, x := range row(c, i) {
				row(g.b, i)[k] = g.p[i] * g.p[k] * x
			}
		}
		g.setGain(m, g.b)
	}
	total := 0.
	for i := range g.n {
		t[i] = 0
		for k, x := range row(c, i) {
			t[i] += g.p[k] * x * x
		}
		total += g.p[i] * t[i]
	}
	if err := g.explained(ctx, g.cov, g.q); err != nil {
		return 0, err
	}
	for i := range g.n {
		for j, x := range row(c, i) {
			if g.log {
				row(g.cov, i)[j] += total / 2
			} else {
				row(g.cov, i)[j] += g.p[i] * g.p[j] * (x*x - t[i] - t[j] + total) / 2
			}
		}
		if g.log {
			m[i] = g.logp[i] - spread/2
		}
	}
	return g.taylorError(c), nil
}

// centre writes C = Cov(w - 1 p'w) and returns p'v.
func (g *group) centre(c blas64.General) (spread float64) {
	sum := 0.
	for i := range g.n {
		g.v[i] = 0
		for k, x := range row(g.w, i) {
			g.v[i] += g.p[k] * x
		}
		sum += g.p[i] * g.v[i]
	}
	for i := range g.n {
		for j, x := range row(g.w, i) {
			row(c, i)[j] = x - g.v[i] - g.v[j] + sum
		}
		row(c, i)[i] = max(row(c, i)[i], 0)
		spread += g.p[i] * row(c, i)[i]
	}
	return spread
}

// explained writes G Cov(w) G', what a linear function of w explains of the
// covariance; scratch is (n, n).
func (g *group) explained(ctx context.Context, dst, scratch blas64.General) error {
	if err := kernel.MulTo(ctx, g.threads, scratch, g.gain, g.w, false); err != nil {
		return err
	}
	return kernel.MulSymTo(ctx, g.threads, dst, scratch, g.gain)
}

// tail returns the largest part of a variance that the gain does not explain.
func (g *group) tail(ctx context.Context) (worst float64, err error) {
	if allZero(g.w) {
		return 0, nil
	}
	if err := g.explained(ctx, g.a, g.q); err != nil {
		return 0, err
	}
	for i := range g.n {
		if v := row(g.cov, i)[i]; v > 0 {
			worst = math.Max(worst, 1-row(g.a, i)[i]/v)
		}
	}
	return worst, nil
}

// taylorError estimates what the series leaves out, in units of the standard
// deviations s_i (over p_i for the softmax): in a mean the terms of fourth
// order; in a covariance the square of those of third order, and those of
// fifth order times s. With m_k = v_i^{k/2} + sum_j p_j v_j^{k/2} for the size of
// the terms of order k (without v_i for the logarithm) that is
//
//	m_4/s_i + (m_3/s_i)^2 + m_5/s_i.
func (g *group) taylorError(c blas64.General) (worst float64) {
	var sum [3]float64 // of p_j v_j^{k/2}, k = 3, 4, 5
	for j := range g.n {
		sd := math.Sqrt(row(c, j)[j])
		for k := range sum {
			sum[k] += g.p[j] * math.Pow(sd, float64(k+3))
		}
	}
	for i := range g.n {
		if g.negligible(i, row(c, i)[i]) {
			continue
		}
		m, sd, s := sum, math.Sqrt(row(c, i)[i]), math.Sqrt(row(g.cov, i)[i])
		if !g.log {
			s /= g.p[i]
			for k := range m {
				m[k] += math.Pow(sd, float64(k+3))
			}
		}
		if m[1] > 0 {
			worst = math.Max(worst, m[1]/s+m[0]/s*m[0]/s+m[2]/s) // NaN stays
		}
	}
	if math.IsNaN(worst) {
		return math.Inf(1)
	}
	return worst
}

// negligible reports whether element i of the softmax underflows, v being the
// variance of a_i. Since sum_k p_k e^{a_k} >= e^{p'a} = 1, p_i(x) <= p_i e^{a_i},
// so E p_i(x)^2 <= p_i^2 e^{2v}.
func (g *group) negligible(i int, v float64) bool {
	const underflow = -700 // the logarithm of 1e-304
	return !g.log && 2*(g.logp[i]+v) < underflow
}
