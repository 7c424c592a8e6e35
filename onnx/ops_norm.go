package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
)

// normOps normalise.
var normOps = map[string]op{
	"LayerNormalization":        {since: 17, inputs: 3, kind: "layer norm", fold: foldRule, shape: layerNormShape, rule: layerNormRule},
	"RMSNormalization":          {since: 23, inputs: 2, kind: "rms norm", fold: foldRule, shape: sameShape, rule: rmsNormRule},
	"InstanceNormalization":     {since: 6, inputs: 3, kind: "layer norm", fold: foldRule, shape: sameShape, rule: instanceNormRule},
	"GroupNormalization":        {since: 18, inputs: 3, kind: "layer norm", fold: foldRule, shape: sameShape, rule: groupNormRule},
	"MeanVarianceNormalization": {since: 9, kind: "layer norm", fold: foldRule, shape: sameShape, rule: meanVarianceRule},
	"LpNormalization":           {since: 6, kind: "rms norm", fold: foldRule, shape: sameShape, rule: lpNormRule},
	"LRN":                       {since: 6, kind: "product", fold: foldRule, shape: sameShape, rule: lrnRule},
}

// normalisation of groups, which mean and variance are taken of:
//
//	y = (x - mean) / max(floor, added + sqrt(var + epsilon)),
//
// without the means if not centred. The rule says what floor and added may
// matter.
type normalisation struct {
	epsilon, floor, added float64
	center                bool
}

// norm appends out = x normalised in groups.
func (p *plan) norm(n *node, out, x *value, g groups, f normalisation) {
	if !(f.epsilon >= 0) {
		p.fail(fmt.Errorf("epsilon is %v, which is negative", f.epsilon))
		return
	}
	p.inGroups(n, out, x, g, func(count, size int) (layer.Rule, error) {
		r, err := layer.NewNorm(count, size, f.epsilon, f.center)
		if err != nil {
			return nil, err
		}
		return r.WithGuard(f.floor, f.added), nil
	})
}

// scaleShift appends out = scale x + shift, with the constant inputs i and j,
// seen as having the given shape, spread over x. A missing input j is 0.
func (p *plan) scaleShift(n *node, out, x *value, i, j int, shape func(*tensor) []int) {
	all := func(i int) []float64 {
		t, err := n.con(i)
		if err != nil {
			p.fail(err)
			return nil
		}
		from := shape(t)
		if to, err := broadcast(from, x.shape); err != nil || !slices.Equal(to, x.shape) || product(from) != t.len() {
			p.fail(fmt.Errorf("the %s of shape %v does not fit a tensor of shape %v", t.origin, t.shape, x.shape))
			return nil
		}
		v, err := spread(n, t, from, x.shape)
		p.fail(err)
		return v
	}
	scale, shift := all(i), []float64(nil)
	if n.input(j) != nil {
		shift = all(j)
	}
	if p.err == nil {
		p.step(out, x)(layer.NewScale(scale, shift, product(x.shape)))
	}
}

// asIs is the shape of a constant that broadcasts as it is.
func asIs(t *tensor) []int { return t.shape }

// perChannelOf returns the shape in which a list of one number a channel
// broadcasts to a tensor of the given rank.
func perChannelOf(rank int) func(*tensor) []int {
	return func(t *tensor) []int {
		return concat([]int{t.len()}, slices.Repeat([]int{1}, max(rank-2, 0)))
	}
}

// layerNormGroups are the groups of layer normalisation: all axes from the
// given one on.
func layerNormGroups(n *node) (groups, error) {
	x, err := n.data()
	if err != nil {
		return groups{}, err
	}
	axis, err := axisOf(n.intAttr("axis", -1), len(x.shape))
	if err != nil {
		return groups{}, err
	}
	return newGroups(x.shape, from(axis, len(x.shape)), true), nil
}

func layerNormShape(n *node) ([][]int, error) {
	g, err := layerNormGroups(n)
	return [][]int{g.x, g.out, g.out}, err
}

