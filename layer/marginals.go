package layer

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/kernel"
)

// Moments are what an elementwise rule needs of its input, and its output's
// means, variances and gain. The zero value is ready for MomentsTo, and can
// be used again.
type Moments struct {
	Mean     []float64        // (n) E g(X)
	Variance []float64        // (n) Var g(X)
	Gain     []float64        // (n) E g'(X)
	Accuracy covprop.Accuracy // of all of them: the worst
	// Uncertain says that an input has a variance above zero.
	Uncertain bool

	rule  *Elementwise
	units kernel.Units
	tol   float64
	long  []longSeries // (n)
	batch batch        // scratch of the caller's thread
	hard  hardPairs

	gain diagonal

	bends     kernel.Bends
	bendsDone bool
}

// MomentsTo computes the moments of e for inputs with the means mu and the
// variances v. covariances says whether CovarianceTo is to follow; without
// it fewer coefficients are enough.
func (e *Elementwise) MomentsTo(ctx context.Context, m *Moments, mu, v []float64, covariances bool, o Options) error {
	n := e.inputs[0]
	if len(mu) != n || len(v) != n {
		panic(badShape)
	}
	m.reset(e, covariances, o)
	m.Uncertain = false
	for i, x := range v {
		m.units.Mu[i], m.units.In[i] = mu[i], math.Sqrt(x)
		m.Uncertain = m.Uncertain || x > 0
	}
	if o.Threads > 1 {
		return m.parallel(ctx, o)
	}
	for lo := 0; lo < n; lo += activation.BatchSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		acc, err := m.run(&m.batch, lo, min(n, lo+activation.BatchSize), o)
		if err != nil {
			return err
		}
		m.Accuracy = m.Accuracy.And(acc)
	}
	return nil
}

// Slopes returns Gain as a matrix. It is valid until the next MomentsTo.
func (m *Moments) Slopes() Gain {
	m.gain = diagonal{n: len(m.Gain), d: m.Gain}
	return &m.gain
}

// reset makes room for the moments of e.
func (m *Moments) reset(e *Elementwise, covariances bool, o Options) {
	n := e.inputs[0]
	m.rule, m.tol, m.Accuracy = e, o.tol(), covprop.Accuracy{}
	m.bendsDone = false
	u := &m.units
	u.N, u.K = n, max(1, o.Order)
	if covariances {
		u.K = max(u.K, kernel.MaxOrder)
	}
	for _, s := range [...]*[]float64{&m.Mean, &m.Variance, &m.Gain, &u.Mu, &u.In, &u.Out} {
		*s = resize(*s, n)
	}
	var behind int
	u.Stride, behind = kernel.StrideOf(n)
	u.H = resize(u.H, u.K*u.Stride+behind)
	u.Tail = resize(u.Tail, len(kernel.Orders)*u.Stride)
	m.long = resize(m.long, n)
	for i := range m.long {
		m.long[i].done = false
	}
}

// parallelBatch is the number of units that are one piece of parallel work:
// few, since a unit may take long.
const parallelBatch = 16

// parallel computes all batches on several threads.
func (m *Moments) parallel(ctx context.Context, o Options) error {
	n := m.units.N
	acc := make([]covprop.Accuracy, (n+parallelBatch-1)/parallelBatch)
	err := kernel.Parallel(ctx, o.Threads, len(acc), func(c int) (err error) {
		s := batches.Get().(*batch)
		defer batches.Put(s)
		lo := c * parallelBatch
		acc[c], err = m.run(s, lo, min(n, lo+parallelBatch), o)
		return err
	})
	for _, a := range acc {
		m.Accuracy = m.Accuracy.And(a)
	}
	return err
}

// A batch is the scratch for the units computed together.
type batch struct {
	marginals activation.Batch
	h         []float64                              // (K+1) the coefficients of one unit
	noise     [activation.BatchSize]float64          // in the variance, see noise; 0 where the series ends
	sum       [activation.BatchSize]float64          // of the squares of the coefficients held
	acc       [activation.BatchSize]covprop.Accuracy // of the units computed one by one
}

// batches are for goroutines.
var batches = sync.Pool{New: func() any { return new(batch) }}

