package layer

import (
	"context"
	"math"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/kernel"
)

// CovarianceTo writes Cov(f(X), g(Y)) to dst, (f's n, g's n), from
// c = Cov(X, Y) of the same shape, which may be dst. symmetric says that f and
// g are the same Moments and c is the covariance of one block; the variances
// then become the diagonal. The accuracy covers the series and the pair
// forms, not the marginals. f and g hold scratch: two calls at once must not
// share one of them.
func CovarianceTo(ctx context.Context, dst, c blas64.General, f, g *Moments, symmetric bool, o Options) (covprop.Accuracy, error) {
	s := f.series(g, symmetric, o)
	bound, excess, err := s.Run(ctx, o.Threads, dst, c)
	if err != nil {
		return covprop.Accuracy{}, err
	}
	if symmetric {
		for i, v := range f.Variance {
			dst.Data[i*dst.Stride+i] = v
		}
	}
	return f.accuracy(bound, excess, o.tol()), nil
}

// CovarianceTo32 is CovarianceTo for covariances in float32. What is between is
// float64; the accuracy does not cover the rounding of c and dst.
func CovarianceTo32(ctx context.Context, dst, c blas32.General, f, g *Moments, symmetric bool, o Options) (covprop.Accuracy, error) {
	s := f.series(g, symmetric, o)
	bound, excess, err := s.Run32(ctx, o.Threads, dst, c)
	if err != nil {
		return covprop.Accuracy{}, err
	}
	if symmetric {
		for i, v := range f.Variance {
			dst.Data[i*dst.Stride+i] = float32(v)
		}
	}
	// A covariance and two variances are rounded by 2^-24 each.
	return f.accuracy(bound, excess, max(o.tol(), 0x1p-22)), nil
}

// series returns the series for the covariances between f and g.
func (f *Moments) series(g *Moments, symmetric bool, o Options) kernel.Series {
	f.prepareBends()
	g.prepareBends()
	f.hard.g, f.hard.f, f.hard.worst = g, f, covprop.Accuracy{}
	return kernel.Series{
		F: &f.units, G: &g.units, Symmetric: symmetric, Tol: o.tol(), Order: o.Order,
		FBends: &f.bends, GBends: &g.bends, Hard: &f.hard,
	}
}

// accuracy is that of covariances with the bound and the excess that the
// series returned.
func (f *Moments) accuracy(bound, excess, tol float64) covprop.Accuracy {
	acc := covprop.CertifiedBy(bound, truncation).Worse(f.hard.worst)
	acc.Bound = bound
	if !(excess <= tol) {
		acc = covprop.ApproximatedBy(excess, "a correlation came out above 1 and was taken as 1: the input covariance is not quite positive semidefinite")
	}
	return acc
}

// prepareBends computes what pairs of units with one bend need, once.
func (m *Moments) prepareBends() {
	if !m.bendsDone {
		activation.BendsTo(&m.bends, m.rule.acts, m.units.Mu, m.units.In, m.units.Out)
		m.bendsDone = true
	}
}

// hardPairs computes the covariances between units of f and of g that the
// series is too slow for and that are not those of two bends. It implements
// kernel.HardPairs.
type hardPairs struct {
	f, g  *Moments
	mu    sync.Mutex
	worst covprop.Accuracy // of those that are approximate
}

func (h *hardPairs) CovariancesTo(ctx context.Context, pairs []kernel.HardPair) error {
	for k := range pairs {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := &pairs[k]
		cov, acc := hard(h.f, h.g, p.I, p.J, p.Rho)
		p.Cov, p.Bound = cov, acc.Bound
		if acc.Status == covprop.Approximate {
			h.mu.Lock()
			h.worst = h.worst.Worse(acc)
			h.mu.Unlock()
		}
	}
	return nil
}

// hard returns the covariance of entry (i, j), for which kernel.MaxOrder terms
// of the series are not enough, and its accuracy: by the exact pair form if
// there is one, otherwise by a longer series, and if that is too short as well
// by quadrature over the pair.
func hard(f, g *Moments, i, j int, rho float64) (cov float64, acc covprop.Accuracy) {
	u, w := &f.units, &g.units
	a, b := f.rule.Activation(i), g.rule.Activation(j)
	p := activation.Pair{Mu1: u.Mu[i], Sigma1: u.In[i], Mu2: w.Mu[j], Sigma2: w.In[j], Rho: rho}
	if cov, bound, ok := activation.PairForm(a, b, p, u.Out[i], w.Out[j]); ok && bound <= f.tol {
		return cov, covprop.CertifiedBy(bound, "pair form")
	}
	x, y := f.longSeries(i), g.longSeries(j)
	bound := math.Pow(math.Abs(rho), longOrder+1) * x.tail * y.tail
	if bound > f.tol {
		if cov, acc := activation.Covariance(a, b, p); acc.Bound < bound {
			return cov, acc
		}
	}
	return u.Out[i] * w.Out[j] * activation.SeriesCovariance(x.h, y.h, rho), covprop.CertifiedBy(bound, truncation)
}

// longOrder is the order of the longer series. It costs a unit what a few
// pairs cost by quadrature.
const longOrder = 512

// longSeries holds the coefficients of one unit up to longOrder, in units of
// its output standard deviation, and the root of their tail. They are computed
// when first needed.
type longSeries struct {
	mu   sync.Mutex
	done bool
	h    []float64 // (longOrder+1)
	tail float64
}

func (m *Moments) longSeries(i int) *longSeries {
	l, u := &m.long[i], &m.units
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return l
	}
	l.done = true
	l.h = resize(l.h, longOrder+1)
	variance, acc := activation.Marginal(m.rule.Activation(i), l.h, u.Mu[i], u.In[i], m.tol)
	sum := 0.
	for k := longOrder; k >= 1; k-- {
		l.h[k] /= u.Out[i]
		sum += l.h[k] * l.h[k]
	}
	l.tail = math.Sqrt(max(variance/(u.Out[i]*u.Out[i])-sum, 0) + noise(acc))
	return l
}
