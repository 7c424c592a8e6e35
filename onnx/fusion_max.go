package onnx

import (
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
)

// fuseMax exchanges a maximum (or a minimum) of elements of one tensor with a
// function that applies to all of them and does not decrease,
//
//	max(f(x_1), ..., f(x_n)) = f(max(x_1, ..., x_n)),
//
// as in max pooling after ReLU. The two are the same function, but the maximum
// of inputs is far closer to what Gaussian moments can describe than that of
// rectified ones, and the activation has fewer elements left.
func (n *node) fuseMax() {
	x := n.input(0)
	if x == nil || x.by == nil || x.isConst() || x.by.err != nil || x.by.into != nil || x.by.def.act == nil {
		return
	}
	f := x.by
	act, err := f.def.act(f)
	if err != nil || !f.increases() {
		return
	}
	m := newMatch(n)
	m.members = append(m.members, f)
	if !m.closed() {
		return
	}
	pool := n.def
	fused := pool
	fused.rule = func(n *node) (plan, error) {
		inner := *n
		inner.out = append([]*value{temp(n, n.out[0], n.out[0].shape)}, n.out[1:]...)
		p, err := pool.rule(&inner)
		if err != nil {
			return plan{}, err
		}
		p.step(n.out[0], inner.out[0])(layer.NewElementwise([]activation.Activation{act}, product(n.out[0].shape)))
		return p.done()
	}
	in := append([]*value{f.in[0]}, n.in[1:]...)
	m.replace(n.op, fused, in...)
}

// increases reports whether the node applies a function that does not
// decrease.
func (n *node) increases() bool {
	switch n.fileOp {
	case "Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Erf", "Atan", "Exp", "Sign", "Sinh", "Asinh", "Clip":
		return n.op == n.fileOp
	case "Elu", "Celu", "ThresholdedRelu":
		return n.op == n.fileOp && n.floatAttr("alpha", 1) >= 0
	case "Selu":
		return n.op == n.fileOp && n.floatAttr("alpha", 1) >= 0 && n.floatAttr("gamma", 1) >= 0
	case "LeakyRelu":
		return n.op == n.fileOp && n.floatAttr("alpha", 0.01) >= 0
	case "HardSigmoid":
		return n.op == n.fileOp && n.floatAttr("alpha", 0.2) >= 0
	}
	return false
}
