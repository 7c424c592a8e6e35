package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
)

// reduceOps reduce axes.
var reduceOps = map[string]op{
	"ReduceSum":       reduction{since: 13, kind: "sparse map", real: sum, int: sumInts, rule: sumGroups}.op(),
	"ReduceMean":      reduction{since: 18, kind: "sparse map", real: mean, int: meanInts, rule: meanGroups}.op(),
	"ReduceSumSquare": reduction{since: 18, kind: "sparse map", real: sumSquares, rule: sumOf(activation.Square)}.op(),
	"ReduceL1":        reduction{since: 18, kind: "sparse map", real: sumAbs, rule: sumOf(activation.Abs)}.op(),
	"ReduceL2":        reduction{since: 18, kind: "sqrt", real: norm, rule: normGroups}.op(),
	"ReduceLogSum":    reduction{since: 18, kind: "log", real: logSum, rule: logSumGroups}.op(),
	"ReduceLogSumExp": reduction{since: 18, kind: "sum", real: logSumExp, rule: logSumExpGroups}.op(),
	"ReduceMax":       reduction{since: 18, kind: "max", real: slices.Max[[]float64], int: slices.Max[[]int64], rule: maxGroups, full: true}.op(),
	"ReduceMin":       reduction{since: 18, kind: "max", real: slices.Min[[]float64], int: slices.Min[[]int64], rule: minGroups, full: true}.op(),
	"ReduceProd":      reduction{since: 18, kind: "product", real: prod, int: prodInts, rule: prodGroups}.op(),
	"ArgMax":          {since: 6, kind: "argmax", fold: foldArgMax, shape: argMaxShape, rule: argMaxRule},
	"ArgMin":          {since: 6, kind: "argmax", fold: foldArgMax, shape: argMaxShape, rule: argMaxRule},
}

var errReduceEmpty = errors.New("reduces an axis of size 0")

// reduction is an operator that makes one number of every group of elements.
type reduction struct {
	since int    // the opset from which on the axes are an input
	kind  string // the rule of its last step
	full  bool   // groups of no elements have no value
	real  func(x []float64) float64
	int   func(x []int64) int64 // nil if there is none
	// rule appends the steps that make out of x.
	rule func(p *plan, n *node, out, x *value, g groups)
}

func (r reduction) op() op {
	return op{
		since:  6,
		inputs: 2,
		kind:   r.kind,
		shape: func(n *node) ([][]int, error) {
			g, err := parseReduce(n, r.since)
			return [][]int{g.out}, err
		},
		rule: func(n *node) (plan, error) {
			var p plan
			g, err := parseReduce(n, r.since)
			if err == nil && g.size == 0 {
				err = errReduceEmpty
			}
			if err == nil {
				err = n.m.limits.take(2 * product(g.x))
			}
			if err != nil {
				return plan{}, err
			}
			r.rule(&p, n, n.out[0], n.in[0], g)
			return p.done()
		},
		fold: r.fold,
	}
}

// groups are the elements of a tensor that are reduced to one each.
type groups struct {
	x     []int // shape of the tensor
	axes  []int // those reduced, in ascending order
	out   []int // shape of the result
	count int   // number of groups
	size  int   // of each
}

// newGroups reduces the axes of a tensor of shape x; keep leaves them as axes
// of size 1.
func newGroups(x, axes []int, keep bool) groups {
	g := groups{x: x, axes: axes, out: []int{}, count: 1, size: 1}
	for a, d := range x {
		switch _, reduced := slices.BinarySearch(axes, a); {
		case !reduced:
			g.out = append(g.out, d)
			g.count *= d
		case keep:
			g.out = append(g.out, 1)
			fallthrough
		default:
			g.size *= d
		}
	}
	return g
}

