package onnx

import (
	"fmt"
	"slices"

	"github.com/covprop/covprop/layer"
)

// einsum is a sum of products of tensors whose axes have labels,
//
//	y[out] = sum over all labels not in out of x_1[labels_1] x_2[labels_2] ...
//
// A tensor with the size 1 where a label has another is stretched. A label is
// a letter, or -k for the axis k from the end of those that an ellipsis
// stands for.
type einsum struct {
	terms []term
	out   []int
	size  map[int]int // of every label
}

// term is a tensor with labelled axes: uncertain if it has a value, else a
// constant.
type term struct {
	v      *value
	con    []float64
	labels []int
	shape  []int
}

// stepsOf returns the distance of neighbours of t along each label: 0 where t
// is stretched or has no such axis. A label that repeats walks a diagonal.
func (t term) stepsOf(labels []int) []int {
	s, step := strides(t.shape), make([]int, len(labels))
	for a, l := range t.labels {
		if i := slices.Index(labels, l); i >= 0 && t.shape[a] > 1 {
			step[i] += s[a]
		}
	}
	return step
}

// add gives t's axes to the sizes of the labels.
func (e *einsum) add(t term) error {
	for a, l := range t.labels {
		d, ok := e.size[l]
		switch {
		case !ok || d == 1:
			e.size[l] = t.shape[a]
		case t.shape[a] != d && t.shape[a] != 1:
			return fmt.Errorf("an axis of size %d meets one of size %d in the equation", t.shape[a], d)
		}
	}
	e.terms = append(e.terms, t)
	return nil
}

func (e *einsum) sizes(labels []int) []int {
	shape := make([]int, len(labels))
	for i, l := range labels {
		shape[i] = e.size[l]
	}
	return shape
}

// split separates the uncertain terms from the constants and multiplies these:
// the result, w, has only labels that are needed beside it.
func (e *einsum) split(n *node) (uncertain []term, w term, err error) {
	w.con = []float64{1}
	var constants []term
	for i, t := range e.terms {
		if !t.v.isConst() {
			uncertain = append(uncertain, t)
			continue
		}
		c, err := n.con(i)
		if err != nil {
			return nil, w, err
		}
		if !c.dtype.isFloat() {
			return nil, w, fmt.Errorf("of %v constants is not supported", c.dtype)
		}
		if t.con, err = c.finite(); err != nil {
			return nil, w, err
		}
		constants = append(constants, t)
	}
	for i, c := range constants {
		later := slices.Concat(constants[i+1:], uncertain)
		if w, err = e.multiply(n, w, c, e.needed(later, w, c)); err != nil {
			return nil, w, err
		}
	}
	return uncertain, w, nil
}

// needed returns the labels of the terms ts that the output or the terms later
// have, in the order of first use.
func (e *einsum) needed(later []term, ts ...term) []int {
	labels := []int{}
	for _, t := range ts {
		for _, l := range t.labels {
			has := func(u term) bool { return slices.Contains(u.labels, l) }
			if !slices.Contains(labels, l) && (slices.Contains(e.out, l) || slices.ContainsFunc(later, has)) {
				labels = append(labels, l)
			}
		}
	}
	return labels
}

// summed returns the labels of the terms that are not among those of to.
func summed(to []int, ts ...term) []int {
	labels := []int{}
	for _, t := range ts {
		for _, l := range t.labels {
			if !slices.Contains(to, l) && !slices.Contains(labels, l) {
				labels = append(labels, l)
			}
		}
	}
	return labels
}

