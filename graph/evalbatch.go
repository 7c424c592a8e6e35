package graph

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/vec"
	"github.com/covprop/covprop/layer"
)

// EvalBatchTo implements covprop.BatchFunc: the forward pass of many points,
// the columns of x, at once. It takes about as long a point as the multiply-adds
// of the network take at the speed of matrix products, from some 64 points on. A
// point's values do not depend on the others, and differ from those of EvalTo by
// rounding.
func (n *Network) EvalBatchTo(dst, x blas64.General) error {
	if err := n.checkBatch(dst, x); err != nil {
		return err
	}
	if x.Cols == 0 {
		return nil
	}
	p := n.evalPlan()
	blocks := (x.Cols + p.width - 1) / p.width
	// Blocks of about the same width, whole vectors but for the last.
	width := ((x.Cols+blocks-1)/blocks + vectors - 1) / vectors * vectors
	e := p.get(min(width, x.Cols))
	defer p.put(e)
	for j := 0; j < x.Cols; j += width {
		w := min(width, x.Cols-j)
		if err := e.run(part(dst, 0, j, dst.Rows, w), part(x, 0, j, x.Rows, w), nil); err != nil {
			return err
		}
	}
	return nil
}

// EvalBatchObserved is EvalBatchTo, and calls observe with the values of every
// node's output, in the order of execution: y is (length of the output, B), and
// node counts as in Nodes. y is only valid during the call, and must not be
// changed. All points are in memory at once: B times the values that the network
// needs at a time.
func (n *Network) EvalBatchObserved(dst, x blas64.General, observe func(node int, y blas64.General)) error {
	if err := n.checkBatch(dst, x); err != nil {
		return err
	}
	if x.Cols == 0 {
		return nil
	}
	p := n.evalPlan()
	e := p.get(x.Cols)
	defer p.put(e)
	return e.run(dst, x, observe)
}

// checkBatch checks the shapes of the arguments of EvalBatchTo.
func (n *Network) checkBatch(dst, x blas64.General) error {
	switch {
	case x.Rows != n.inputDim:
		return &covprop.InputError{What: "input", Err: fmt.Errorf("has %d rows, but the network takes %d", x.Rows, n.inputDim)}
	case dst.Rows != n.outputDim || dst.Cols != x.Cols:
		return fmt.Errorf("destination is %d x %d, want %d x %d", dst.Rows, dst.Cols, n.outputDim, x.Cols)
	case !fits(x):
		return &covprop.InputError{What: "input", Err: fmt.Errorf("has %d elements, which are not %d rows %d apart", len(x.Data), x.Rows, x.Stride)}
	case !fits(dst):
		return fmt.Errorf("destination has %d elements, which are not %d rows %d apart", len(dst.Data), dst.Rows, dst.Stride)
	}
	return nil
}

// fits reports whether a's data hold its rows.
func fits(a blas64.General) bool {
	return a.Cols == 0 || a.Cols > 0 && a.Stride >= a.Cols && (len(a.Data)-a.Cols)/a.Stride >= a.Rows-1 && len(a.Data) >= a.Cols
}

const (
	// vectors is a number of columns that fills whole vectors.
	vectors = 16

	// blockFloats is the size of the values that a block of columns should not
	// exceed, so that they stay in the second-level cache, and its columns lie
	// between minWidth, below which weights are read too often, and maxWidth,
	// from which on a matrix product is as fast as it gets.
	blockFloats        = 1 << 16
	minWidth, maxWidth = 64, 256
)

// An evalPlan says where the values of tensors lie in memory while a batch is
// evaluated: a tensor of n elements takes n B from place B on. What is no longer
// needed is overwritten.
type evalPlan struct {
	*graph
	place  []int       // by tensor; that of inputs has no meaning
	work   []int       // by node: that of a copy of its arguments and value, point by point
	offset [][]float64 // by node: b of a linear rule, nil if it is 0
	size   int         // values at a time, for a point
	width  int         // columns of a block
	pool   sync.Pool   // of *blockEval
}

// planEval makes the plan, and computes the offsets f(0) of linear rules.
func (g *graph) planEval() *evalPlan {
	p := &evalPlan{
		graph: g,
		place: make([]int, len(g.tensors)),
		work:  make([]int, len(g.nodes)), offset: make([][]float64, len(g.nodes)),
	}
	a := arena{dry: true}
	at := make([]span, len(g.tensors)) // empty for inputs
	for i := range g.steps {
		s := &g.steps[i]
		for _, k := range s.nodes {
			d := &g.nodes[k]
			if g.isReshape(d) {
				continue
			}
			if g.overwrites(d, s) && at[d.in[0]].n > 0 {
				at[d.out], at[d.in[0]] = at[d.in[0]], span{}
			} else {
				at[d.out] = a.alloc(g.tensors[d.out].n)
			}
			p.place[d.out] = at[d.out].off
			switch r := d.Rule.(type) {
			case layer.Linear:
				p.offset[k] = offset(r)
			case layer.Nonlinear:
				w := a.alloc(g.transposed(d))
				p.work[k] = w.off
				a.release(w)
			}
		}
		for _, t := range s.drop {
			a.release(at[t])
		}
	}
	p.size = max(1, a.top)
	p.width = min(max(blockFloats/p.size, minWidth), maxWidth) / vectors * vectors
	return p
}

