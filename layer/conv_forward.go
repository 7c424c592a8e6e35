package layer

import (
	"context"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/kernel"
)

// An image by itself is convolved as a product with its patches (im2col), a
// block of output positions and of the inner dimension at a time.
const (
	patchCols  = 512
	patchDepth = 256

	// patchMin is the number of output channels below which the taps are added
	// up where they lie: gathering them first costs as much.
	patchMin = 3
)

// Forward implements Rule.
func (c *Conv) Forward(dst []float64, x ...[]float64) {
	s := convPool.Get().(*convScratch)
	defer convPool.Put(s)
	c.applyTo(dst, x[0], c.w, s)
	if c.bias == nil {
		return
	}
	for o := range len(dst) / c.outPositions {
		b := c.bias[o%len(c.bias)]
		d := dst[o*c.outPositions:][:c.outPositions]
		for i := range d {
			d[i] += b
		}
	}
}

// SquareMulTo implements Matrix.
func (c *Conv) SquareMulTo(dst, v []float64, add bool) {
	s := convPool.Get().(*convScratch)
	defer convPool.Put(s)
	y := dst
	if add {
		s.y = resize(s.y, len(dst))
		y = s.y
	}
	if c.repeats {
		c.squareRepeatsTo(y, v, s)
	} else {
		s.w = resize(s.w, len(c.w.Data))
		for i, x := range c.w.Data {
			s.w[i] = x * x
		}
		c.applyTo(y, v, packed(c.w.Rows, c.w.Cols, s.w), s)
	}
	if add {
		for i, x := range y {
			dst[i] += x
		}
	}
}

// squareRepeatsTo computes dst = (A o A) v where an entry of A may be a sum of
// weights, those of all taps that meet the position.
func (c *Conv) squareRepeatsTo(dst, v []float64, s *convScratch) {
	s.x = resize(s.x, c.positions)
	a := s.x // what is not yet used of the row of A, for one channel
	clear(a)
	for r := range dst {
		o, at := r/c.outPositions, c.at[r%c.outPositions*c.taps:][:c.taps]
		first := o / c.outC * c.inC * c.positions
		w := row(c.w, o%c.w.Rows)
		dst[r] = 0
		for ch := range c.inC {
			for t, q := range at {
				if q >= 0 {
					a[q] += w[ch*c.taps+t]
				}
			}
			for _, q := range at {
				if q >= 0 {
					dst[r] += a[q] * a[q] * v[first+ch*c.positions+q]
					a[q] = 0
				}
			}
		}
	}
}

// applyTo computes dst = A x, with the weights w in place of c's.
func (c *Conv) applyTo(dst, x []float64, w blas64.General, s *convScratch) {
	in, out := c.inC*c.positions, c.outC*c.outPositions
	for i := range c.batch * c.groups {
		y, x, w := dst[i*out:][:out], x[i*in:][:in], rows(w, i%c.groups*c.outC, c.outC)
		if c.outC < patchMin {
			c.directTo(y, x, w)
		} else {
			c.patchesTo(y, x, w, s)
		}
	}
}

// patchesTo convolves x, (inC, positions), to y, (outC, outPositions), with the
// weights w, (outC, inC*taps), of one group:
//
//	y[o,p] = sum_{c,t} w[o,c,t] x[c,at[p,t]].
func (c *Conv) patchesTo(y, x []float64, w blas64.General, s *convScratch) {
	depth := min(c.inC, max(1, patchDepth/c.taps)) // input channels at a time
	s.patch = resize(s.patch, depth*c.taps*min(patchCols, c.outPositions))
	for p := 0; p < c.outPositions; p += patchCols {
		n := min(patchCols, c.outPositions-p)
		d := blas64.General{Rows: c.outC, Cols: n, Stride: c.outPositions, Data: y[p:]}
		for ch := 0; ch < c.inC; ch += depth {
			patch := packed(min(depth, c.inC-ch)*c.taps, n, s.patch)
			c.gather(patch, x[ch*c.positions:], p)
			// Without a context that ends there is no error.
			_ = kernel.MulTo(context.Background(), 1, d, cols(w, ch*c.taps, patch.Rows), patch, ch > 0)
		}
	}
}

// gather writes x[c,at[p,t]] to row (c,t) of patch for the output positions
// from p on, 0 for taps in the padding.
func (c *Conv) gather(patch blas64.General, x []float64, p int) {
	for k := range patch.Rows {
		d, at, x := row(patch, k), c.at[p*c.taps+k%c.taps:], x[k/c.taps*c.positions:][:c.positions]
		for i := range d {
			if q := at[i*c.taps]; q >= 0 {
				d[i] = x[q]
			} else {
				d[i] = 0
			}
		}
	}
}

// directTo is patchesTo without the patch.
func (c *Conv) directTo(y, x []float64, w blas64.General) {
	for o := range c.outC {
		wo := row(w, o)
		for p := range c.outPositions {
			at, sum := c.at[p*c.taps:][:c.taps], 0.
			for ch := range c.inC {
				wc, xc := wo[ch*c.taps:][:c.taps], x[ch*c.positions:][:c.positions]
				for t, q := range at {
					if q >= 0 {
						sum += wc[t] * xc[q]
					}
				}
			}
			y[o*c.outPositions+p] = sum
		}
	}
}
