package layer

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/classify/lattice"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/special"
)

const sampleReason = "quasi-Monte Carlo"

// A sampler finds the moments of a group by quasi-Monte Carlo. A first pass
// over the points gives the mean and the gain G; a second one the covariance R
// of the rest y - E y - G w, and then
//
//	Cov y = G Cov(w) G' + R:
//
// of a nearly linear y little is left to sampling, and the joint covariance
// with x is positive semidefinite.
type sampler struct {
	*group
	root     blas64.General // (n, rank)
	variance []float64      // (n) of a
	// By shift: the means of y(x) - y(mu) and of p(x), each (n).
	mean, p [][lattice.Shifts]float64
	// By point of one shift, for z and then for -z: w, and y(x) - y(mu) or the
	// rest; each (n, 2 latticePoints).
	w, d     blas64.General
	wi, yi   []float64 // (n) of one point
	pi       []float64
	shifted  []float64 // (n) E y - y(mu), and its standard errors
	se       []float64
	gainStep []float64 // (n) standard deviation of the error of G w
}

// sample writes the moments and returns the estimate of their error relative
// to the standard deviations: three standard errors over the shifts, and what
// rare events may add.
func (g *group) sample(ctx context.Context) (estimate float64, err error) {
	s, ok := g.newSampler()
	if !ok {
		return math.Inf(1), nil
	}
	if err := s.secondMoments(ctx, false); err != nil {
		return 0, err
	}
	s.setMeans()
	if err := s.secondMoments(ctx, true); err != nil {
		return 0, err
	}
	if err := g.explained(ctx, g.b, g.a); err != nil {
		return 0, err
	}
	for i := range g.n {
		for j, x := range row(g.b, i) {
			row(g.cov, i)[j] += x
		}
	}
	return s.estimate(), nil
}

// newSampler returns a sampler whose root is in g.a; ok is false if the
// eigenvalues do not converge.
func (g *group) newSampler() (s *sampler, ok bool) {
	n := g.n
	vectors := make([]float64, 7*n)
	take := func() (v []float64) {
		v, vectors = vectors[:n], vectors[n:]
		return v
	}
	points := func() blas64.General {
		const cols = 2 * latticePoints
		return blas64.General{Rows: n, Cols: cols, Stride: cols, Data: make([]float64, n*cols)}
	}
	s = &sampler{
		group: g, mean: make([][lattice.Shifts]float64, n), p: make([][lattice.Shifts]float64, n), w: points(), d: points(),
		variance: take(), wi: take(), yi: take(), pi: take(), shifted: take(), se: take(), gainStep: take(),
	}
	g.centre(g.a)
	for i := range n {
		s.variance[i] = row(g.a, i)[i]
	}
	rank, ok := rootTo(g.a, g.w, g.v)
	if ok {
		g.psd = g.psd.And(indefinite(g.v, g.noise))
	}
	s.root = blas64.General{Rows: n, Cols: rank, Stride: g.a.Stride, Data: g.a.Data}
	return s, ok
}

// secondMoments writes E D D' to cov and its standard errors to q, where D is
// y(x) - y(mu) or the rest.
func (s *sampler) secondMoments(ctx context.Context, rest bool) error {
	for i := range s.n {
		clear(row(s.cov, i))
		clear(row(s.q, i))
	}
	for shift := range lattice.Shifts {
		if err := s.evaluate(ctx, shift); err != nil {
			return err
		}
		if rest {
			if err := s.subtract(ctx); err != nil {
				return err
			}
		}
		if err := kernel.MulSymTo(ctx, s.threads, s.b, s.d, s.d); err != nil {
			return err
		}
		for i := range s.n {
			sum, square := row(s.cov, i), row(s.q, i)
			for j, x := range row(s.b, i) {
				x /= 2 * latticePoints
				sum[j] += x / lattice.Shifts
				square[j] += x * x / lattice.Shifts
			}
		}
	}
	for i := range s.n {
		c, q := row(s.cov, i), row(s.q, i)
		for j := range q {
			q[j] = math.Sqrt(max(q[j]-c[j]*c[j], 0) / (lattice.Shifts - 1))
		}
	}
	return nil
}

// evaluate computes w and y(x) - y(mu) at the points of a shift.
func (s *sampler) evaluate(ctx context.Context, shift int) error {
	half := s.w
	half.Cols = latticePoints
	if err := kernel.MulTransTo(ctx, s.threads, half, s.root, s.points.shift(shift, s.root.Cols), false); err != nil {
		return err
	}
	for i := range s.n {
		s.mean[i][shift], s.p[i][shift] = 0, 0
		w := row(s.w, i)
		for b, x := range w[:latticePoints] {
			w[latticePoints+b] = -x
		}
	}
	for b := range 2 * latticePoints {
		for i := range s.wi {
			s.wi[i] = row(s.w, i)[b]
		}
		s.deviate(s.yi, s.pi, s.wi)
		for i, y := range s.yi {
			row(s.d, i)[b] = y
			s.mean[i][shift] += y / (2 * latticePoints)
			s.p[i][shift] += s.pi[i] / (2 * latticePoints)
		}
	}
	return nil
}