// layerNormRule is layer normalisation (Ba, Kiros and Hinton 2016). The second
// and third output, where used, are the means and 1/sqrt(var + epsilon).
func layerNormRule(n *node) (plan, error) {
	g, err := layerNormGroups(n)
	if err != nil {
		return plan{}, err
	}
	var p plan
	x, epsilon := n.in[0], n.floatAttr("epsilon", 1e-5)
	y := temp(n, n.out[0], g.x)
	p.norm(n, y, x, g, normalisation{epsilon: epsilon, center: true})
	p.scaleShift(n, n.out[0], y, 1, 2, asIs)
	used := func(i int) bool { return i < len(n.out) && n.out[i].used() }
	if !used(1) && !used(2) {
		return p.done()
	}
	mean := temp(n, x, g.out)
	if used(1) {
		mean = n.out[1]
	}
	meanGroups(&p, n, mean, x, g)
	if used(2) {
		// var = E (x - mean)^2, then (var + epsilon)^(-1/2).
		wide, centred := p.stretched(n, mean, g.out, g.x), temp(n, x, g.x)
		squares, variance, raised := temp(n, x, g.x), temp(n, x, g.out), temp(n, x, g.out)
		p.step(centred, x, wide)(layer.NewSum([]float64{1, -1}, product(g.x)))
		p.activation(squares, centred, activation.Square())
		meanGroups(&p, n, variance, squares, g)
		p.step(raised, variance)(layer.NewScale(nil, []float64{epsilon}, g.count))
		p.activation(n.out[2], raised, activation.Power(-0.5))
	}
	return p.done()
}

func rmsNormRule(n *node) (plan, error) {
	g, err := layerNormGroups(n)
	if err != nil {
		return plan{}, err
	}
	var p plan
	y := temp(n, n.out[0], g.x)
	p.norm(n, y, n.in[0], g, normalisation{epsilon: n.floatAttr("epsilon", 1e-5)})
	p.scaleShift(n, n.out[0], y, 1, 2, asIs)
	return p.done()
}

// instanceNormRule normalises every channel of every image.
func instanceNormRule(n *node) (plan, error) {
	x, err := n.data()
	if err != nil {
		return plan{}, err
	}
	if len(x.shape) < 3 {
		return plan{}, fmt.Errorf("a tensor of shape %v has no images to normalise", x.shape)
	}
	var p plan
	y := temp(n, n.out[0], x.shape)
	p.norm(n, y, x, newGroups(x.shape, from(2, len(x.shape)), true), normalisation{epsilon: n.floatAttr("epsilon", 1e-5), center: true})
	p.scaleShift(n, n.out[0], y, 1, 2, perChannelOf(len(x.shape)))
	return p.done()
}

// groupNormRule normalises groups of neighbouring channels (Wu and He 2018).
// Before opset 21 there was one scale and shift a group.
func groupNormRule(n *node) (plan, error) {
	x, err := n.data()
	if err != nil {
		return plan{}, err
	}
	count := n.intAttr("num_groups", 0)
	if len(x.shape) < 2 || count < 1 || count > int64(x.shape[1]) || x.shape[1]%int(count) != 0 {
		return plan{}, fmt.Errorf("%d groups do not divide the channels of a tensor of shape %v", count, x.shape)
	}
	split := concat([]int{x.shape[0], int(count), x.shape[1] / int(count)}, x.shape[2:])
	wide := temp(n, n.out[0], split)
	var p plan
	p.norm(n, wide, x, newGroups(split, from(2, len(split)), true), normalisation{epsilon: n.floatAttr("epsilon", 1e-5), center: true})
	if n.m.opset < 21 {
		p.scaleShift(n, n.out[0], wide, 1, 2, perChannelOf(len(split)))
		return p.done()
	}
	y := temp(n, n.out[0], x.shape)
	p.step(y, wide)(layer.NewReshape(product(x.shape)))
	p.scaleShift(n, n.out[0], y, 1, 2, perChannelOf(len(x.shape)))
	return p.done()
}

