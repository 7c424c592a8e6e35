package graph

import (
	"fmt"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// EvalTo implements covprop.Func: the ordinary forward pass.
func (n *Network) EvalTo(dst, x []float64) error {
	e, err := n.eval(x)
	if err != nil {
		return err
	}
	defer n.evals.Put(e)
	if len(dst) != n.outputDim {
		return fmt.Errorf("destination has %d elements, want %d", len(dst), n.outputDim)
	}
	for i := range n.outputs {
		o := &n.outputs[i]
		v := o.value
		if v == nil {
			v = e.value[o.tensor]
		}
		copy(dst[o.Offset:], v)
	}
	return nil
}

// JacobianTo implements covprop.Differentiable by forward accumulation: every
// step multiplies the Jacobian so far by its gain at the point.
func (n *Network) JacobianTo(dst *mat.Dense, x []float64) error {
	e, err := n.eval(x)
	if err != nil {
		return err
	}
	defer n.evals.Put(e)
	if r, c := dst.Dims(); r != n.outputDim || c != n.inputDim {
		return fmt.Errorf("destination is %d x %d, want %d x %d", r, c, n.outputDim, n.inputDim)
	}
	jac := make([]blas64.General, len(n.tensors)) // d tensor / d x
	for i, in := range n.inputs {
		j := newGeneral(in.Len, n.inputDim)
		for k := range in.Len {
			j.Data[k*j.Stride+in.Offset+k] = 1
		}
		jac[n.inputTensors[i]] = j
	}
	for _, s := range n.steps {
		for _, k := range s.nodes {
			d := &n.nodes[k]
			if _, ok := d.Rule.(*layer.Reshape); ok {
				continue
			}
			j := newGeneral(n.tensors[d.out].n, n.inputDim)
			if err := d.jacobian(j, jac, e); err != nil {
				return n.nodeError(d, err)
			}
			jac[d.out] = j
		}
		for _, t := range s.drop {
			jac[t] = blas64.General{}
		}
	}
	dst.Zero()
	raw := dst.RawMatrix()
	for i := range n.outputs {
		o := &n.outputs[i]
		if o.value != nil {
			continue
		}
		for k := range o.Len {
			copy(raw.Data[(o.Offset+k)*raw.Stride:][:n.inputDim], jac[o.tensor].Data[k*n.inputDim:])
		}
	}
	return nil
}

// jacobian writes the node's Jacobian with respect to the input vector to dst.
func (d *node) jacobian(dst blas64.General, jac []blas64.General, e *evaluation) error {
	switch r := d.Rule.(type) {
	case layer.Linear:
		for i, t := range d.in {
			if err := r.Matrix(i).MulTo(background, 1, dst, jac[t], i > 0); err != nil {
				return err
			}
		}
		return nil
	case *layer.Elementwise:
		slope := make([]float64, dst.Rows)
		r.DerivativeTo(slope, e.value[d.in[0]])
		return layer.DiagonalGain(slope).MulTo(background, 1, dst, jac[d.in[0]], false)
	case layer.Nonlinear:
		return d.nonlinearJacobian(r, dst, jac, e)
	}
	return fmt.Errorf("the rule %q has no derivative", d.Rule.Name())
}

// nonlinearJacobian is jacobian for a nonlinear rule, whose gains are its
// derivatives where nothing is uncertain.
func (d *node) nonlinearJacobian(r layer.Nonlinear, dst blas64.General, jac []blas64.General, e *evaluation) error {
	n := dst.Rows
	at := &layer.Joint{}
	for i, t := range d.in {
		x := e.value[t]
		at.Mean = append(at.Mean, x)
		at.Cov = append(at.Cov, make([]layer.Block, i+1))
		at.Cov[i][i].Diag = make([]float64, len(x))
	}
	y := layer.Response{
		Mean: make([]float64, n), Variance: make([]float64, n),
		Gain: make([]layer.Gain, len(d.in)), Work: make([]float64, r.WorkFloats(false)),
	}
	if _, err := r.MomentsTo(background, &y, at, layer.Options{Threads: 1}); err != nil {
		return err
	}
	for i, t := range d.in {
		if err := y.Gain[i].MulTo(background, 1, dst, jac[t], i > 0); err != nil {
			return err
		}
	}
	return nil
}

// evaluation holds the values of all tensors of one forward pass.
type evaluation struct {
	value [][]float64 // by root tensor
	args  [][]float64
}

// eval computes the value of every needed tensor at x. The caller returns the
// evaluation to n.evals.
func (n *graph) eval(x []float64) (*evaluation, error) {
	if len(x) != n.inputDim {
		return nil, &covprop.InputError{What: "input", Err: fmt.Errorf("has %d elements, but the network takes %d", len(x), n.inputDim)}
	}
	e, _ := n.evals.Get().(*evaluation)
	if e == nil {
		e = &evaluation{value: make([][]float64, len(n.tensors))}
		for _, s := range n.steps {
			for _, k := range s.nodes {
				if d := &n.nodes[k]; n.tensors[d.out].root == d.out {
					e.value[d.out] = make([]float64, n.tensors[d.out].n)
				}
			}
		}
	}
	for i, in := range n.inputs {
		e.value[n.inputTensors[i]] = x[in.Offset : in.Offset+in.Len]
	}
	for _, s := range n.steps {
		for _, k := range s.nodes {
			d := &n.nodes[k]
			if n.tensors[d.out].root != d.out {
				continue
			}
			e.args = e.args[:0]
			for _, t := range d.in {
				e.args = append(e.args, e.value[t])
			}
			d.Rule.Forward(e.value[d.out], e.args...)
		}
	}
	return e, nil
}

func newGeneral(r, c int) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: c, Data: make([]float64, r*c)}
}
