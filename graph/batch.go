package graph

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/covprop/covprop"
)

// PropagateBatch propagates in[i] into dst[i] for every i: many inputs side by
// side, each on one thread with a workspace of its own, which is faster than
// one after the other on all threads unless the covariances are large. The
// memory of dst's results is reused where it fits, and workspaces are kept for
// the next batch, so that in steady state an input costs no allocation. in[i]
// may be dst[i]'s Gaussian, but share no memory with another result.
//
// Options.Threads is the number of inputs at a time, fewer where
// Options.MaxBytes does not allow as many; Options.Progress counts inputs. An
// error ends the batch: it is that of the first input that has one, as of
// PropagateTo, and says which it is.
func (n *Network) PropagateBatch(ctx context.Context, dst []covprop.Result, in []covprop.Gaussian) error {
	if len(dst) != len(in) {
		return &covprop.InputError{What: "batch", Err: fmt.Errorf("has %d inputs and %d results", len(in), len(dst))}
	}
	if err := n.checkOptions(); err != nil || len(in) == 0 {
		return err
	}
	o := n.opts
	o.Threads, o.Progress, o.Observe = 1, nil, nil
	b := batch{net: n.With(o), dst: dst, in: in, progress: n.opts.Progress, failed: len(in)}
	var wg sync.WaitGroup
	for range n.batchWorkers(len(in)) {
		wg.Go(func() { b.work(ctx) })
	}
	wg.Wait()
	return b.err
}

// batchWorkers is the number of inputs at a time.
func (n *Network) batchWorkers(inputs int) int {
	workers := n.opts.Threads
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, inputs)
	if n.opts.MaxBytes > 0 {
		workers = int(min(int64(workers), n.opts.MaxBytes/max(1, n.PeakBytes())))
	}
	return max(1, workers) // a single one reports what it lacks
}

// batch is the state of a PropagateBatch.
type batch struct {
	net      *Network
	dst      []covprop.Result
	in       []covprop.Gaussian
	progress func(done, total int)

	next   atomic.Int64 // input to hand out
	mu     sync.Mutex
	done   int
	failed int // the first input with an error
	err    error
}

// work propagates inputs until none is left. Inputs are handed out in order, so
// that all before one that fails are finished.
func (b *batch) work(ctx context.Context) {
	ws := b.net.workspaces.Get().(*Workspace)
	defer b.net.workspaces.Put(ws)
	for {
		i := int(b.next.Add(1)) - 1
		if i >= len(b.in) {
			return
		}
		err := b.net.PropagateTo(ctx, &b.dst[i], b.in[i], ws)
		b.finish(i, err)
	}
}

func (b *batch) finish(i int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done++
	if b.progress != nil && err == nil {
		b.progress(b.done, len(b.in))
	}
	if err == nil || i >= b.failed {
		return
	}
	b.next.Store(int64(len(b.in)))
	b.failed, b.err = i, err
	var memory *covprop.MemoryError
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &memory) {
		b.err = fmt.Errorf("input %d of the batch: %w", i, err)
	}
}
