package covprop

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"
)

// A Covariance is a symmetric positive semidefinite matrix. It is a
// mat.Symmetric, so gonum can use it as it stands. The implementations are
// *Dense and Diagonal (a low-rank factor plus a diagonal is to join them); the
// set is closed because every consumer handles each form in its own way.
type Covariance interface {
	mat.Symmetric
	// VarianceTo writes the diagonal to dst, which has the length of the
	// dimension.
	VarianceTo(dst []float64)

	covariance()
}

// SymmetryTolerance is the largest asymmetry that counts as rounding:
// |a_ij - a_ji| relative to sqrt(a_ii a_jj). It admits matrices rounded to
// float32 or printed to seven digits.
const SymmetryTolerance = 1e-6

// PSDTolerance is the most negative eigenvalue, per dimension, of the
// correlation matrix that counts as rounding: eigenvalues down to
// -n PSDTolerance pass, as rounding every entry to float32 can cause them.
const PSDTolerance = 1e-7

// Dense is an n x n covariance that stores both triangles, row by row.
type Dense struct {
	raw blas64.General // Rows == Cols
}

// NewDense checks data, an n x n covariance row by row, and returns it as a
// Dense that shares no memory with data. The entries must be finite, the
// matrix symmetric within SymmetryTolerance (the mean of a_ij and a_ji is
// kept) and positive semidefinite within PSDTolerance. Singular matrices and
// zero variances are legal. A failure is an *InputError.
func NewDense(n int, data []float64) (*Dense, error) {
	if n < 1 || len(data)/n != n || len(data)%n != 0 {
		return nil, inputErrorf("covariance", "has %d values, but %d x %d needs %d", len(data), n, n, n*n)
	}
	d := &Dense{raw: blas64.General{Rows: n, Cols: n, Stride: n, Data: append([]float64(nil), data...)}}
	if err := d.symmetrize(); err != nil {
		return nil, err
	}
	if err := d.checkPSD(); err != nil {
		return nil, err
	}
	return d, nil
}

// DenseOf wraps raw, which must be square and symmetric, without a copy or a
// check. It is for results whose construction makes them covariances; raw
// data of unknown origin belongs in NewDense. It panics if raw is not square.
func DenseOf(raw blas64.General) *Dense {
	if raw.Rows != raw.Cols {
		panic("covprop: covariance is not square")
	}
	return &Dense{raw: raw}
}

// symmetrize replaces a_ij and a_ji by their mean, or reports the entry that
// is not finite or not symmetric.
func (d *Dense) symmetrize() error {
	n, a, s := d.raw.Rows, d.raw.Data, d.raw.Stride
	for i := range n {
		v := a[i*s+i]
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return inputErrorf("covariance", "entry (%d,%d) is %v; every entry must be finite", i, i, v)
		}
		if v < 0 {
			return inputErrorf("covariance", "variance %d is negative (%v)", i, v)
		}
	}
	for i := range n {
		for j := range i {
			x, y := a[i*s+j], a[j*s+i]
			if math.IsNaN(x-y) || math.IsInf(x, 0) || math.IsInf(y, 0) {
				return inputErrorf("covariance", "entries (%d,%d) and (%d,%d) are %v and %v; every entry must be finite", i, j, j, i, x, y)
			}
			scale := math.Sqrt(a[i*s+i]) * math.Sqrt(a[j*s+j])
			if math.Abs(x-y) > SymmetryTolerance*scale {
				return inputErrorf("covariance", "is not symmetric: entry (%d,%d) is %v but (%d,%d) is %v", i, j, x, j, i, y)
			}
			m := x/2 + y/2
			if math.Abs(m) > scale*(1+SymmetryTolerance) {
				return inputErrorf("covariance", "entry (%d,%d) is %v, more than the standard deviations %v and %v allow",
					i, j, m, math.Sqrt(a[i*s+i]), math.Sqrt(a[j*s+j]))
			}
			a[i*s+j], a[j*s+i] = m, m
		}
	}
	return nil
}

