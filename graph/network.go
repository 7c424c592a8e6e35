// Package graph propagates a Gaussian through a network of layer rules.
//
// It keeps one joint Gaussian over all tensors that are still needed, as
// blocks: the covariance of every live tensor and the cross-covariance of
// every two. A step replaces its input's blocks: the rule makes the new block
// from the old, and every other tensor U beside it changes by the rule's gain,
// Cov(f(X), U) = G Cov(X, U). Skip connections, shared branches and several
// inputs and outputs need nothing more. In a chain one tensor is live and
// nothing is spent on this.
//
// Elementwise nodes that are ready together are one step, so the covariances
// between their outputs come from the Hermite series like those within one;
// only a nonlinear node downstream of another rests on the Gaussian closure.
//
// The package reads no files; package onnx builds networks from models.
package graph

import (
	"sync"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// A Network is a function built of layer rules that propagates Gaussians. It
// is immutable and safe for concurrent use. It is a covprop.Propagator and,
// for the baselines, a covprop.BatchFunc and a covprop.Differentiable.
type Network struct {
	*graph
	opts Options
}

// graph is the part of a Network that copies share.
type graph struct {
	model   string
	tensors []tensor
	nodes   []node
	inputs  []TensorInfo
	outputs []output

	inputTensors        []Tensor
	inputDim, outputDim int
	steps               []step
	evals               *sync.Pool // of *evaluation
	workspaces          *sync.Pool // of *Workspace, for batches
	evalPlan            func() *evalPlan
}

// Options choose how a Network propagates. The zero value is the default: the
// certified adaptive series, all covariances, all processors, no memory limit.
type Options struct {
	// Tol is the error allowed in each covariance of an activation, relative
	// to the product of the two standard deviations, or 2.2e-308 if that is
	// more: smaller covariances are 0. Zero means layer.DefaultTol, and 2^-23 with a Precision of 32.
	Tol float64
	// Order, if positive, cuts the series off after that many terms instead;
	// the variances stay exact. Tol is not used then.
	Order int
	// TruncateDiagonal cuts the variances off after Order terms, too.
	TruncateDiagonal bool
	// Diagonal ignores all covariances: moment matching of single units.
	Diagonal bool
	// KeepInput adds the covariance between outputs and inputs to the result.
	KeepInput bool
	// Precision is the number of bits in which covariances are stored, 64 or
	// 32; zero means 64. With 32 they take half the memory. Every node says
	// what that has cost so far, about; one that has less than two digits of a
	// variance left is an error. Means and variances of activations stay in
	// float64.
	Precision int
	// Strict makes it an error to linearise a node that has no better rule.
	Strict bool
	// Threads is the number of threads; zero means all processors. Results
	// do not depend on it.
	Threads int
	// MaxBytes is the memory that the covariances may take; zero means no
	// limit. A plan that exceeds it is refused with a *covprop.MemoryError
	// before anything is allocated.
	MaxBytes int64
	// Progress, if set, is called as steps finish.
	Progress func(done, total int)
	// Observe, if set, is called with the mean and the variances of every
	// node's output, in the order of execution; node counts as in Nodes. The
	// slices are only valid during the call, and must not be changed. It is not
	// called by PropagateBatch.
	Observe func(node int, mean, variance []float64)
}

// TensorInfo describes an input: elements Offset to Offset+Len-1 of the input
// vector.
type TensorInfo struct {
	Name        string
	Shape       []int
	Offset, Len int
}

// NodeInfo describes a node.
type NodeInfo struct {
	Name, Op, Rule string
	Shape          []int            // of the output
	Accuracy       covprop.Accuracy // at best, before any input is known
}

// With returns the network with other options. It shares the graph.
func (n *Network) With(o Options) *Network { return &Network{graph: n.graph, opts: o} }

// Options returns the network's options.
func (n *Network) Options() Options { return n.opts }

// Inputs describes the inputs, whose concatenation is the input vector.
func (n *Network) Inputs() []TensorInfo { return append([]TensorInfo(nil), n.inputs...) }

// Outputs describes the outputs, whose concatenation is the output vector.
func (n *Network) Outputs() []covprop.Output {
	o := make([]covprop.Output, len(n.outputs))
	for i := range o {
		o[i] = n.outputs[i].Output
	}
	return o
}

// Nodes describes the nodes that the outputs depend on, in the order of
// execution.
func (n *Network) Nodes() []NodeInfo {
	var infos []NodeInfo
	for _, s := range n.steps {
		for _, i := range s.nodes {
			d := &n.nodes[i]
			infos = append(infos, NodeInfo{
				Name: d.Name, Op: d.Op, Rule: d.Rule.Name(), Shape: d.Shape, Accuracy: d.Rule.Exactness(),
			})
		}
	}
	return infos
}

// InputDim implements covprop.Func.
func (n *Network) InputDim() int { return n.inputDim }

// OutputDim implements covprop.Func.
func (n *Network) OutputDim() int { return n.outputDim }

// nodeError returns err with the place of node d.
func (n *graph) nodeError(d *node, err error) error {
	return &covprop.ModelError{File: n.model, Node: d.Name, Op: d.Op, Err: err}
}

var (
	_ covprop.Propagator     = (*Network)(nil)
	_ covprop.BatchFunc      = (*Network)(nil)
	_ covprop.Differentiable = (*Network)(nil)
	_ covprop.OutputNamer    = (*Network)(nil)
)

// linear returns the node's rule if it is linear.
func (d *node) linear() (layer.Linear, bool) {
	l, ok := d.Rule.(layer.Linear)
	return l, ok
}
