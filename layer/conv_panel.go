package layer

import (
	"context"
	"sync"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/kernel"
)

// A covariance is convolved by panels: several of its columns (or rows), laid
// side by side so that every position of the image is a run of lanes, one of
// each column. A panel of the input is read before that of the output is
// written, so both may be the same part of a matrix.
const (
	convLanes = 32      // lanes of a panel at most,
	convMin   = 8       // and at least, if there are as many: a cache line,
	convPanel = 1 << 19 // values that a panel should not exceed otherwise

	// The product for a block of output positions: columns and inner dimension.
	convCols  = 192
	convDepth = 256

	// convDirect is the number of output channels below which the positions
	// are added up where they lie: gathering them first costs as much.
	convDirect = 3
)

// convScratch is the memory that one goroutine needs.
type convScratch struct {
	in, out []float64 // panels
	patch   []float64
}

// convPool is shared by all convolutions: a network of many takes no more
// memory than its largest.
var convPool = sync.Pool{New: func() any { return new(convScratch) }}

// convPanels is the application of a convolution to the rows of src, or to its
// columns if trans is set.
type convPanels struct {
	c        *Conv
	dst, src blas64.General
	trans    bool
	add      bool
	lower    bool // only the lower triangle of dst is wanted
}

func (a convPanels) run(ctx context.Context, threads int) error {
	c := a.c
	in, out, images := c.inC*c.positions, c.outC*c.outPositions, c.batch*c.groups
	from, to, n, m := a.src.Rows, a.dst.Rows, a.src.Cols, a.dst.Cols
	if a.trans {
		from, to, n, m = n, m, from, to
	}
	if from != images*in || to != images*out || m != n || a.lower && n != to {
		panic(badShape)
	}
	if n == 0 {
		return nil
	}
	lanes := min(convLanes, n, max(convMin, convPanel/max(in, out)))
	tasks := (n + lanes - 1) / lanes * images
	free := make(chan *convScratch, max(1, min(threads, tasks)))
	for range cap(free) {
		free <- convPool.Get().(*convScratch)
	}
	err := kernel.Parallel(ctx, threads, tasks, func(i int) error {
		s := <-free
		j := i / images * lanes
		err := a.panel(ctx, i%images, j, min(lanes, n-j), s)
		free <- s
		return err
	})
	for range cap(free) {
		convPool.Put(<-free)
	}
	return err
}

// panel convolves one group of channels of one element of the batch, in the
// columns (or rows) j to j+lanes-1.
func (a *convPanels) panel(ctx context.Context, image, j, lanes int, s *convScratch) error {
	c := a.c
	in, out := c.inC*c.positions, c.outC*c.outPositions
	channels := c.outC
	if a.lower { // the columns before j+lanes
		n := j + lanes - image*out
		if n <= 0 {
			return nil
		}
		channels = min(channels, (n+c.outPositions-1)/c.outPositions)
	}
	s.in, s.out = resize(s.in, in*lanes), resize(s.out, out*lanes)
	if a.trans {
		loadTrans(s.in, cols(rows(a.src, j, lanes), image*in, in))
	} else {
		load(s.in, cols(rows(a.src, image*in, in), j, lanes))
	}
	w := rows(c.w, image%c.groups*c.outC, channels)
	if err := c.imageTo(ctx, s.out, s.in, w, lanes, s); err != nil {
		return err
	}
	n := channels * c.outPositions
	if a.trans {
		storeTrans(cols(rows(a.dst, j, lanes), image*out, n), s.out, a.add)
	} else {
		store(cols(rows(a.dst, image*out, n), j, lanes), s.out, a.add)
	}
	return nil
}

