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
	b := graph.NewBuilder()
	x, err := b.Input("x", []int{1, n.inputs})
	if err != nil {
		return nil, fmt.Errorf("bayes: %w", err)
	}
	y, err := n.AddMean(b, x, "", theta)
	if err != nil {
		return nil, err
	}
	if err := b.Output("y", y); err != nil {
		return nil, fmt.Errorf("bayes: %w", err)
	}
	return b.Build()
}

// AddMean adds the nodes of Mean to a network that is being built, with names that
// begin with prefix, and returns their output for the input x, (1, inputs).
func (n *Network) AddMean(b *graph.Builder, x graph.Tensor, prefix string, theta []float64) (graph.Tensor, error) {
	if len(theta) < n.size {
		return x, fmt.Errorf("bayes: %d parameters, but the network has %d", len(theta), n.size)
	}
	states := []graph.Tensor{x}
	for i := range n.steps {
		s, in := &n.steps[i], states[i]
		node := graph.Node{Name: fmt.Sprint(prefix, "step", i), Inputs: []graph.Tensor{in}, Output: fmt.Sprint(prefix, "t", i), Shape: []int{1, s.out}}
		var err error
		switch s.kind {
		case enterStep:
			states = append(states, in)
			continue
		case linearStep:
			w := append([]float64(nil), theta[s.linear.weight:][:s.out*s.in]...)
			bias := append([]float64(nil), theta[s.linear.bias:][:s.out]...)
			node.Name, node.Op = prefix+s.linear.name, "Gemm"
			node.Rule, err = layer.NewAffine(w, bias, s.out, s.in, 1, 1)
		case activationStep:
			node.Op = s.act.Name()
			node.Rule, err = layer.NewElementwise([]activation.Activation{s.act.Activation}, s.out)
		case leaveStep:
			node.Op, node.Inputs = "Add", []graph.Tensor{states[s.enter], in}
			node.Rule, err = layer.NewSum([]float64{1, 1}, s.out)
		}
		if err != nil {
			return x, fmt.Errorf("bayes: %s: %w", node.Name, err)
		}
		t, err := b.Add(node)
		if err != nil {
			return x, fmt.Errorf("bayes: %w", err)
		}
		states = append(states, t)
	}
	return states[len(states)-1], nil
}