// parseReduce reads the axes, an input from opset since on: by default all, or
// none if noop_with_empty_axes says so.
func parseReduce(n *node, since int) (groups, error) {
	v, err := n.data()
	if err != nil {
		return groups{}, err
	}
	list, _, err := n.ints("axes", 1, since)
	if err != nil {
		return groups{}, err
	}
	axes, err := axesOf(list, len(v.shape))
	if err != nil {
		return groups{}, err
	}
	if len(axes) == 0 && (n.m.opset < since || n.intAttr("noop_with_empty_axes", 0) == 0) {
		for a := range v.shape {
			axes = append(axes, a)
		}
	}
	return newGroups(v.shape, axes, n.intAttr("keepdims", 1) != 0), nil
}

// order lists the elements of the groups, one after the other.
func (g groups) order() []int {
	s := strides(g.x)
	var dims, step, inner, innerStep []int
	for a, d := range g.x {
		if _, reduced := slices.BinarySearch(g.axes, a); reduced {
			inner, innerStep = append(inner, d), append(innerStep, s[a])
		} else {
			dims, step = append(dims, d), append(step, s[a])
		}
	}
	return walk(append(dims, inner...), 0, append(step, innerStep...))
}

// lists is order cut into its groups.
func (g groups) lists() [][]int {
	if g.size == 0 {
		return make([][]int, g.count)
	}
	return slices.Collect(slices.Chunk(g.order(), g.size))
}

// inRow returns x with the elements of every group side by side.
func (g groups) inRow(p *plan, n *node, x *value) *value {
	index := g.order()
	if slices.IsSorted(index) {
		return x
	}
	t := temp(n, x, []int{g.count, g.size})
	p.step(t, x)(layer.NewSelect(index, len(index)))
	return t
}

// fold reduces a constant.
func (r reduction) fold(n *node) ([]*tensor, error) {
	g, err := parseReduce(n, r.since)
	if err != nil {
		return nil, err
	}
	t, err := n.con(0)
	switch {
	case err != nil:
		return nil, err
	case g.size == 0 && r.full:
		return nil, errReduceEmpty
	case !t.dtype.isFloat() && r.int == nil:
		return nil, fmt.Errorf("of %v constants is not supported", t.dtype)
	}
	if _, err := n.m.limits.size(g.out); err != nil {
		return nil, err
	}
	if err := n.m.limits.take(3*t.len() + g.count); err != nil {
		return nil, err
	}
	x, err := t.finite()
	if err != nil {
		return nil, err
	}
	out := newTensor(n, t.dtype, g.out, g.count)
	for i, list := range g.lists() {
		if t.dtype.isFloat() {
			out.floats[i] = r.real(pick(x, list))
		} else {
			out.ints[i] = t.dtype.wrap(r.int(pick(t.ints, list)))
		}
	}
	return []*tensor{out}, nil
}

// pick returns the elements index of x.
func pick[T any](x []T, index []int) []T {
	y := make([]T, len(index))
	for i, k := range index {
		y[i] = x[k]
	}
	return y
}

func sum(x []float64) float64 {
	s := 0.
	for _, v := range x {
		s += v
	}
	return s
}

func sumInts(x []int64) int64 {
	var s int64
	for _, v := range x {
		s += v
	}
	return s
}

func mean(x []float64) float64 { return sum(x) / float64(len(x)) }

// meanInts cuts off the fraction.
func meanInts(x []int64) int64 { return sumInts(x) / int64(max(len(x), 1)) }

func sumSquares(x []float64) float64 {
	s := 0.
	for _, v := range x {
		s += v * v
	}
	return s
}

func sumAbs(x []float64) float64 {
	s := 0.
	for _, v := range x {
		s += math.Abs(v)
	}
	return s
}

func norm(x []float64) float64   { return math.Sqrt(sumSquares(x)) }
func logSum(x []float64) float64 { return math.Log(sum(x)) }

// logSumExp takes the largest element out, so that nothing overflows.
func logSumExp(x []float64) float64 {
	if len(x) == 0 {
		return math.Inf(-1)
	}
	top, s := slices.Max(x), 0.
	for _, v := range x {
		s += math.Exp(v - top)
	}
	return top + math.Log(s)
}

func prod(x []float64) float64 {
	f := 1.
	for _, v := range x {
		f *= v
	}
	return f
}

func prodInts(x []int64) int64 {
	f := int64(1)
	for _, v := range x {
		f *= v
	}
	return f
}
