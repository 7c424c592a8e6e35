package layer

import (
	"context"
	"sync"

	"github.com/covprop/covprop/internal/kernel"
)

// A covariance is convolved by panels: some of its columns (or rows), laid side
// by side so that every channel of every position of the image is a run of
// lanes, one of each column, and all channels of a position follow each other,
// as kernel.TapsTo takes them. The panel is a copy in float64, so dst may be
// src, and no patches are made.

// convBlock is the number of output positions that are computed before they
// are written to the covariance: at least a cache line of a row.
const convBlock = 16

// convScratch is the memory that one goroutine needs.
type convScratch struct {
	x     []float64 // (positions, inC, kernel.Lanes)
	y     []float64 // (convBlock, up to kernel.TapRows, kernel.Lanes)
	wide  []float64 // (kernel.Lanes, convBlock): part of some rows in float64
	patch []float64
	w     []float64
}

// convPool is shared by all convolutions: a network of many takes no more
// memory than its largest.
var convPool = sync.Pool{New: func() any { return new(convScratch) }}

// blocks returns the number of blocks into which the output channels of a
// group are cut.
func (c *Conv) blocks() int { return (c.outC + kernel.TapRows - 1) / kernel.TapRows }

// block returns the first channel of block b, (blocks) for the end.
func (c *Conv) block(b int) int { return b * c.outC / c.blocks() }

// pack returns w in the order (groups, blocks, taps, inC, channels of a block).
func (c *Conv) pack() []float64 {
	w := make([]float64, 0, len(c.w.Data))
	for g := range c.groups {
		for b := range c.blocks() {
			for k := range c.taps * c.inC {
				for o := c.block(b); o < c.block(b+1); o++ {
					w = append(w, row(c.w, g*c.outC+o)[k%c.inC*c.taps+k/c.inC])
				}
			}
		}
	}
	return w
}

// convPanels is the application of a convolution to the columns of src, or to
// its rows if trans is set.
type convPanels[T real] struct {
	c        *Conv
	dst, src matrix[T]
	trans    bool
	add      bool
	lower    bool // dst is symmetric
}

// run is MulTo, MulTransTo or SandwichTo.
func (a convPanels[T]) run(ctx context.Context, threads int) error {
	c := a.c
	images := c.batch * c.groups
	from, to, n, m := a.src.Rows, a.dst.Rows, a.src.Cols, a.dst.Cols
	if a.trans {
		from, to, n, m = n, m, from, to
	}
	if from != c.inputs[0] || to != c.OutputLen() || m != n || a.lower && n != to {
		panic(badShape)
	}
	tasks := (n + kernel.Lanes - 1) / kernel.Lanes * images
	var err error
	if threads > 1 && tasks > 1 {
		err = a.spread(ctx, threads, tasks)
	} else {
		err = a.each(ctx, tasks)
	}
	if err == nil && a.lower {
		mirror(a.dst)
	}
	return err
}

func (a *convPanels[T]) each(ctx context.Context, tasks int) error {
	s := convPool.Get().(*convScratch)
	defer convPool.Put(s)
	for i := range tasks {
		if err := ctx.Err(); err != nil {
			return err
		}
		a.panel(i, s)
	}
	return nil
}

// spread is each on several threads. It has its own copy of a, which moves to
// the heap.
func (a convPanels[T]) spread(ctx context.Context, threads, tasks int) error {
	return kernel.Parallel(ctx, threads, tasks, func(i int) error {
		s := convPool.Get().(*convScratch)
		a.panel(i, s)
		convPool.Put(s)
		return nil
	})
}

// panel convolves the channels of one group of one element of the batch, in
// kernel.Lanes columns (or rows).
func (a *convPanels[T]) panel(i int, s *convScratch) {
	c := a.c
	images, out := c.batch*c.groups, c.outC*c.outPositions
	image, j := i%images, i/images*kernel.Lanes
	lanes := min(kernel.Lanes, a.dst.Cols-j)
	if a.trans {
		lanes = min(kernel.Lanes, a.dst.Rows-j)
	}
	end := out // of the outputs that are wanted
	if a.lower {
		end = min(end, j+lanes-image*out)
	}
	if end <= 0 {
		return
	}
	s.x = resize(s.x, c.positions*c.inC*kernel.Lanes)
	s.y = resize(s.y, convBlock*kernel.TapRows*kernel.Lanes)
	if a.trans {
		a.loadRows(s, image, j, lanes)
	} else {
		a.loadCols(s, image, j, lanes)
	}
	w := c.packed()[image%c.groups*c.outC*c.taps*c.inC:]
	for p := 0; p < c.outPositions; p += convBlock {
		for b := range c.blocks() {
			o, o1 := c.block(b), c.block(b+1)
			if o*c.outPositions+p >= end {
				break
			}
			a.positions(s, w[o*c.taps*c.inC:], o, o1, p, end, lanes)
			for ; o < o1; o++ {
				n := min(convBlock, c.outPositions-p, end-o*c.outPositions-p)
				if n <= 0 {
					break
				}
				y := matrix[float64]{n, lanes, (o1 - c.block(b)) * kernel.Lanes, s.y[(o-c.block(b))*kernel.Lanes:]}
				if at := image*out + o*c.outPositions + p; a.trans {
					a.storeRows(s, y, j, at)
				} else {
					a.storeCols(y, at, j)
				}
			}
		}
	}
}