// run computes the moments of units lo to hi: together what can be, and the
// others one by one.
func (m *Moments) run(s *batch, lo, hi int, o Options) (acc covprop.Accuracy, err error) {
	u, n := &m.units, hi-lo
	acts := m.rule.acts
	if len(acts) > 1 {
		acts = acts[lo:hi]
	}
	b := &s.marginals
	b.Mu, b.Sigma = u.Mu[lo:hi], u.In[lo:hi]
	b.Mean, b.Gain, b.Variance, b.Deviation = m.Mean[lo:hi], m.Gain[lo:hi], m.Variance[lo:hi], u.Out[lo:hi]
	b.H, b.Stride, b.K = u.H[lo:], u.Stride, u.K
	done := activation.MarginalsTo(acts, b)
	for i := range n {
		if done&(1<<i) == 0 {
			if err := m.unit(s, i, lo+i, o); err != nil {
				return acc, err
			}
		} else if s.noise[i] = exactNoise; b.Deviation[i] == 0 {
			s.noise[i] = 0
		}
	}
	kernel.TailsTo(u, lo, hi, s.noise[:n], s.sum[:n])
	truncated := o.Order > 0 && o.TruncateDiagonal
	for i, sum := range s.sum[:n] {
		var a covprop.Accuracy
		if done&(1<<i) == 0 {
			a = s.acc[i]
		} else if sum <= 1+consistency && !truncated {
			continue // exact
		}
		acc = acc.And(m.settle(lo+i, sum, a, o))
	}
	return acc, nil
}

// unit computes the moments of unit i, number j of the batch, but for the
// tails.
func (m *Moments) unit(s *batch, j, i int, o Options) error {
	u, a := &m.units, m.rule.Activation(i)
	mu, sigma := u.Mu[i], u.In[i]
	s.h = resize(s.h, u.K+1)
	h := s.h
	variance, acc := activation.Marginal(a, h, mu, sigma, o.tol())
	if o.Strict && acc.Reason == activation.Linearized {
		return fmt.Errorf("%s at mean %v and standard deviation %v can only be linearised at the mean: leave out --strict (Strict) to accept that", a.Name(), mu, sigma)
	}
	for k, c := range h {
		if math.IsNaN(c) || math.IsInf(c, 0) {
			return fmt.Errorf("coefficient %d of %s at mean %v and standard deviation %v is %v: the moments do not exist in float64", k, a.Name(), mu, sigma, c)
		}
	}
	if !(variance >= 0) || math.IsInf(variance, 0) {
		return fmt.Errorf("the variance of %s at mean %v and standard deviation %v is %v: the moments do not exist in float64", a.Name(), mu, sigma, variance)
	}
	m.Mean[i], m.Variance[i] = h[0], variance
	if sigma == 0 {
		// The gain of a certain input meets only zero covariances; an
		// infinite slope, as of a root at 0, plays no part.
		if m.Gain[i] = a.Derivative(mu); math.IsInf(m.Gain[i], 0) || math.IsNaN(m.Gain[i]) {
			m.Gain[i] = 0
		}
	} else {
		m.Gain[i] = h[1] / sigma
	}
	sd := math.Sqrt(variance)
	u.Out[i], s.acc[j], s.noise[j] = sd, acc, 0
	for k, c := range h[1:] {
		if u.H[k*u.Stride+i] = 0; sd > 0 {
			u.H[k*u.Stride+i] = c / sd
			if k > 0 {
				u.H[k*u.Stride+i] = kernel.Significant(c / sd)
			}
		}
	}
	if d, ok := activation.Degree(a); sd > 0 && !(ok && d <= u.K) && acc.Reason != activation.Linearized {
		s.noise[j] = noise(acc)
	}
	return nil
}

// settle returns the accuracy of unit i, whose marginals have that of acc and
// whose coefficients the sum of squares sum, and truncates its variance if that
// is asked for.
func (m *Moments) settle(i int, sum float64, acc covprop.Accuracy, o Options) covprop.Accuracy {
	if sum > 1+noise(acc)+consistency {
		acc = acc.And(covprop.ApproximatedBy(sum-1, "the coefficients of "+m.rule.Activation(i).Name()+" exceed its variance"))
	}
	if o.Order > 0 && o.TruncateDiagonal {
		u, share := &m.units, 0.
		for k := o.Order; k >= 1; k-- {
			h := u.H[(k-1)*u.Stride+i]
			share += h * h
		}
		if m.Variance[i] > 0 {
			acc = acc.And(covprop.CertifiedBy(max(0, 1-share), "variance truncated"))
		}
		m.Variance[i] *= share
	}
	return acc
}

// noise bounds the rounding in 1 - sum h_k^2, in units of the variance: that
// of the sum and twice the relative error of a standard deviation.
func noise(acc covprop.Accuracy) float64 { return exactNoise + 2*min(acc.Bound, 1) }

const exactNoise = 64 * 0x1p-52

// consistency is the excess of sum h_k^2 over the variance that is no longer
// rounding.
const consistency = 1e-8

// UnitFloats is the number of float64 that Moments hold for a unit, with and
// without covariances to follow. A unit that needs a longer series takes
// another longOrder+1.
func UnitFloats(covariances bool, order int) int {
	k := max(1, order)
	if covariances {
		k = max(k, kernel.MaxOrder)
	}
	return 6 + k + len(kernel.Orders)
}

// resize returns a slice of length n, s itself where it has room.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
