package onnx

import (
	"errors"
	"fmt"
	"slices"
)

// imageOps take elements to other places: padding, resizing and reordering of
// images.
var imageOps = map[string]op{
	"DepthToSpace": move(6, "select", depthToSpace),
	"Pad":          {since: 6, inputs: 4, kind: "sparse", fold: foldLinear, shape: padShape, rule: padRule},
	"Resize":       {since: 10, inputs: 4, kind: "sparse", fold: foldRule, shape: resizeShape, rule: resizeRule},
	"SpaceToDepth": move(6, "select", spaceToDepth),
	"Upsample":     {since: 6, inputs: 2, kind: "sparse", fold: foldRule, shape: resizeShape, rule: resizeRule},
}

// fromAxes lists the elements of a tensor of shape x whose position along
// every axis a is one of from[a], row by row; -1 where a position is.
func fromAxes(n *node, x []int, from [][]int) ([]int, error) {
	index, shape := []int{0}, []int{}
	for a, list := range from {
		shape = append(shape, len(list))
		size, err := n.m.limits.size(shape)
		if err == nil {
			err = n.m.limits.take(size)
		}
		if err != nil {
			return nil, err
		}
		next := make([]int, 0, size)
		for _, i := range index {
			for _, q := range list {
				if i < 0 || q < 0 {
					next = append(next, -1)
				} else {
					next = append(next, i*x[a]+q)
				}
			}
		}
		index = next
	}
	return index, nil
}

// pad is how many elements are added before and after each axis; negative
// numbers are removed.
type pad struct {
	before, after []int
	shape         []int // of the result
	mode          string
}

// parsePad reads a Pad; from opset 11 on the numbers are an input, from 18 on
// for some axes only.
func parsePad(n *node) (p pad, err error) {
	x, err := n.data()
	if err != nil {
		return p, err
	}
	rank := len(x.shape)
	list, ok, err := n.ints("pads", 1, 11)
	if err == nil && !ok {
		err = errors.New("has no pads")
	}
	if err != nil {
		return p, err
	}
	pads, err := toInts(list)
	if err != nil {
		return p, fmt.Errorf("the list of pads %w", err)
	}
	axes, err := n.listedAxes(3, rank)
	if err != nil {
		return p, err
	}
	if len(pads) != 2*len(axes) {
		return p, fmt.Errorf("has %d pads for %d axes", len(pads), len(axes))
	}
	p = pad{before: make([]int, rank), after: make([]int, rank), shape: slices.Clone(x.shape), mode: n.stringAttr("mode", "constant")}
	for i, a := range axes {
		p.before[a], p.after[a] = pads[i], pads[len(axes)+i]
		if p.shape[a] += p.before[a] + p.after[a]; p.shape[a] < 0 {
			return p, fmt.Errorf("the pads %d and %d remove more than there is of an axis of size %d", p.before[a], p.after[a], x.shape[a])
		}
	}
	switch p.mode {
	case "constant", "edge", "reflect":
	case "wrap":
		if n.m.opset < 19 {
			return p, fmt.Errorf("the mode \"wrap\" exists from opset 19 on, but the model uses %d", n.m.opset)
		}
	default:
		return p, fmt.Errorf("the mode %q is not known", p.mode)
	}
	p.shape = concat(p.shape)
	return p, nil
}

// listedAxes returns the axes that input i lists, in the order of the list; if
// there is none, all of rank.
func (n *node) listedAxes(i, rank int) ([]int, error) {
	if n.input(i) == nil {
		return iota(rank), nil
	}
	t, err := n.con(i)
	if err != nil {
		return nil, err
	}
	list, err := t.integers()
	if err != nil {
		return nil, err
	}
	return orderedAxes(list, rank)
}

// orderedAxes is axesOf in the order of the list.
func orderedAxes(list []int64, rank int) ([]int, error) {
	if _, err := axesOf(list, rank); err != nil {
		return nil, err
	}
	axes := make([]int, len(list))
	for i, a := range list {
		axes[i], _ = axisOf(a, rank)
	}
	return axes, nil
}

func padShape(n *node) ([][]int, error) {
	p, err := parsePad(n)
	if err != nil {
		return nil, err
	}
	_, err = n.m.limits.size(p.shape)
	return [][]int{p.shape}, err
}

func padRule(n *node) (plan, error) {
	p, err := parsePad(n)
	if err != nil {
		return plan{}, err
	}
	fill := []float64{0}
	if p.mode == "constant" {
		if fill[0], err = n.fillValue(); err != nil {
			return plan{}, err
		}
	}
	x := n.in[0].shape
	from := make([][]int, len(x))
	for a, d := range x {
		if err := n.m.limits.take(p.shape[a]); err != nil {
			return plan{}, err
		}
		if from[a], err = p.source(a, d); err != nil {
			return plan{}, err
		}
	}
	index, err := fromAxes(n, x, from)
	if err != nil {
		return plan{}, err
	}
	var steps plan
	steps.placed(n, n.out[0], n.in[0], index, fill)
	return steps.done()
}

