package graph

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// A Tensor is a handle to a tensor of the network being built.
type Tensor int

// A Node is one step of a network: Output = Rule(Inputs).
type Node struct {
	Name   string     // for messages and reports
	Op     string     // the model's operator, such as "Gemm"
	Rule   layer.Rule // how it is propagated
	Inputs []Tensor
	Output string // name of the tensor it makes
	Shape  []int  // and its shape
}

// A Builder collects the nodes of a Network. Model, the file the network comes
// from, is optional and stands in error messages.
type Builder struct {
	Model string

	tensors []tensor
	nodes   []node
	inputs  []Tensor
	outputs []output
}

// tensor is a tensor of the graph. One that is only another shape of an
// earlier tensor has that as its root; a root is its own.
type tensor struct {
	name  string
	shape []int
	n     int
	root  Tensor
}

type node struct {
	Node
	out Tensor
	in  []Tensor // roots of Inputs
}

// output is a tensor or, if value is set, a constant.
type output struct {
	covprop.Output
	tensor Tensor
	value  []float64
}

// NewBuilder returns an empty Builder.
func NewBuilder() *Builder { return &Builder{} }

// Input adds an input. The network's input vector is the concatenation of its
// inputs in the order they were added.
func (b *Builder) Input(name string, shape []int) (Tensor, error) {
	t, err := b.tensor(name, shape)
	if err != nil {
		return 0, fmt.Errorf("input %q: %w", name, err)
	}
	b.inputs = append(b.inputs, t)
	return t, nil
}

func (b *Builder) tensor(name string, shape []int) (Tensor, error) {
	n := 1
	for _, d := range shape {
		if d < 1 || n > maxElements/d {
			return 0, fmt.Errorf("the shape %v is not between 1 and %d elements", shape, maxElements)
		}
		n *= d
	}
	t := Tensor(len(b.tensors))
	b.tensors = append(b.tensors, tensor{name: name, shape: slices.Clone(shape), n: n, root: t})
	return t, nil
}

// maxElements keeps the bytes of a covariance within an int64.
const maxElements = 1 << 28

// Add adds a node, whose inputs must exist, and returns its output. An error
// is a *covprop.ModelError that names the node.
func (b *Builder) Add(n Node) (Tensor, error) {
	fail := func(format string, args ...any) (Tensor, error) {
		return 0, &covprop.ModelError{File: b.Model, Node: n.Name, Op: n.Op, Err: fmt.Errorf(format, args...)}
	}
	want := n.Rule.Inputs()
	if len(n.Inputs) != len(want) {
		return fail("has %d inputs, but the rule %q takes %d", len(n.Inputs), n.Rule.Name(), len(want))
	}
	in := make([]Tensor, len(want))
	for i, t := range n.Inputs {
		if t < 0 || int(t) >= len(b.tensors) {
			return fail("input %d does not exist", i)
		}
		if have := b.tensors[t].n; have != want[i] {
			return fail("input %q has %d elements, but the rule %q takes %d", b.tensors[t].name, have, n.Rule.Name(), want[i])
		}
		in[i] = b.tensors[t].root
	}
	out, err := b.tensor(n.Output, n.Shape)
	if err != nil {
		return fail("%w", err)
	}
	if have := b.tensors[out].n; have != n.Rule.OutputLen() {
		return fail("the output's shape %v has %d elements, but the rule %q makes %d", n.Shape, have, n.Rule.Name(), n.Rule.OutputLen())
	}
	switch r := n.Rule.(type) {
	case *layer.Reshape:
		b.tensors[out].root = in[0]
	case *layer.Sum:
		n.Rule, in = layer.MergeTerms(r, in)
	case layer.Linear:
		for i, t := range in {
			if r.Matrix(i).InPlace() && count(in, t) > 1 {
				return fail("input %q is used twice, which the rule %q does not allow", b.tensors[t].name, n.Rule.Name())
			}
		}
	case *layer.Elementwise, layer.Nonlinear:
	default:
		return fail("the rule %q is neither linear, elementwise nor nonlinear", n.Rule.Name())
	}
	b.nodes = append(b.nodes, node{Node: n, out: out, in: in})
	return out, nil
}

// count returns how often t is among in.
func count(in []Tensor, t Tensor) (n int) {
	for _, u := range in {
		if u == t {
			n++
		}
	}
	return n
}

// Output declares t an output of the network under the given name. The output
// vector is the concatenation of the outputs in the order of declaration.
func (b *Builder) Output(name string, t Tensor) error {
	if t < 0 || int(t) >= len(b.tensors) {
		return fmt.Errorf("output %q: the tensor does not exist", name)
	}
	x := b.tensors[t]
	b.outputs = append(b.outputs, output{
		Output: covprop.Output{Name: name, Shape: x.shape, Len: x.n},
		tensor: x.root,
	})
	return nil
}

// Constant declares an output that does not depend on the inputs. value has the
// elements row by row, which must be finite.
func (b *Builder) Constant(name string, shape []int, value []float64) error {
	n := 1
	for _, d := range shape {
		n *= d
	}
	if n != len(value) {
		return fmt.Errorf("output %q: the shape %v does not have %d elements", name, shape, len(value))
	}
	for i, v := range value {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("output %q: element %d is %v; it must be finite", name, i, v)
		}
	}
	b.outputs = append(b.outputs, output{
		Output: covprop.Output{Name: name, Shape: slices.Clone(shape), Len: len(value)},
		value:  append([]float64{}, value...),
	})
	return nil
}

// Build returns the network. The Builder must not be used afterwards.
func (b *Builder) Build() (*Network, error) {
	if len(b.inputs) == 0 {
		return nil, &covprop.ModelError{File: b.Model, Err: fmt.Errorf("no input is uncertain: there is nothing to propagate")}
	}
	if len(b.outputs) == 0 {
		return nil, &covprop.ModelError{File: b.Model, Err: fmt.Errorf("the network has no output")}
	}
	n := &Network{graph: &graph{model: b.Model, tensors: b.tensors, nodes: b.nodes, outputs: b.outputs, evals: new(sync.Pool), workspaces: newWorkspaces()}}
	for _, t := range b.inputs {
		x := b.tensors[t]
		n.inputs = append(n.inputs, TensorInfo{Name: x.name, Shape: x.shape, Offset: n.inputDim, Len: x.n})
		n.inputTensors = append(n.inputTensors, t)
		n.inputDim += x.n
	}
	for i := range n.outputs {
		n.outputs[i].Offset = n.outputDim
		n.outputDim += n.outputs[i].Len
	}
	n.schedule()
	return n, nil
}
