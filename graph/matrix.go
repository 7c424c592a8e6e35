package graph

import (
	"unsafe"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/kernel"
)

// A matrix is a block of a covariance, row by row, in float64, or in float32
// where a run was asked to take half the memory. In a dry run it has a shape
// and no data.
type matrix struct {
	Rows, Cols, Stride int
	f64                []float64
	f32                []float32 // in place of f64
}

// matrixOf returns a as a matrix.
func matrixOf(a blas64.General) matrix {
	return matrix{Rows: a.Rows, Cols: a.Cols, Stride: a.Stride, f64: a.Data}
}

// narrowed returns the memory of data as an r x c matrix of float32.
func narrowed(data []float64, r, c int) matrix {
	m := matrix{Rows: r, Cols: c, Stride: c}
	if len(data) > 0 {
		m.f32 = unsafe.Slice((*float32)(unsafe.Pointer(&data[0])), 2*len(data))[:r*c]
	}
	return m
}

// is32 reports whether the matrix is stored in float32.
func (m matrix) is32() bool { return m.f32 != nil }

func (m matrix) general() blas64.General {
	return blas64.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Stride, Data: m.f64}
}

func (m matrix) general32() blas32.General {
	return blas32.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Stride, Data: m.f32}
}

func (m matrix) at(i, j int) float64 {
	if m.is32() {
		return float64(m.f32[i*m.Stride+j])
	}
	return m.f64[i*m.Stride+j]
}

func (m matrix) set(i, j int, v float64) {
	if m.is32() {
		m.f32[i*m.Stride+j] = float32(v)
	} else {
		m.f64[i*m.Stride+j] = v
	}
}

// view returns the r x c block of m whose first entry is (i, j).
func (m matrix) view(i, j, r, c int) matrix {
	v := matrix{Rows: r, Cols: c, Stride: m.Stride}
	from, to := i*m.Stride+j, (i+r-1)*m.Stride+j+c
	switch {
	case r == 0 || c == 0:
	case m.is32():
		v.f32 = m.f32[from:to]
	case m.f64 != nil:
		v.f64 = m.f64[from:to]
	}
	return v
}

// zero sets all entries to 0.
func (m matrix) zero() {
	for i := range m.Rows {
		m.zeroRow(i)
	}
}

func (m matrix) zeroRow(i int) {
	if m.is32() {
		clear(m.f32[i*m.Stride:][:m.Cols])
	} else {
		clear(m.f64[i*m.Stride:][:m.Cols])
	}
}

// mirror copies the strict lower triangle of the square matrix to the upper.
func (m matrix) mirror() {
	switch {
	case m.is32():
		kernel.Mirror(m.general32())
	case m.f64 != nil:
		kernel.Mirror(m.general())
	}
}

// copyFrom copies a, of either type.
func (m matrix) copyFrom(a matrix) {
	for i := range a.Rows {
		switch {
		case m.is32() && a.is32():
			copy(m.f32[i*m.Stride:][:a.Cols], a.f32[i*a.Stride:])
		case m.is32():
			convert(m.f32[i*m.Stride:], a.f64[i*a.Stride:][:a.Cols])
		case a.is32():
			convert(m.f64[i*m.Stride:], a.f32[i*a.Stride:][:a.Cols])
		default:
			copy(m.f64[i*m.Stride:][:a.Cols], a.f64[i*a.Stride:])
		}
	}
}

// copyTrans sets m = a' for an a of either type.
func (m matrix) copyTrans(a matrix) {
	for i0 := 0; i0 < a.Rows; i0 += tile {
		for j0 := 0; j0 < a.Cols; j0 += tile {
			for i := i0; i < min(i0+tile, a.Rows); i++ {
				for j := j0; j < min(j0+tile, a.Cols); j++ {
					m.set(j, i, a.at(i, j))
				}
			}
		}
	}
}

type float interface{ float32 | float64 }

func convert[D, S float](dst []D, src []S) {
	for j, v := range src {
		dst[j] = D(v)
	}
}

// tile is the side of the squares in which matrices are transposed: two fit
// into the first level cache.
const tile = 32

// add computes m += a for an a of the same type.
func (m matrix) add(a matrix) {
	if m.is32() {
		addTo(m.f32, m.Stride, a.f32, a)
	} else {
		addTo(m.f64, m.Stride, a.f64, a)
	}
}

func addTo[T float](dst []T, stride int, src []T, a matrix) {
	for i := range a.Rows {
		d := dst[i*stride:][:a.Cols]
		for j, v := range src[i*a.Stride:][:a.Cols] {
			d[j] += v
		}
	}
}

// addTrans computes m += a' for an a of the same type.
func (m matrix) addTrans(a matrix) {
	if m.is32() {
		addTransTo(m.f32, m.Stride, a.f32, a)
	} else {
		addTransTo(m.f64, m.Stride, a.f64, a)
	}
}

func addTransTo[T float](dst []T, stride int, src []T, a matrix) {
	for i0 := 0; i0 < a.Rows; i0 += tile {
		for j0 := 0; j0 < a.Cols; j0 += tile {
			for i := i0; i < min(i0+tile, a.Rows); i++ {
				row := src[i*a.Stride:][:a.Cols]
				for j := j0; j < min(j0+tile, a.Cols); j++ {
					dst[j*stride+i] += row[j]
				}
			}
		}
	}
}

// addOwnTranspose computes m = m + m'.
func (m matrix) addOwnTranspose() {
	if m.is32() {
		addOwnTranspose(m.f32, m)
	} else {
		addOwnTranspose(m.f64, m)
	}
}

func addOwnTranspose[T float](data []T, a matrix) {
	for i0 := 0; i0 < a.Rows; i0 += tile {
		for j0 := 0; j0 <= i0; j0 += tile {
			for i := i0; i < min(i0+tile, a.Rows); i++ {
				for j := j0; j < min(j0+tile, i+1); j++ {
					p, q := &data[i*a.Stride+j], &data[j*a.Stride+i]
					*p += *q
					*q = *p
				}
			}
		}
	}
}
