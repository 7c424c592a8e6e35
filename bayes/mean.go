package bayes

import (
	"fmt"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// Mean returns the network with the means of its weights as weights: plain, to be
// exported or propagated. Its input is called "x", (1, inputs), its output "y".
func (n *Network) Mean(theta []float64) (*graph.Network, error) {
	if len(theta) < n.size {
		return nil, fmt.Errorf("bayes: %d parameters, but the network has %d", len(theta), n.size)
	}
	b := graph.NewBuilder()
	x, err := b.Input("x", []int{1, n.inputs})
	if err != nil {
		return nil, fmt.Errorf("bayes: %w", err)
	}
	states := []graph.Tensor{x}
	for i := range n.steps {
		s, in := &n.steps[i], states[i]
		node := graph.Node{Name: fmt.Sprint("step", i), Inputs: []graph.Tensor{in}, Output: fmt.Sprint("t", i), Shape: []int{1, s.out}}
		switch s.kind {
		case enterStep:
			states = append(states, in)
			continue
		case linearStep:
			w := append([]float64(nil), theta[s.linear.weight:][:s.out*s.in]...)
			bias := append([]float64(nil), theta[s.linear.bias:][:s.out]...)
			node.Name, node.Op = s.linear.name, "Gemm"
			node.Rule, err = layer.NewAffine(w, bias, s.out, s.in, 1, 1)
		case activationStep:
			node.Op = s.act.Name()
			node.Rule, err = layer.NewElementwise([]activation.Activation{s.act.Activation}, s.out)
		case leaveStep:
			node.Op, node.Inputs = "Add", []graph.Tensor{states[s.enter], in}
			node.Rule, err = layer.NewSum([]float64{1, 1}, s.out)
		}
		if err != nil {
			return nil, fmt.Errorf("bayes: %s: %w", node.Name, err)
		}
		t, err := b.Add(node)
		if err != nil {
			return nil, fmt.Errorf("bayes: %w", err)
		}
		states = append(states, t)
	}
	if err := b.Output("y", states[len(states)-1]); err != nil {
		return nil, fmt.Errorf("bayes: %w", err)
	}
	return b.Build()
}
