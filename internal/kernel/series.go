package kernel

import (
	"context"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
)

// Orders is the grid of orders at which the tails of the series are known.
var Orders = [...]int{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64}

// MaxOrder is the last of Orders.
const MaxOrder = 64

// Units are the Hermite coefficients of n units, each divided by the unit's
// output standard deviation, and their tails.
type Units struct {
	N      int
	Stride int       // between the rows of H and of Tail; 0 means N, see StrideOf
	K      int       // highest order held, at least what a Series needs: its Order, or MaxOrder
	Mu     []float64 // (n) input means
	In     []float64 // (n) input standard deviations
	Out    []float64 // (n) output standard deviations
	H      []float64 // (K, n): row k-1 has h_k / Out; all 0 where Out is 0
	Tail   []float64 // (len(Orders), n): row o bounds sqrt(sum_{k > Orders[o]} h_k^2) / Out
}

// StrideOf returns the stride of n units, and how many numbers H should have
// behind its last row, for a Series not to copy the coefficients.
func StrideOf(n int) (stride, behind int) {
	if n <= seriesTileSize {
		return seriesTileSize, lanes
	}
	return n, 0
}

func (u *Units) stride() int {
	if u.Stride == 0 {
		return u.N
	}
	return u.Stride
}

// A Series computes Cov(f(X_i), g(Y_j)) = Out_i Out_j sum_{k=1}^K rho^k H_ki H_kj
// entry by entry from c = Cov(X, Y), (F.N, G.N), with the order chosen for
// every eight neighbours in a row so that the Cauchy-Schwarz bound on what is
// cut off,
//
//	|remainder after K| <= |rho|^(K+1) Tail_Ki Tail_Kj   (in units of Out_i Out_j),
//
// is at most Tol for each. Entries for which MaxOrder is not enough go to the bends
// and to Hard.
type Series struct {
	F, G *Units
	// Symmetric says F == G and c is symmetric: the lower triangle is
	// computed and mirrored, and the diagonal is left to the caller.
	Symmetric bool
	// Tol is the truncation allowed, in units of the two output standard
	// deviations. It is not used if Order is set.
	Tol float64
	// Order, if positive, is the order for every entry; nothing is hard.
	Order int
	// FBends and GBends, if set, are the units of F and G again. Entries for
	// which MaxOrder terms are not enough are computed from them where both
	// units have one bend.
	FBends, GBends *Bends
	// Hard computes the others of these entries. It is called from several
	// goroutines. Nil leaves them to the series, with their bound.
	Hard HardPairs
}

// HardPairs computes covariances that the series is too slow for.
type HardPairs interface {
	// CovariancesTo sets Cov and Bound of every pair, where it finds those of
	// earlier ones; there are at most HardBatch.
	CovariancesTo(ctx context.Context, pairs []HardPair) error
}

// HardBatch is the largest number of pairs that are handed to HardPairs
// together.
const HardBatch = 256

// A HardPair is entry (I, J) of the covariance.
type HardPair struct {
	I, J  int
	Rho   float64 // the correlation of the inputs
	Cov   float64 // of the outputs
	Bound float64 // on the error of Cov, in units of the two output standard deviations
}

// Run writes the covariances to dst, which is c itself or does not overlap
// it, and returns the largest bound on an entry's error. excess is by how much
// the largest correlation in c exceeds 1; it was taken as 1. Rounding can cause
// that, and a c that is not positive semidefinite. An entry of c that is NaN
// stays NaN, has no bound, and makes the excess NaN, unless an input is
// constant: its covariances are 0. A covariance below the smallest normal
// number is written as 0.
func (s *Series) Run(ctx context.Context, threads int, dst, c blas64.General) (bound, excess float64, err error) {
	return runSeries(ctx, threads, s, of64(dst), of64(c))
}

// Run32 is Run for covariances held in float32. The arithmetic between loading
// and storing an entry is the same, in float64; the bound does not cover the
// rounding to float32.
func (s *Series) Run32(ctx context.Context, threads int, dst, c blas32.General) (bound, excess float64, err error) {
	return runSeries(ctx, threads, s, of32(dst), of32(c))
}

// correlation returns c / (s1 s2), 0 where a standard deviation is 0.
func correlation(c, s1, s2 float64) float64 {
	if c == 0 || s1 == 0 || s2 == 0 {
		return 0
	}
	return c / s1 / s2
}

// remainder is the bound |rho|^(k+1) tf tg on the terms after the k-th.
func remainder(r float64, k int, tf, tg float64) float64 {
	if r >= 1 {
		return tf * tg
	}
	p := 1.
	for e, b := k+1, r; e > 0; e, b = e>>1, b*b {
		if e&1 == 1 {
			p *= b
		}
	}
	return p * tf * tg
}
