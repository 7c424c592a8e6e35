package graph

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// Propagate implements covprop.Propagator.
func (n *Network) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	var res covprop.Result
	err := n.PropagateTo(ctx, &res, in, nil)
	return res, err
}

// PropagateTo is Propagate into dst, whose memory is reused where it fits. ws
// may be nil; a Workspace kept between calls saves its allocation. in may be
// dst's own Gaussian or part of it, as in a recursive filter; dst then gets new
// memory. On an error the contents of dst are undefined.
//
// An input that does not fit the network is a *covprop.InputError; a plan over
// the memory limit a *covprop.MemoryError; a node whose moments overflow a
// *covprop.ModelError; and a cancelled ctx ends the run, within a long node
// too, with its error.
func (n *Network) PropagateTo(ctx context.Context, dst *covprop.Result, in covprop.Gaussian, ws *Workspace) error {
	if err := n.checkOptions(); err != nil {
		return err
	}
	if err := in.Check(); err != nil {
		return err
	}
	if in.Dim() != n.inputDim {
		return &covprop.InputError{What: "mean", Err: fmt.Errorf("has %d elements, but the network takes %d", in.Dim(), n.inputDim)}
	}
	if ws == nil {
		ws = NewWorkspace()
	}
	_, diagonal := in.Cov.(covprop.Diagonal)
	if _, dense := in.Cov.(*covprop.Dense); !dense && !diagonal {
		return &covprop.InputError{What: "covariance", Err: fmt.Errorf("has the type %T; use *covprop.Dense or covprop.Diagonal", in.Cov)}
	}
	if err := n.plan(ctx, ws, diagonal); err != nil {
		return err
	}
	detach(dst, in)
	ws.run = run{Network: n, ws: ws, ctx: ctx, layer: n.layerOptions(), dst: dst}
	err := ws.run.run(&in, diagonal)
	ws.run = run{}
	return err
}

// PeakBytes returns the memory, in bytes, planned for the covariances of a
// propagation with a dense input covariance, the result included and the input
// left out: what Options.MaxBytes limits. A diagonal input covariance may need
// a little more, since its blocks with other tensors are not the caller's.
func (n *Network) PeakBytes() int64 {
	var ws Workspace
	r := run{Network: n, ws: &ws, ctx: background, dry: true}
	if r.run(nil, false) != nil {
		return 0
	}
	return n.peak(&ws)
}

// A plan is the size of the arena that a dry run found, and what it depends
// on. A workspace keeps the last one, so that runs of one network after the
// other plan once.
type plan struct {
	floats int

	graph                       *graph
	diagonalInput               bool
	diagonal, keepInput, narrow bool
	order                       int
	maxBytes                    int64
}

// plan makes a dry run in ws, if its last plan is another one's, which finds
// the size of its arena, and refuses one over the limit.
func (n *Network) plan(ctx context.Context, ws *Workspace, diagonal bool) error {
	p := plan{
		floats: ws.plan.floats, graph: n.graph, diagonalInput: diagonal,
		diagonal: n.opts.Diagonal, keepInput: n.opts.KeepInput, narrow: n.opts.Precision == 32,
		order: n.opts.Order, maxBytes: n.opts.MaxBytes,
	}
	if p == ws.plan {
		return nil
	}
	ws.plan = plan{}
	ws.run = run{Network: n, ws: ws, ctx: ctx, dry: true}
	if err := ws.run.run(nil, diagonal); err != nil {
		return err
	}
	limit := int64(addressSpace)
	if n.opts.MaxBytes > 0 {
		limit = n.opts.MaxBytes
	}
	if peak := n.peak(ws); peak > limit {
		e := &covprop.MemoryError{
			Tensor: n.tensors[ws.largest.tensor].name, Bytes: ws.largest.bytes, Peak: peak, Limit: limit,
		}
		for _, o := range n.outputs {
			if b := n.resultBytes(o.Len); b > e.Bytes {
				e.Tensor, e.Bytes = o.Name, b
			}
		}
		return e
	}
	p.floats = ws.arena.top
	ws.plan = p
	return nil
}

