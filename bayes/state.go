package bayes

import (
	"context"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/kernel"
)

// A form says which covariances of a state there are.
type form int

const (
	certain  form = iota // none: the state is a number
	diagonal             // variances alone; the covariances are 0, or ignored
	full
)

// A state is the distribution of what is between two steps, for the examples of
// a pass, one a row, and the gradient with respect to it. Rows are ld long, n
// rounded up to full vectors; what is beyond n is 0.
type state struct {
	n, ld    int
	form     form
	mean     blas64.General // (B, n)
	variance blas64.General // (B, n); also the diagonals of cov
	cov      []float64      // (B, n, ld): full only
	// cross[d] is the covariance of the state in which open Residual d began with
	// this one, (B, its n, ld), where both are uncertain.
	cross [][]float64

	// gradCov is the derivative by every entry of cov, also by those on the
	// diagonal, and symmetric: what moves both mirror images moves it twice.
	// gradVariance is that by the variances, for diagonal only.
	gradMean, gradVariance blas64.General
	gradCov                []float64
	gradCross              [][]float64
}

// lanes is the number of float64 that rows are multiples of.
const lanes = 8

func roundUp(n int) int { return (n + lanes - 1) / lanes * lanes }

// init makes room for the rows of a state.
func (s *state) init(n, depth, rows int) {
	s.n, s.ld = n, roundUp(n)
	for _, m := range [...]*blas64.General{&s.mean, &s.variance, &s.gradMean, &s.gradVariance} {
		*m = blas64.General{Rows: rows, Cols: n, Stride: s.ld, Data: make([]float64, rows*s.ld)}
	}
	s.cross, s.gradCross = make([][]float64, depth), make([][]float64, depth)
}

// setRows makes the matrices say how many rows are in use.
func (s *state) setRows(rows int) {
	s.mean.Rows, s.variance.Rows, s.gradMean.Rows, s.gradVariance.Rows = rows, rows, rows, rows
}

// covOf returns the covariance of row b in cov.
func (s *state) covOf(cov []float64, b int) blas64.General {
	return blas64.General{Rows: s.n, Cols: s.n, Stride: s.ld, Data: cov[b*s.n*s.ld:][:s.n*s.ld]}
}

// diagonalTo copies the diagonals of cov to dst, (B, n).
func (s *state) diagonalTo(dst blas64.General, cov []float64) {
	for b := range dst.Rows {
		d, c := row(dst, b), cov[b*s.n*s.ld:]
		for i := range d {
			d[i] = c[i*(s.ld+1)]
		}
	}
}

// row returns row i of a.
func row(a blas64.General, i int) []float64 { return a.Data[i*a.Stride:][:a.Cols] }

// matrix returns data as a (rows, cols) matrix.
func matrix(data []float64, rows, cols, stride int) blas64.General {
	return blas64.General{Rows: rows, Cols: cols, Stride: stride, Data: data}
}

// mulTo computes dst = a b, or adds it; mulTransTo does with b'. Without a
// context that ends the kernels return no error.
func mulTo(dst, a, b blas64.General, add bool) {
	_ = kernel.MulTo(context.Background(), 1, dst, a, b, add)
}

func mulTransTo(dst, a, b blas64.General, add bool) {
	_ = kernel.MulTransTo(context.Background(), 1, dst, a, b, add)
}

// transposeTo writes a' to dst.
func transposeTo(dst, a blas64.General) {
	for i := range a.Rows {
		for j, x := range row(a, i) {
			dst.Data[j*dst.Stride+i] = x
		}
	}
}

func copyRows(dst, src blas64.General) {
	for b := range dst.Rows {
		copy(row(dst, b), row(src, b))
	}
}

func addRows(dst, src blas64.General) {
	for b := range dst.Rows {
		addTo(row(dst, b), row(src, b))
	}
}

// addTo adds the first elements of src to dst.
func addTo(dst, src []float64) {
	for i, x := range src[:len(dst)] {
		dst[i] += x
	}
}
