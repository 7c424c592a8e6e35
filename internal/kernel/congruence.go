package kernel

import (
	"context"
	"sync"

	"gonum.org/v1/gonum/blas/blas64"
)

// CongruenceSize is the most rows and columns that CongruenceTo takes.
const CongruenceSize = 64

// CongruenceTo computes the lower triangle of dst = a c a', (m, m), for a, (m,
// n), and the covariance c, (n, n). What is above the diagonal of dst is undefined
// afterwards; dst overlaps neither.
//
// An element of c without variance, and so without covariances, is left out of
// the sums: in a network with many units that are always off, or with certain
// inputs, that is much of the work. m and n are at most CongruenceSize, for which
// neither threads nor a context would pay.
func CongruenceTo(dst, a, c blas64.General) {
	if dst.Rows != a.Rows || dst.Cols != a.Rows || c.Rows != a.Cols || c.Cols != a.Cols || max(a.Rows, a.Cols) > CongruenceSize {
		panic(badShape)
	}
	w := congruences.Get().(*congruence)
	defer congruences.Put(w)
	w.keep(of64(c))
	if a.Rows == 0 || w.kept == 0 {
		for i := range dst.Rows {
			clear(dst.Data[i*dst.Stride:][:i+1])
		}
		return
	}
	x, y := of64(a), of64(c)
	if a.Cols-w.kept >= congruenceGain {
		x = w.compress(w.a[:], x, allRows[:a.Rows])
		y = w.compress(w.c[:], y, w.rows[:w.kept])
	}
	h := matrix[float64]{x.rows, x.cols, CongruenceSize, w.half[:]}
	ctx := context.Background() // without an end, so that products do not fail
	first := product[float64]{dst: h, a: x, b: y}
	second := product[float64]{shape: shape{trans: true, lower: true}, dst: of64(dst), a: h, b: x}
	_ = first.run(ctx, 1)
	_ = second.run(ctx, 1)
}

const (
	// congruenceGain is the number of elements without variance from which on
	// leaving them out saves more than it takes.
	congruenceGain = 4
	// congruenceStride leaves room for a vector behind every row.
	congruenceStride = CongruenceSize + lanes
)

// A congruence is the scratch of CongruenceTo.
type congruence struct {
	kept  int
	rows  [CongruenceSize]uint8         // the elements with a variance
	masks [CongruenceSize / lanes]uint8 // the same, bit by bit
	a, c  [CongruenceSize * congruenceStride]float64
	half  [CongruenceSize * CongruenceSize]float64
}

var congruences = sync.Pool{New: func() any { return new(congruence) }}

var allRows = func() (r [CongruenceSize]uint8) {
	for i := range r {
		r[i] = uint8(i)
	}
	return r
}()

// keep finds the elements of c with a variance.
func (w *congruence) keep(c matrix[float64]) {
	w.kept, w.masks = 0, [CongruenceSize / lanes]uint8{}
	for i := range c.rows {
		if c.data[i*c.stride+i] != 0 {
			w.rows[w.kept] = uint8(i)
			w.masks[i/lanes] |= 1 << (i % lanes)
			w.kept++
		}
	}
}

// compress returns the given rows of src, and of these the columns that are kept.
func (w *congruence) compress(dst []float64, src matrix[float64], rows []uint8) matrix[float64] {
	to := matrix[float64]{len(rows), w.kept, congruenceStride, dst}
	compress(w, to, src, rows)
	return to
}

func compressGeneric(w *congruence, dst, src matrix[float64], rows []uint8) {
	for i, r := range rows {
		to, from := dst.row(i, 0, dst.cols), src.row(int(r), 0, src.cols)
		for j, c := range w.rows[:w.kept] {
			to[j] = from[c]
		}
	}
}
