package kernel

import (
	"math"
	"unsafe"
)

// What the assembly computes, in Go.

// scaleGeneric writes the correlations of a tile to w.rho, clipped to
// [-1, 1], and 0 for the rest of a vector.
func (j *seriesJob[T]) scaleGeneric(w *seriesTile, a seriesArea) {
	for i := range a.m {
		width := a.width(i)
		c := j.c.row(a.i0+i, a.j0, a.j0+width)
		rho := w.rho[i*seriesTileSize:][:ceilDiv(width, lanes)*lanes]
		clear(rho)
		for k, v := range c {
			r := correlation(float64(v), j.s.F.In[a.i0+i], j.s.G.In[a.j0+k])
			w.top[0] = max(w.top[0], math.Float64bits(math.Abs(r)))
			rho[k] = max(-1, min(1, r))
		}
	}
}

// testGeneric compares the bound of every lane at every level,
//
//	|rho|^(K+1) Tail_Kj <= Tol / Tail_Ki,
//
// sets w.fail, and raises w.bound to the largest that meets the tolerance. A
// bound falls with the level, so a lane's largest that does is the one at the
// level it needs. NaN fails nowhere.
//
// A |rho| below leastRho, 0 aside, is taken as that (by the assembly at the
// higher levels only): the bound is below 1e-21 all the same, and powers that
// are no normal numbers are slow.
func (j *seriesJob[T]) testGeneric(w *seriesTile, a seriesArea) {
	for i := range a.m {
		r := &j.plan.rows[a.i0+i]
		for b := range ceilDiv(a.width(i), lanes) {
			v, c := i*tileVectors+b, &j.plan.cols[a.j0/lanes+b]
			w.fail[v] = 0
			for k, rho := range w.rho[v*lanes:][:lanes] {
				if rho = math.Abs(rho); rho != 0 {
					rho = max(rho, leastRho)
				}
				p := rho * rho
				for l := range levels {
					p *= p
					if x := rho * c.tail[l][k] * p; x > r.limit[l] {
						w.fail[v] |= 1 << (8*l + k)
					} else if x*r.tail[l] > w.bound[k] {
						w.bound[k] = x * r.tail[l]
					}
				}
			}
		}
	}
}

const leastRho = 0x1p-14

// sumGeneric replaces the correlations of the vectors by
//
//	sum_{k=1}^order rho^k H_ki H_kj
//
// by Horner's rule.
func (w *seriesTile) sumGeneric(vectors []uint16, order int) {
	for _, v := range vectors {
		rho := (*[lanes]float64)(w.rho[int(v)*lanes:])
		var acc [lanes]float64
		for k := order - 1; k >= 0; k-- {
			f := w.f[k*seriesTileSize+int(v)/tileVectors]
			g := (*[lanes]float64)(w.g[k*seriesTileSize+int(v)%tileVectors*lanes:])
			for l := range acc {
				acc[l] = acc[l]*rho[l] + f*g[l]
			}
		}
		for l := range acc {
			rho[l] *= acc[l]
		}
	}
}

// storeGeneric writes the sums in block (bi, bj) of a tile, eight rows and
// eight columns, times the standard deviations, and mirrors them.
func (j *seriesJob[T]) storeGeneric(w *seriesTile, a seriesArea, bi, bj int) {
	c := &j.plan.cols[a.j0/lanes+bj]
	for i := bi * lanes; i < min(a.m, (bi+1)*lanes); i++ {
		row, first := a.i0+i, a.j0+bj*lanes
		n := min(a.width(i)-bj*lanes, lanes)
		if n <= 0 {
			continue
		}
		dst := j.dst.row(row, first, first+n)
		for k := range dst {
			dst[k] = normal[T](w.rho[i*seriesTileSize+bj*lanes+k] * j.plan.rows[row].out * c.out[k])
			if j.s.Symmetric {
				*j.dst.at(first+k, row) = dst[k]
			}
		}
	}
}

func (j *seriesJob[T]) storeAllGeneric(w *seriesTile, a seriesArea) {
	for bi := range ceilDiv(a.m, lanes) {
		for bj := range ceilDiv(a.width(min(a.m, (bi+1)*lanes)-1), lanes) {
			j.storeGeneric(w, a, bi, bj)
		}
	}
}

// normal returns x, or 0 where T has no normal number as small: such a number
// has lost its relative accuracy and would slow every product that it enters a
// hundredfold. They are common beside units that are nearly always off.
func normal[T float](x float64) T {
	smallest := 0x1p-1022
	if unsafe.Sizeof(T(0)) == 4 {
		smallest = 0x1p-126
	}
	if math.Abs(x) < smallest {
		return 0
	}
	return T(x)
}
