package graph

import (
	"context"
	"math"
	"sync"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// background is for work that is too short to be cancelled.
var background = context.Background()

// A block is the covariance of one tensor with itself: its variances if it is
// diagonal, otherwise a dense matrix.
type block struct {
	n        int
	diagonal bool
	v        []float64 // (n) if diagonal
	m        matrix    // (n, n) otherwise
	lower    bool      // m is only valid on and below its diagonal
	place    span      // in the arena; empty if the memory is the caller's
}

// variance returns the variance of element i.
func (b *block) variance(i int) float64 {
	if b.diagonal {
		return b.v[i]
	}
	return b.m.at(i, i)
}

// variancesTo writes all variances to v.
func (b *block) variancesTo(v []float64) {
	switch step := b.m.Stride + 1; {
	case b.diagonal:
		copy(v, b.v)
	case b.m.is32():
		for i := range v {
			v[i] = float64(b.m.f32[i*step])
		}
	default:
		for i := range v {
			v[i] = b.m.f64[i*step]
		}
	}
}

// smallest64 is the least variance beside which what is flushed to 0, covariances
// below 2^-1022, is nothing, for up to 2^30 of them.
const smallest64 = 0x1p-960

// ordinary reports whether all variances are finite, none is negative, and none so
// small that its covariances may have been flushed to 0.
func (b *block) ordinary() bool {
	v, step := b.v, 1
	if !b.diagonal {
		v, step = b.m.f64, b.m.Stride+1
	}
	if b.m.is32() {
		return false // not known
	}
	for i := range b.n {
		if x := v[i*step]; !(x >= smallest64 && x <= math.MaxFloat64 || x == 0) {
			return false
		}
	}
	return true
}

// full returns m, both triangles.
func (b *block) full() matrix {
	if b.lower {
		b.m.mirror()
		b.lower = false
	}
	return b.m
}

// fill writes a diagonal block to dst as a full matrix.
func (b *block) fill(dst matrix) {
	for i, v := range b.v {
		dst.zeroRow(i)
		dst.set(i, i, v)
	}
}

// live is the state of one tensor that is still needed.
type live struct {
	mean  []float64
	place span // of mean and loss
	// loss, in a float32 run, is about the error of each variance, one standard
	// deviation of it: see precision.go.
	loss []float64
	cov  block
	// nonGaussian says that the tensor lies downstream of a nonlinear node
	// with an uncertain input.
	nonGaussian bool
}

// A cross is the covariance between two tensors, a's elements the rows. It is
// stored one way round.
type cross struct {
	a, b  Tensor
	m     matrix
	place span
}

// A Workspace is the memory of propagations through one network after the
// other: in steady state PropagateTo takes all it needs from there. It may be
// used by one call at a time. The zero value is ready for use.
type Workspace struct {
	arena   arena
	live    []live              // by tensor; the zero value where not live
	alive   []Tensor            // those that are live
	cross   map[[2]Tensor]cross // by the two tensors, the smaller first; absent where zero
	crosses int                 // the most that cross has held
	moments []layer.Moments     // by member of an elementwise step
	args    [][]float64
	units   []int // by member: the float64 planned for its moments

	narrow      bool // blocks of covariances are stored in float32
	panelFloats int  // planned for panel
	panel       []float64

	observed []float64          // variances of a node's output
	outs     []live             // of the members of an elementwise step
	acc      []covprop.Accuracy // of those
	run      run                // the one that uses the workspace
	plan     plan
	largest  struct {
		tensor Tensor
		bytes  int64
	}
}

func newWorkspaces() *sync.Pool { return &sync.Pool{New: func() any { return NewWorkspace() }} }

// NewWorkspace returns an empty workspace.
func NewWorkspace() *Workspace { return &Workspace{} }

// reset makes the workspace ready for a run, dry or not.
func (w *Workspace) reset(tensors int, narrow, dry bool) {
	w.narrow = narrow
	w.arena.reset(w.plan.floats, dry)
	if cap(w.live) < tensors {
		w.live = make([]live, tensors)
	}
	w.live = w.live[:tensors]
	clear(w.live)
	w.alive = w.alive[:0]
	if w.cross == nil {
		w.cross = make(map[[2]Tensor]cross)
	}
	clear(w.cross)
	if dry {
		w.crosses = 0
		w.largest.tensor, w.largest.bytes = 0, 0
		w.units = w.units[:0]
		w.panelFloats = 0
	}
}

// vector allocates n elements on behalf of tensor t.
func (w *Workspace) vector(t Tensor, n int) ([]float64, span) {
	p := w.alloc(t, n)
	return w.arena.slice(p, n), p
}

// planMoments notes that member p of a step needs moments of n float64.
func (w *Workspace) planMoments(p, n int) {
	for len(w.units) <= p {
		w.units = append(w.units, 0)
	}
	w.units[p] = max(w.units[p], n)
}

// alloc allocates n elements and keeps the largest piece for messages.
func (w *Workspace) alloc(t Tensor, n int) span {
	if b := 8 * int64(n); b > w.largest.bytes {
		w.largest.tensor, w.largest.bytes = t, b
	}
	return w.arena.alloc(n)
}

// diagonal allocates a diagonal block of tensor t with n elements.
func (w *Workspace) diagonal(t Tensor, n int) block {
	v, place := w.vector(t, n)
	return block{n: n, diagonal: true, v: v, place: place}
}

// dense allocates a dense block of tensor t with n elements.
func (w *Workspace) dense(t Tensor, n int) block {
	m, place := w.matrix(t, n, n)
	return block{n: n, m: m, place: place}
}

// matrix allocates an r x c matrix on behalf of tensor t.
func (w *Workspace) matrix(t Tensor, r, c int) (matrix, span) {
	if !w.narrow {
		return w.wide(t, r, c)
	}
	n := (r*c + 1) / 2
	p := w.alloc(t, n)
	return narrowed(w.arena.slice(p, n), r, c), p
}

// wide is matrix with float64, whatever the run's type.
func (w *Workspace) wide(t Tensor, r, c int) (matrix, span) {
	p := w.alloc(t, r*c)
	return matrix{Rows: r, Cols: c, Stride: c, f64: w.arena.slice(p, r*c)}, p
}

// values allocates the mean of n elements, and the losses, of tensor t.
func (w *Workspace) values(t Tensor, n int) (l live) {
	if !w.narrow {
		l.mean, l.place = w.vector(t, n)
		return l
	}
	v, place := w.vector(t, 2*n)
	if l.place = place; v != nil {
		l.mean, l.loss = v[:n:n], v[n:]
		clear(l.loss)
	}
	return l
}

// keep makes l the state of tensor t.
func (w *Workspace) keep(t Tensor, l live) {
	w.live[t] = l
	w.alive = append(w.alive, t)
}

// covariance returns the covariance between a and b, whichever way round it is
// stored; ok is false if it is zero.
func (w *Workspace) covariance(a, b Tensor) (c cross, ok bool) {
	c, ok = w.cross[[2]Tensor{min(a, b), max(a, b)}]
	return c, ok
}

// setCovariance stores c.
func (w *Workspace) setCovariance(c cross) {
	w.cross[[2]Tensor{min(c.a, c.b), max(c.a, c.b)}] = c
	w.crosses = max(w.crosses, len(w.cross))
}

// drop frees tensor t and its covariances.
func (w *Workspace) drop(t Tensor) {
	l := &w.live[t]
	w.arena.release(l.place)
	w.arena.release(l.cov.place)
	*l = live{}
	kept := w.alive[:0]
	for _, u := range w.alive {
		if u == t {
			continue
		}
		kept = append(kept, u)
		if c, ok := w.covariance(t, u); ok {
			w.arena.release(c.place)
			delete(w.cross, [2]Tensor{min(t, u), max(t, u)})
		}
	}
	w.alive = kept
}
