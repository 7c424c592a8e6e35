package graph

import "github.com/covprop/covprop/layer"

// A step is one linear node, or all elementwise nodes that are ready at once:
// the covariances between their outputs come from one kernel, exactly.
type step struct {
	nodes []int
	// drop lists the tensors not needed after the step.
	drop []Tensor
}

// schedule orders the nodes that the outputs depend on: linear nodes as soon
// as their inputs exist, in the order of the model, and when none is left all
// elementwise nodes that are ready, as one step.
func (g *graph) schedule() {
	needed := g.needed()
	made := make([]bool, len(g.tensors))
	for _, t := range g.inputTensors {
		made[t] = true
	}
	ready := func(d *node) bool {
		for _, t := range d.in {
			if !made[t] {
				return false
			}
		}
		return true
	}
	done := make([]bool, len(g.nodes))
	run := func(elementwise bool) (s step) {
		for i := range g.nodes {
			d := &g.nodes[i]
			_, is := d.Rule.(*layer.Elementwise)
			if done[i] || !needed[i] || is != elementwise || !ready(d) {
				continue
			}
			s.nodes = append(s.nodes, i)
			if !elementwise {
				break
			}
		}
		for _, i := range s.nodes {
			done[i], made[g.nodes[i].out] = true, true
		}
		return s
	}
	for {
		s := run(false)
		if s.nodes == nil {
			s = run(true)
		}
		if s.nodes == nil {
			break
		}
		g.steps = append(g.steps, s)
	}
	g.findDrops()
}

// needed marks the nodes that an output depends on.
func (g *graph) needed() []bool {
	want := make([]bool, len(g.tensors))
	for _, o := range g.outputs {
		if o.value == nil {
			want[o.tensor] = true
		}
	}
	needed := make([]bool, len(g.nodes))
	for i := len(g.nodes) - 1; i >= 0; i-- { // nodes stand after those that make their inputs
		d := &g.nodes[i]
		root := g.tensors[d.out].root
		if !want[root] {
			continue
		}
		needed[i] = true
		for _, t := range d.in {
			want[t] = true
		}
	}
	return needed
}

// findDrops finds after which step each tensor is no longer needed.
func (g *graph) findDrops() {
	last := make(map[Tensor]int)
	for _, t := range g.inputTensors {
		last[t] = 0
	}
	for i, s := range g.steps {
		for _, k := range s.nodes {
			for _, t := range g.nodes[k].in {
				last[t] = i
			}
			if root := g.tensors[g.nodes[k].out].root; root == g.nodes[k].out {
				last[root] = i
			}
		}
	}
	for _, o := range g.outputs {
		if o.value == nil {
			delete(last, o.tensor)
		}
	}
	for t := range g.tensors { // in order, so that runs repeat
		if i, ok := last[Tensor(t)]; ok && len(g.steps) > 0 {
			g.steps[i].drop = append(g.steps[i].drop, Tensor(t))
		}
	}
}
