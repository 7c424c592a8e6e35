package kernel

// Lanes is the number of columns (or rows) of a covariance that are convolved
// side by side.
const Lanes = 32

// TapRows is the number of output channels that TapsTo computes at a time, at
// best.
const TapRows = 14

// TapsTo computes one output position of a convolution, for several of its
// channels and for Lanes columns of a covariance:
//
//	y[r,:] = sum_t sum_c w[t,c,r] x[at[t],c,:],
//
// where x is (positions, depth, Lanes), w (taps, depth, stride), of which the
// first rows are used, and y (rows, Lanes). A tap at -1, in the padding, adds
// nothing. Only the first lanes need be computed, and are on all paths.
func TapsTo(y, x, w []float64, at []int, depth, stride, rows, lanes int) {
	_, _ = y[rows*Lanes-1], w[len(at)*depth*stride-stride+rows-1]
	if len(at) == 0 || depth < 1 || rows < 1 || lanes > Lanes {
		panic(badShape)
	}
	if !tapsVectors(y, x, w, at, depth, stride, rows, lanes) {
		tapsPlain(y, x, w, at, depth, stride, rows, lanes)
	}
}

// tapsPlain is the definition of TapsTo.
func tapsPlain(y, x, w []float64, at []int, depth, stride, rows, lanes int) {
	for r := range rows {
		yr := y[r*Lanes:][:lanes]
		clear(yr)
		for t, q := range at {
			if q < 0 {
				continue
			}
			for c := range depth {
				v, xc := w[(t*depth+c)*stride+r], x[(q*depth+c)*Lanes:][:len(yr)]
				for l := range yr {
					yr[l] += v * xc[l]
				}
			}
		}
	}
}

// TransposeTo writes src' to dst, which does not overlap it.
func TransposeTo(dst, src []float64, dstStride, srcStride, rows, cols int) {
	transposeTo(matrix[float64]{cols, rows, dstStride, dst}, matrix[float64]{rows, cols, srcStride, src})
}
