package onnx

import (
	"errors"
	"fmt"

	"github.com/covprop/covprop/layer"
)

// rotaryOps are rotary position embeddings.
var rotaryOps = map[string]op{
	"RotaryEmbedding": {since: 23, inputs: 4, kind: "sparse map", fold: foldRule, shape: sameShape, rule: rotaryRule},
}

// rotary is a rotary position embedding (Su et al. 2021). It rotates pairs of
// elements of every head by angles that depend on the position,
//
//	y_1 = cos x_1 - sin x_2,   y_2 = sin x_1 + cos x_2.
//
// The pairs are neighbours if interleaved, else an element of the first half
// and one of the second. Elements from rotated on stay as they are.
type rotary struct {
	packed               bool // x is (batch, length, heads size), else (batch, heads, length, size)
	batch, heads, length int
	size, rotated        int // of a head; rotated is even
	interleaved          bool
	cos, sin             []float64 // (rows, rotated/2)
	row                  []int     // (batch, length): the row of each position
}

func parseRotary(n *node) (r rotary, err error) {
	x, err := n.data()
	if err != nil {
		return r, err
	}
	s, heads := x.shape, n.intAttr("num_heads", 0)
	switch r.packed = len(s) == 3; {
	case len(s) == 4:
		r.batch, r.heads, r.length, r.size = s[0], s[1], s[2], s[3]
	case !r.packed:
		return r, fmt.Errorf("a tensor of shape %v is not of 3 or 4 dimensions", s)
	case heads < 1 || heads > int64(s[2]) || s[2]%int(heads) != 0:
		return r, fmt.Errorf("%d heads do not divide a tensor of shape %v", heads, s)
	default:
		r.heads = int(heads)
		r.batch, r.length, r.size = s[0], s[1], s[2]/r.heads
	}
	r.rotated, r.interleaved = r.size, n.intAttr("interleaved", 0) != 0
	if d := n.intAttr("rotary_embedding_dim", 0); d != 0 {
		if d < 0 || d > int64(r.size) {
			return r, fmt.Errorf("rotates %d elements of heads of %d", d, r.size)
		}
		r.rotated = int(d)
	}
	if r.rotated%2 != 0 {
		return r, fmt.Errorf("rotates %d elements of a head, which are not pairs", r.rotated)
	}
	return r, r.parseAngles(n)
}

// parseAngles reads the cosines and sines: a row for each position, which
// position_ids choose if they are given.
func (r *rotary) parseAngles(n *node) error {
	var err error
	if r.cos, err = n.finite(1); err != nil {
		return err
	}
	if r.sin, err = n.finite(2); err != nil {
		return err
	}
	cos, sin, ids := n.in[1].shape, n.in[2].shape, n.input(3)
	rank := 3
	if ids != nil {
		rank = 2
	}
	if len(cos) != rank || cos[rank-1] != r.rotated/2 || product(sin) != product(cos) || sin[len(sin)-1] != cos[rank-1] {
		return fmt.Errorf("cosines of shape %v and sines of shape %v are not for %d pairs", cos, sin, r.rotated/2)
	}
	if err := n.m.limits.take(r.batch * r.length); err != nil {
		return err
	}
	r.row = iota(r.batch * r.length)
	if ids == nil {
		if cos[0] != r.batch || cos[1] != r.length {
			return fmt.Errorf("cosines of shape %v are not for %d sequences of %d", cos, r.batch, r.length)
		}
		return nil
	}
	t, err := n.con(3)
	if err != nil {
		return err
	}
	list, err := t.integers()
	if err != nil {
		return err
	}
	if len(list) != len(r.row) {
		return errors.New("position_ids are not one for every position")
	}
	for i, k := range list {
		if r.row[i], err = position(k, cos[0]); err != nil {
			return err
		}
	}
	return nil
}

func rotaryRule(n *node) (plan, error) {
	r, err := parseRotary(n)
	if err != nil {
		return plan{}, err
	}
	size := product(n.in[0].shape)
	if err := n.m.limits.take(5 * size); err != nil {
		return plan{}, err
	}
	start, index, weight := make([]int, 1, size+1), make([]int, 0, 2*size), make([]float64, 0, 2*size)
	for i := range size {
		if d := i % r.size; d >= r.rotated {
			index, weight = append(index, i), append(weight, 1)
		} else {
			other, cos, sin := r.turn(i)
			index, weight = append(index, i, other), append(weight, cos, sin)
		}
		start = append(start, len(index))
	}
	var p plan
	p.step(n.out[0], n.in[0])(layer.NewSparse(start, index, weight, nil, size, 1, 1))
	return p.done()
}

// turn returns the other element of the pair that element i belongs to, and
// the weights of both in y_i.
func (r *rotary) turn(i int) (other int, cos, sin float64) {
	d, half := i%r.size, r.rotated/2
	pair, second, apart := d%half, d >= half, half
	if r.interleaved {
		pair, second, apart = d/2, d%2 != 0, 1
	}
	at := i / r.size // (batch, length, heads) or (batch, heads, length)
	if r.packed {
		at /= r.heads
	} else {
		at = at/(r.heads*r.length)*r.length + at%r.length
	}
	k := r.row[at]*half + pair
	if second {
		return i - apart, r.cos[k], r.sin[k]
	}
	return i + apart, r.cos[k], -r.sin[k]
}
