package graph

import (
	"sync"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// Logits returns the network whose output is what decides the class: the
// input of the final Softmax, LogSoftmax or ArgMax, none of which changes the
// order of, or the output itself if the network ends otherwise. ok is
// false if the network does not have exactly one output that depends on the
// input, or if that is not a vector (axes of size 1 aside) of at least two
// elements that compete with each other.
func (n *Network) Logits() (net *Network, ok bool) {
	if len(n.outputs) != 1 || n.outputs[0].value != nil {
		return nil, false
	}
	o := n.outputs[0]
	for i := len(n.nodes) - 1; i >= 0; i-- { // nodes stand after those that make their inputs
		d := &n.nodes[i]
		if d.out != o.tensor {
			continue
		}
		switch rule := d.Rule.(type) {
		case *layer.Softmax:
			if rule.Exactness().Status == covprop.Exact { // of single elements: constant
				return nil, false
			}
		case *layer.ArgMax:
			if rule.OutputLen() > 1 {
				return nil, false
			}
		default:
			continue
		}
		if x := n.tensors[d.Inputs[0]]; isVector(x.shape) {
			o.tensor = d.in[0]
			o.Output = covprop.Output{Name: x.name, Shape: x.shape, Len: x.n}
		}
	}
	if !isVector(o.Shape) {
		return nil, false
	}
	if o.tensor == n.outputs[0].tensor {
		return n, true
	}
	g := *n.graph
	g.outputs, g.outputDim = []output{o}, o.Len
	g.steps, g.evals, g.workspaces = nil, new(sync.Pool), newWorkspaces()
	g.schedule()
	return &Network{graph: &g, opts: n.opts}, true
}

// isVector reports whether one axis, and only one, is longer than 1.
func isVector(shape []int) bool {
	wide := 0
	for _, d := range shape {
		if d > 1 {
			wide++
		}
	}
	return wide == 1
}