// imageTo convolves x, (inC, positions, lanes), to y, (w.Rows, outPositions,
// lanes), with the weights w, (w.Rows, inC*taps), of output channels of one
// group:
//
//	y[o,p,:] = sum_{c,t} w[o,c,t] x[c,at[p,t],:].
func (c *Conv) imageTo(ctx context.Context, y, x []float64, w blas64.General, lanes int, s *convScratch) error {
	if w.Rows < convDirect {
		return c.directTo(ctx, y, x, w, lanes)
	}
	block := max(1, convCols/lanes)
	depth := min(c.inC, max(1, convDepth/c.taps)) // input channels at a time
	s.patch = resize(s.patch, depth*c.taps*block*lanes)
	for p := 0; p < c.outPositions; p += block {
		n := min(block, c.outPositions-p) * lanes
		d := blas64.General{Rows: w.Rows, Cols: n, Stride: c.outPositions * lanes, Data: y[p*lanes:]}
		for ch := 0; ch < c.inC; ch += depth {
			patch := packed(min(depth, c.inC-ch)*c.taps, n, s.patch)
			c.gather(patch, x[ch*c.positions*lanes:], p, lanes)
			if err := kernel.MulTo(ctx, 1, d, cols(w, ch*c.taps, patch.Rows), patch, ch > 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// gather writes x[c,at[p,t],:] to row (c,t) of patch for the output positions
// from p on (im2col), 0 for taps in the padding.
func (c *Conv) gather(patch blas64.General, x []float64, p, lanes int) {
	for k := range patch.Rows {
		d, at, x := row(patch, k), c.at[p*c.taps+k%c.taps:], x[k/c.taps*c.positions*lanes:][:c.positions*lanes]
		for i := 0; i*lanes < len(d); i++ {
			q := at[i*c.taps]
			switch {
			case q < 0:
				clear(d[i*lanes:][:lanes])
			case lanes == 1:
				d[i] = x[q]
			default:
				copy(d[i*lanes:][:lanes], x[q*lanes:])
			}
		}
	}
}

// directTo is imageTo without the patch.
func (c *Conv) directTo(ctx context.Context, y, x []float64, w blas64.General, lanes int) error {
	impl := blas64.Implementation()
	for o := range w.Rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		for p := range c.outPositions {
			d, at := y[(o*c.outPositions+p)*lanes:][:lanes], c.at[p*c.taps:][:c.taps]
			clear(d)
			for k, v := range row(w, o) {
				q := at[k%c.taps]
				switch q += k / c.taps * c.positions; {
				case at[k%c.taps] < 0:
				case lanes == 1:
					d[0] += v * x[q]
				default:
					impl.Daxpy(lanes, v, x[q*lanes:], 1, d, 1)
				}
			}
		}
	}
	return nil
}

// load writes src to the panel x, (src.Rows, src.Cols).
func load(x []float64, src blas64.General) {
	for i := range src.Rows {
		copy(x[i*src.Cols:], row(src, i))
	}
}

// store writes or adds the panel y, (dst.Rows, dst.Cols), to dst.
func store(dst blas64.General, y []float64, add bool) {
	for i := range dst.Rows {
		d, y := row(dst, i), y[i*dst.Cols:]
		if !add {
			copy(d, y)
			continue
		}
		for j := range d {
			d[j] += y[j]
		}
	}
}

// transRun is the number of neighbours that are transposed together: a cache
// line.
const transRun = 8

// loadTrans writes src' to the panel x, (src.Cols, src.Rows).
func loadTrans(x []float64, src blas64.General) {
	lanes := src.Rows
	for i := 0; i < src.Cols; i += transRun {
		n := min(transRun, src.Cols-i)
		for l := range lanes {
			to := x[i*lanes+l:]
			for k, v := range src.Data[l*src.Stride+i:][:n] {
				to[k*lanes] = v
			}
		}
	}
}

// storeTrans writes or adds the transposed panel y, (dst.Cols, dst.Rows), to
// dst.
func storeTrans(dst blas64.General, y []float64, add bool) {
	lanes := dst.Rows
	for i := 0; i < dst.Cols; i += transRun {
		n := min(transRun, dst.Cols-i)
		for l := range lanes {
			d, from := dst.Data[l*dst.Stride+i:][:n], y[i*lanes+l:]
			for k := range d {
				if add {
					d[k] += from[k*lanes]
				} else {
					d[k] = from[k*lanes]
				}
			}
		}
	}
}
