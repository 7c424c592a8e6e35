package kernel

import (
	"math/bits"
	"slices"
)

// A bentScratch holds the covariances of units with one bend in a tile.
type bentScratch struct {
	vectors   []bentVector
	own       bentIntegrals // of the last vector
	integrals PairIntegrals // still to be added
	scale     [HardBatch]float64
	place     [HardBatch]int // in vectors, lane by lane
}

// bend computes the covariances of the lanes hard of vector v for which bends
// can do it within the tolerance, and returns these lanes.
func (j *seriesJob[T]) bend(w *seriesTile, a seriesArea, v int, hard uint64) (done uint64) {
	s, n := &w.bent, len(w.bent.vectors)
	s.vectors = slices.Grow(s.vectors, 1)[:n+1]
	b := &s.vectors[n]
	b.place = v
	rho := (*[lanes]float64)(w.rho[v*lanes:])
	bend(b, &s.own, &w.bound, rho, j.s.FBends, a.i0+v/tileVectors, j.s.GBends, a.j0+v%tileVectors*lanes, hard, j.s.Tol)
	for left := s.own.near; left != 0; left &= left - 1 {
		s.add(n, bits.TrailingZeros64(left)%lanes)
	}
	return b.done
}

// add adds the integral of lane k of vector n to those that are computed
// together.
func (s *bentScratch) add(n, k int) {
	i := s.integrals.Add(s.own.a[k], s.own.b[k], s.own.s[k], s.own.t[k])
	s.scale[i], s.place[i] = s.own.scale[k], n*lanes+k
	if s.integrals.N == HardBatch {
		s.integrate()
	}
}

// integrate adds the integrals to their covariances.
func (s *bentScratch) integrate() {
	for i, g := range s.integrals.Compute() {
		at := s.place[i]
		s.vectors[at/lanes].cov[at%lanes] += s.scale[i] * g
	}
}

// putBent puts the covariances in the place of the sums of the series.
func (w *seriesTile) putBent() {
	w.bent.integrate()
	if len(w.bent.vectors) > 0 {
		putBent(w.rho[:], w.bent.vectors)
	}
}

func putBentGeneric(rho []float64, vectors []bentVector) {
	for i := range vectors {
		b := &vectors[i]
		sums := (*[lanes]float64)(rho[b.place*lanes:])
		for left := b.done; left != 0; left &= left - 1 {
			k := bits.TrailingZeros64(left) % lanes
			sums[k] = b.cov[k]
		}
	}
}