// multiply returns the product of two constants, summed over all labels that
// are not in to.
func (e *einsum) multiply(n *node, a, b term, to []int) (term, error) {
	labels := append(slices.Clone(to), summed(to, a, b)...)
	shape, dims := e.sizes(to), e.sizes(labels)
	size, err := n.m.limits.size(shape)
	if err == nil {
		err = n.m.limits.take(size)
	}
	if err == nil {
		err = n.m.limits.spend(dims...)
	}
	if err != nil {
		return term{}, err
	}
	out := term{con: make([]float64, size), labels: to, shape: shape}
	if product(dims) == 0 {
		return out, nil
	}
	sa, sb, so := a.stepsOf(labels), b.stepsOf(labels), out.stepsOf(labels)
	at := make([]int, len(labels))
	for i, j, k := 0, 0, 0; ; {
		out.con[k] += a.con[i] * b.con[j]
		l := len(labels) - 1
		for ; l >= 0; l-- {
			at[l]++
			i, j, k = i+sa[l], j+sb[l], k+so[l]
			if at[l] < dims[l] {
				break
			}
			i, j, k = i-at[l]*sa[l], j-at[l]*sb[l], k-at[l]*so[l]
			at[l] = 0
		}
		if l < 0 {
			return out, nil
		}
	}
}

func foldEinsum(n *node) ([]*tensor, error) {
	e, err := parseEinsum(n)
	if err != nil {
		return nil, err
	}
	_, w, err := e.split(n)
	if err != nil {
		return nil, err
	}
	if w, err = e.multiply(n, w, term{con: []float64{1}}, e.out); err != nil {
		return nil, err
	}
	t := newTensor(n, n.in[0].dtype, w.shape, 0)
	t.floats = w.con
	return []*tensor{t}, nil
}

func einsumRule(n *node) (plan, error) {
	e, err := parseEinsum(n)
	if err != nil {
		return plan{}, err
	}
	return e.rule(n)
}

// rule multiplies the uncertain terms pair by pair, the constants with the
// last of them.
func (e *einsum) rule(n *node) (plan, error) {
	var p plan
	x, w, err := e.split(n)
	if err != nil {
		return plan{}, err
	}
	a := x[0]
	for i := 1; i < len(x) && p.err == nil; i++ {
		b, later, to := x[i], x[i+1:], e.out
		switch last := len(later) == 0; {
		case !last:
			to = e.needed(append(slices.Clone(later), w), a, b)
		case len(w.labels) > 0 || w.con[0] != 1:
			labels := e.needed([]term{a}, b, w)
			b = e.linear(&p, n, nil, b, w, labels)
		}
		var out *value
		if len(later) == 0 {
			out = n.out[0]
		}
		a = e.pair(&p, n, out, a, b, to)
	}
	if len(x) == 1 {
		e.linear(&p, n, n.out[0], a, w, e.out)
	}
	return p.done()
}

// linear appends y[to] = sum w x over the other labels, to out or, if that is
// nil, to a new value, and returns it. w may be the constant 1.
func (e *einsum) linear(p *plan, n *node, out *value, x, w term, to []int) term {
	y := term{v: out, labels: to, shape: e.sizes(to)}
	over := summed(to, x, w)
	one := len(w.labels) == 0 && w.con[0] == 1
	if one && len(over) == 0 && slices.Equal(x.labels, to) && slices.Equal(x.shape, y.shape) {
		if out == nil {
			return x
		}
		p.step(out, x.v)(layer.NewReshape(product(x.shape)))
		return y
	}
	if out == nil {
		y.v = temp(n, x.v, y.shape)
	}
	if _, err := n.m.limits.size(y.shape); err != nil {
		p.fail(err)
		return y
	}
	if one && len(over) == 0 {
		if p.fail(n.m.limits.take(product(y.shape))); p.err == nil {
			p.step(y.v, x.v)(layer.NewSelect(walk(y.shape, 0, x.stepsOf(to)), product(x.shape)))
		}
		return y
	}
	p.fail(e.weighted(p, n, y, x, w, over))
	return y
}