// subtract takes E y - y(mu) + G w from d.
func (s *sampler) subtract(ctx context.Context) error {
	for i := range s.n {
		blas64.Scal(-1, blas64.Vector{N: s.w.Cols, Inc: 1, Data: row(s.w, i)})
	}
	if err := kernel.MulTo(ctx, s.threads, s.d, s.gain, s.w, true); err != nil {
		return err
	}
	for i, m := range s.shifted {
		for b := range row(s.d, i) {
			row(s.d, i)[b] -= m
		}
	}
	return nil
}

// setMeans writes the mean and the gain of the group, from E D D' in cov.
func (s *sampler) setMeans() {
	g := s.group
	p, sep := g.v, make([]float64, g.n)
	for i := range g.n {
		s.shifted[i], s.se[i] = lattice.MeanError(&s.mean[i])
		p[i], sep[i] = lattice.MeanError(&s.p[i])
		g.mean[i] = g.p[i] + s.shifted[i]
		if g.log {
			g.mean[i] = g.logp[i] + s.shifted[i]
		}
	}
	for i := range g.n {
		c, sum := row(g.cov, i), 0.
		for k, e := range row(g.q, i) {
			c[k] -= s.shifted[i] * s.shifted[k]
			// E p p' = p(mu) p(mu)' + p(mu) E d' + E d p(mu)' + E d d'
			if e += g.p[i]*sep[k] + g.p[k]*sep[i]; g.log {
				e = sep[k]
			}
			sum += e * e * s.variance[k]
		}
		s.gainStep[i] = math.Sqrt(sum)
	}
	g.setGain(p, g.cov)
}

// estimate returns the estimated error of the moments.
func (s *sampler) estimate() (worst float64) {
	g := s.group
	own, all := g.rare(s.variance)
	for i := range g.n {
		if g.negligible(i, s.variance[i]) {
			continue
		}
		sd := math.Sqrt(row(g.cov, i)[i])
		e := per(s.se[i], sd)
		for j, x := range row(g.q, i) {
			if !g.negligible(j, s.variance[j]) {
				other := math.Sqrt(row(g.cov, j)[j])
				e = math.Max(e, per(x, sd*other)+per(s.gainStep[i], sd)+per(s.gainStep[j], other))
			}
		}
		missing := all
		if !g.log {
			missing = own[i] + g.mean[i]*all
		}
		worst = math.Max(worst, 3*e+per(missing, sd)) // NaN stays
	}
	if math.IsNaN(worst) {
		return math.Inf(1)
	}
	return worst
}

// deviate writes y(x) - y(mu) and p(x) for x - mu = w. The softmax sums to 1,
// so the deviation of p_r is minus the sum of the others.
func (g *group) deviate(y, p, w []float64) {
	for i := range w {
		p[i] = g.logp[i] + w[i]
	}
	at := largest(p)
	shift := p[at] + logExcess(p, at)
	sum := 0.
	for i := range w {
		if p[i] = math.Exp(p[i] - shift); g.log {
			y[i] = w[i] - shift
		} else if y[i] = p[i] - g.p[i]; i != g.r {
			sum += y[i]
		}
	}
	if !g.log {
		y[g.r] = -sum
	}
}

// per returns x/unit, 0 if x is.
func per(x, unit float64) float64 {
	if x == 0 {
		return 0
	}
	return x / unit
}

// rare returns, for each element, what rare events may add to the root of
// E p_i(x)^2, and the sum. With p_i(x) <= min(1, p_i e^{a_i}), that moment comes
// from about
//
//	z = min( 2 sd, -log p_i / sd )
//
// standard deviations of a_i; beyond 3 the points are too few to see it, and
// it is bounded by that of any min(1, e^{x_i - x_k}).
func (g *group) rare(variance []float64) (own []float64, all float64) {
	own = make([]float64, g.n)
	for i, v := range variance {
		sd := math.Sqrt(v)
		if !(math.Min(2*sd, -g.logp[i]/sd) > 3) {
			continue
		}
		least := clippedSquare(g.logp[i], v)
		for k, c := range row(g.w, i) {
			if k != i {
				v := max(row(g.w, i)[i]+row(g.w, k)[k]-2*c, 0)
				least = math.Min(least, clippedSquare(g.logp[i]-g.logp[k], v))
			}
		}
		own[i] = math.Sqrt(least)
		all += own[i]
	}
	return own, all
}

// clippedSquare returns E min(1, e^d)^2 = P(d > 0) + e^{2m+2v} P(d + 2v < 0),
// d ~ N(m, v).
func clippedSquare(m, v float64) float64 {
	if v == 0 {
		return math.Exp(2 * math.Min(m, 0))
	}
	sd := math.Sqrt(v)
	return special.CDF(m/sd) + math.Exp(2*(m+v)+special.LogCDF(-m/sd-2*sd))
}