// fillValue is the constant that a Pad fills with.
func (n *node) fillValue() (float64, error) {
	switch {
	case n.m.opset < 11:
		return n.floatAttr("value", 0), nil
	case n.input(2) == nil:
		return 0, nil
	}
	return n.scalar(2)
}

// source lists which position each one of the result comes from along an axis
// of size d, -1 for none. What is removed is not there to be repeated.
func (p pad) source(axis, d int) ([]int, error) {
	before, after := p.before[axis], p.after[axis]
	first := max(-before, 0)
	size := d - first - max(-after, 0) // of what is left
	if size < 1 && p.shape[axis] > 0 && p.mode != "constant" {
		return nil, fmt.Errorf("the mode %q has nothing to repeat of an axis of size %d", p.mode, d)
	}
	from := make([]int, p.shape[axis])
	for i := range from {
		q := i - max(before, 0)
		switch {
		case q >= 0 && q < size:
		case p.mode == "constant":
			from[i] = -1
			continue
		case p.mode == "edge":
			q = min(max(q, 0), size-1)
		case p.mode == "wrap":
			q = modulo(q, size)
		default: // reflected at the ends, which are not repeated
			period := max(2*(size-1), 1)
			if q = modulo(q, period); q >= size {
				q = period - q
			}
		}
		from[i] = first + q
	}
	return from, nil
}

// modulo returns the remainder of a/b in [0, b).
func modulo(a, b int) int { return ((a % b) + b) % b }

// imageBlocks returns the attribute blocksize and the shape of an image.
func imageBlocks(n *node) (b, batch, c, h, w int, err error) {
	x := n.in[0].shape
	if len(x) != 4 {
		return 0, 0, 0, 0, 0, fmt.Errorf("a tensor of shape %v is not (batch, channels, height, width)", x)
	}
	size := n.intAttr("blocksize", 0)
	if size < 1 || size > 1<<15 {
		return 0, 0, 0, 0, 0, fmt.Errorf("the attribute \"blocksize\" is %d", size)
	}
	return int(size), x[0], x[1], x[2], x[3], nil
}

// depthToSpace spreads b^2 channels over blocks of b x b: neighbouring
// channels belong to one block in the mode CRD, channels c/b^2 apart in DCR.
func depthToSpace(n *node) ([]view, error) {
	b, batch, c, h, w, err := imageBlocks(n)
	if err != nil {
		return nil, err
	}
	if c%(b*b) != 0 {
		return nil, fmt.Errorf("%d channels cannot be spread over blocks of %d x %d", c, b, b)
	}
	c /= b * b
	var s []int // of batch, channel, row, row in the block, column, column in the block
	switch mode := n.stringAttr("mode", "DCR"); mode {
	case "DCR": // of (batch, b, b, c, h, w)
		t := strides([]int{batch, b, b, c, h, w})
		s = []int{t[0], t[3], t[4], t[1], t[5], t[2]}
	case "CRD": // of (batch, c, b, b, h, w)
		t := strides([]int{batch, c, b, b, h, w})
		s = []int{t[0], t[1], t[4], t[2], t[5], t[3]}
	default:
		return nil, fmt.Errorf("the mode %q is not known", mode)
	}
	index := func() []int { return walk([]int{batch, c, h, b, w, b}, 0, s) }
	return []view{{[]int{batch, c, h * b, w * b}, index}}, nil
}

// spaceToDepth makes channels of the places in blocks of b x b: the channels
// of one place are neighbours in the mode DCR, the places of one channel in CRD.
func spaceToDepth(n *node) ([]view, error) {
	b, batch, c, h, w, err := imageBlocks(n)
	if err != nil {
		return nil, err
	}
	if h%b != 0 || w%b != 0 {
		return nil, fmt.Errorf("an image of %d x %d cannot be cut into blocks of %d x %d", h, w, b, b)
	}
	h, w = h/b, w/b
	t := strides([]int{batch, c, h, b, w, b})
	dims, s := []int{batch, b, b, c, h, w}, []int{t[0], t[3], t[5], t[1], t[2], t[4]}
	switch mode := n.stringAttr("mode", "DCR"); mode {
	case "DCR":
	case "CRD":
		dims, s = []int{batch, c, b, b, h, w}, []int{t[0], t[1], t[3], t[5], t[2], t[4]}
	default:
		return nil, fmt.Errorf("the mode %q is not known", mode)
	}
	index := func() []int { return walk(dims, 0, s) }
	return []view{{[]int{batch, c * b * b, h, w}, index}}, nil
}
