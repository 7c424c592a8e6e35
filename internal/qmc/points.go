// Package qmc holds randomised point sets for numerical integration:
//
//	E f(U) ~ 1/N sum_{i<N} f(u_i),   u_i uniform in (0,1)^d, or its normal quantiles
//
// with random access: point i of a set is a function of the kind, the seed,
// the replicate and i, so that results do not depend on how the work is
// divided. Every single point is uniform, so that the mean of f over any
// points is unbiased; different replicates are independent, so that the spread
// between them is an honest standard error. Within a replicate
//
//   - [Random] points are independent: error of order N^(-1/2);
//   - [Sobol] points are a digital net in base 2, randomised by nested uniform
//     scrambling (Owen 1995): the variance is never more than a constant times
//     that of random points, and of order N^-3 (log N)^(d-1) for smooth f. N is
//     best a power of two;
//   - [Halton] points suit any N: the digits of the radical inverse in the
//     k-th prime base are permuted at random.
//
// The quasi-random kinds treat the leading dimensions best, so the ones that
// matter most should come first. Beyond the first MaxSobol, MaxHalton
// dimensions the coordinates are independent random numbers, for which the
// error falls as N^(-1/2) again.
//
// A single quasi-random replicate says nothing about its own error.
package qmc

import (
	"fmt"
	"strings"

	"gonum.org/v1/gonum/blas/blas64"
)

// Kind is a kind of point set.
type Kind int

// The kinds of point sets.
const (
	Random Kind = iota
	Sobol
	Halton
)

var kindNames = [...]string{Random: "random", Sobol: "sobol", Halton: "halton"}

func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}

// Parse returns the kind of the given name.
func Parse(name string) (Kind, error) {
	for k, n := range kindNames {
		if n == name {
			return Kind(k), nil
		}
	}
	return 0, fmt.Errorf("unknown sampler %q; there are %s", name, strings.Join(kindNames[:], ", "))
}

// Quasi returns the number of leading dimensions, of dim, in which points of
// kind k are spread more evenly than random ones.
func (k Kind) Quasi(dim int) int {
	switch k {
	case Sobol:
		return min(dim, MaxSobol)
	case Halton:
		return min(dim, MaxHalton)
	}
	return 0
}

// maxIndex bounds the indices of points: their digits in base 2.
const maxIndex = 1 << indexBits

const (
	badShape = "qmc: the matrix does not have a row for each dimension"
	badIndex = "qmc: index of a point below 0 or beyond 2^52"
)

// Points is one randomised point set. It may be used by several goroutines at
// a time, and its methods allocate nothing.
type Points struct {
	dim    int
	random philox
	sobol  []sobolAxis  // the leading dimensions, or none
	halton []haltonAxis // the leading dimensions, or none
}

// New returns replicate number replicate of the points of the given kind in
// dim dimensions. Replicates, and seeds, are independent of each other.
func New(kind Kind, dim int, seed uint64, replicate int) (*Points, error) {
	if dim < 0 || replicate < 0 {
		return nil, fmt.Errorf("qmc: dimension %d and replicate %d must not be negative", dim, replicate)
	}
	p := &Points{dim: dim, random: philox{seed, uint64(replicate)}}
	switch kind {
	case Random:
	case Sobol:
		p.sobol = newSobol(kind.Quasi(dim), p.random)
	case Halton:
		p.halton = newHalton(kind.Quasi(dim), p.random)
	default:
		return nil, fmt.Errorf("qmc: no points of kind %v", kind)
	}
	return p, nil
}

// Dim returns the number of dimensions.
func (p *Points) Dim() int { return p.dim }

// UniformTo writes point first+j to column j of dst, (dim, B). The coordinates
// are odd multiples of 2^-53, so strictly inside (0, 1) and exact, as are their
// complements 1-u. It panics if dst does not have dim rows or an index is not
// in [0, 2^52].
func (p *Points) UniformTo(dst blas64.General, first int) {
	p.check(dst, first)
	for k := range p.dim {
		p.rowTo(dst.Data[k*dst.Stride:k*dst.Stride+dst.Cols], k, uint64(first))
	}
}

// NormalTo is UniformTo with each coordinate replaced by the quantile of the
// standard normal distribution: point first+j is normal with the identity as
// covariance. No coordinate exceeds 8.21 in size.
func (p *Points) NormalTo(dst blas64.General, first int) {
	p.check(dst, first)
	for k := range p.dim {
		row := dst.Data[k*dst.Stride : k*dst.Stride+dst.Cols]
		p.rowTo(row, k, uint64(first))
		quantiles(row)
	}
}

func (p *Points) check(dst blas64.General, first int) {
	if dst.Rows != p.dim {
		panic(badShape)
	}
	if first < 0 || first > maxIndex-dst.Cols {
		panic(badIndex)
	}
}

// rowTo writes coordinate k of the points from first on.
func (p *Points) rowTo(dst []float64, k int, first uint64) {
	switch {
	case len(dst) == 0:
	case k < len(p.sobol):
		p.sobol[k].uniformTo(dst, first)
	case k < len(p.halton):
		p.halton[k].uniformTo(dst, first)
	default:
		p.random.uniformTo(dst, uint64(k), first)
	}
}

// unit maps the leading 52 digits of the fraction x/2^64 to the middle of
// their interval.
func unit(x uint64) float64 {
	return (float64(int64(x>>12)) + 0.5) * 0x1p-52
}
