package layer

import (
	"context"
	"sync"

	"github.com/covprop/covprop/internal/kernel"
)

// A covariance is convolved by panels: some of its columns (or rows), side by
// side, so that every channel of every position of the image is a row of lanes,
// one of each column, and all channels of a position follow each other, as
// kernel.TapsTo takes them. A panel is a copy in float64 of what it needs of
// src, so dst may be src; and no patches are made.

// convScratch is the memory that one goroutine needs.
type convScratch struct {
	x     []float64 // (positions, inC, lanes)
	y     []float64 // (positions, channels of a block, lanes)
	part  []float64 // (lanes, positions): part of some rows in float64
	patch []float64
	w     []float64

	image, next int // the rows that will be read next
}

// convPool is shared by all convolutions: a network of many takes no more
// memory than its largest.
var convPool = sync.Pool{New: func() any { return new(convScratch) }}

// blocks returns the number of blocks into which the output channels of a
// group are cut.
func (c *Conv) blocks() int { return (c.outC + kernel.TapRows - 1) / kernel.TapRows }

// block returns the first channel of block b, or for b = blocks() the end.
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

// weights returns the packed weights of block b of the output channels of
// image, (taps, inC, channels).
func (c *Conv) weights(image, b int) kernel.Lanes {
	k := c.taps * c.inC
	o, end := c.block(b), c.block(b+1)
	return kernel.Lanes{Data: c.packed()[(image%c.groups*c.outC+o)*k:][:(end-o)*k], Stride: end - o}
}

// convPanels is the application of a convolution to the columns of src, or to
// its rows if trans is set.
type convPanels[T real] struct {
	c        *Conv
	dst, src matrix[T]
	trans    bool
	add      bool
	lower    bool // the lower triangle of dst is enough
	width    int  // lanes of a panel
}

// run is MulTo, MulTransTo or SandwichTo.
func (a convPanels[T]) run(ctx context.Context, threads int) error {
	c := a.c
	from, to, n, m := a.src.Rows, a.dst.Rows, a.src.Cols, a.dst.Cols
	if a.trans {
		from, to, n, m = n, m, from, to
	}
	if from != c.inputs[0] || to != c.OutputLen() || m != n || a.lower && n != to {
		panic(badShape)
	}
	a.width = convRows
	if !a.trans {
		a.width = c.columnWidth(n, threads)
	}
	tasks := (n + a.width - 1) / a.width * c.batch * c.groups
	if threads <= 1 || tasks <= 1 {
		return a.each(ctx, tasks)
	}
	return a.spread(ctx, threads, tasks)
}

func (a *convPanels[T]) each(ctx context.Context, tasks int) error {
	s := convPool.Get().(*convScratch)
	defer convPool.Put(s)
	for i := range tasks {
		if err := ctx.Err(); err != nil {
			return err
		}
		a.panel(i, 1, s)
	}
	return nil
}

// spread is each on several threads. It has its own copy of a, which moves to
// the heap.
func (a convPanels[T]) spread(ctx context.Context, threads, tasks int) error {
	return kernel.Parallel(ctx, threads, tasks, func(i int) error {
		s := convPool.Get().(*convScratch)
		a.panel(i, threads, s)
		convPool.Put(s)
		return nil
	})
}

// panel convolves panel i: the channels of one group of one element of the
// batch, in some columns or rows. The same thread is likely to have panel
// i+ahead next.
func (a *convPanels[T]) panel(i, ahead int, s *convScratch) {
	images := a.c.batch * a.c.groups
	image, j := i%images, i/images*a.width
	if !a.trans {
		a.columns(s, image, j)
		return
	}
	next := i + ahead
	a.rows(s, image, j, next%images, next/images*a.width)
}

// widenTo copies src to dst.
func widenTo[T real](dst []float64, src []T) {
	switch src := any(src).(type) {
	case []float64:
		copy(dst, src)
	case []float32:
		kernel.Widen(dst, src)
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
	switch dst := any(dst).(type) {
	case []float64:
		copy(dst, src)
	case []float32:
		kernel.Narrow(dst, src)
	}
}
