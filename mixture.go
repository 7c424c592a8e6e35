package covprop

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop/internal/special"
)

// A Mixture is a weighted sum of Gaussians,
//
//	p(y) = sum_k w_k N(y; m_k, C_k),   w_k >= 0,   sum_k w_k = 1.
//
// A component whose variance of element i is zero is a point mass there: all
// of its weight lies at its mean. Probabilities count it exactly, and a
// density is infinite at it.
//
// Tail probabilities keep their relative accuracy: no complement is taken.
type Mixture struct {
	Weights    []float64  // (K)
	Components []Gaussian // (K), all of one dimension
}

// weightTolerance is how far from 1 the sum of a mixture's weights may be.
const weightTolerance = 1e-9

// Check reports, as an *InputError, a mixture without components, one whose
// weights are not as many as these, are negative, or do not sum to 1 within
// 1e-9, and components that are no Gaussians or differ in dimension.
func (m *Mixture) Check() error {
	if len(m.Components) == 0 || len(m.Weights) != len(m.Components) {
		return inputErrorf("mixture", "has %d components and %d weights", len(m.Components), len(m.Weights))
	}
	sum := 0.0
	for k, w := range m.Weights {
		if !(w >= 0) {
			return inputErrorf("mixture", "weight %d is %v; it must not be negative", k, w)
		}
		sum += w
		if err := m.Components[k].Check(); err != nil {
			return &InputError{What: "mixture", Err: fmt.Errorf("component %d: %w", k, err)}
		}
		if d := m.Components[k].Dim(); d != m.Dim() {
			return inputErrorf("mixture", "component %d has dimension %d, component 0 has %d", k, d, m.Dim())
		}
	}
	if !(math.Abs(sum-1) <= weightTolerance) {
		return inputErrorf("mixture", "weights sum to %v, not 1", sum)
	}
	return nil
}

// Dim returns the dimension of the components.
func (m *Mixture) Dim() int { return m.Components[0].Dim() }

// Moments returns the mean and the covariance of the mixture, by the laws of
// total expectation and covariance:
//
//	m = sum_k w_k m_k,   C = sum_k w_k [ C_k + (m_k - m)(m_k - m)' ]
func (m *Mixture) Moments() Gaussian {
	n := m.Dim()
	first := m.Components[0].Mean
	mean, c := make([]float64, n), make([]float64, n*n)
	for k, g := range m.Components {
		for i, x := range g.Mean {
			mean[i] += m.Weights[k] * (x - first[i])
		}
	}
	for i := range mean {
		mean[i] += first[i]
	}
	d := make([]float64, n)
	for k, g := range m.Components {
		w := m.Weights[k]
		for i, x := range g.Mean {
			d[i] = x - mean[i]
		}
		for i := range n {
			for j := range i + 1 {
				c[i*n+j] += w * (g.Cov.At(i, j) + d[i]*d[j])
			}
		}
	}
	for i := range n {
		for j := range i {
			c[j*n+i] = c[i*n+j]
		}
	}
	return Gaussian{Mean: mean, Cov: DenseOf(mat.NewDense(n, n, c).RawMatrix())}
}

// Density returns the density of element i at y: +Inf at a point mass.
func (m *Mixture) Density(i int, y float64) float64 {
	return m.sum(i, func(mean, std float64) float64 {
		switch {
		case std > 0:
			return special.Density((y-mean)/std) / std
		case y == mean:
			return math.Inf(1)
		}
		return 0
	})
}

// CDF returns P(y_i <= t).
func (m *Mixture) CDF(i int, t float64) float64 {
	return m.sum(i, func(mean, std float64) float64 {
		switch {
		case std > 0:
			return special.CDF((t - mean) / std)
		case mean <= t:
			return 1
		}
		return 0
	})
}

// Exceedance returns P(y_i > t).
func (m *Mixture) Exceedance(i int, t float64) float64 {
	return m.sum(i, func(mean, std float64) float64 {
		switch {
		case std > 0:
			return special.CDF((mean - t) / std)
		case mean > t:
			return 1
		}
		return 0
	})
}

// sum returns sum_k w_k f(mean, standard deviation) for element i, over the
// components that have a weight.
func (m *Mixture) sum(i int, f func(mean, std float64) float64) float64 {
	s := 0.0
	for k, g := range m.Components {
		if w := m.Weights[k]; w > 0 {
			s += w * f(g.Mean[i], math.Sqrt(g.Cov.At(i, i)))
		}
	}
	return s
}

