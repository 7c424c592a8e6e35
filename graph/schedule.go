package graph

import (
	"container/heap"
	"slices"
	"sync"

	"github.com/covprop/covprop/layer"
)

// A step is one linear node, or all elementwise nodes that are ready at once:
// the covariances between their outputs come from one kernel, exactly.
type step struct {
	nodes []int
	// drop lists the tensors not needed after the step.
	drop []Tensor
}

// schedule orders the nodes that the outputs depend on: linear nodes as soon
// as their inputs exist, in the order of the model, when none is left all
// elementwise nodes that are ready, as one step, and then one nonlinear node.
func (g *graph) schedule() {
	users := make([][]int, len(g.tensors)) // by tensor: the nodes it is an input of
	missing := make([]int, len(g.nodes))   // by node: how many of its inputs do not exist yet
	for i, needed := range g.needed() {
		if !needed {
			continue
		}
		for _, t := range g.nodes[i].in {
			users[t] = append(users[t], i)
			missing[i]++
		}
	}
	var linear, nonlinear nodeHeap // nodes that are ready
	var elementwise []int          // and those of them that are elementwise
	exists := func(t Tensor) {
		for _, i := range users[t] {
			if missing[i]--; missing[i] > 0 {
				continue
			}
			switch g.nodes[i].Rule.(type) {
			case layer.Linear:
				heap.Push(&linear, i)
			case layer.Nonlinear:
				heap.Push(&nonlinear, i)
			default:
				elementwise = append(elementwise, i)
			}
		}
	}
	for _, t := range g.inputTensors {
		exists(t)
	}
	for len(linear)+len(elementwise)+len(nonlinear) > 0 {
		var s step
		switch {
		case len(linear) > 0:
			s.nodes = []int{heap.Pop(&linear).(int)}
		case len(elementwise) > 0:
			slices.Sort(elementwise)
			s.nodes, elementwise = elementwise, nil
		default:
			s.nodes = []int{heap.Pop(&nonlinear).(int)}
		}
		g.steps = append(g.steps, s)
		for _, i := range s.nodes {
			exists(g.nodes[i].out)
		}
	}
	g.findDrops()
	g.postpone()
	g.evalPlan = sync.OnceValue(g.planEval)
}

// postpone moves linear nodes to right before their first use where that
// lowers the planned peak of memory, as for the branch of a residual block that
// shrinks its input less than the other, as long as planningWork allows. When
// a linear node runs makes no difference to the result; the others keep their
// order, which does.
func (g *graph) postpone() {
	peak := int64(-1)
	tries := planningWork / g.planWork()
	for i := len(g.steps) - 1; i >= 0 && tries > 0; i-- {
		d := &g.nodes[g.steps[i].nodes[0]]
		if _, ok := d.linear(); !ok || g.isReshape(d) {
			continue
		}
		to := g.firstUse(i) - 1
		if to <= i {
			continue
		}
		if peak < 0 {
			peak = g.plannedPeak()
		}
		tries--
		g.move(i, to)
		if p := g.plannedPeak(); p < peak {
			peak = p
		} else {
			g.move(to, i)
		}
	}
	g.findDrops()
}

// planningWork bounds the work of postponing, in units of planWork: about a
// second.
const planningWork = 2e6

// planWork is about the number of blocks that one plan of the memory makes.
func (g *graph) planWork() int {
	work, live := 1, len(g.inputs)
	for i := range g.steps {
		s := &g.steps[i]
		for _, k := range s.nodes {
			terms := len(g.nodes[k].in)
			work += live + terms*terms
			live++
		}
		live -= len(s.drop)
	}
	return work
}

// firstUse returns the first step that uses what step i makes, len(g.steps) if
// there is none.
func (g *graph) firstUse(i int) int {
	root := g.tensors[g.nodes[g.steps[i].nodes[0]].out].root
	for k := i + 1; k < len(g.steps); k++ {
		for _, j := range g.steps[k].nodes {
			if slices.Contains(g.nodes[j].in, root) {
				return k
			}
		}
	}
	return len(g.steps)
}

// move moves step i to position to.
func (g *graph) move(i, to int) {
	s := g.steps[i]
	g.steps = slices.Insert(slices.Delete(g.steps, i, i+1), to, s)
}

// plannedPeak plans the memory of the steps in their present order.
func (g *graph) plannedPeak() int64 {
	g.findDrops()
	return (&Network{graph: g}).PeakBytes()
}

// nodeHeap is a heap of nodes, the first of the model on top.
type nodeHeap []int

func (h nodeHeap) Len() int           { return len(h) }
func (h nodeHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h nodeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *nodeHeap) Push(i any)        { *h = append(*h, i.(int)) }
func (h *nodeHeap) Pop() any {
	old := *h
	i := old[len(old)-1]
	*h = old[:len(old)-1]
	return i
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
	for i := range g.steps {
		g.steps[i].drop = nil
	}
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