// peak is the memory of a planned run: the arena, what is known of its blocks,
// the result, the moments of activations and panels. Units whose pairs need a
// longer series take 4 KiB more each.
func (n *Network) peak(ws *Workspace) int64 {
	peak := 8*int64(ws.arena.top) + crossBytes*int64(ws.crosses) + n.resultBytes(n.outputDim)
	if n.opts.KeepInput {
		peak += 8 * int64(n.inputDim) * min(int64(n.outputDim), maxElements)
	}
	for _, u := range ws.units {
		peak += 8 * int64(u)
	}
	return peak + 8*int64(ws.panelFloats)
}

// crossBytes is what a cross takes in the map of them, half empty at times.
const crossBytes = 256

// addressSpace is what no process can allocate, limit or not: 2^46 bytes.
const addressSpace = 1 << 46

// resultBytes is the size of the covariance of m outputs in a result.
func (n *Network) resultBytes(m int) int64 {
	if n.opts.Diagonal {
		return 8 * int64(m)
	}
	return 8 * int64(m) * min(int64(m), maxElements)
}

func (n *Network) checkOptions() error {
	o := n.opts
	switch {
	case o.Tol < 0 || o.Tol >= 1 || o.Tol != o.Tol:
		return &covprop.InputError{What: "tolerance", Err: fmt.Errorf("is %v; it must lie between 0 and 1", o.Tol)}
	case o.Order < 0 || o.Order > maxOrder:
		return &covprop.InputError{What: "order", Err: fmt.Errorf("is %d; it must lie between 1 and %d", o.Order, maxOrder)}
	case o.Precision != 0 && o.Precision != 32 && o.Precision != 64:
		return &covprop.InputError{What: "precision", Err: fmt.Errorf("is %d; it must be 32 or 64", o.Precision)}
	case o.TruncateDiagonal && o.Order == 0:
		return &covprop.InputError{What: "order", Err: fmt.Errorf("is not set, but the diagonal is to be truncated after it")}
	case o.KeepInput && o.Diagonal:
		return &covprop.InputError{What: "covariance", Err: fmt.Errorf("with the outputs cannot be kept by a method that ignores covariances")}
	case o.Order > 0 && o.Tol > 0:
		return &covprop.InputError{What: "order", Err: fmt.Errorf("and a tolerance exclude each other")}
	}
	return nil
}

// maxOrder is the highest fixed order of the series.
const maxOrder = 512

func (n *Network) layerOptions() layer.Options {
	threads := n.opts.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	tol := n.opts.Tol
	if tol == 0 && n.opts.Precision == 32 {
		tol = tol32
	}
	return layer.Options{Tol: tol, Order: n.opts.Order, TruncateDiagonal: n.opts.TruncateDiagonal, Threads: threads, Strict: n.opts.Strict}
}

// tol32 is the default tolerance with covariances in float32: their rounding.
const tol32 = 0x1p-23

// A run is one propagation, or the dry run that plans it: then it only
// allocates and frees, in the same order, and computes nothing.
type run struct {
	*Network
	ws    *Workspace
	ctx   context.Context
	layer layer.Options
	dst   *covprop.Result
	dry   bool

	operations int64 // counted in a dry run

	input   covprop.Accuracy // what float32 costs the input's covariance
	closure bool             // a nonlinear node had an input or a neighbour that is not Gaussian
	dropped bool             // covariances were ignored
}

// run propagates in, whose covariance is diagonal or dense; in is nil in a dry
// run.
func (r *run) run(in *covprop.Gaussian, diagonal bool) error {
	r.ws.reset(len(r.tensors), r.opts.Precision == 32, r.dry)
	if err := r.load(in, diagonal); err != nil {
		return err
	}
	if !r.dry {
		r.dst.Nodes = r.dst.Nodes[:0]
	}
	done := 0
	for i := range r.steps {
		s := &r.steps[i]
		if err := r.ctx.Err(); err != nil {
			return err
		}
		var err error
		if d := &r.nodes[s.nodes[0]]; r.isReshape(d) {
			r.report(d, covprop.Accuracy{})
		} else if l, ok := d.linear(); ok {
			err = r.linear(d, l, s)
		} else if f, ok := d.Rule.(layer.Nonlinear); ok {
			err = r.nonlinear(d, f, s)
		} else {
			err = r.elementwise(s)
		}
		if err != nil {
			return err
		}
		if r.opts.Observe != nil && !r.dry {
			r.observe(s, done)
		}
		for _, t := range s.drop {
			if !r.kept(t) {
				r.ws.drop(t)
			}
		}
		if done += len(s.nodes); r.opts.Progress != nil && !r.dry {
			r.opts.Progress(done, r.nodesInSteps())
		}
	}
	if !r.dry {
		r.finish()
	}
	return nil
}

