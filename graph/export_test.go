package graph

import (
	"sync"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// A LayerWithInputs is one node of a network with the network up to its inputs.
type LayerWithInputs struct {
	NodeInfo
	Rule   layer.Rule
	Inputs *Network // its outputs are the node's inputs
}

// LayersWithInputs returns the nodes of n that compute something, in order of
// execution.
func (n *Network) LayersWithInputs() []LayerWithInputs {
	var layers []LayerWithInputs
	for _, s := range n.steps {
		for _, k := range s.nodes {
			d := &n.nodes[k]
			if n.isReshape(d) {
				continue
			}
			g := *n.graph
			g.steps, g.outputs, g.outputDim = nil, nil, 0
			for _, t := range d.in {
				x := g.tensors[t]
				g.outputs = append(g.outputs, output{Output: covprop.Output{Name: x.name, Offset: g.outputDim, Len: x.n}, tensor: t})
				g.outputDim += x.n
			}
			g.evals = new(sync.Pool)
			g.schedule()
			layers = append(layers, LayerWithInputs{
				NodeInfo: NodeInfo{Name: d.Name, Op: d.Op, Rule: d.Rule.Name()},
				Rule:     d.Rule, Inputs: &Network{graph: &g, opts: n.opts},
			})
		}
	}
	return layers
}
