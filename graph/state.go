package graph

import (
	"context"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/layer"
)

// background is for work that is too short to be cancelled.
var background = context.Background()

// A block is the covariance of one tensor with itself: its variances if it is
// diagonal, otherwise a dense matrix.
type block struct {
	n        int
	diagonal bool
	v        []float64      // (n) if diagonal
	m        blas64.General // (n, n) otherwise
	place    span           // in the arena; empty if the memory is the caller's
}

// variance returns the variance of element i.
func (b *block) variance(i int) float64 {
	if b.diagonal {
		return b.v[i]
	}
	return b.m.Data[i*b.m.Stride+i]
}

// fill writes a diagonal block to dst as a full matrix.
func (b *block) fill(dst blas64.General) {
	for i, v := range b.v {
		d := dst.Data[i*dst.Stride:][:dst.Cols]
		clear(d)
		d[i] = v
	}
}

// live is the state of one tensor that is still needed.
type live struct {
	mean  []float64
	place span // of mean
	cov   block
	// nonGaussian says that the tensor lies downstream of a nonlinear node
	// with an uncertain input.
	nonGaussian bool
}

// A cross is the covariance between two tensors, a's elements the rows. It is
// stored one way round, and absent where the covariance is zero.
type cross struct {
	a, b  Tensor
	m     blas64.General
	place span
}

// A Workspace is the memory of propagations through one network after the
// other: in steady state PropagateTo takes all it needs from there. It may be
// used by one call at a time. The zero value is ready for use.
type Workspace struct {
	arena   arena
	live    []live // by tensor; the zero value where not live
	cross   []cross
	moments []layer.Moments // by member of an elementwise step
	args    [][]float64
	largest struct {
		tensor Tensor
		bytes  int64
	}
}

// NewWorkspace returns an empty workspace.
func NewWorkspace() *Workspace { return &Workspace{} }

// reset makes the workspace ready for a run, dry or not.
func (w *Workspace) reset(tensors int, dry bool) {
	w.arena.reset(dry)
	if cap(w.live) < tensors {
		w.live = make([]live, tensors)
	}
	w.live = w.live[:tensors]
	clear(w.live)
	w.cross = w.cross[:0]
	w.largest.tensor, w.largest.bytes = 0, 0
}

// vector allocates n elements.
func (w *Workspace) vector(n int) ([]float64, span) {
	p := w.arena.alloc(n)
	return w.arena.slice(p, n), p
}

// diagonal allocates a diagonal block of n variances.
func (w *Workspace) diagonal(n int) block {
	v, place := w.vector(n)
	return block{n: n, diagonal: true, v: v, place: place}
}

// dense allocates a dense block of tensor t with n elements.
func (w *Workspace) dense(t Tensor, n int) block {
	m, place := w.matrix(t, n, n)
	return block{n: n, m: m, place: place}
}

// matrix allocates an r x c matrix on behalf of tensor t.
func (w *Workspace) matrix(t Tensor, r, c int) (blas64.General, span) {
	p := w.arena.alloc(r * c)
	if b := int64(r) * int64(c) * 8; b > w.largest.bytes {
		w.largest.tensor, w.largest.bytes = t, b
	}
	return blas64.General{Rows: r, Cols: c, Stride: c, Data: w.arena.slice(p, r*c)}, p
}

// findCross returns the index of the covariance between a and b in w.cross,
// whichever way round it is stored, and -1 if it is zero.
func (w *Workspace) findCross(a, b Tensor) int {
	for i := range w.cross {
		if c := &w.cross[i]; c.a == a && c.b == b || c.a == b && c.b == a {
			return i
		}
	}
	return -1
}

// drop frees tensor t and its covariances.
func (w *Workspace) drop(t Tensor) {
	l := &w.live[t]
	w.arena.release(l.place)
	w.arena.release(l.cov.place)
	*l = live{}
	kept := w.cross[:0]
	for _, c := range w.cross {
		if c.a == t || c.b == t {
			w.arena.release(c.place)
		} else {
			kept = append(kept, c)
		}
	}
	w.cross = kept
}

// isLive reports whether l is the state of a tensor.
func (l *live) isLive() bool { return l.cov.n > 0 }
