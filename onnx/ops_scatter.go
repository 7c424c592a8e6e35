package onnx

import (
	"fmt"
	"slices"

	"github.com/covprop/covprop/layer"
)

// gatherElements takes, for every element of the indices, the one in its place
// but for the position on an axis.
func gatherElements(n *node) ([]view, error) {
	shape, at, err := elements(n, n.in[0].shape)
	if err != nil {
		return nil, err
	}
	return []view{{shape, func() []int { return at }}}, nil
}

// elements returns the shape of the indices, input 1, and the element of a
// tensor of shape x that each means: it is in the same place but for the
// position on an axis, which is the index.
func elements(n *node, x []int) (shape, at []int, err error) {
	axis, err := axisOf(n.intAttr("axis", 0), len(x))
	if err != nil {
		return nil, nil, err
	}
	t, err := n.con(1)
	if err != nil {
		return nil, nil, err
	}
	list, err := t.integers()
	if err != nil {
		return nil, nil, err
	}
	if len(t.shape) != len(x) {
		return nil, nil, fmt.Errorf("indices of shape %v do not fit a tensor of shape %v", t.shape, x)
	}
	for a, d := range t.shape {
		if a != axis && d > x[a] {
			return nil, nil, fmt.Errorf("indices of shape %v do not fit a tensor of shape %v", t.shape, x)
		}
	}
	if err := n.m.limits.take(len(list)); err != nil {
		return nil, nil, err
	}
	step := strides(x)
	along := step[axis]
	step[axis] = 0
	at = walk(t.shape, 0, step)
	for i, k := range list {
		k, err := position(k, x[axis])
		if err != nil {
			return nil, nil, err
		}
		at[i] += k * along
	}
	return t.shape, at, nil
}

// position is axisOf for a place on an axis of size d.
func position(k int64, d int) (int, error) {
	at, err := axisOf(k, d)
	if err != nil {
		return 0, fmt.Errorf("the position %d does not exist on an axis of size %d", k, d)
	}
	return at, nil
}

// gatherND takes the blocks that the last axis of the indices points to.
func gatherND(n *node) ([]view, error) {
	batch := max(min(n.intAttr("batch_dims", 0), maxRank), -1) // beyond which it is refused
	shape, at, err := pointed(n, n.in[0].shape, int(batch))
	if err != nil {
		return nil, err
	}
	return []view{{shape, func() []int { return at }}}, nil
}

// pointed returns the elements of a tensor of shape x that the indices, input
// 1, mean. Their last axis is a position on each of the first axes of x after
// the batch ones, which x and the indices share; the axes that are left come
// whole.
func pointed(n *node, x []int, batch int) (shape, at []int, err error) {
	t, err := n.con(1)
	if err != nil {
		return nil, nil, err
	}
	list, err := t.integers()
	if err != nil {
		return nil, nil, err
	}
	rank := len(t.shape) - 1
	if batch < 0 || rank < batch || len(x) <= batch || !slices.Equal(x[:batch], t.shape[:batch]) ||
		t.shape[rank] < 1 || t.shape[rank] > len(x)-batch {
		return nil, nil, fmt.Errorf("indices of shape %v do not fit a tensor of shape %v (batch_dims %d)", t.shape, x, batch)
	}
	depth := t.shape[rank]
	step, inner := strides(x), x[batch+depth:]
	shape = concat(t.shape[:rank], inner)
	size, err := n.m.limits.size(shape)
	if err == nil {
		err = n.m.limits.take(size + len(list))
	}
	if err != nil {
		return nil, nil, err
	}
	each := product(t.shape[batch:rank]) // of every batch element
	block := product(inner)
	at = make([]int, 0, size)
	for i := range len(list) / depth {
		first := i / max(each, 1) * product(x[batch:])
		for a, k := range list[i*depth:][:depth] {
			k, err := position(k, x[batch+a])
			if err != nil {
				return nil, nil, err
			}
			first += k * step[batch+a]
		}
		for j := range block {
			at = append(at, first+j)
		}
	}
	return shape, at, nil
}

