package graph

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
)

// detach makes dst forget memory that in uses.
func detach(dst *covprop.Result, in covprop.Gaussian) {
	if shares(dst.Mean, in.Mean) {
		dst.Mean = nil
	}
	switch c := in.Cov.(type) {
	case *covprop.Dense:
		if d, ok := dst.Cov.(*covprop.Dense); ok && shares(d.RawMatrix().Data, c.RawMatrix().Data) {
			dst.Cov = nil
		}
	case covprop.Diagonal:
		if d, ok := dst.Cov.(covprop.Diagonal); ok && shares(d, c) {
			dst.Cov = nil
		}
	}
}

// shares reports whether x and y are parts of one array: then they have the
// same last element, up to their capacity.
func shares(x, y []float64) bool {
	return cap(x) > 0 && cap(y) > 0 && &x[:cap(x)][cap(x)-1] == &y[:cap(y)][cap(y)-1]
}

// finish writes the moments of the outputs and the overall accuracy to the
// result.
func (r *run) finish() {
	res := r.dst
	if cap(res.Mean) < r.outputDim {
		res.Mean = make([]float64, r.outputDim)
	}
	res.Mean = res.Mean[:r.outputDim]
	if len(res.Outputs) != len(r.outputs) {
		res.Outputs = r.Outputs()
	}
	for i := range r.outputs {
		o := &r.outputs[i]
		res.Outputs[i] = o.Output
		src := o.value
		if src == nil {
			src = r.ws.live[o.tensor].mean
		}
		copy(res.Mean[o.Offset:], src)
	}
	if r.opts.Diagonal {
		r.finishDiagonal()
	} else {
		r.finishDense()
	}
	res.StandardErrors, res.InputCov, res.Mixture, res.Audit = nil, nil, nil, nil
	if r.opts.KeepInput {
		res.InputCov = r.inputCov()
	}
	res.Accuracy = r.overall()
}

const ignored = "covariances ignored"

// overall is the accuracy of the worst node, approximate if the run rests on
// the Gaussian closure or ignored covariances.
func (r *run) overall() covprop.Accuracy {
	acc := r.input
	for _, n := range r.dst.Nodes {
		acc = acc.And(n.Accuracy)
	}
	if r.dropped {
		acc = covprop.ApproximatedBy(math.Inf(1), ignored)
	}
	if r.closure {
		acc = covprop.ApproximatedBy(math.Inf(1), "Gaussian closure")
		if r.dropped {
			acc.Reason += ", " + ignored
		}
	}
	return acc
}

func (r *run) finishDiagonal() {
	c, ok := r.dst.Cov.(covprop.Diagonal)
	if !ok || len(c) != r.outputDim {
		c = make(covprop.Diagonal, r.outputDim)
		r.dst.Cov = c
	}
	clear(c)
	for i := range r.outputs {
		if o := &r.outputs[i]; o.value == nil {
			copy(c[o.Offset:], r.ws.live[o.tensor].cov.v)
		}
	}
}

func (r *run) finishDense() {
	d, ok := r.dst.Cov.(*covprop.Dense)
	if !ok || d.SymmetricDim() != r.outputDim || d.RawMatrix().Stride != r.outputDim {
		d = covprop.DenseOf(newGeneral(r.outputDim, r.outputDim))
		r.dst.Cov = d
	}
	raw := d.RawMatrix()
	clear(raw.Data)
	for i := range r.outputs {
		for j := range i + 1 {
			r.outputBlock(matrixOf(raw), &r.outputs[i], &r.outputs[j])
		}
	}
}

// inputCov returns the covariance between outputs and inputs.
func (r *run) inputCov() *mat.Dense {
	raw := newGeneral(r.outputDim, r.inputDim)
	for i := range r.outputs {
		o := &r.outputs[i]
		if o.value != nil {
			continue
		}
		for k, in := range r.inputs {
			dst := matrixOf(raw).view(o.Offset, in.Offset, o.Len, in.Len)
			t := r.inputTensors[k]
			cov := &r.ws.live[t].cov
			switch c, ok := r.ws.covariance(o.tensor, t); {
			case o.tensor == t && cov.diagonal:
				cov.fill(dst)
			case o.tensor == t:
				dst.copyFrom(cov.full())
			case ok && c.a == o.tensor:
				dst.copyFrom(c.m)
			case ok:
				dst.copyTrans(c.m)
			}
		}
	}
	m := &mat.Dense{}
	m.SetRawMatrix(raw)
	return m
}

// outputBlock writes the covariance between two outputs to both its places in
// raw.
func (r *run) outputBlock(raw matrix, a, b *output) {
	if a.value != nil || b.value != nil {
		return
	}
	ab, ba := raw.view(a.Offset, b.Offset, a.Len, b.Len), raw.view(b.Offset, a.Offset, b.Len, a.Len)
	if a.tensor == b.tensor {
		cov := &r.ws.live[a.tensor].cov
		for _, dst := range [...]matrix{ab, ba} {
			if cov.diagonal {
				cov.fill(dst)
			} else {
				dst.copyFrom(cov.full())
			}
		}
		return
	}
	c, ok := r.ws.covariance(a.tensor, b.tensor)
	switch {
	case !ok:
	case c.a == a.tensor:
		ab.copyFrom(c.m)
		ba.copyTrans(c.m)
	default:
		ba.copyFrom(c.m)
		ab.copyTrans(c.m)
	}
}
