package kernel

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/covprop/covprop/internal/cpu"
)

// lanes is the number of neighbours in a row of the covariance that are
// computed together, with one order: a vector.
const lanes = 8

// levels are the orders a vector may get. K+1 is a power of two and one, so
// that squarings give |rho|^(K+1); a finer grid saves fewer terms than
// choosing from it costs.
var levels = [...]struct {
	order int
	tail  int // index in Orders
}{{4, 3}, {8, 5}, {16, 7}, {32, 9}, {64, 11}}

const lastLevel = len(levels) - 1

// A seriesRow is what a tile needs to know of a unit of F.
type seriesRow struct {
	inv   float64 // 1 / In, 0 where In is 0
	out   float64
	limit [len(levels)]float64 // Tol / tail
	tail  [len(levels)]float64
}

// seriesCols are what a tile needs to know of the units of G in one vector.
type seriesCols struct {
	tail     [len(levels)][lanes]float64
	inv, out [lanes]float64
}

// A seriesPlan holds the units in the layout of the kernels, padded to full
// vectors with units that are constant.
type seriesPlan struct {
	rows []seriesRow
	cols []seriesCols
	// invertible says that every 1/In is a normal number, so that
	// c (1/In_i) (1/In_j) is as good as two divisions to 2 ulp.
	invertible bool
}

var (
	seriesPlans = sync.Pool{New: func() any { return new(seriesPlan) }}
	seriesTiles = sync.Pool{New: func() any { return new(seriesTile) }}
)

// set fills the plan for s.
func (p *seriesPlan) set(s *Series) {
	n := (s.F.N + lanes - 1) / lanes
	p.rows = slices.Grow(p.rows[:0], n*lanes)[:n*lanes]
	p.invertible = true
	stride := s.F.stride()
	for i := range p.rows {
		r := &p.rows[i]
		if i >= s.F.N {
			*r = seriesRow{}
			continue
		}
		r.inv, r.out = p.invert(s.F.In[i]), s.F.Out[i]
		for l, v := range levels {
			r.tail[l] = s.F.Tail[v.tail*stride+i]
			r.limit[l] = s.Tol / r.tail[l]
		}
	}
	n = (s.G.N + lanes - 1) / lanes
	p.cols = slices.Grow(p.cols[:0], n)[:n]
	stride = s.G.stride()
	for b := range p.cols {
		v, j := &p.cols[b], b*lanes
		w := min(lanes, s.G.N-j)
		if w < lanes {
			*v = seriesCols{}
		}
		copy(v.out[:w], s.G.Out[j:])
		for l := range levels {
			copy(v.tail[l][:w], s.G.Tail[levels[l].tail*stride+j:])
		}
		for k := range w {
			v.inv[k] = p.invert(s.G.In[j+k])
		}
	}
}

func (p *seriesPlan) invert(x float64) float64 {
	if x == 0 {
		return 0
	}
	if !(x >= 0x1p-1021 && x <= 0x1p1021) {
		p.invertible = false
	}
	return 1 / x
}

// A seriesJob is a run of s on matrices of type T.
type seriesJob[T float] struct {
	s      Series
	plan   *seriesPlan
	dst, c matrix[T]
	isa    cpu.ISA
}

func runSeries[T float](ctx context.Context, threads int, s *Series, dst, c matrix[T]) (bound, excess float64, err error) {
	if c.rows != s.F.N || c.cols != s.G.N || dst.rows != c.rows || dst.cols != c.cols || s.Symmetric && c.rows != c.cols {
		panic(badShape)
	}
	order := s.Order
	if order <= 0 {
		order = MaxOrder
	}
	if s.F.K < order || s.G.K < order {
		panic(badShape)
	}
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	plan := seriesPlans.Get().(*seriesPlan)
	defer seriesPlans.Put(plan)
	plan.set(s)
	j := seriesJob[T]{s: *s, plan: plan, dst: dst, c: c, isa: cpu.Current()}
	var worst seriesWorst
	if threads = min(threads, j.tiles()); threads <= 1 {
		var next atomic.Int64
		err = j.work(ctx, &next, &worst)
	} else {
		worst, err = j.parallel(ctx, threads)
	}
	return worst.bound, worst.excess(), err
}

// tiles returns the number of tiles.
func (j *seriesJob[T]) tiles() int {
	tr, tc := ceilDiv(j.c.rows, seriesTileSize), ceilDiv(j.c.cols, seriesTileSize)
	if j.s.Symmetric {
		return tr * (tr + 1) / 2
	}
	return tr * tc
}

// area returns tile t. The tiles of a symmetric covariance are those on and
// below the diagonal, row by row.
func (j *seriesJob[T]) area(t int) seriesArea {
	tr, tc := 0, 0
	if j.s.Symmetric {
		for tc = t; tc > tr; {
			tr++
			tc -= tr
		}
	} else {
		across := ceilDiv(j.c.cols, seriesTileSize)
		tr, tc = t/across, t%across
	}
	i0, j0 := tr*seriesTileSize, tc*seriesTileSize
	return seriesArea{
		i0: i0, j0: j0,
		m: min(seriesTileSize, j.c.rows-i0), n: min(seriesTileSize, j.c.cols-j0),
		lower: j.s.Symmetric && tr == tc,
	}
}

// parallel shares the tiles among goroutines. It works on a copy of j, so that
// the job of a single thread can stay on the stack.
func (j *seriesJob[T]) parallel(ctx context.Context, threads int) (seriesWorst, error) {
	job := *j
	var (
		next  atomic.Int64
		mu    sync.Mutex
		worst seriesWorst
	)
	err := Parallel(ctx, threads, threads, func(int) error {
		var own seriesWorst
		err := job.work(ctx, &next, &own)
		mu.Lock()
		defer mu.Unlock()
		worst.add(own)
		return err
	})
	return worst, err
}

// work computes tiles until none is left. After an error nobody begins
// another.
func (j *seriesJob[T]) work(ctx context.Context, next *atomic.Int64, worst *seriesWorst) (err error) {
	w := seriesTiles.Get().(*seriesTile)
	defer seriesTiles.Put(w)
	defer func() { w.f, w.g = nil, nil }() // which may be the caller's
	w.hard = w.hard[:0]
	w.bound, w.top = [lanes]float64{}, [lanes]uint64{}
	tiles := j.tiles()
	for err == nil {
		t := int(next.Add(1)) - 1
		if t >= tiles {
			err = j.computeHard(ctx, w, len(w.hard))
			break
		}
		if err = ctx.Err(); err == nil {
			err = j.tile(ctx, w, j.area(t))
		}
	}
	if err != nil {
		next.Store(int64(tiles))
	}
	worst.add(seriesWorst{bound: slices.Max(w.bound[:]), top: slices.Max(w.top[:])})
	return err
}

// seriesWorst is what is worst in a number of entries.
type seriesWorst struct {
	bound float64
	top   uint64 // the bits of the largest |rho|: ordered as the numbers are, NaN last
}

func (w *seriesWorst) add(v seriesWorst) {
	w.bound, w.top = max(w.bound, v.bound), max(w.top, v.top)
}

func (w *seriesWorst) excess() float64 {
	return max(0, math.Float64frombits(w.top)-1)
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