func scatterElements(n *node) (shape, at []int, err error) { return elements(n, n.in[0].shape) }
func scatterND(n *node) (shape, at []int, err error)       { return pointed(n, n.in[0].shape, 0) }

// scatterRule is the first input with the elements at replaced by, or added
// to, those of the third: of several, the last one counts.
func scatterRule(targets func(n *node) (shape, at []int, err error)) func(*node) (plan, error) {
	return func(n *node) (plan, error) {
		if n.input(2) == nil {
			return plan{}, fmt.Errorf("input 2 is missing")
		}
		shape, at, err := targets(n)
		if err != nil {
			return plan{}, err
		}
		data, updates := n.in[0], n.in[2]
		if !slices.Equal(shape, updates.shape) {
			return plan{}, fmt.Errorf("updates of shape %v do not fit indices for %v", updates.shape, shape)
		}
		reduction := n.stringAttr("reduction", "none")
		if reduction != "none" && reduction != "add" {
			return plan{}, fmt.Errorf("the reduction %q is not supported", reduction)
		}
		if err := n.m.limits.take(4*len(at) + 4*product(data.shape)); err != nil {
			return plan{}, err
		}
		var p plan
		keep := iota(product(data.shape))
		if reduction == "none" {
			from := slices.Repeat([]int{-1}, len(keep)) // the update that counts
			for j, k := range at {
				keep[k], from[k] = -1, j
			}
			p.merge(n, n.out[0], 0, 2, keep, from)
			return p.done()
		}
		p.scatterAdd(n, at)
		return p.done()
	}
}

// merge appends the elements ia of input a and, where they are -1, the
// elements ib of input b. Either input may be constant.
func (p *plan) merge(n *node, out *value, a, b int, ia, ib []int) {
	x, y := n.in[a], n.in[b]
	switch {
	case y.isConst():
		p.placed(n, out, x, ia, p.picked(n, b, ib))
	case x.isConst():
		p.placed(n, out, y, ib, p.picked(n, a, ia))
	default:
		u, v := temp(n, x, out.shape), temp(n, y, out.shape)
		p.placed(n, u, x, ia, nil)
		p.placed(n, v, y, ib, nil)
		p.step(out, u, v)(layer.NewSum([]float64{1, 1}, len(ia)))
	}
}

// picked returns the elements index of the constant input i, 0 for -1.
func (p *plan) picked(n *node, i int, index []int) []float64 {
	x, err := n.finite(i)
	if err == nil {
		err = n.m.limits.take(len(index))
	}
	if err != nil {
		p.fail(err)
		return nil
	}
	y := make([]float64, len(index))
	for j, k := range index {
		if k >= 0 {
			y[j] = x[k]
		}
	}
	return y
}

// scatterAdd appends input 0 with the elements of input 2 added at the places
// at.
func (p *plan) scatterAdd(n *node, at []int) {
	data, updates, out := n.in[0], n.in[2], n.out[0]
	size := product(data.shape)
	if updates.isConst() {
		x, err := n.finite(2)
		if err != nil {
			p.fail(err)
			return
		}
		shift := make([]float64, size)
		for j, k := range at {
			shift[k] += x[j]
		}
		p.step(out, data)(layer.NewScale(nil, shift, size))
		return
	}
	start, index := inRows(at, size)
	ones := slices.Repeat([]float64{1}, len(at))
	if data.isConst() {
		x, err := n.finite(0)
		p.fail(err)
		p.step(out, updates)(layer.NewSparse(start, index, ones, x, len(at), 1, 1))
		return
	}
	added := temp(n, updates, data.shape)
	p.step(added, updates)(layer.NewSparse(start, index, ones, nil, len(at), 1, 1))
	p.step(out, data, added)(layer.NewSum([]float64{1, 1}, size))
}

// inRows lists, row by row of a matrix, the columns j with row[j] = r; those
// of row r start at start[r].
func inRows(row []int, rows int) (start, index []int) {
	start = make([]int, rows+1)
	for _, r := range row {
		start[r+1]++
	}
	for r := range rows {
		start[r+1] += start[r]
	}
	next, index := slices.Clone(start), make([]int, len(row))
	for j, r := range row {
		index[next[r]] = j
		next[r]++
	}
	return start, index
}
