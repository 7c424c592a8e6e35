package bayes

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"
)

// A Batch is examples, one a row.
type Batch struct {
	X blas64.General // (B, inputs)
	Y blas64.General // (B, targets); not needed for a prediction
	// InputVariance, (B, inputs), makes the elements of X means of independent
	// Gaussians with these variances; InputCovariance, (B, inputs^2), has a full
	// covariance in every row. At most one of them is set.
	InputVariance, InputCovariance blas64.General
}

// Check returns an error that says what, and in which row, if b is not a batch of
// examples for m with targets.
func (m *Model) Check(b Batch) error { return b.check(m, true, new([]float64)) }

// check returns an error if b does not suit m. targets says that Y is needed; space is
// scratch.
func (b *Batch) check(m *Model, targets bool, space *[]float64) error {
	n := m.network.inputs
	if b.X.Rows < 1 {
		return fmt.Errorf("bayes: the batch is empty")
	}
	if err := checkMatrix("X", b.X, b.X.Rows, n, -math.MaxFloat64); err != nil {
		return err
	}
	if targets {
		if err := checkMatrix("Y", b.Y, b.X.Rows, m.Targets(), -math.MaxFloat64); err != nil {
			return err
		}
		for i := range b.Y.Rows {
			if err := m.likelihood.checkTarget(row(b.Y, i)); err != nil {
				return fmt.Errorf("bayes: row %d of Y: %w", i, err)
			}
		}
	}
	if b.InputVariance.Data != nil && b.InputCovariance.Data != nil {
		return fmt.Errorf("bayes: a batch has variances or covariances of the input, not both")
	}
	if b.InputVariance.Data != nil {
		if err := checkMatrix("InputVariance", b.InputVariance, b.X.Rows, n, 0); err != nil {
			return err
		}
	}
	if b.InputCovariance.Data == nil {
		return nil
	}
	if err := checkMatrix("InputCovariance", b.InputCovariance, b.X.Rows, n*n, -math.MaxFloat64); err != nil {
		return err
	}
	for i := range b.X.Rows {
		if err := checkCovariance(row(b.InputCovariance, i), n, space); err != nil {
			return fmt.Errorf("bayes: row %d of InputCovariance: %w", i, err)
		}
	}
	return nil
}

// checkMatrix returns an error if a is not (rows, cols) of finite numbers from
// least on.
func checkMatrix(name string, a blas64.General, rows, cols int, least float64) error {
	if a.Rows != rows || a.Cols != cols {
		return fmt.Errorf("bayes: %s is %d x %d, want %d x %d", name, a.Rows, a.Cols, rows, cols)
	}
	if a.Stride < cols || len(a.Data) < (rows-1)*a.Stride+cols {
		return fmt.Errorf("bayes: %s has %d numbers in rows %d apart, too few for %d x %d", name, len(a.Data), a.Stride, rows, cols)
	}
	for i := range rows {
		for j, x := range row(a, i) {
			if !(x >= least && x <= math.MaxFloat64) {
				return fmt.Errorf("bayes: %s has %v in row %d, column %d", name, x, i, j)
			}
		}
	}
	return nil
}

// checkCovariance returns an error if c, (n, n), has a negative variance, is not
// symmetric to rounding, or not positive semidefinite: if the correlation matrix with
// 1e-9 n added to its diagonal has no Cholesky factor.
func checkCovariance(c []float64, n int, space *[]float64) error {
	const rounding = 1e-9
	*space = resize(*space, n*n)
	l := *space
	for i := range n {
		if !(c[i*(n+1)] >= 0) {
			return fmt.Errorf("variance %d is %v", i, c[i*(n+1)])
		}
		for j := range i {
			x, y, scale := c[i*n+j], c[j*n+i], math.Sqrt(c[i*(n+1)])*math.Sqrt(c[j*(n+1)])
			if math.Abs(x-y) > rounding*scale || math.Abs(x) > (1+rounding)*scale {
				return fmt.Errorf("covariances (%d, %d) and (%d, %d) are %v and %v, with variances %v and %v", i, j, j, i, x, y, c[i*(n+1)], c[j*(n+1)])
			}
			sum := 0.
			if scale > 0 {
				sum = x / scale
			}
			for k := range j {
				sum -= l[i*n+k] * l[j*n+k]
			}
			l[i*n+j] = sum / l[j*(n+1)]
		}
		pivot := 1 + rounding*float64(n)
		for _, x := range l[i*n:][:i] {
			pivot -= x * x
		}
		if !(pivot > 0) {
			return fmt.Errorf("it is not positive semidefinite: elements 0 to %d have no such correlations", i)
		}
		l[i*(n+1)] = math.Sqrt(pivot)
	}
	return nil
}
