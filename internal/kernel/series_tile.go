package kernel

import (
	"context"
	"math"
	"math/bits"
	"slices"
)

const (
	seriesTileSize = 64
	tileVectors    = seriesTileSize / lanes       // in a row of a tile
	allVectors     = seriesTileSize * tileVectors // in a tile
	oneLane        = 0x0101010101                 // lane 0 at every level of a fail word
	spare          = allVectors                   // the number of a vector that belongs to no entry
	maxGroup       = 6                            // the most vectors that are summed together
)

// A seriesArea is a tile of the covariance: m rows from i0, n columns from j0.
type seriesArea struct {
	i0, j0, m, n int
	lower        bool // only what lies below the diagonal
}

// width returns the number of entries of row i that are computed.
func (a seriesArea) width(i int) int {
	if a.lower {
		return i
	}
	return a.n
}

// A seriesTile is the scratch of one thread. Vector v of a tile is the eight
// entries from column 8 (v mod 8) of row v / 8.
type seriesTile struct {
	rho        [(allVectors + 1) * lanes]float64 // correlations, then sums; the last vector is spare
	fail       [allVectors]uint64                // byte l of word v: the lanes whose bound at level l exceeds the tolerance
	queue      [len(levels)][allVectors + maxGroup]uint16
	count      [len(levels)]int
	bound      [lanes]float64 // the largest so far, in any lane
	top        [lanes]uint64  // the bits of the largest |rho| so far
	f, g       []float64      // (K, 64): the coefficients of the rows and of the columns
	rows, cols []float64      // room for those
	hard       []HardPair     // still to be computed
	bent       bentScratch
}

// tile computes one tile: correlations, orders, sums, and the entries of dst,
// mirrored if the covariance is symmetric.
func (j *seriesJob[T]) tile(ctx context.Context, w *seriesTile, a seriesArea) error {
	j.scale(w, a)
	w.count = [len(levels)]int{}
	w.bent.vectors = w.bent.vectors[:0]
	if j.s.Order > 0 {
		j.fixedBound(w, a)
		j.enqueueAll(w, a)
		j.pack(w, a, j.s.Order)
		w.fill(0)
		w.sum(j.isa, w.queue[0][:w.count[0]], j.s.Order)
	} else {
		j.test(w, a)
		j.enqueue(w, a)
		for l := lastLevel; l >= 0; l-- {
			if w.count[l] > 0 {
				j.pack(w, a, levels[l].order)
				break
			}
		}
		for l := lastLevel; l >= 0; l-- {
			w.fill(l)
			w.sum(j.isa, w.queue[l][:w.count[l]], levels[l].order)
		}
		w.putBent()
	}
	j.store(w, a)
	return j.computeHard(ctx, w, len(w.hard)/HardBatch*HardBatch)
}

// enqueue puts every vector into the queue of the lowest level at which the
// bound of each lane meets the tolerance, hard lanes aside.
func (j *seriesJob[T]) enqueue(w *seriesTile, a seriesArea) {
	for i := range a.m {
		first := i * tileVectors
		for v := first; v < first+ceilDiv(a.width(i), lanes); v++ {
			fail := w.fail[v]
			if hard := fail >> (8 * lastLevel); hard != 0 {
				fail &^= hard * oneLane
				if j.s.FBends != nil {
					hard &^= j.bend(w, a, v, hard)
				}
				if hard != 0 {
					j.setAside(w, a, v, hard)
					if j.s.Hard == nil {
						fail = 1 << (8 * (lastLevel - 1))
					}
				}
			}
			w.push((bits.Len64(fail)+7)/8, v)
		}
	}
}

// enqueueAll puts every vector into the first queue.
func (j *seriesJob[T]) enqueueAll(w *seriesTile, a seriesArea) {
	for i := range a.m {
		first := i * tileVectors
		for v := first; v < first+ceilDiv(a.width(i), lanes); v++ {
			w.push(0, v)
		}
	}
}

func (w *seriesTile) push(level, v int) {
	w.queue[level][w.count[level]] = uint16(v)
	w.count[level]++
}

