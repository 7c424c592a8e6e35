//go:build amd64 && !noasm

package kernel

import (
	"context"

	"github.com/covprop/covprop/internal/cpu"
)

// Blocks of the packed product, after Goto and van de Geijn, Anatomy of
// High-Performance Matrix Multiplication, ACM Trans. Math. Softw. 34(3), 2008,
// with a left where it is: a strip of it, one tile high, and a panel of b, one
// tile wide, lie in the first-level cache, a span of panels in the second. The
// sum over k is cut at multiples of blockDepth, which is part of what the
// result is, bit for bit; the other sizes are not.
const (
	blockDepth = 256
	spanCols   = 512
	blockRows  = 48 // of one task

	// directStrips is the number of strips up to which b is not packed.
	directStrips = 8
)

// A phase is the part of a product with columns [j0, j1) of dst and [k0, k1)
// of the inner dimension. Its tasks share the packed panels of b.
type phase[T float] struct {
	product[T]
	isa            cpu.ISA
	h, w           int // of a tile
	j0, j1, k0, k1 int
	strips, blocks int // strips of at most h rows, in blocks
	packed         []T // panels (k1-k0, w) of b
	// direct says that b is read where it is, a last panel that is not full
	// excepted: with few rows packing costs more than it saves. A task is a
	// span of columns then, otherwise a block of rows.
	direct bool
	tasks  int
}

// runPacked computes the product by blocks.
func (p *product[T]) runPacked(ctx context.Context, threads int, isa cpu.ISA) error {
	h, w := tileSize[T](isa)
	f := phase[T]{product: *p, isa: isa, h: h, w: w}
	f.strips = ceil(p.dst.rows, h)
	f.blocks = ceil(f.strips, blockRows/h)
	f.tasks = f.blocks
	width, buffer := spanCols, min(spanCols, ceil(p.dst.cols, w)*w)
	if f.direct = !p.trans && f.strips <= directStrips; f.direct {
		f.tasks, width, buffer = ceil(p.dst.cols, spanCols), p.dst.cols, w
	}
	buf := getBuffer[T](min(blockDepth, p.a.cols) * buffer)
	defer putBuffer(buf)
	f.packed = buf.data
	for f.j0 = 0; f.j0 < p.dst.cols; f.j0 = f.j1 {
		f.j1 = min(f.j0+width, p.dst.cols)
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
	if f.direct {
		f.packTo(f.packed, f.j1-f.j1%f.w, f.j1)
	}
	if threads > 1 && f.tasks > 1 {
		return f.spread(ctx, threads)
	}
	if !f.direct {
		f.packTo(f.packed, f.j0, f.j1)
	}
	for t := range f.tasks {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.task(t)
	}
	return nil
}

// spread is the rest of run on several threads; f is a copy, which may escape.
func (f phase[T]) spread(ctx context.Context, threads int) error {
	if !f.direct {
		const cols = 64 // of a task
		err := Parallel(ctx, threads, ceil(f.j1-f.j0, cols), func(t int) error {
			j := t * cols
			f.packTo(f.packed[j*(f.k1-f.k0):], f.j0+j, min(f.j0+j+cols, f.j1))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return Parallel(ctx, threads, f.tasks, func(t int) error {
		f.task(t)
		return nil
	})
}

// packTo packs columns [j0, j1) of b, the last panel filled up with zeros.
func (f *phase[T]) packTo(dst []T, j0, j1 int) {
	k := f.k1 - f.k0
	size := k * f.w // of a panel
	if (j1-j0)%f.w > 0 {
		clear(dst[(j1-j0)/f.w*size:][:size])
	}
	if f.trans {
		for j := j0; j < j1; j += f.w {
			to := matrix[T]{k, f.w, f.w, dst[(j-j0)*k:][:size]}
			transposeTo(to, f.b.part(j, min(j+f.w, j1), f.k0, f.k1))
		}
		return
	}
	for r := range k { // row by row, as b lies in memory
		row := f.b.row(f.k0+r, j0, j1)
		for to := r * f.w; len(row) > 0; to += size {
			row = row[copy(dst[to:to+f.w], row):]
		}
	}
}

// task computes one task.
func (f *phase[T]) task(t int) {
	if f.direct {
		j := t * spanCols
		f.span(0, f.strips, j, min(j+spanCols, f.j1))
		return
	}
	if f.lower {
		t = f.tasks - 1 - t // the long ones first
	}
	s0, s1 := f.strips*t/f.blocks, f.strips*(t+1)/f.blocks
	f.span(s0, s1, f.j0, f.j1)
	if i0, i1 := f.strip(s0), f.strip(s1); f.mirror && f.k1 == f.a.cols && f.j0 < i1 {
		mirrorPart(f.dst, i0, i1, f.j0, min(f.j1, i0))
		if i1 <= f.j1 {
			mirror(f.dst, i0, i1)
		}
	}
}

// span computes strips [s0, s1) of columns [j0, j1); of a symmetric product
// only up to the square where a strip meets the diagonal.
func (f *phase[T]) span(s0, s1, j0, j1 int) {
	k := f.k1 - f.k0
	for s := s0; s < s1; s++ {
		i, end := f.strip(s), f.strip(s+1)
		stop := j1
		if f.lower {
			stop = min(j1, end)
		}
		a := operand[T]{f.a.at(i, f.k0), f.a.stride}
		for j := j0; j < stop; j += f.w {
			c := operand[T]{f.dst.at(i, j), f.dst.stride}
			tileTo(f.isa, c, a, f.panel(j, k), end-i, k, min(f.w, stop-j), f.add || f.k0 > 0)
		}
	}
}

// panel returns the panel of b that begins with column j.
func (f *phase[T]) panel(j, k int) operand[T] {
	switch {
	case !f.direct:
		return operand[T]{&f.packed[(j-f.j0)*k], f.w}
	case j+f.w <= f.j1:
		return operand[T]{f.b.at(f.k0, j), f.b.stride}
	}
	return operand[T]{&f.packed[0], f.w}
}

// strip returns the first row of strip s; strips differ by at most a row.
func (f *phase[T]) strip(s int) int { return s * f.dst.rows / f.strips }
