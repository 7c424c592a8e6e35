package graph

import (
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/layer"
)

// Gains act on blocks of either type. A gain that knows no float32 acts on
// panels of the block, a few columns or rows at a time, that are widened to
// float64: the cost is small beside the product's, and dst may be src wherever
// the gain works in place. In a dry run nothing is computed.

// panelFloats is the size of a widened panel, if one line is not longer.
const panelFloats = 1 << 18

// mulTo computes dst = G src, or dst += G src if add is set.
func (r *run) mulTo(g layer.Gain, dst, src matrix, add bool) error {
	if r.dry {
		r.count(gainOperations(g, dst.Rows, src.Rows), src.Cols)
		r.planPanel(src.Cols, dst.Rows+src.Rows)
		return nil
	}
	if !dst.is32() {
		return g.MulTo(r.ctx, r.layer.Threads, dst.general(), src.general(), add)
	}
	if n, ok := g.(layer.Gain32); ok {
		return n.MulTo32(r.ctx, r.layer.Threads, dst.general32(), src.general32(), add)
	}
	return r.panels(src.Cols, dst.Rows+src.Rows, func(work []float64, i, n int) error {
		d, s := dst.view(0, i, dst.Rows, n), src.view(0, i, src.Rows, n)
		return widened(work, d, s, add, func(d, s blas64.General) error {
			return g.MulTo(r.ctx, r.layer.Threads, d, s, false)
		})
	})
}

// mulTransTo computes dst = src G', or dst += src G' if add is set.
func (r *run) mulTransTo(g layer.Gain, dst, src matrix, add bool) error {
	if r.dry {
		r.count(gainOperations(g, dst.Cols, src.Cols), src.Rows)
		r.planPanel(src.Rows, dst.Cols+src.Cols)
		return nil
	}
	if !dst.is32() {
		return g.MulTransTo(r.ctx, r.layer.Threads, dst.general(), src.general(), add)
	}
	if n, ok := g.(layer.Gain32); ok {
		return n.MulTransTo32(r.ctx, r.layer.Threads, dst.general32(), src.general32(), add)
	}
	return r.panels(src.Rows, dst.Cols+src.Cols, func(work []float64, i, n int) error {
		d, s := dst.view(i, 0, n, dst.Cols), src.view(i, 0, n, src.Cols)
		return widened(work, d, s, add, func(d, s blas64.General) error {
			return g.MulTransTo(r.ctx, r.layer.Threads, d, s, false)
		})
	})
}

// sandwichTo computes the lower triangle of dst = src A', which is known to be
// symmetric.
func (r *run) sandwichTo(a layer.Matrix, dst, src matrix) error {
	if r.dry {
		r.count(gainOperations(a, dst.Cols, src.Cols), (src.Rows+1)/2)
		r.planPanel(src.Rows, dst.Cols+src.Cols)
		return nil
	}
	if !dst.is32() {
		return a.SandwichTo(r.ctx, r.layer.Threads, dst.general(), src.general())
	}
	if n, ok := a.(layer.Matrix32); ok {
		return n.SandwichTo32(r.ctx, r.layer.Threads, dst.general32(), src.general32())
	}
	return r.mulTransTo(a, dst, src, false)
}

// mulDiagTo computes dst = A diag(v) on behalf of tensor t.
func (r *run) mulDiagTo(t Tensor, a layer.Matrix, dst matrix, v []float64) {
	r.count(gainOperations(a, dst.Rows, dst.Cols), 1)
	if !r.ws.narrow {
		if !r.dry {
			a.MulDiagTo(dst.general(), v)
		}
		return
	}
	wide, place := r.ws.wide(t, dst.Rows, dst.Cols)
	if !r.dry {
		a.MulDiagTo(wide.general(), v)
		dst.copyFrom(wide)
	}
	r.ws.arena.release(place)
}

// planPanel notes the memory that panels of so many lines of the given length
// need.
func (r *run) planPanel(lines, length int) {
	if r.ws.narrow {
		r.ws.panelFloats = max(r.ws.panelFloats, min(lines, panelLines(length))*length)
	}
}

// panelLines is the number of lines of the given length in a panel.
func panelLines(length int) int { return max(1, panelFloats/max(1, length)) }

// panels calls f for panels of n of the given number of lines, from line i on,
// with scratch for n lines of the given length.
func (r *run) panels(lines, length int, f func(work []float64, i, n int) error) error {
	if len(r.ws.panel) < r.ws.panelFloats {
		r.ws.panel = make([]float64, r.ws.panelFloats)
	}
	step := panelLines(length)
	for i := 0; i < lines; i += step {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := f(r.ws.panel, i, min(step, lines-i)); err != nil {
			return err
		}
	}
	return nil
}

// widened calls f with dst and src widened to float64 in work, and stores or
// adds what it leaves in dst.
func widened(work []float64, dst, src matrix, add bool, f func(dst, src blas64.General) error) error {
	n := src.Rows * src.Cols
	s := matrix{Rows: src.Rows, Cols: src.Cols, Stride: src.Cols, f64: work[:n]}
	d := matrix{Rows: dst.Rows, Cols: dst.Cols, Stride: dst.Cols, f64: work[n:][:dst.Rows*dst.Cols]}
	s.copyFrom(src)
	if err := f(d.general(), s.general()); err != nil {
		return err
	}
	if !add {
		dst.copyFrom(d)
		return nil
	}
	for i := range d.Rows {
		to := dst.f32[i*dst.Stride:][:d.Cols]
		for j, v := range d.f64[i*d.Stride:][:d.Cols] {
			to[j] = float32(float64(to[j]) + v)
		}
	}
	return nil
}
