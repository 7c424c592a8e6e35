package score

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
)

// An Attribution divides the variance of one output among the elements of the
// input.
type Attribution struct {
	// Shares has one element for every element of the input. It is nil if the
	// output has no variance to share.
	Shares []float64
	// Rest is 1 - R^2: what no linear function of the input explains.
	Rest float64
}

// Attribute divides the variances of m outputs among the n elements of the
// input x, whose covariance is Sigma. cross, (m, n), is Cov(y, x). With the
// linear regression of an output y on x,
//
//	g = Sigma^+ Cov(x, y),   share_j = g_j Cov(x_j, y) / Var y,
//
// Sigma^+ the pseudoinverse (Hoffman 1960; Pratt 1987). The shares sum to R^2,
// the part of the variance that a linear function of the input explains; the
// rest is due to interactions and nonlinearity. For independent inputs
//
//	share_j = Cov(x_j, y)^2 / (Var x_j Var y),
//
// a squared correlation. For correlated ones a share may be negative: then the
// element offsets part of what others contribute. Effects that are zero on
// average, such as that of x on (x - E x)^2, are all rest. A rest below zero
// says that the variance and the covariances, being approximate, do not fit
// together.
func Attribute(sigma covprop.Covariance, cross *mat.Dense, variance []float64) ([]Attribution, error) {
	m, n := cross.Dims()
	if m != len(variance) || n != sigma.SymmetricDim() {
		return nil, fmt.Errorf("score: %d x %d covariances with the input do not fit %d outputs and %d inputs", m, n, len(variance), sigma.SymmetricDim())
	}
	std := make([]float64, n)
	sigma.VarianceTo(std)
	for j, v := range std {
		std[j] = math.Sqrt(v)
	}
	// r is Cov(y, x) in units of the standard deviations of x, b = r R^+ with
	// R the correlation matrix: share_j = b_j r_j / Var y.
	r := mat.NewDense(m, n, nil)
	r.Apply(func(_, j int, c float64) float64 {
		if std[j] == 0 {
			return 0
		}
		return c / std[j]
	}, cross)
	b := r
	if _, independent := sigma.(covprop.Diagonal); !independent {
		inverse, err := pseudoinverse(sigma, std)
		if err != nil {
			return nil, err
		}
		b = mat.NewDense(m, n, nil)
		b.Mul(r, inverse)
	}
	all := make([]Attribution, m)
	for i, v := range variance {
		if !(v > 0) {
			continue
		}
		a := Attribution{Shares: make([]float64, n), Rest: 1}
		for j := range n {
			a.Shares[j] = b.At(i, j) * r.At(i, j) / v
			a.Rest -= a.Shares[j]
		}
		all[i] = a
	}
	return all, nil
}

// pseudoinverse returns R^+ for the correlation matrix R of sigma. Eigenvalues
// within n units of rounding of the largest are zero.
func pseudoinverse(sigma covprop.Covariance, std []float64) (*mat.Dense, error) {
	n := len(std)
	corr := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			if std[i] > 0 && std[j] > 0 {
				corr.SetSym(i, j, sigma.At(i, j)/std[i]/std[j])
			}
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(corr, true) {
		return nil, errors.New("score: the eigenvalues of the input's covariance cannot be found")
	}
	w := eig.Values(nil)
	var v, scaled, inverse mat.Dense
	eig.VectorsTo(&v)
	zero := float64(n) * 0x1p-52 * w[n-1]
	scaled.Apply(func(_, k int, x float64) float64 {
		if w[k] <= zero {
			return 0
		}
		return x / w[k]
	}, &v)
	inverse.Mul(&scaled, v.T())
	return &inverse, nil
}
