package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/covprop/covprop/layer"
)

// attentionOps are attention and its parts.
var attentionOps = map[string]op{
	"Attention": {since: 23, inputs: 7, kind: "softmax", fold: foldAttention, shape: attentionShape, rule: attentionRule},
}

func attentionShape(n *node) ([][]int, error) {
	a, err := parseAttention(n)
	if err != nil {
		return nil, err
	}
	y := []int{a.batch, a.hq, a.queries, a.vsize}
	if a.packed {
		y = []int{a.batch, a.queries, a.hq * a.vsize}
	}
	// What depends on constants only is a constant, such as the present values.
	_, outs := a.expand(n)
	for i, v := range outs {
		if i < len(n.out) && v != nil && v.con != nil {
			n.out[i].con, n.out[i].shape, n.out[i].dtype = v.con, v.shape, v.dtype
		}
	}
	return [][]int{
		y, {a.batch, a.hk, a.total(), a.size}, {a.batch, a.hk, a.total(), a.vsize}, {a.batch, a.hq, a.queries, a.total()},
	}, nil
}

func attentionRule(n *node) (plan, error) {
	a, err := parseAttention(n)
	if err != nil {
		return plan{}, err
	}
	p, outs := a.expand(n)
	for i, v := range outs {
		if i < len(n.out) && v != nil && v.con == nil && n.out[i].used() && p.err == nil {
			p.step(n.out[i], v)(layer.NewReshape(product(v.shape)))
		}
	}
	return p.done()
}

func foldAttention(n *node) ([]*tensor, error) {
	a, err := parseAttention(n)
	if err != nil {
		return nil, err
	}
	p, outs := a.expand(n)
	if p.err != nil {
		return nil, p.err
	}
	ts := make([]*tensor, len(outs))
	for i, v := range outs[:min(len(outs), len(n.out))] {
		if v == nil {
			return nil, fmt.Errorf("its output %d is not finite", i)
		}
		ts[i] = v.con
	}
	return ts, nil
}

// expand writes attention as nodes and returns its outputs. Axes are named b
// for the batch, g and r for the groups of heads and those of a group, q and k
// for queries and keys, d and e for the sizes of heads. The fourth output is
// nil where it is not finite.
func (a *attention) expand(n *node) (plan, [4]*value) {
	e := &expansion{n: n}
	per := a.hq / a.hk
	var q, k, v *value
	inQ, inK, inV, out := "bgrqd", "bgkd", "bgke", "bgrqe"
	if a.packed {
		inQ, out = "bqgrd", "bqgre"
		q = e.reshape(n.in[0], []int{a.batch, a.queries, a.hk, per, a.size})
		k = e.reshape(n.in[1], []int{a.batch, a.keys, a.hk, a.size})
		v = e.reshape(n.in[2], []int{a.batch, a.keys, a.hk, a.vsize})
		k = e.node("Transpose", moveOps["Transpose"], map[string]any{"perm": []int64{0, 2, 1, 3}}, k)
		v = e.node("Transpose", moveOps["Transpose"], map[string]any{"perm": []int64{0, 2, 1, 3}}, v)
	} else {
		q = e.reshape(n.in[0], []int{a.batch, a.hk, per, a.queries, a.size})
		k, v = n.in[1], n.in[2]
	}
	if a.past > 0 {
		k = e.node("Concat", joinOps["Concat"], map[string]any{"axis": int64(2)}, n.in[4], k)
		v = e.node("Concat", joinOps["Concat"], map[string]any{"axis": int64(2)}, n.in[5], v)
	}
	scores := e.scale(e.einsum(inQ+","+inK+"->bgrqk", q, k), a.scale)
	stages := [4]*value{scores}
	if a.softcap > 0 {
		scores = e.scale(scores, 1/a.softcap)
		scores = e.scale(e.node("Tanh", activationOps["Tanh"], nil, scores), a.softcap)
	}
	stages[1] = scores
	if a.finiteBias {
		scores = e.node("Add", arithmeticOps["Add"], nil, scores, e.constant([]int{a.batch, a.hk, per, a.queries, a.total()}, a.finite()))
	}
	if a.mask != nil {
		scores = e.node("Add", arithmeticOps["Add"], nil, scores, e.reshape(a.mask, a.maskShape))
	}
	if !a.minusInf {
		stages[2] = scores
	}
	stages[3] = a.softmax(e, scores)
	y := e.einsum("bgrqk,"+inV+"->"+out, stages[3], v)
	heads := []int{a.batch, a.hq, a.queries}
	qk := stages[a.mode]
	if qk != nil {
		qk = e.reshape(qk, concat(heads, []int{a.total()}))
	} else if len(n.out) > 3 && n.out[3].used() {
		e.p.fail(errors.New("the scores with the mask, its output 3, are not finite"))
	}
	if a.packed {
		y = e.reshape(y, []int{a.batch, a.queries, a.hq * a.vsize})
	} else {
		y = e.reshape(y, concat(heads, []int{a.vsize}))
	}
	return e.p, [4]*value{y, k, v, qk}
}

// finite is the bias with 0 for -Inf.
func (a *attention) finite() []float64 {
	x := slices.Clone(a.bias)
	for i, v := range x {
		if isMinusInf(v) {
			x[i] = 0
		}
	}
	return x
}

// softmax normalises each row of the scores over the keys that are not masked;
// the others get 0, and so does a row without any.
func (a *attention) softmax(e *expansion, scores *value) *value {
	total := a.total()
	if e.p.err != nil {
		return scores
	}
	if !a.minusInf {
		return e.node("Softmax", softmaxOps["Softmax"], nil, scores)
	}
	e.p.fail(e.n.m.limits.take(4 * len(a.bias)))
	index, fill := make([]int, len(a.bias)), make([]float64, len(a.bias))
	rows := map[int][]int{} // by number of keys seen: the elements, row by row
	for first := 0; first < len(a.bias); first += total {
		var seen []int
		for i := first; i < first+total; i++ {
			if index[i] = -1; !isMinusInf(a.bias[i]) {
				seen = append(seen, i)
			}
		}
		if len(seen) == 1 {
			fill[seen[0]] = 1
		} else {
			rows[len(seen)] = append(rows[len(seen)], seen...)
		}
	}
	var parts []*value
	made := 0
	for size := 2; size <= total; size++ {
		if rows[size] == nil {
			continue
		}
		x := e.pick(scores, rows[size], []int{len(rows[size]) / size, size})
		parts = append(parts, e.reshape(e.node("Softmax", softmaxOps["Softmax"], nil, x), []int{len(rows[size])}))
		for _, i := range rows[size] {
			index[i] = made
			made++
		}
	}
	if len(parts) == 0 {
		return e.constant(scores.shape, fill)
	}
	joined := parts[0]
	if len(parts) > 1 {
		joined = e.node("Concat", joinOps["Concat"], map[string]any{"axis": int64(0)}, parts...)
	}
	out := temp(e.n, scores, scores.shape)
	if joined.con == nil {
		e.p.placed(e.n, out, joined, index, fill)
		return out
	}
	for i, k := range index {
		if k >= 0 {
			fill[i] = joined.con.floats[k]
		}
	}
	return e.constant(scores.shape, fill)
}

// pick returns the listed elements of v.
func (e *expansion) pick(v *value, index, shape []int) *value {
	if v.con != nil {
		return e.constant(shape, pick(v.con.floats, index))
	}
	out := temp(e.n, v, shape)
	e.p.step(out, v)(layer.NewSelect(index, product(v.shape)))
	return out
}