// overwrites reports whether the values of node d, of step s, may take the place
// of its input's: those of an activation that nothing else needs.
func (g *graph) overwrites(d *node, s *step) bool {
	if _, ok := d.Rule.(*layer.Elementwise); !ok || !slices.Contains(s.drop, d.in[0]) {
		return false
	}
	users := 0
	for _, k := range s.nodes {
		users += count(g.nodes[k].in, d.in[0])
	}
	return users == 1
}

// transposed is the number of values of the node's arguments and output.
func (g *graph) transposed(d *node) int {
	n := g.tensors[d.out].n
	for _, t := range d.in {
		n += g.tensors[t].n
	}
	return n
}

// offset returns b of the rule y = A x + b, nil if it is 0.
func offset(r layer.Linear) []float64 {
	var args [][]float64
	for _, n := range r.Inputs() {
		args = append(args, make([]float64, n))
	}
	b := make([]float64, r.OutputLen())
	r.Forward(b, args...)
	for _, v := range b {
		if v != 0 {
			return b
		}
	}
	return nil
}

// A blockEval is the memory of one evaluation.
type blockEval struct {
	*evalPlan
	points int
	data   []float64
	value  []blas64.General // by tensor
	copies []blas64.General // of the arguments of a node
	args   [][]float64
}

// get returns memory for so many columns.
func (p *evalPlan) get(columns int) *blockEval {
	e, _ := p.pool.Get().(*blockEval)
	if e == nil {
		e = &blockEval{evalPlan: p, value: make([]blas64.General, len(p.tensors))}
	}
	e.data = resize(e.data, p.size*columns)
	return e
}

// put returns e's memory, without that of the caller.
func (p *evalPlan) put(e *blockEval) {
	clear(e.value)
	p.pool.Put(e)
}

// run evaluates the columns of x.
func (e *blockEval) run(dst, x blas64.General, observe func(node int, y blas64.General)) error {
	e.points = x.Cols
	for i, in := range e.inputs {
		e.value[e.inputTensors[i]] = part(x, in.Offset, 0, in.Len, x.Cols)
	}
	node := 0
	for i := range e.steps {
		for _, k := range e.steps[i].nodes {
			d := &e.nodes[k]
			if err := e.node(k); err != nil {
				return e.nodeError(d, err)
			}
			if observe != nil {
				observe(node, e.value[e.tensors[d.out].root])
			}
			node++
		}
	}
	for i := range e.outputs {
		o := &e.outputs[i]
		for r := range o.Len {
			to := dst.Data[(o.Offset+r)*dst.Stride:][:dst.Cols]
			if o.value != nil {
				fill(to, o.value[r])
				continue
			}
			v := &e.value[o.tensor]
			copy(to, v.Data[r*v.Stride:])
		}
	}
	return nil
}

// node evaluates node k.
func (e *blockEval) node(k int) error {
	d := &e.nodes[k]
	if e.isReshape(d) {
		return nil
	}
	y := e.packed(e.place[d.out], e.tensors[d.out].n, e.points)
	e.value[d.out] = y
	switch r := d.Rule.(type) {
	case layer.Linear:
		for i, t := range d.in {
			if err := r.Matrix(i).MulTo(background, 1, y, e.value[t], i > 0); err != nil {
				return err
			}
		}
		for i, b := range e.offset[k] {
			row := y.Data[i*e.points:][:e.points]
			vec.ClampTo(row, row, b, math.Inf(-1), math.Inf(1))
		}
	case *layer.Elementwise:
		r.ApplyTo(y, e.value[d.in[0]])
	default:
		e.pointwise(k, y)
	}
	return nil
}

// pointwise evaluates the rule of node k point by point, on copies whose rows
// are points.
func (e *blockEval) pointwise(k int, y blas64.General) {
	d, points, place := &e.nodes[k], y.Cols, e.work[k]
	e.copies, e.args = e.copies[:0], e.args[:0]
	for _, t := range d.in {
		x := e.value[t]
		c := e.packed(place, points, x.Rows)
		transpose(c, x)
		e.copies, e.args = append(e.copies, c), append(e.args, nil)
		place += x.Rows
	}
	v := e.packed(place, points, y.Rows)
	for j := range points {
		for i, c := range e.copies {
			e.args[i] = c.Data[j*c.Stride:][:c.Cols]
		}
		d.Rule.Forward(v.Data[j*v.Stride:][:v.Cols], e.args...)
	}
	transpose(y, v)
}

// packed returns the r x c matrix, of all points or of their transposes, that
// starts at place.
func (e *blockEval) packed(place, r, c int) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: c, Data: e.data[place*e.points:][:r*c]}
}

// transpose writes src' to dst.
func transpose(dst, src blas64.General) {
	kernel.TransposeTo(kernel.Lanes{Data: dst.Data, Stride: dst.Stride},
		kernel.Lanes{Data: src.Data, Stride: src.Stride}, src.Rows, src.Cols)
}

// part returns the r x c block of a whose first entry is (i, j).
func part(a blas64.General, i, j, r, c int) blas64.General {
	b := blas64.General{Rows: r, Cols: c, Stride: a.Stride}
	if r > 0 && c > 0 {
		b.Data = a.Data[i*a.Stride+j : (i+r-1)*a.Stride+j+c]
	}
	return b
}

func fill(x []float64, v float64) {
	for i := range x {
		x[i] = v
	}
}
