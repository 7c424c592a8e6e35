package graph

import (
	"sync"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// Logits returns the network whose output is what decides the class: the
// input of a final Softmax, LogSoftmax or ArgMax, which none of them changes
// the order of, or the output itself if the network ends otherwise. ok is
// false if the network does not have exactly one output that depends on the
// input, or if that is not a vector (axes of size 1 aside) of at least two
// elements.
func (n *Network) Logits() (net *Network, ok bool) {
	if len(n.outputs) != 1 || n.outputs[0].value != nil {
		return nil, false
	}
	o := n.outputs[0]
	for i := range n.nodes {
		d := &n.nodes[i]
		if d.out != o.tensor {
			continue
		}
		switch d.Rule.(type) {
		case *layer.Softmax, *layer.ArgMax:
			x := n.tensors[d.Inputs[0]]
			o.tensor = d.in[0]
			o.Output = covprop.Output{Name: x.name, Shape: x.shape, Len: x.n}
		}
		break
	}
	wide := 0
	for _, d := range o.Shape {
		if d > 1 {
			wide++
		}
	}
	if wide != 1 {
		return nil, false
	}
	if o.tensor == n.outputs[0].tensor {
		return n, true
	}
	g := *n.graph
	g.outputs, g.outputDim = []output{o}, o.Len
	g.steps, g.evals = nil, new(sync.Pool)
	g.schedule()
	return &Network{graph: &g, opts: n.opts}, true
}
