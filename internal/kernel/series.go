package kernel

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas/blas64"
)

// Orders is the grid of orders the adaptive series chooses from.
var Orders = [...]int{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64}

// MaxOrder is the last of Orders.
const MaxOrder = 64

// Units are the Hermite coefficients of n units, each divided by the unit's
// output standard deviation, and their tails.
type Units struct {
	N    int
	K    int       // highest order held
	Mu   []float64 // (n) input means
	In   []float64 // (n) input standard deviations
	Out  []float64 // (n) output standard deviations
	H    []float64 // (K, n): row k-1 has h_k / Out; all 0 where Out is 0
	Tail []float64 // (len(Orders), n): row o bounds sqrt(sum_{k > Orders[o]} h_k^2) / Out
}

// A Series computes Cov(f(X_i), g(Y_j)) = Out_i Out_j sum_{k=1}^K rho^k H_ki H_kj
// entry by entry from c = Cov(X, Y), (F.N, G.N), with the order chosen for
// every tile so that the Cauchy-Schwarz bound on what is cut off,
//
//	|remainder after K| <= |rho|^(K+1) Tail_Ki Tail_Kj   (in units of Out_i Out_j),
//
// is at most Tol. Entries for which MaxOrder is not enough go to Hard.
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
	// Hard computes the entries for which MaxOrder terms are not enough. It is
	// called from several goroutines. Nil leaves them to the series, with
	// their bound.
	Hard HardPairs
}