// weighted appends y = sum w x over the labels over. The labels that lead or
// trail both x and y, and that w does not have, are the outer and inner axes of
// the map; it is affine if the rest of x is summed over, else sparse.
func (e *einsum) weighted(p *plan, n *node, y, x, w term, over []int) error {
	lead, trail := e.shared(x, w, y.labels)
	rows, last := y.labels[lead:len(y.labels)-trail], len(x.labels)-trail
	core := term{labels: x.labels[lead:last], shape: x.shape[lead:last]}
	outer, inner := product(x.shape[:lead]), product(x.shape[last:])
	dense := slices.Equal(summed(rows, core), core.labels) && len(core.labels) == len(over) && slices.Equal(core.shape, e.sizes(core.labels))
	if dense {
		over = core.labels
	}
	labels := slices.Concat(rows, over)
	dims, count, each := e.sizes(labels), product(e.sizes(rows)), product(e.sizes(over))
	entries, err := n.m.limits.size(dims)
	if err == nil {
		err = n.m.limits.take(4*entries + count)
	}
	if err != nil {
		return err
	}
	weight := pick(w.con, walk(dims, 0, w.stepsOf(labels)))
	if dense {
		p.step(y.v, x.v)(layer.NewAffine(weight, nil, count, each, outer, inner))
		return nil
	}
	start := make([]int, count+1)
	for r := range count {
		start[r+1] = start[r] + each
	}
	p.step(y.v, x.v)(layer.NewSparse(start, walk(dims, 0, core.stepsOf(labels)), weight, nil, product(core.shape), outer, inner))
	return nil
}

// shared counts the labels that lead and those that trail both x and to, that
// occur once in x, where it is not stretched, and that w does not have.
func (e *einsum) shared(x, w term, to []int) (lead, trail int) {
	same := func(i, j int) bool {
		l := x.labels[i]
		return l == to[j] && !slices.Contains(w.labels, l) && x.shape[i] == e.size[l] &&
			slices.Index(x.labels, l) == i && !slices.Contains(x.labels[i+1:], l)
	}
	most := min(len(to), len(x.labels))
	for lead < most && same(lead, lead) {
		lead++
	}
	for lead+trail < most && same(len(x.labels)-1-trail, len(to)-1-trail) {
		trail++
	}
	return lead, trail
}

// pair appends y[to] = sum a b over the other labels, as a product of
// matrices: rows are the labels that a has alone, columns those that b has
// alone, and those that both have are summed over or number the matrices.
func (e *einsum) pair(p *plan, n *node, out *value, a, b term, to []int) term {
	var batch, rows, cols, inner []int
	for _, l := range e.needed([]term{b, {labels: to}}, a) {
		switch inB, kept := slices.Contains(b.labels, l), slices.Contains(to, l); {
		case inB && kept:
			batch = append(batch, l)
		case inB:
			inner = append(inner, l)
		case kept:
			rows = append(rows, l)
		}
	}
	for _, l := range to {
		if !slices.Contains(a.labels, l) {
			cols = append(cols, l)
		}
	}
	one := term{con: []float64{1}}
	a = e.linear(p, n, nil, a, one, slices.Concat(batch, rows, inner))
	b = e.linear(p, n, nil, b, one, slices.Concat(batch, inner, cols))
	labels := slices.Concat(batch, rows, cols)
	y := term{v: out, labels: labels, shape: e.sizes(labels)}
	if out == nil || !slices.Equal(labels, to) {
		if _, err := n.m.limits.size(y.shape); err != nil {
			p.fail(err)
			return y
		}
		y.v = temp(n, a.v, y.shape)
	}
	count := func(labels []int) int { return product(e.sizes(labels)) }
	if len(rows)+len(cols)+len(inner) == 0 {
		p.step(y.v, a.v, b.v)(layer.NewProduct(count(batch)))
	} else {
		p.step(y.v, a.v, b.v)(layer.NewMatProduct(count(batch), count(rows), count(inner), count(cols)))
	}
	if slices.Equal(labels, to) {
		return y
	}
	return e.linear(p, n, out, y, one, to)
}
