//go:build amd64 && !noasm

package kernel

import (
	"unsafe"

	"github.com/covprop/covprop/internal/cpu"
)

//go:generate go -C ../_gen run ./series -out ../kernel/series_amd64.s -stubs ../kernel/series_stubs_amd64.go -pkg kernel

// Each of these chooses the instruction set for a step on a tile; the Go of
// the same name with Generic defines it.

func (j *seriesJob[T]) scale(w *seriesTile, a seriesArea) {
	if j.isa == cpu.Generic || !j.plan.invertible {
		j.scaleGeneric(w, a)
		return
	}
	n, step := a.extent()
	rho, top := &w.rho[0], &w.top[0]
	row, col := &j.plan.rows[a.i0].inv, &j.plan.cols[a.j0/lanes].tail[0][0]
	stride := j.c.stride * sizeOf[T]()
	switch c := any(j.c.at(a.i0, a.j0)).(type) {
	case *float64:
		if j.isa == cpu.AVX512 {
			seriesScale64AVX512(rho, c, stride, row, col, a.m, n, step, top)
		} else {
			seriesScale64AVX2(rho, c, stride, row, col, a.m, n, step, top)
		}
	case *float32:
		if j.isa == cpu.AVX512 {
			seriesScale32AVX512(rho, c, stride, row, col, a.m, n, step, top)
		} else {
			seriesScale32AVX2(rho, c, stride, row, col, a.m, n, step, top)
		}
	}
}

func (j *seriesJob[T]) test(w *seriesTile, a seriesArea) {
	n, step := a.extent()
	row, col := &j.plan.rows[a.i0].inv, &j.plan.cols[a.j0/lanes].tail[0][0]
	switch j.isa {
	case cpu.AVX512:
		seriesTestAVX512(&w.fail[0], &w.rho[0], row, col, a.m, n, step, &w.bound[0])
	case cpu.AVX2:
		seriesTestAVX2(&w.fail[0], &w.rho[0], row, col, a.m, n, step, &w.bound[0])
	default:
		j.testGeneric(w, a)
	}
}

// sum takes a multiple of maxGroup vectors.
func (w *seriesTile) sum(isa cpu.ISA, vectors []uint16, order int) {
	switch {
	case len(vectors) == 0:
	case isa == cpu.AVX512:
		seriesSumAVX512(&vectors[0], len(vectors)/6, order, &w.rho[0], &w.f[0], &w.g[0])
	case isa == cpu.AVX2:
		seriesSumAVX2(&vectors[0], len(vectors)/3, order, &w.rho[0], &w.f[0], &w.g[0])
	default:
		w.sumGeneric(vectors, order)
	}
}

func (j *seriesJob[T]) store(w *seriesTile, a seriesArea) {
	if j.isa == cpu.Generic {
		j.storeAllGeneric(w, a)
		return
	}
	for bi := range ceilDiv(a.m, lanes) {
		for bj := range ceilDiv(a.width(min(a.m, (bi+1)*lanes)-1), lanes) {
			full := (bi+1)*lanes <= a.m && (bj+1)*lanes <= a.n && !(a.lower && bi == bj)
			if j.isa == cpu.AVX512 || full {
				j.storeBlock(w, a, bi, bj, full)
			} else {
				j.storeGeneric(w, a, bi, bj)
			}
		}
	}
}

// storeBlock stores block (bi, bj) of a tile, with masks if it is not full.
func (j *seriesJob[T]) storeBlock(w *seriesTile, a seriesArea, bi, bj int, full bool) {
	i, k := a.i0+bi*lanes, a.j0+bj*lanes
	sums := &w.rho[bi*lanes*seriesTileSize+bj*lanes]
	row, col := &j.plan.rows[i].inv, &j.plan.cols[k/lanes].tail[0][0]
	dst, stride := j.dst.at(i, k), j.dst.stride*sizeOf[T]()
	var up *T
	if j.s.Symmetric {
		up = j.dst.at(k, i)
	}
	var own storeMasks
	masks := &allLanes
	if !full {
		own = a.masks(bi, bj)
		masks = &own
	}
	switch dst := any(dst).(type) {
	case *float64:
		up := any(up).(*float64)
		if j.isa == cpu.AVX512 {
			seriesStore64AVX512(dst, up, stride, sums, row, col, (*uint8)(unsafe.Pointer(masks)))
		} else {
			seriesStore64AVX2(dst, up, stride, sums, row, col)
		}
	case *float32:
		up := any(up).(*float32)
		if j.isa == cpu.AVX512 {
			seriesStore32AVX512(dst, up, stride, sums, row, col, (*uint8)(unsafe.Pointer(masks)))
		} else {
			seriesStore32AVX2(dst, up, stride, sums, row, col)
		}
	}
}

// storeMasks are the lanes to store of each row of a block, a byte each, and of
// each row of its transpose.
type storeMasks [2]uint64

var allLanes = storeMasks{1<<64 - 1, 1<<64 - 1}

const (
	everyByte  = 0x0101010101010101
	belowRow   = 0x7f3f1f0f07030100 // byte r: the lanes before lane r
	belowOfCol = 0x0080c0e0f0f8fcfe // byte c: the lanes behind lane c
)

// masks returns the lanes of block (bi, bj) that are in the area.
func (a seriesArea) masks(bi, bj int) storeMasks {
	rows, cols := min(lanes, a.m-bi*lanes), min(lanes, a.n-bj*lanes)
	// So many bytes of so many bits.
	m := storeMasks{everyByte * (1<<cols - 1), everyByte * (1<<rows - 1)}
	m[0] &= 1<<(8*rows) - 1
	m[1] &= 1<<(8*cols) - 1
	if a.lower && bi == bj {
		m[0] &= belowRow
		m[1] &= belowOfCol
	}
	return m
}

// extent returns the entries of the first row that are computed, and how many
// more every next row has.
func (a seriesArea) extent() (n, step int) {
	if a.lower {
		return 0, 1
	}
	return a.n, 0
}
