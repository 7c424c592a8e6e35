package onnx

import (
	"errors"
	"fmt"
	"math"

	"github.com/covprop/covprop/layer"
)

// An op is how the package understands an operator. Where the operator's
// definition changed between operator sets, its functions look at the node's.
type op struct {
	since int     // the first opset that has it
	kind  string  // the rule it becomes, for reports on nodes of unknown shape
	act   makeAct // what it applies to every element, if it is that

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
var table = map[string]op{
	// Elementwise activations.
	"Abs":             unary(6, simple(abs)),
	"Atan":            unary(7, simple(arctan)),
	"Celu":            unary(12, celu),
	"Clip":            unary(6, clip),
	"Cos":             unary(7, simple(cos)),
	"Elu":             unary(6, elu),
	"Erf":             unary(9, simple(erf)),
	"Exp":             unary(6, simple(exp)),
	"Gelu":            unary(20, gelu),
	"HardSigmoid":     unary(6, hardSigmoid),
	"HardSwish":       unary(14, simple(hardSwish)),
	"LeakyRelu":       unary(6, leakyRelu),
	"Mish":            unary(18, simple(mish)),
	"Relu":            unary(6, simple(relu)),
	"Selu":            unary(6, selu),
	"Sigmoid":         unary(6, simple(sigmoid)),
	"Sign":            unary(9, simple(sign)),
	"Sin":             unary(7, simple(sin)),
	"Softplus":        unary(6, simple(softplus)),
	"Softsign":        unary(6, simple(softsign)),
	"Swish":           unary(24, swish),
	"Tanh":            unary(6, simple(tanh)),
	"ThresholdedRelu": unary(10, thresholdedRelu),

	// Elementwise arithmetic.
	"Add":   {since: 6, kind: "sum", fold: foldBinary(addNumbers), shape: binaryShape, rule: addRule(1)},
	"Sub":   {since: 6, kind: "sum", fold: foldBinary(subNumbers), shape: binaryShape, rule: addRule(-1)},
	"Mul":   {since: 6, kind: "scale", fold: foldBinary(mulNumbers), shape: binaryShape, rule: mulRule},
	"Div":   {since: 6, kind: "scale", fold: foldBinary(divNumbers), shape: binaryShape, rule: divRule},
	"Pow":   {since: 6, kind: "polynomial", fold: foldBinary(powNumbers), shape: binaryShape, rule: powRule},
	"PRelu": {since: 6, kind: "leaky_relu", fold: foldPRelu, shape: sameShape, rule: preluRule},
	"Neg":   {since: 6, kind: "scale", fold: foldNeg, shape: sameShape, rule: negRule},
	"Sum":   {since: 6, kind: "sum", fold: foldSum, shape: sumShape, rule: sumRule},
	"Mean":  {since: 6, kind: "sum", fold: foldSum, shape: sumShape, rule: sumRule},

	// Affine maps.
	"MatMul": {since: 6, kind: "affine", fold: foldMatMul, shape: matMulShape, rule: matMulRule},
	"Gemm":   {since: 6, kind: "affine", fold: foldGemm, shape: gemmShape, rule: gemmRule},

	// The same elements in another order or shape.
	"Cast":      {since: 6, kind: "reshape", fold: foldCast, shape: castShape, rule: castRule},
	"CastLike":  {since: 15, kind: "reshape", fold: foldCast, ready: firstConstant, shape: castShape, rule: castRule},
	"Dropout":   {since: 6, kind: "reshape", fold: foldDropout, shape: dropoutShape, rule: sameRule},
	"Expand":    move(8, "select", expand),
	"Flatten":   move(6, "reshape", flatten),
	"Gather":    move(6, "select", gather),
	"Identity":  move(6, "reshape", identity),
	"Reshape":   move(6, "reshape", reshape),
	"Slice":     move(6, "select", slice),
	"Split":     move(6, "select", split),
	"Squeeze":   move(6, "reshape", squeeze),
	"Transpose": move(6, "select", transpose),
	"Unsqueeze": move(6, "reshape", unsqueeze),

	// Constants only, chiefly shape arithmetic.
	"Ceil":             {since: 6, fold: foldReal(ceil)},
	"Concat":           {since: 6, fold: foldConcat},
	"Constant":         {since: 6, fold: foldConstant},
	"ConstantOfShape":  {since: 9, fold: foldConstantOfShape},
	"DequantizeLinear": {since: 10, fold: foldDequantize},
	"Equal":            {since: 7, fold: foldCompare(equal)},
	"Floor":            {since: 6, fold: foldReal(floor)},
	"Greater":          {since: 7, fold: foldCompare(greater)},
	"Less":             {since: 7, fold: foldCompare(less)},
	"Log":              {since: 6, fold: foldReal(log)},
	"Max":              {since: 8, fold: foldExtreme(1)},
	"Min":              {since: 8, fold: foldExtreme(-1)},
	"Range":            {since: 11, fold: foldRange},
	"Reciprocal":       {since: 6, fold: foldReal(reciprocal)},
	"Shape":            {since: 6, fold: foldShape, ready: knownShape},
	"Size":             {since: 6, fold: foldSize, ready: knownShape},
	"Sqrt":             {since: 6, fold: foldReal(sqrt)},
	"Where":            {since: 9, fold: foldWhere},
}

// manyInputs is the largest number of inputs of operators that may have more
// than one.
var manyInputs = map[string]int{
	"Add": 2, "CastLike": 2, "Clip": 3, "DequantizeLinear": 3, "Div": 2, "Dropout": 3, "Equal": 2, "Expand": 2,
	"Gather": 2, "Gemm": 3, "Greater": 2, "Less": 2, "MatMul": 2, "Mul": 2, "PRelu": 2, "Pow": 2, "Range": 3,
	"Reshape": 2, "Slice": 5, "Split": 2, "Squeeze": 2, "Sub": 2, "Unsqueeze": 2, "Where": 3,
	"Concat": math.MaxInt, "Max": math.MaxInt, "Mean": math.MaxInt, "Min": math.MaxInt, "Sum": math.MaxInt,
}

// lookup returns the op of a node.
func lookup(n *node) (op, error) {
	if n.domain != "" {
		return op{}, fmt.Errorf("operators of the domain %q are not supported", n.domain)
	}
	o, ok := table[n.op]
	switch {
	case n.op == "If" || n.op == "Loop" || n.op == "Scan":
		return op{}, errors.New("control flow is not supported")
	case !ok:
		return op{}, errors.New("the operator is not supported")
	case n.m.opset < o.since:
		return op{}, fmt.Errorf("the operator exists from opset %d on, but the model uses %d", o.since, n.m.opset)
	case len(n.in) > max(1, manyInputs[n.op]):
		return op{}, fmt.Errorf("has %d inputs, but takes at most %d", len(n.in), max(1, manyInputs[n.op]))
	}
	return o, nil
}

var (
	errProduct  = errors.New("products of uncertain tensors are not supported yet")
	errQuotient = errors.New("division by an uncertain tensor is not supported")
)

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