// Quantile returns the smallest t with P(y_i <= t) >= p, to rounding. It is
// -Inf for p = 0, the largest t of all for p = 1, which is +Inf unless all
// components are point masses, and NaN for p outside [0, 1].
//
// For a probability near 1 that 1 - p does not resolve, see UpperQuantile.
func (m *Mixture) Quantile(i int, p float64) float64 {
	switch {
	case !(p >= 0 && p <= 1):
		return math.NaN()
	case p == 0:
		return math.Inf(-1)
	case p > .5:
		return m.UpperQuantile(i, 1-p) // exact (Sterbenz)
	}
	return m.search(i, func(t float64) bool { return m.CDF(i, t) >= p })
}

// UpperQuantile returns the smallest t with P(y_i > t) <= p, to rounding: the
// level that is exceeded with probability p, however small. It is +Inf for
// p = 0 unless all components are point masses, -Inf for p = 1, and NaN for p
// outside [0, 1].
func (m *Mixture) UpperQuantile(i int, p float64) float64 {
	switch {
	case !(p >= 0 && p <= 1):
		return math.NaN()
	case p == 1:
		return math.Inf(-1)
	case p == 0 && m.sum(i, func(_, std float64) float64 { return std }) > 0:
		return math.Inf(1)
	case p > .5: // where P(y_i > t) does not resolve the other tail
		return m.search(i, func(t float64) bool { return m.CDF(i, t) >= 1-p })
	}
	return m.search(i, func(t float64) bool { return m.Exceedance(i, t) <= p })
}

// tail is beyond the quantile of every positive float64 in a Gaussian's tail.
const tail = 39

// search returns the smallest t for which above holds, given that it holds
// from there on. The quantile of a mixture lies between the smallest and the
// largest of its components'. Bisection over the float64 in their order, which
// is that of their bit patterns, ends after at most 64 steps.
func (m *Mixture) search(i int, above func(t float64) bool) float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for k, g := range m.Components {
		if m.Weights[k] > 0 {
			mean, reach := g.Mean[i], tail*math.Sqrt(g.Cov.At(i, i))
			low, high = min(low, mean-reach), max(high, mean+reach)
		}
	}
	a, b := ordinal(math.Nextafter(low, math.Inf(-1))), ordinal(high) // not above, above
	for uint64(b-a) > 1 {                                             // the difference may exceed an int64
		if c := a + int64(uint64(b-a)/2); above(fromOrdinal(c)) {
			b = c
		} else {
			a = c
		}
	}
	return fromOrdinal(b)
}

// ordinal numbers the float64 from -Inf to +Inf in increasing order, with 0
// and -0 the same.
func ordinal(x float64) int64 {
	b := int64(math.Float64bits(x))
	if b < 0 {
		return math.MinInt64 - b
	}
	return b
}

func fromOrdinal(o int64) float64 {
	if o < 0 {
		o = math.MinInt64 - o
	}
	return math.Float64frombits(uint64(o))
}

// LogDensity returns the logarithm of the joint density at y, without overflow
// or underflow. A component of positive weight whose covariance is singular has
// no density; it is an *InputError.
func (m *Mixture) LogDensity(y []float64) (float64, error) {
	n := m.Dim()
	if len(y) != n {
		return 0, inputErrorf("point", "has %d elements, but the mixture %d", len(y), n)
	}
	if slices.ContainsFunc(y, func(x float64) bool { return math.IsInf(x, 0) }) {
		return math.Inf(-1), nil
	}
	logs := make([]float64, 0, len(m.Components))
	d := mat.NewVecDense(n, nil)
	var white mat.VecDense
	for k, g := range m.Components {
		if m.Weights[k] == 0 {
			continue
		}
		// The correlations' factor: scales may differ by any factor.
		std, correlation, scale := g.Std(), mat.NewSymDense(n, nil), 0.0
		for i, s := range std {
			if s == 0 {
				return 0, inputErrorf("mixture", "component %d has no density: its covariance is singular", k)
			}
			scale += 2 * math.Log(s)
			for j := range i + 1 {
				correlation.SetSym(i, j, g.Cov.At(i, j)/s/std[j])
			}
		}
		var chol mat.Cholesky
		if !chol.Factorize(correlation) {
			return 0, inputErrorf("mixture", "component %d has no density: its covariance is singular", k)
		}
		for i, x := range g.Mean {
			d.SetVec(i, (y[i]-x)/std[i])
		}
		if err := chol.SolveVecTo(&white, d); err != nil {
			return 0, inputErrorf("mixture", "component %d has no density: %v", k, err)
		}
		logs = append(logs, math.Log(m.Weights[k])-(mat.Dot(d, &white)+chol.LogDet()+scale+float64(n)*math.Log(2*math.Pi))/2)
	}
	largest := slices.Max(logs)
	if math.IsInf(largest, -1) {
		return largest, nil
	}
	sum := 0.0
	for _, l := range logs {
		sum += math.Exp(l - largest)
	}
	return largest + math.Log(sum), nil
}
