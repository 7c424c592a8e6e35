//go:build amd64 && !noasm

package kernel

import (
	"context"

	"github.com/covprop/covprop/internal/cpu"
)

// Blocks of the packed product, after Goto and van de Geijn, Anatomy of
// High-Performance Matrix Multiplication, ACM Trans. Math. Softw. 34(3), 2008:
// a panel of b, depth x one tile, stays in the first-level cache while
// blockRows rows of a, in the second level, pass by. The sum over k is cut at
// multiples of blockDepth, which is part of what the result is, bit for bit;
// the other sizes are not.
const (
	blockRows  = 96
	blockCols  = 1024
	blockDepth = 256
	spanCols   = 512 // columns of one task

	// directStrips is the number of strips of rows up to which b is not packed.
	directStrips = 8
)

// A phase is the part of a product with columns [j0, j1) of dst and [k0, k1)
// of the inner dimension. Its tasks share the packed panels of b: each is a
// span of columns of a block of rows, or all columns up to the diagonal.
type phase[T float] struct {
	product[T]
	isa            cpu.ISA
	h, w           int // of a tile
	j0, j1, k0, k1 int
	strips, blocks int // strips of at most h rows, in blocks
	spans          int // of columns
	packed         []T // panels (k1-k0, w) of b
	// direct says that b is read where it is, a last panel that is not full
	// excepted: with few rows packing costs more than it saves.
	direct bool
}

// runPacked computes the product by blocks.
func (p *product[T]) runPacked(ctx context.Context, threads int, isa cpu.ISA) error {
	h, w := tileSize[T](isa)
	f := phase[T]{product: *p, isa: isa, h: h, w: w}
	f.strips = ceil(p.dst.rows, h)
	f.blocks = ceil(f.strips, max(1, blockRows/h))
	f.direct = !p.trans && f.strips <= directStrips
	width, panels := blockCols, min(blockCols, ceil(p.dst.cols, w)*w)
	if f.direct {
		width, panels = p.dst.cols, w
	}
	buf := getBuffer[T](min(blockDepth, p.a.cols) * panels)
	defer putBuffer(buf)
	f.packed = buf.data
	for f.j0 = 0; f.j0 < p.dst.cols; f.j0 = f.j1 {
		f.j1 = min(f.j0+width, p.dst.cols)
		f.spans = ceil(f.j1-f.j0, spanCols)
		for f.k0 = 0; f.k0 < p.a.cols; f.k0 = f.k1 {
			f.k1 = min(f.k0+blockDepth, p.a.cols)
			if err := f.run(ctx, threads); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *phase[T]) run(ctx context.Context, threads int) error {
	tasks := f.blocks
	if !f.lower {
		tasks *= f.spans
	}
	if threads > 1 && tasks > 1 {
		return f.spread(ctx, threads, tasks)
	}
	if f.direct {
		f.packTail()
	} else {
		for s := range f.spans {
			f.pack(s)
		}
	}
	for t := range tasks {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.task(t)
	}
	return nil
}

// spread is run on several threads; f is a copy, which may escape.
func (f phase[T]) spread(ctx context.Context, threads, tasks int) error {
	if f.direct {
		f.packTail()
	} else {
		err := Parallel(ctx, threads, f.spans, func(s int) error {
			f.pack(s)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return Parallel(ctx, threads, tasks, func(t int) error {
		f.task(t)
		return nil
	})
}

// pack packs the panels of span s.
func (f *phase[T]) pack(s int) {
	j0 := f.j0 + s*spanCols
	for j := j0; j < min(j0+spanCols, f.j1); j += f.w {
		f.packPanel(f.packed[(j-f.j0)*(f.k1-f.k0):], j)
	}
}

// packTail packs the last panel if it is not full.
func (f *phase[T]) packTail() {
	if n := f.dst.cols % f.w; n > 0 {
		f.packPanel(f.packed, f.dst.cols-n)
	}
}

// packPanel packs columns [j, j+w) of b, filled up with zeros.
func (f *phase[T]) packPanel(dst []T, j int) {
	n, k := min(f.w, f.j1-j), f.k1-f.k0
	to := matrix[T]{k, f.w, f.w, dst[:f.w*k]}
	if n < f.w {
		clear(to.data)
	}
	if f.trans {
		transposeTo(to, f.b.part(j, j+n, f.k0, f.k1))
		return
	}
	for r := range k {
		copy(to.data[r*f.w:], f.b.row(f.k0+r, j, j+n))
	}
}

// task computes one task. Longer ones come first.
func (f *phase[T]) task(t int) {
	if f.lower {
		f.lowerBlock(f.blocks - 1 - t)
		return
	}
	block, span := t/f.spans, t%f.spans
	s0, s1 := f.strips*block/f.blocks, f.strips*(block+1)/f.blocks
	j0 := f.j0 + span*spanCols
	for j := j0; j < min(j0+spanCols, f.j1); j += f.w {
		f.panel(s0, s1, j, min(j+f.w, f.j1))
	}
}

// lowerBlock computes the part of a block on and below the diagonal, and what
// the tiles there hold beyond it, and mirrors what is finished while it is in
// the cache.
func (f *phase[T]) lowerBlock(block int) {
	s0, s1 := f.strips*block/f.blocks, f.strips*(block+1)/f.blocks
	i0, i1 := f.strip(s0), f.strip(s1)
	last := f.k1 == f.a.cols
	for j := f.j0; j < min(f.j1, i1); j += f.w {
		end := min(j+f.w, f.j1, i1)
		for s0 < s1 && f.strip(s0+1) <= j {
			s0++
		}
		f.panel(s0, s1, j, end)
		if last {
			mirrorPart(f.dst, i0, i1, j, min(end, i0))
		}
	}
	if last && f.j0 < i1 && i1 <= f.j1 {
		mirror(f.dst, i0, i1)
	}
}

// panel computes the strips [s0, s1) of columns [j, j1).
func (f *phase[T]) panel(s0, s1, j, j1 int) {
	k := f.k1 - f.k0
	var b operand[T]
	switch {
	case !f.direct:
		b = operand[T]{&f.packed[(j-f.j0)*k], f.w}
	case j+f.w <= f.j1:
		b = operand[T]{f.b.at(f.k0, j), f.b.stride}
	default:
		b = operand[T]{&f.packed[0], f.w}
	}
	for s := s0; s < s1; s++ {
		i, end := f.strip(s), f.strip(s+1)
		c, a := operand[T]{f.dst.at(i, j), f.dst.stride}, operand[T]{f.a.at(i, f.k0), f.a.stride}
		tileTo(f.isa, c, a, b, end-i, k, j1-j, f.add || f.k0 > 0)
	}
}

// strip returns the first row of strip s; strips differ by at most a row.
func (f *phase[T]) strip(s int) int { return s * f.dst.rows / f.strips }
