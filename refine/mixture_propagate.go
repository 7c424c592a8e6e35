package refine

import (
	"context"
	"sync"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
)

// propagate propagates components, each on one thread. The error is that of
// the first that has one.
func (r *refinement) propagate(ctx context.Context, cs []*component) error {
	o := r.Network.Options()
	o.Threads = 1
	w := &workers{r: r, net: r.Network.With(o), cs: cs, failed: len(cs)}
	var wg sync.WaitGroup
	for range r.workers(len(cs)) {
		wg.Go(func() { w.work(ctx) })
	}
	wg.Wait()
	r.propagations += len(cs)
	r.cost += float64(len(cs))
	return w.err
}

// workers is the number of components at a time: each has a covariance of the
// input beside those of the propagation.
func (r *refinement) workers(components int) int {
	n := min(r.Threads, components)
	if limit := r.Network.Options().MaxBytes; limit > 0 {
		own := 8 * int64(r.in.Dim()) * int64(r.in.Dim())
		n = int(min(int64(n), (limit-own)/max(1, own+r.Network.PeakBytes())))
	}
	return max(1, n)
}

// workers is the state of a call of propagate.
type workers struct {
	r   *refinement
	net *graph.Network
	cs  []*component

	mu     sync.Mutex
	next   int // component to hand out
	done   int
	failed int // the first component with an error
	err    error
}

func (w *workers) work(ctx context.Context) {
	n := w.r.in.Dim()
	cov, scratch := newGeneral(n, n), newGeneral(n, w.r.space.v.Cols)
	in := covprop.Gaussian{Mean: make([]float64, n), Cov: covprop.DenseOf(cov)}
	ws := graph.NewWorkspace()
	for {
		w.mu.Lock()
		i := w.next
		w.next++
		w.mu.Unlock()
		if i >= len(w.cs) {
			return
		}
		c := w.cs[i]
		w.r.space.meanTo(in.Mean, w.r.in.Mean, c.pos)
		w.r.space.covarianceTo(cov, scratch, c.std)
		w.finish(i, w.net.PropagateTo(ctx, &c.res, in, ws))
	}
}

// finish counts component i. Components are handed out in order, so that all
// before one that fails are finished.
func (w *workers) finish(i int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done++
	if w.r.Progress != nil && err == nil {
		w.r.Progress(w.r.propagations+w.done, int(w.r.Budget))
	}
	if err != nil && i < w.failed {
		w.next, w.failed, w.err = len(w.cs), i, err
	}
}
