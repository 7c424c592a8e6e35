package covprop

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distmv"
)

// A Gaussian is a multivariate normal distribution. Build one from data of
// unknown origin with NewGaussian, which validates.
type Gaussian struct {
	Mean []float64  // (n)
	Cov  Covariance // (n, n)
}

// NewGaussian returns the Gaussian with the given mean, which is copied and
// must be finite, and covariance; the two must agree in dimension. A failure
// is an *InputError.
func NewGaussian(mean []float64, cov Covariance) (Gaussian, error) {
	g := Gaussian{Mean: append([]float64(nil), mean...), Cov: cov}
	return g, g.Check()
}

// Check reports, as an *InputError, a mean that is empty or not finite, a
// covariance that is missing or of another dimension, and a variance that is
// negative or not finite. It does not repeat the checks of NewDense.
func (g Gaussian) Check() error {
	if len(g.Mean) == 0 {
		return inputErrorf("mean", "is empty")
	}
	for i, m := range g.Mean {
		if math.IsNaN(m) || math.IsInf(m, 0) {
			return inputErrorf("mean", "element %d is %v; it must be finite", i, m)
		}
	}
	if g.Cov == nil {
		return inputErrorf("covariance", "is missing")
	}
	if n := g.Cov.SymmetricDim(); n != len(g.Mean) {
		return inputErrorf("covariance", "is %d x %d, but the mean has %d elements", n, n, len(g.Mean))
	}
	for i := range g.Mean {
		if v := g.Cov.At(i, i); !(v >= 0) || math.IsInf(v, 1) {
			return inputErrorf("covariance", "variance %d is %v; it must be finite and not negative", i, v)
		}
	}
	return nil
}

// Dim returns the dimension n.
func (g Gaussian) Dim() int { return len(g.Mean) }

// StdTo writes the standard deviations to dst, which has length n.
func (g Gaussian) StdTo(dst []float64) {
	g.Cov.VarianceTo(dst)
	for i, v := range dst {
		dst[i] = math.Sqrt(v)
	}
}

// Std returns the standard deviations.
func (g Gaussian) Std() []float64 {
	s := make([]float64, len(g.Mean))
	g.StdTo(s)
	return s
}

// Normal returns g as gonum's distmv.Normal with the random source src, which
// may be nil; ok is false if the covariance is singular, which gonum does not
// represent.
func (g Gaussian) Normal(src rand.Source) (dist *distmv.Normal, ok bool) {
	return distmv.NewNormal(g.Mean, mat.NewSymDense(len(g.Mean), symmetricData(g.Cov)), src)
}

// FromNormal returns gonum's normal distribution as a Gaussian.
func FromNormal(dist *distmv.Normal) Gaussian {
	n := dist.Dim()
	var cov mat.SymDense
	dist.CovarianceMatrix(&cov)
	d := &Dense{raw: mat.NewDense(n, n, symmetricData(&cov)).RawMatrix()}
	return Gaussian{Mean: dist.Mean(nil), Cov: d}
}

// symmetricData returns a copy of s, both triangles row by row.
func symmetricData(s mat.Symmetric) []float64 {
	n := s.SymmetricDim()
	data := make([]float64, n*n)
	for i := range n {
		for j := range n {
			data[i*n+j] = s.At(i, j)
		}
	}
	return data
}