// setAside appends the lanes of vector v to the hard pairs, or where nobody
// computes those keeps their bound.
func (j *seriesJob[T]) setAside(w *seriesTile, a seriesArea, v int, lanesOf uint64) {
	row, col := a.i0+v/tileVectors, a.j0+v%tileVectors*lanes
	rho := (*[lanes]float64)(w.rho[v*lanes:])
	if j.s.Hard != nil {
		n := len(w.hard)
		w.hard = slices.Grow(w.hard, lanes)[:n+bits.OnesCount64(lanesOf)]
		for ; lanesOf != 0; lanesOf &= lanesOf - 1 {
			k := bits.TrailingZeros64(lanesOf)
			p := &w.hard[n]
			p.I, p.J, p.Rho = row, col+k, rho[k%lanes]
			n++
		}
		return
	}
	for ; lanesOf != 0; lanesOf &= lanesOf - 1 {
		k := bits.TrailingZeros64(lanesOf)
		t := levels[lastLevel].tail
		b := remainder(math.Abs(rho[k]), MaxOrder, j.s.F.Tail[t*j.s.F.stride()+row], j.s.G.Tail[t*j.s.G.stride()+col+k])
		w.bound[k] = max(w.bound[k], b)
	}
}

// fill makes queue l a multiple of the group that is summed at once, with
// vectors that lower orders are enough for and then with the spare one.
func (w *seriesTile) fill(l int) {
	lower := l - 1
	for w.count[l]%maxGroup != 0 {
		for lower >= 0 && w.count[lower] == 0 {
			lower--
		}
		if lower < 0 {
			w.push(l, spare)
			continue
		}
		w.count[lower]--
		w.push(l, int(w.queue[lower][w.count[lower]]))
	}
}

// fixedBound raises the bound by that of every entry at s.Order. An order
// between two of the grid has the tail of the lower one. As
// |rho|^(K+1) <= rho^2, most entries need no power.
func (j *seriesJob[T]) fixedBound(w *seriesTile, a seriesArea) {
	o := 0
	for o+1 < len(Orders) && Orders[o+1] <= j.s.Order {
		o++
	}
	tf, tg := j.s.F.Tail[o*j.s.F.stride()+a.i0:][:a.m], j.s.G.Tail[o*j.s.G.stride()+a.j0:][:a.n]
	bound := w.bound[0]
	for i := range a.m {
		rho := w.rho[i*seriesTileSize:][:a.width(i)]
		for k, r := range rho {
			if r*r*tf[i]*tg[k] > bound {
				bound = max(bound, remainder(math.Abs(r), j.s.Order, tf[i], tg[k]))
			}
		}
	}
	w.bound[0] = bound
}

// pack provides the coefficients of the tile's units up to an order, those of a
// tile on the diagonal once. Lanes past the last unit have any; no entry depends
// on them.
func (j *seriesJob[T]) pack(w *seriesTile, a seriesArea, order int) {
	w.f = panel(&w.rows, j.s.F, a.i0, a.m, order)
	w.g = w.f
	if !a.lower {
		w.g = panel(&w.cols, j.s.G, a.j0, a.n, order)
	}
}

// panel returns n coefficients of every order in rows of 64: where they are, if
// they lie so, otherwise copied to room.
func panel(room *[]float64, u *Units, first, n, order int) []float64 {
	const spare = lanes // the row of the spare vector lies past the end
	size, stride := order*seriesTileSize+spare, u.stride()
	if stride == seriesTileSize && len(u.H) >= size {
		return u.H[:size]
	}
	*room = slices.Grow((*room)[:0], size)[:size]
	for k := range order {
		copy((*room)[k*seriesTileSize:][:seriesTileSize], u.H[k*stride+first:][:n])
	}
	return *room
}

// computeHard has the first n hard pairs computed, in batches, stores them
// and keeps the others for later.
func (j *seriesJob[T]) computeHard(ctx context.Context, w *seriesTile, n int) error {
	for first := 0; first < n; first += HardBatch {
		pairs := w.hard[first:min(n, first+HardBatch)]
		if err := j.s.Hard.CovariancesTo(ctx, pairs); err != nil {
			return err
		}
		for _, p := range pairs {
			cov := normal[T](p.Cov)
			*j.dst.at(p.I, p.J) = cov
			if j.s.Symmetric {
				*j.dst.at(p.J, p.I) = cov
			}
			w.bound[0] = max(w.bound[0], p.Bound)
		}
	}
	w.hard = append(w.hard[:0], w.hard[n:]...)
	return nil
}