// observe shows the marginals of the outputs of step s, whose first node is the
// given one in the order of execution.
func (r *run) observe(s *step, first int) {
	for i, k := range s.nodes {
		l := &r.ws.live[r.tensors[r.nodes[k].out].root]
		v := resize(r.ws.observed, l.cov.n)
		l.cov.variancesTo(v)
		r.ws.observed = v
		r.opts.Observe(first+i, l.mean, v)
	}
}

func (g *graph) isReshape(d *node) bool { return g.tensors[d.out].root != d.out }

func (g *graph) nodesInSteps() (n int) {
	for i := range g.steps {
		n += len(g.steps[i].nodes)
	}
	return n
}

// load makes the input tensors live. Their covariances are views of the
// caller's, or copies where the type differs.
func (r *run) load(in *covprop.Gaussian, diagonal bool) error {
	for i, info := range r.inputs {
		t := r.inputTensors[i]
		r.ws.keep(t, live{})
		l := &r.ws.live[t]
		if diagonal || r.opts.Diagonal {
			l.cov = r.ws.diagonal(t, info.Len)
		} else {
			l.cov = block{n: info.Len}
			l.cov.m, l.cov.place = r.loadBlock(in, i, i)
		}
		if r.ws.narrow {
			l.loss, l.place = r.ws.vector(t, info.Len)
		}
		if r.dry {
			continue
		}
		clear(l.loss)
		if l.cov.m.is32() {
			wide := matrixOf(in.Cov.(*covprop.Dense).RawMatrix()).view(info.Offset, info.Offset, info.Len, info.Len)
			acc, err := r.round32(block{n: info.Len, m: wide})
			if err != nil {
				return &covprop.InputError{What: "covariance", Err: fmt.Errorf("does not fit float32: %w", err)}
			}
			for k := range l.loss {
				l.loss[k] = half32 * wide.at(k, k)
			}
			r.input = r.input.And(acc.Worse(l.stated(block{n: info.Len, m: wide})))
		}
		l.mean = in.Mean[info.Offset : info.Offset+info.Len]
		for k := range l.cov.v {
			l.cov.v[k] = in.Cov.At(info.Offset+k, info.Offset+k)
		}
	}
	if r.opts.Diagonal {
		r.dropped = !diagonal && r.inputDim > 1
		return nil
	}
	if diagonal {
		return nil
	}
	for i := range r.inputs {
		for j := range i {
			c := cross{a: r.inputTensors[i], b: r.inputTensors[j]}
			c.m, c.place = r.loadBlock(in, i, j)
			r.ws.setCovariance(c)
		}
	}
	return nil
}

// loadBlock returns the covariance between inputs i and j.
func (r *run) loadBlock(in *covprop.Gaussian, i, j int) (m matrix, place span) {
	a, b := &r.inputs[i], &r.inputs[j]
	m = matrix{Rows: a.Len, Cols: b.Len, Stride: r.inputDim}
	if !r.dry {
		m = matrixOf(in.Cov.(*covprop.Dense).RawMatrix()).view(a.Offset, b.Offset, a.Len, b.Len)
	}
	if !r.ws.narrow {
		return m, span{}
	}
	n, place := r.ws.matrix(r.inputTensors[i], a.Len, b.Len)
	if !r.dry {
		n.copyFrom(m)
	}
	return n, place
}

// report adds the accuracy of a node to the result.
func (r *run) report(d *node, acc covprop.Accuracy) {
	if r.dry {
		return
	}
	r.dst.Nodes = append(r.dst.Nodes, covprop.NodeAccuracy{Name: d.Name, Op: d.Op, Rule: d.Rule.Name(), Accuracy: acc})
}

// dies reports whether tensor t is not needed after step s.
func (r *run) dies(s *step, t Tensor) bool {
	return slices.Contains(s.drop, t) && !r.kept(t)
}

// kept reports whether t is an input whose covariance with the outputs is
// asked for.
func (r *run) kept(t Tensor) bool { return r.opts.KeepInput && slices.Contains(r.inputTensors, t) }
