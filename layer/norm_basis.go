package layer

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack"
	"gonum.org/v1/gonum/lapack/lapack64"

	"github.com/covprop/covprop/internal/kernel"
)

// normBasis is the basis in which the elements of a group are independent:
// x = Q z, Q (n, k) with orthonormal columns, Cov(z) = diag(lambda), E z = m.
// Centring leaves the k = n - 1 dimensions across the vector of ones.
type normBasis struct {
	k         int
	q         blas64.General // (n, k)
	m, lambda []float64      // (k)
	mean      []float64      // (n) Q m, the mean of x, centred
	uncertain []bool         // (n) whether the element has a variance
	top       int            // the index of the largest eigenvalue
	exact     bool           // the covariance is diagonal: the eigenvalues are not rounded
	// indefinite is the size of the most negative eigenvalue relative to the
	// largest variance, if that is more than rounding. It is taken as 0.
	indefinite float64

	inner blas64.General // (k, k) scratch
	x     [2][]float64   // (n) scratch
	work  []float64      // scratch of the eigensolver
}

// eigenWork is the scratch of the eigensolver for a column.
const eigenWork = 35

func basisFloats(n int) int { return 2*n*n + (5+eigenWork)*n }

func newNormBasis(n int, center bool, take func(int) []float64) normBasis {
	b := normBasis{k: n, uncertain: make([]bool, n)}
	if center {
		b.k = n - 1
	}
	b.q, b.inner = packed(n, b.k, take(n*b.k)), packed(b.k, b.k, take(b.k*b.k))
	b.m, b.lambda = take(b.k), take(b.k)
	b.mean = take(n)
	b.x = [2][]float64{take(n), take(n)}
	b.work = take(eigenWork * n)
	return b
}

// load finds the basis of group g of in.
func (b *normBasis) load(r *Norm, in *Joint, g int) error {
	n, cov := r.n, in.Between(0, 0)
	largest := 0.
	for i := range n {
		v := cov.At(g*n+i, g*n+i)
		b.uncertain[i] = v > 0
		largest = max(largest, v)
	}
	var err error
	if r.center {
		err = b.centred(cov, g*n)
	} else {
		err = b.plain(cov, g*n)
	}
	if err != nil {
		return err
	}
	b.clip(largest)
	r.centreTo(b.mean, in.Mean[0][g*n:][:n])
	blas64.Gemv(blas.Trans, 1, b.q, vector(b.mean), 0, vector(b.m))
	return nil
}

// plain finds the basis of the group whose first element is at: eigenvectors of
// the covariance of the uncertain elements, and unit vectors for the others.
func (b *normBasis) plain(cov Block, at int) error {
	var index []int
	for i, u := range b.uncertain {
		if u {
			index = append(index, i)
		}
	}
	a := packed(len(index), len(index), b.inner.Data[:len(index)*len(index)])
	for i, p := range index {
		for j, q := range index {
			a.Data[i*a.Stride+j] = cov.At(at+p, at+q)
		}
	}
	if err := b.eigen(a, b.lambda[:len(index)]); err != nil {
		return err
	}
	clear(b.q.Data)
	for i, p := range index {
		copy(row(b.q, p), row(a, i))
	}
	j := len(index)
	for i, u := range b.uncertain {
		if !u {
			b.q.Data[i*b.q.Stride+j], b.lambda[j] = 1, 0
			j++
		}
	}
	return nil
}

// centred finds the basis of the centred group whose first element is at. The
// columns of the Helmert matrix H, (n, n-1),
//
//	(1, ..., 1, -j, 0, ..., 0) / sqrt(j (j+1))    with j ones,
//
// are orthonormal and orthogonal to the vector of ones; in that basis the
// covariance is H' Sigma H.
func (b *normBasis) centred(cov Block, at int) error {
	n, x := b.q.Rows, b.x[0]
	for i := range n {
		for j := range x {
			x[j] = cov.At(at+i, at+j)
		}
		sum, y := 0., row(b.q, i)
		for j := 1; j < n; j++ {
			sum += x[j-1]
			y[j-1] = (sum - float64(j)*x[j]) * helmert(j)
		}
	}
	sum := b.x[0][:b.k]
	clear(sum)
	for j := 1; j < n; j++ {
		before, at, y := row(b.q, j-1), row(b.q, j), row(b.inner, j-1)
		for c := range y {
			sum[c] += before[c]
			y[c] = (sum[c] - float64(j)*at[c]) * helmert(j)
		}
	}
	if err := b.eigen(b.inner, b.lambda); err != nil {
		return err
	}
	clear(sum)
	for i := n - 1; i >= 0; i-- {
		y := row(b.q, i)
		copy(y, sum)
		if i == 0 {
			break
		}
		for c, v := range row(b.inner, i-1) {
			y[c] -= float64(i) * helmert(i) * v
			sum[c] += helmert(i) * v
		}
	}
	return nil
}

// helmert is 1/sqrt(j (j+1)).
func helmert(j int) float64 { return 1 / math.Sqrt(float64(j)*float64(j+1)) }

// eigen replaces the symmetric matrix a by its eigenvectors, as columns, and
// writes its eigenvalues to lambda.
func (b *normBasis) eigen(a blas64.General, lambda []float64) error {
	kernel.Mirror(a)
	diagonal := true
	for i := range a.Rows {
		for _, v := range row(a, i)[:i] {
			diagonal = diagonal && v == 0
		}
	}
	b.exact = diagonal
	if diagonal {
		for i := range a.Rows {
			lambda[i] = a.Data[i*a.Stride+i]
			a.Data[i*a.Stride+i] = 1
		}
		return nil
	}
	sym := blas64.Symmetric{N: a.Rows, Stride: a.Stride, Uplo: blas.Upper, Data: a.Data}
	if !lapack64.Syev(lapack.EVCompute, sym, lambda, b.work, len(b.work)) {
		return errors.New("the eigenvalues of its covariance did not converge")
	}
	return nil
}

// clip makes negative eigenvalues zero, and notes those that are not rounding;
// largest is the largest variance.
func (b *normBasis) clip(largest float64) {
	b.top = 0
	for i, l := range b.lambda {
		if l > b.lambda[b.top] {
			b.top = i
		}
	}
	b.indefinite = 0
	for i, l := range b.lambda {
		if l >= 0 {
			continue
		}
		if -l > float64(b.k)*0x1p-49*largest {
			b.indefinite = max(b.indefinite, -l/largest)
		}
		b.lambda[i] = 0
	}
}

// toX computes dst = Q z.
func (b *normBasis) toX(dst, z []float64) {
	blas64.Gemv(blas.NoTrans, 1, b.q, vector(z), 0, vector(dst))
}

func vector(x []float64) blas64.Vector { return blas64.Vector{N: len(x), Inc: 1, Data: x} }