// meanVarianceAdded is what the operator adds to the standard deviation. The
// square root of its square plus the variance is the same where the variance
// is 0.
const meanVarianceAdded = 1e-9

// meanVarianceRule normalises over the axes, by default all but that of the
// channels. Before opset 13 there were two spellings of the default.
func meanVarianceRule(n *node) (plan, error) {
	x, err := n.data()
	if err != nil {
		return plan{}, err
	}
	list, ok := n.intsAttr("axes")
	if !ok {
		list = []int64{0, 2, 3}
	}
	axes, err := axesOf(list, len(x.shape))
	if err != nil {
		return plan{}, err
	}
	var p plan
	p.norm(n, n.out[0], x, newGroups(x.shape, axes, true), normalisation{epsilon: meanVarianceAdded * meanVarianceAdded, added: meanVarianceAdded, center: true})
	return p.done()
}

// lpEpsilon makes a vector of zeros one of zeros; beside numbers above 1e-10 it
// is less than rounding.
const lpEpsilon = 1e-40

// lpNormRule divides by the norm along an axis: the Euclidean one, which is
// root mean square normalisation over sqrt(n), or the sum of absolute values.
func lpNormRule(n *node) (plan, error) {
	x, err := n.data()
	if err != nil {
		return plan{}, err
	}
	axis, err := axisOf(n.intAttr("axis", -1), len(x.shape))
	if err != nil {
		return plan{}, err
	}
	g := newGroups(x.shape, []int{axis}, true)
	var p plan
	switch order := n.intAttr("p", 2); order {
	case 2:
		y := temp(n, n.out[0], x.shape)
		p.norm(n, y, x, g, normalisation{epsilon: lpEpsilon})
		p.step(n.out[0], y)(layer.NewScale([]float64{1 / math.Sqrt(float64(g.size))}, nil, product(x.shape)))
	case 1:
		abs, sums, inverse := temp(n, x, x.shape), temp(n, x, g.out), temp(n, x, g.out)
		p.activation(abs, x, activation.Abs())
		sumGroups(&p, n, sums, abs, g)
		p.activation(inverse, sums, activation.Reciprocal())
		p.multiply(n, n.out[0], x, inverse, x.shape, g.out)
	default:
		return plan{}, fmt.Errorf("divides by the %d-norm; 1 and 2 are supported", order)
	}
	return p.done()
}

// lrnRule is local response normalisation (Krizhevsky, Sutskever and Hinton
// 2012) over a window of size channels:
//
//	y = x (bias + alpha/size sum_window x^2)^(-beta)
func lrnRule(n *node) (plan, error) {
	x, err := n.data()
	if err != nil {
		return plan{}, err
	}
	if len(x.shape) < 2 {
		return plan{}, fmt.Errorf("a tensor of shape %v has no channels", x.shape)
	}
	size := n.intAttr("size", 0)
	channels := x.shape[1]
	if size < 1 || size > math.MaxInt32 {
		return plan{}, errors.New("the size of its window is missing or out of range")
	}
	before := int((size - 1) / 2)
	after := int(size) - 1 - before
	if err := n.m.limits.take(channels * min(int(size), channels)); err != nil {
		return plan{}, err
	}
	start, index := []int{0}, []int{}
	for c := range channels {
		for k := max(0, c-before); k <= min(channels-1, c+after); k++ {
			index = append(index, k)
		}
		start = append(start, len(index))
	}
	weight := slices.Repeat([]float64{n.floatAttr("alpha", 1e-4) / float64(size)}, len(index))
	bias := slices.Repeat([]float64{n.floatAttr("bias", 1)}, channels)
	squares, sums, factor := temp(n, x, x.shape), temp(n, x, x.shape), temp(n, x, x.shape)
	var p plan
	p.activation(squares, x, activation.Square())
	p.step(sums, squares)(layer.NewSparse(start, index, weight, bias, channels, x.shape[0], product(x.shape[2:])))
	p.activation(factor, sums, activation.Power(-n.floatAttr("beta", 0.75)))
	p.multiply(n, n.out[0], x, factor, x.shape, x.shape)
	return p.done()
}