// HardPairs computes covariances that the series is too slow for.
type HardPairs interface {
	// CovariancesTo sets Cov and Bound of every pair; there are at most
	// HardBatch.
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

const seriesTile = 64

// Run writes the covariances to dst, which is c itself or does not overlap
// it, and returns the largest bound on an entry's error. excess is by how much
// the largest correlation in c exceeds 1; it was taken as 1. Rounding can cause
// that, and a c that is not positive semidefinite.
func (s *Series) Run(ctx context.Context, threads int, dst, c blas64.General) (bound, excess float64, err error) {
	if c.Rows != s.F.N || c.Cols != s.G.N || dst.Rows != c.Rows || dst.Cols != c.Cols {
		panic(badShape)
	}
	tr, tc := (c.Rows+seriesTile-1)/seriesTile, (c.Cols+seriesTile-1)/seriesTile
	if tr*tc <= 1 {
		threads = 1
	}
	bounds := make([][2]float64, tr*tc)
	err = Parallel(ctx, threads, tr*tc, func(t int) error {
		i, j := t/tc*seriesTile, t%tc*seriesTile
		if s.Symmetric && j > i {
			return nil
		}
		b, e, err := s.tile(ctx, dst, c, i, j)
		bounds[t] = [2]float64{b, e}
		return err
	})
	for _, b := range bounds {
		bound, excess = max(bound, b[0]), max(excess, b[1])
	}
	if err == nil && s.Symmetric {
		Mirror(dst)
	}
	return bound, excess, err
}

// tile computes the tile whose first entry is (i0, j0) and returns its bound
// and excess.
func (s *Series) tile(ctx context.Context, dst, c blas64.General, i0, j0 int) (bound, excess float64, err error) {
	m, n := min(seriesTile, c.Rows-i0), min(seriesTile, c.Cols-j0)
	var rho [seriesTile * seriesTile]float64
	var hard [seriesTile]uint64 // bit j of hard[i]: entry (i, j) needs more than MaxOrder terms
	cols := func(i int) int {   // entries of row i that are computed
		if s.Symmetric && i0 == j0 {
			return i
		}
		return n
	}
	for i := range m {
		row := c.Data[(i0+i)*c.Stride+j0:][:n]
		for j := range cols(i) {
			r := Correlation(row[j], s.F.In[i0+i], s.G.In[j0+j])
			excess = max(excess, math.Abs(r)-1)
			rho[i*seriesTile+j] = max(-1, min(1, r))
		}
	}

	// The largest |rho| and the largest tails decide the order of the tile,
	// entries that would need too many terms aside.
	order := s.Order
	if order == 0 {
		last := len(Orders) - 1
		tf, tg := s.F.Tail[last*s.F.N+i0:][:m], s.G.Tail[last*s.G.N+j0:][:n]
		var rmax float64
		for i := range m {
			for j := range cols(i) {
				r := math.Abs(rho[i*seriesTile+j])
				if r <= rmax {
					continue
				}
				if s.Hard != nil && remainder(r, MaxOrder, tf[i], tg[j]) > s.Tol {
					hard[i] |= 1 << j
				} else {
					rmax = r
				}
			}
		}
		// Entries passed over because a larger |rho| was easy may be hard.
		if s.Hard != nil && remainder(rmax, MaxOrder, maxOf(tf), maxOf(tg)) > s.Tol {
			for i := range m {
				for j := range cols(i) {
					if remainder(math.Abs(rho[i*seriesTile+j]), MaxOrder, tf[i], tg[j]) > s.Tol {
						hard[i] |= 1 << j
					}
				}
			}
		}
		order, bound = s.choose(&rho, &hard, cols, i0, j0, m, n, rmax)
	} else {
		bound = s.fixedBound(&rho, cols, i0, j0, m)
	}

	var batch [HardBatch]HardPair
	pairs := batch[:0]
	flush := func() error {
		if len(pairs) == 0 {
			return nil
		}
		if err := s.Hard.CovariancesTo(ctx, pairs); err != nil {
			return err
		}
		for _, p := range pairs {
			dst.Data[p.I*dst.Stride+p.J] = p.Cov
			bound = max(bound, p.Bound)
		}
		pairs = pairs[:0]
		return nil
	}
	for i := range m {
		w := cols(i)
		var acc [seriesTile]float64
		s.horner(acc[:w], rho[i*seriesTile:][:w], order, i0+i, j0)
		out := dst.Data[(i0+i)*dst.Stride+j0:][:w]
		for j := range out {
			if hard[i]&(1<<j) == 0 {
				out[j] = s.F.Out[i0+i] * s.G.Out[j0+j] * acc[j]
				continue
			}
			if pairs = append(pairs, HardPair{I: i0 + i, J: j0 + j, Rho: rho[i*seriesTile+j]}); len(pairs) == HardBatch {
				if err := flush(); err != nil {
					return bound, excess, err
				}
			}
		}
	}
	err = flush()
	return bound, excess, err
}

// choose returns the smallest order of the grid whose bound meets the
// tolerance on every entry of the tile that is not hard, and the bound. The
// largest |rho| with the largest tails decides; where that is too coarse at
// the last order the entries decide.
func (s *Series) choose(rho *[seriesTile * seriesTile]float64, hard *[seriesTile]uint64, cols func(int) int, i0, j0, m, n int, rmax float64) (order int, bound float64) {
	for o, k := range Orders {
		tf, tg := s.F.Tail[o*s.F.N+i0:][:m], s.G.Tail[o*s.G.N+j0:][:n]
		bound = remainder(rmax, k, maxOf(tf), maxOf(tg))
		if bound <= s.Tol {
			return k, bound
		}
		if k < MaxOrder {
			continue
		}
		bound = 0
		for i := range m {
			for j := range cols(i) {
				if hard[i]&(1<<j) == 0 {
					bound = max(bound, remainder(math.Abs(rho[i*seriesTile+j]), k, tf[i], tg[j]))
				}
			}
		}
	}
	return MaxOrder, bound
}

// fixedBound returns the largest bound at s.Order. An order between two of the
// grid has the tail of the lower one.
func (s *Series) fixedBound(rho *[seriesTile * seriesTile]float64, cols func(int) int, i0, j0, m int) (bound float64) {
	o := 0
	for o+1 < len(Orders) && Orders[o+1] <= s.Order {
		o++
	}
	tf, tg := s.F.Tail[o*s.F.N:], s.G.Tail[o*s.G.N:]
	for i := range m {
		for j := range cols(i) {
			bound = max(bound, remainder(math.Abs(rho[i*seriesTile+j]), s.Order, tf[i0+i], tg[j0+j]))
		}
	}
	return bound
}

// horner writes sum_{k=1}^order rho_j^k H_ki H_kj to acc, for the entries j of
// one row of a tile.
func (s *Series) horner(acc, rho []float64, order, i, j0 int) {
	clear(acc)
	for k := order; k >= 1; k-- {
		hi := s.F.H[(k-1)*s.F.N+i]
		hj := s.G.H[(k-1)*s.G.N+j0:][:len(acc)]
		for j, r := range rho {
			acc[j] = acc[j]*r + hi*hj[j]
		}
	}
	for j, r := range rho {
		acc[j] *= r
	}
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

// Correlation returns c / (s1 s2), 0 where a standard deviation is 0.
func Correlation(c, s1, s2 float64) float64 {
	if c == 0 || s1 == 0 || s2 == 0 {
		return 0
	}
	return c / s1 / s2
}

func maxOf(x []float64) float64 {
	m := 0.
	for _, v := range x {
		m = max(m, v)
	}
	return m
}
