package sample

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"
)

// Positive makes an estimate cov of a covariance, (m, m), positive
// semidefinite where its errors have left it otherwise, with the variances as
// they are: the negative eigenvalues of the correlation matrix are taken as 0.
// It returns the size of the most negative one, 0 if there was none beyond
// rounding. A covariance that is not finite is left alone.
func Positive(cov blas64.General) (dropped float64, err error) {
	std, active := make([]float64, 0, cov.Rows), make([]int, 0, cov.Rows)
	for i := range cov.Rows {
		if v := cov.Data[i*cov.Stride+i]; v > 0 {
			std, active = append(std, math.Sqrt(v)), append(active, i)
		}
	}
	corr, err := correlation(cov, std, active)
	if err != nil || len(active) == 0 {
		return 0, nil // not finite, which is for others to say
	}
	root, _ := pivotedCholesky(corr)
	if reproduces(corr, root) {
		return 0, nil
	}
	if dropped, err = clearNegative(corr); err != nil || dropped == 0 {
		return 0, err
	}
	scale := make([]float64, len(active))
	for i := range scale {
		scale[i] = std[i] / math.Sqrt(corr.Data[i*corr.Stride+i])
	}
	for i, ai := range active {
		for j, aj := range active {
			if i != j {
				cov.Data[ai*cov.Stride+aj] = scale[i] * scale[j] * corr.Data[i*corr.Stride+j]
			}
		}
	}
	return dropped, nil
}
