package graph

import "github.com/covprop/covprop/layer"

// A Layer is one node of a network, for packages that interpret it in a way of
// their own.
type Layer struct {
	Name, Op string
	Shape    []int // of the output
	Rule     layer.Rule
	// Inputs says where the rule's inputs come from: i is layer i's output, and
	// -1-i all of the network's input i, which is a part of the input vector
	// (see Network.Inputs). No layer reads a Reshape: those behind it read what
	// it reads, since its output is that under another shape.
	Inputs []int
}

// An OutputSource says where an output comes from.
type OutputSource struct {
	// Layer is the layer whose output it is, or -1-i for input i. It has no
	// meaning for a constant.
	Layer int
	// Constant is the value of an output that does not depend on the inputs,
	// otherwise nil. It must not be changed.
	Constant []float64
}

// Layers returns the network layer by layer, in the order of execution: layer i
// is node i of Nodes. What is constant is part of the rules, or of
// OutputSources.
func (n *Network) Layers() []Layer {
	layers, _ := n.layers()
	return layers
}

// OutputSources returns where each of Outputs comes from.
func (n *Network) OutputSources() []OutputSource {
	_, source := n.layers()
	from := make([]OutputSource, len(n.outputs))
	for i, o := range n.outputs {
		if o.value != nil {
			from[i].Constant = o.value
		} else {
			from[i].Layer = source[o.tensor]
		}
	}
	return from
}

// layers returns the layers and, by root tensor, where it comes from.
func (n *Network) layers() (layers []Layer, source map[Tensor]int) {
	source = make(map[Tensor]int)
	for i, t := range n.inputTensors {
		source[t] = -1 - i
	}
	for _, s := range n.steps {
		for _, k := range s.nodes {
			d := &n.nodes[k]
			l := Layer{Name: d.Name, Op: d.Op, Shape: d.Shape, Rule: d.Rule}
			for _, t := range d.in {
				l.Inputs = append(l.Inputs, source[t])
			}
			if !n.isReshape(d) {
				source[d.out] = len(layers)
			}
			layers = append(layers, l)
		}
	}
	return layers, source
}
