package onnx

import (
	"errors"
	"fmt"

	"github.com/covprop/covprop/layer"
)

// An op is how the package understands an operator. Where the operator's
// definition changed between operator sets, its functions look at the node's.
type op struct {
	since  int     // the first opset that has it
	inputs int     // how many it may have, if more than one
	kind   string  // the rule it becomes, for reports on nodes of unknown shape
	act    makeAct // what it applies to every element, if it is that

	// fold computes the outputs of a node if they are constant: if ready, or
	// if all inputs are constant.
	fold  func(n *node) ([]*tensor, error)
	ready func(n *node) bool
	// shape returns the outputs' shapes and may set their types. It is nil
	// for ops that are supported for constants only.
	shape func(n *node) ([][]int, error)
	// rule returns the steps that make the outputs.
	rule func(n *node) (plan, error)
}

// table has the operators of the default domain.
var table = merge(
	activationOps, arithmeticOps, affineOps, moveOps, constantOps,
	convOps, poolOps, imageOps, reduceOps, joinOps, productOps, normOps, softmaxOps, attentionOps, rotaryOps, linearizedOps,
)

// merge joins tables; no operator may be in two.
func merge(tables ...map[string]op) map[string]op {
	all := make(map[string]op)
	for _, t := range tables {
		for name, o := range t {
			if _, ok := all[name]; ok {
				panic("onnx: the operator " + name + " is in two tables")
			}
			all[name] = o
		}
	}
	return all
}

// takes returns o with up to n inputs.
func takes(n int, o op) op {
	o.inputs = n
	return o
}

// lookup returns the op of a node.
func lookup(n *node) (op, error) {
	if n.domain != "" {
		return op{}, fmt.Errorf("operators of the domain %q are not supported", n.domain)
	}
	o, ok := table[n.op]
	switch {
	case !ok && refused[n.op] != "":
		return op{}, errors.New(refused[n.op])
	case !ok:
		return op{}, errors.New("the operator is not supported")
	case n.m.opset < o.since:
		return op{}, fmt.Errorf("the operator exists from opset %d on, but the model uses %d", o.since, n.m.opset)
	case len(n.in) > max(1, o.inputs):
		return op{}, fmt.Errorf("has %d inputs, but takes at most %d", len(n.in), max(1, o.inputs))
	}
	return o, n.checkAttributes()
}

// refused says why operators that are known cannot be propagated.
var refused = byOperator(map[string][]string{
	"control flow is not supported": {"If", "Loop", "Scan"},
	"draws random numbers, so that it is no function of its input": {
		"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
	},
	"the shape of its output depends on the values of its input":     {"Compress", "NonMaxSuppression", "NonZero", "Unique"},
	"recurrent networks are not supported: unroll it into its steps": {"GRU", "LSTM", "RNN"},
	"quantised integers are not supported: export it with real numbers": {
		"ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear",
	},
	"sequences, optional values and strings are not supported": {
		"ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement", "RegexFullMatch", "SequenceAt",
		"SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap",
		"SplitToSequence", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer",
	},
})

// byOperator returns the reason for each operator.
func byOperator(reasons map[string][]string) map[string]string {
	all := make(map[string]string)
	for reason, ops := range reasons {
		for _, name := range ops {
			all[name] = reason
		}
	}
	return all
}

// step is one rule on the way from a node's inputs to its outputs.
type step struct {
	rule layer.Rule
	in   []*value
	out  *value
}

// plan is the steps of a node. An error stops it.
type plan struct {
	steps []step
	err   error
}

// step returns a function that appends out = rule(in...); it takes the results
// of a rule's constructor.
func (p *plan) step(out *value, in ...*value) func(layer.Rule, error) {
	return func(r layer.Rule, err error) {
		switch {
		case p.err != nil:
		case err != nil:
			p.err = err
		default:
			p.steps = append(p.steps, step{rule: r, in: in, out: out})
		}
	}
}

// fail stops the plan if err is not nil.
func (p *plan) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// done returns the plan, or its error.
func (p *plan) done() (plan, error) { return *p, p.err }

// temp returns a value between two steps.
func temp(n *node, of *value, shape []int) *value {
	return &value{name: n.name + " <- " + of.name, dtype: of.dtype, shape: shape}
}

// stretched appends the step that broadcasts v, seen as having the shape from,
// to the shape to, if one is needed.
func (p *plan) stretched(n *node, v *value, from, to []int) *value {
	if p.err == nil && product(from) != product(to) {
		p.err = n.m.limits.take(product(to))
	}
	if p.err != nil {
		return v
	}
	index := stretch(from, to)
	if index == nil {
		return v
	}
	t := temp(n, v, to)
	p.step(t, v)(layer.NewSelect(index, product(from)))
	return t
}