// checkPSD reports an eigenvalue of the correlation matrix below
// -n PSDTolerance: the shifted matrix R + n PSDTolerance I has a Cholesky
// factor just when there is none.
func (d *Dense) checkPSD() error {
	n, s := d.raw.Rows, d.raw.Stride
	if n == 1 {
		return nil
	}
	shift := float64(n) * PSDTolerance
	r := blas64.Symmetric{N: n, Stride: n, Uplo: blas.Upper, Data: make([]float64, n*n)}
	fill := func() {
		for i := range n {
			si := math.Sqrt(d.raw.Data[i*s+i])
			for j := i + 1; j < n; j++ {
				r.Data[i*n+j] = 0
				if sj := math.Sqrt(d.raw.Data[j*s+j]); si > 0 && sj > 0 {
					r.Data[i*n+j] = d.raw.Data[i*s+j] / si / sj
				}
			}
			r.Data[i*n+i] = 1
		}
	}
	fill()
	for i := range n {
		r.Data[i*n+i] += shift
	}
	if _, ok := lapack64.Potrf(r); ok {
		return nil
	}
	fill()
	smallest := math.NaN()
	var eig mat.EigenSym
	if eig.Factorize(mat.NewSymDense(n, r.Data), false) {
		smallest = eig.Values(nil)[0]
	}
	return inputErrorf("covariance", "is not positive semidefinite: its correlation matrix has the eigenvalue %.3g, below -%.3g", smallest, shift)
}

// Dims returns n, n.
func (d *Dense) Dims() (r, c int) { return d.raw.Rows, d.raw.Cols }

// SymmetricDim returns n.
func (d *Dense) SymmetricDim() int { return d.raw.Rows }

// At returns entry (i, j).
func (d *Dense) At(i, j int) float64 {
	if uint(i) >= uint(d.raw.Rows) || uint(j) >= uint(d.raw.Cols) {
		panic("covprop: covariance index out of range")
	}
	return d.raw.Data[i*d.raw.Stride+j]
}

// T returns the matrix itself, which is its own transpose.
func (d *Dense) T() mat.Matrix { return d }

// RawMatrix returns the storage: both triangles, row by row. It is shared.
func (d *Dense) RawMatrix() blas64.General { return d.raw }

// RawSymmetric returns the storage as gonum's BLAS sees a symmetric matrix.
func (d *Dense) RawSymmetric() blas64.Symmetric {
	return blas64.Symmetric{N: d.raw.Rows, Stride: d.raw.Stride, Data: d.raw.Data, Uplo: blas.Upper}
}

// VarianceTo implements Covariance.
func (d *Dense) VarianceTo(dst []float64) {
	checkLen(dst, d.raw.Rows)
	for i := range dst {
		dst[i] = d.raw.Data[i*d.raw.Stride+i]
	}
}

func (*Dense) covariance() {}

// Diagonal is the covariance of independent components: element i is the
// variance of component i. Its zero value of length n is the point mass.
type Diagonal []float64

// NewDiagonal returns the covariance of independent components with the
// standard deviations std, which must be finite and not negative.
func NewDiagonal(std []float64) (Diagonal, error) {
	d := make(Diagonal, len(std))
	for i, s := range std {
		if math.IsNaN(s) || math.IsInf(s, 0) {
			return nil, inputErrorf("standard deviation", "%d is %v; it must be finite", i, s)
		}
		if s < 0 {
			return nil, inputErrorf("standard deviation", "%d is negative (%v)", i, s)
		}
		if d[i] = s * s; s > 0 && (d[i] < smallestVariance || math.IsInf(d[i], 0)) {
			return nil, inputErrorf("standard deviation", "%d is %v; its square leaves the range of float64", i, s)
		}
	}
	return d, nil
}

// smallestVariance is the smallest number that float64 holds to full accuracy.
const smallestVariance = 0x1p-1022

// Dims returns n, n.
func (d Diagonal) Dims() (r, c int) { return len(d), len(d) }

// SymmetricDim returns n.
func (d Diagonal) SymmetricDim() int { return len(d) }

// At returns entry (i, j), which is zero off the diagonal.
func (d Diagonal) At(i, j int) float64 {
	if uint(j) >= uint(len(d)) {
		panic("covprop: covariance index out of range")
	}
	if v := d[i]; i == j {
		return v
	}
	return 0
}

// T returns the matrix itself, which is its own transpose.
func (d Diagonal) T() mat.Matrix { return d }

// VarianceTo implements Covariance.
func (d Diagonal) VarianceTo(dst []float64) {
	checkLen(dst, len(d))
	copy(dst, d)
}

func (d Diagonal) covariance() {}

func checkLen(dst []float64, n int) {
	if len(dst) != n {
		panic(fmt.Sprintf("covprop: slice has length %d, want %d", len(dst), n))
	}
}