// positions computes the channels [o, o1) at convBlock positions from p on, as
// far as they lie before end, with the weights w of these channels.
func (a *convPanels[T]) positions(s *convScratch, w []float64, o, o1, p, end, lanes int) {
	c, n := a.c, o1-o
	w = w[:n*c.taps*c.inC]
	for i := range min(convBlock, c.outPositions-p) {
		at := p + i
		rows := min(n, (end-at+c.outPositions-1)/c.outPositions-o)
		if rows <= 0 {
			return
		}
		kernel.TapsTo(s.y[i*n*kernel.Lanes:], s.x, w, c.at[at*c.taps:][:c.taps], c.inC, n, rows, lanes)
	}
}

// loadCols copies lanes columns of src from j on to the panel.
func (a *convPanels[T]) loadCols(s *convScratch, image, j, lanes int) {
	c := a.c
	for ch := range c.inC {
		first := (image*c.inC + ch) * c.positions
		for q := range c.positions {
			widenTo(s.x[(q*c.inC+ch)*kernel.Lanes:], a.src.Data[(first+q)*a.src.Stride+j:][:lanes])
		}
	}
}

// loadRows copies lanes rows of src from j on to the panel.
func (a *convPanels[T]) loadRows(s *convScratch, image, j, lanes int) {
	c := a.c
	s.wide = resize(s.wide, kernel.Lanes*convBlock)
	for ch := range c.inC {
		first := (image*c.inC+ch)*c.positions + j*a.src.Stride
		if src, ok := any(a.src.Data).([]float64); ok {
			kernel.TransposeTo(s.x[ch*kernel.Lanes:], src[first:], c.inC*kernel.Lanes, a.src.Stride, lanes, c.positions)
			continue
		}
		for q := 0; q < c.positions; q += convBlock {
			n := min(convBlock, c.positions-q)
			for l := range lanes {
				widenTo(s.wide[l*convBlock:], a.src.Data[first+q+l*a.src.Stride:][:n])
			}
			kernel.TransposeTo(s.x[(q*c.inC+ch)*kernel.Lanes:], s.wide, c.inC*kernel.Lanes, convBlock, lanes, n)
		}
	}
}

// storeCols writes or adds y to dst at (i, j).
func (a *convPanels[T]) storeCols(y matrix[float64], i, j int) {
	for r := range y.Rows {
		storeTo(a.dst.Data[(i+r)*a.dst.Stride+j:][:y.Cols], y.row(r), a.add)
	}
}

// storeRows writes or adds y' to dst at (i, j).
func (a *convPanels[T]) storeRows(s *convScratch, y matrix[float64], i, j int) {
	if dst, ok := any(a.dst.Data).([]float64); ok && !a.add {
		kernel.TransposeTo(dst[i*a.dst.Stride+j:], y.Data, a.dst.Stride, y.Stride, y.Rows, y.Cols)
		return
	}
	kernel.TransposeTo(s.wide, y.Data, convBlock, y.Stride, y.Rows, y.Cols)
	for l := range y.Cols {
		storeTo(a.dst.Data[(i+l)*a.dst.Stride+j:][:y.Rows], s.wide[l*convBlock:][:y.Rows], a.add)
	}
}

// widenTo copies src to dst.
func widenTo[T real](dst []float64, src []T) {
	if src, ok := any(src).([]float64); ok {
		copy(dst, src)
		return
	}
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = float64(v)
	}
}

// storeTo rounds src to dst, or adds it.
func storeTo[T real](dst []T, src []float64, add bool) {
	if add {
		for i, v := range src {
			dst[i] = T(float64(dst[i]) + v)
		}
		return
	}
	if dst, ok := any(dst).([]float64); ok {
		copy(dst, src)
		return
	}
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = T(v)
	}
}
