package onnx

import (
	"container/heap"
	"fmt"
	"slices"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/onnxpb"
)

// model is a decoded model on its way to a network.
type model struct {
	file   string
	dir    string // folder of external data; "" if there is none
	shapes map[string][]int
	fix    map[string][]float64
	limits *limits

	opset   int
	inputs  []*value // in graph order, without initializers
	outputs []*value
	nodes   []*node // in execution order
	values  map[string]*value
	err     error // what is wrong with the inputs
}

// value is a tensor of the graph. It is a constant if con or raw is set;
// otherwise it depends on an uncertain input, or on a node that is not
// understood.
type value struct {
	name   string
	dtype  dtype
	shape  []int // nil while unknown; a scalar's is empty
	con    *tensor
	raw    *onnxpb.TensorProto // an initializer; decoded into con when used
	info   *onnxpb.ValueInfoProto
	by     *node   // nil for inputs and initializers
	users  []*node // from markLive on only those that an output depends on
	output bool
}

func (v *value) isConst() bool { return v.con != nil || v.raw != nil }

func (v *value) known() bool { return v.shape != nil }

// used reports whether anything may need the value.
func (v *value) used() bool { return v.output || len(v.users) > 0 }

// node is a node of the graph.
type node struct {
	m      *model
	name   string // its first output's if the model gives none
	op     string // as in the file, or what a fused group is
	fileOp string // as in the file, where op is what a fused group is
	domain string
	in     []*value // nil where an optional input is left out
	out    []*value // at least one; without a name where it is left out
	attrs  map[string]*onnxpb.AttributeProto

	def     op
	err     error // why the node has no value and no rule
	attrErr error // the first ill-typed attribute
	planned *plan
	into    *node // the last node of the group that this one is fused into
	members int   // nodes fused into this one, itself included
	live    bool  // an output depends on it
}

// input returns input i, or nil.
func (n *node) input(i int) *value {
	if i >= len(n.in) {
		return nil
	}
	return n.in[i]
}

// constant reports whether all inputs are constants.
func (n *node) constant() bool {
	for _, v := range n.in {
		if v != nil && !v.isConst() {
			return false
		}
	}
	return true
}

// folded reports whether all outputs are constants.
func (n *node) folded() bool {
	for _, v := range n.out {
		if v.con == nil {
			return false
		}
	}
	return n.err == nil
}

// errorf returns an error that names the node.
func (n *node) errorf(format string, args ...any) error {
	return n.wrap(fmt.Errorf(format, args...))
}

func (n *node) wrap(err error) error {
	op := n.op
	if n.domain != "" {
		op = n.domain + "." + op
	}
	return &covprop.ModelError{File: n.m.file, Node: n.name, Op: op, Err: err}
}

// add makes a new value of the given name; it is an error if the name exists.
func (m *model) add(name string) (*value, error) {
	if name == "" {
		return nil, fmt.Errorf("a tensor has no name")
	}
	if m.values[name] != nil {
		return nil, fmt.Errorf("the tensor %q is made twice", name)
	}
	v := &value{name: name}
	m.values[name] = v
	return v, nil
}

// sort puts the nodes into execution order: of all nodes that could be next,
// the first in the file (Kahn 1962).
func (m *model) sort() error {
	pos := make(map[*node]int, len(m.nodes))
	waits := make([]int, len(m.nodes)) // inputs that no node has made yet
	var ready queue
	for i, n := range m.nodes {
		pos[n] = i
		for _, v := range n.in {
			if v != nil && v.by != nil {
				waits[i]++
			}
		}
		if waits[i] == 0 {
			ready = append(ready, i)
		}
	}
	order := make([]*node, 0, len(m.nodes))
	for len(ready) > 0 {
		n := m.nodes[heap.Pop(&ready).(int)]
		order = append(order, n)
		for _, v := range n.out {
			for _, u := range v.users {
				if waits[pos[u]]--; waits[pos[u]] == 0 {
					heap.Push(&ready, pos[u])
				}
			}
		}
	}
	if len(order) < len(m.nodes) {
		return onCycle(m.nodes, waits, pos).errorf("is part of a cycle: it depends on its own output")
	}
	m.nodes = order
	return nil
}

// onCycle returns a node on a cycle: walking backwards from a node that waits
// through producers that wait must return to a node seen before.
func onCycle(nodes []*node, waits []int, pos map[*node]int) *node {
	n := nodes[slices.IndexFunc(waits, func(w int) bool { return w > 0 })]
	for seen := map[*node]bool{}; !seen[n]; {
		seen[n] = true
		for _, v := range n.in {
			if v != nil && v.by != nil && waits[pos[v.by]] > 0 {
				n = v.by
				break
			}
		}
	}
	return n
}

// queue is a heap of positions.
type queue []int

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i] < q[j] }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(int)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}
