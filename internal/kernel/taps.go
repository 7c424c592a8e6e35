package kernel

import (
	"slices"
	"unsafe"
)

// A convolution of columns of a covariance is computed by rows of lanes: a lane
// is one column.
const (
	// LaneStep is the number of lanes that TapsTo computes at a time: x and y
	// have room for a multiple of it.
	LaneStep = 16
	// TapRows is the number of output channels that it computes at a time, at
	// best.
	TapRows = 14
)

// Lanes are rows of float64, Stride apart.
type Lanes struct {
	Data   []float64
	Stride int
}

// TapsTo computes one output position of a convolution, for several of its
// channels and columns of a covariance:
//
//	y[r,:] = sum_t sum_c w[t,c,r] x[at[t],c,:],
//
// where x is (positions, depth, lanes), w (taps, depth, rows) and y (rows,
// lanes). A tap at -1, in the padding, adds nothing. What lies beyond lanes, up
// to a multiple of LaneStep, is read and written too, to no purpose.
func TapsTo(y, x, w Lanes, at []int, depth, rows, lanes int) {
	if rows < 1 || depth < 1 || len(at) == 0 || lanes < 1 {
		panic(badShape)
	}
	full := (lanes + LaneStep - 1) / LaneStep * LaneStep
	_, _ = y.Data[(rows-1)*y.Stride+full-1], w.Data[(len(at)*depth-1)*w.Stride+rows-1]
	if last := slices.Max(at); last >= 0 {
		_ = x.Data[((last+1)*depth-1)*x.Stride+full-1]
	}
	if !tapsVectors(y, x, w, at, depth, rows, lanes) {
		tapsPlain(y, x, w, at, depth, rows, lanes)
	}
}

// tapsPlain is the definition of TapsTo.
func tapsPlain(y, x, w Lanes, at []int, depth, rows, lanes int) {
	for r := range rows {
		yr := y.Data[r*y.Stride:][:lanes]
		clear(yr)
		for t, q := range at {
			if q < 0 {
				continue
			}
			for c := range depth {
				v, xc := w.Data[(t*depth+c)*w.Stride+r], x.Data[(q*depth+c)*x.Stride:][:len(yr)]
				for l := range yr {
					yr[l] += v * xc[l]
				}
			}
		}
	}
}

// TransposeTo writes src', (lanes of src, rows), to dst, which does not overlap
// it.
func TransposeTo(dst, src Lanes, rows, lanes int) {
	transposeTo(matrix[float64]{lanes, rows, dst.Stride, dst.Data}, matrix[float64]{rows, lanes, src.Stride, src.Data})
}

// Widen copies src to dst.
func Widen(dst []float64, src []float32) {
	dst = dst[:len(src)]
	for i := widenVectors(dst, src); i < len(src); i++ {
		dst[i] = float64(src[i])
	}
}

// Narrow rounds src to dst.
func Narrow(dst []float32, src []float64) {
	dst = dst[:len(src)]
	for i := narrowVectors(dst, src); i < len(src); i++ {
		dst[i] = float32(src[i])
	}
}

// Prefetch tells the processor that rows of cols values, stride apart, will be
// read soon.
func Prefetch[T float](data []T, stride, rows, cols int) {
	if rows < 1 || cols < 1 {
		return
	}
	_ = data[(rows-1)*stride+cols-1]
	size := int(unsafe.Sizeof(data[0]))
	prefetchLines((*byte)(unsafe.Pointer(&data[0])), stride*size, rows, cols*size)
}
