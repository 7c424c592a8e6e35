package layer

import (
	"math"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mathext"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/classify/lattice"
)

// latticePoints is the number of points z of one shift. Each is used with -z as
// well, so that odd functions have the mean 0 exactly.
const latticePoints = 256

// normalPoints are lattice points turned into normal ones, computed when first
// needed; the seed is fixed, so that runs repeat.
type normalPoints struct {
	dim  int
	once sync.Once
	z    blas64.General // (lattice.Shifts latticePoints, dim)
}

// shift returns the first rank coordinates of the points of a shift,
// (latticePoints, rank).
func (n *normalPoints) shift(s, rank int) blas64.General {
	n.once.Do(func() {
		l := lattice.New(n.dim, 0)
		n.z = blas64.General{Rows: lattice.Shifts * latticePoints, Cols: n.dim, Stride: n.dim}
		n.z.Data = make([]float64, n.z.Rows*n.dim)
		for i := range n.z.Rows {
			for k := range n.dim {
				n.z.Data[i*n.dim+k] = mathext.NormalQuantile(l.At(i/latticePoints, i%latticePoints, k))
			}
		}
	})
	return blas64.General{Rows: latticePoints, Cols: rank, Stride: n.z.Stride, Data: n.z.Data[s*latticePoints*n.z.Stride:]}
}

// indefinite reports a covariance with eigenvalues lambda, in descending order,
// the last of which is more negative than the rounding of its entries, noise,
// explains. rootTo takes it as 0.
func indefinite(lambda []float64, noise float64) covprop.Accuracy {
	n := len(lambda)
	if low := -lambda[n-1]; low > float64(n)*noise {
		return covprop.ApproximatedBy(low/lambda[0], notPSD)
	}
	return covprop.Accuracy{}
}

// rootTo writes L, (n, rank), with L L' = w to the first columns of dst, by
// eigenvectors with the largest eigenvalue lambda first. An eigenvalue that is
// rounding is 0.
func rootTo(dst, w blas64.General, lambda []float64) (rank int, ok bool) {
	n := w.Rows
	for i := range n {
		copy(row(dst, i), row(w, i))
	}
	var size [1]float64
	a := blas64.Symmetric{N: n, Stride: dst.Stride, Data: dst.Data, Uplo: blas.Upper}
	lapack64.Syev(lapack.EVCompute, a, lambda, size[:], -1)
	work := make([]float64, int(size[0]))
	if !lapack64.Syev(lapack.EVCompute, a, lambda, work, len(work)) {
		return 0, false
	}
	for k := range n / 2 {
		lambda[k], lambda[n-1-k] = lambda[n-1-k], lambda[k]
	}
	for rank < n && lambda[rank] > 4*float64(n)*0x1p-52*lambda[0] {
		rank++
	}
	for i := range n {
		v := row(dst, i)
		for k := range n / 2 {
			v[k], v[n-1-k] = v[n-1-k], v[k]
		}
		for k := range rank {
			v[k] *= math.Sqrt(lambda[k])
		}
	}
	return rank, true
}
