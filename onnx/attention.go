package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// attention is scaled dot-product attention (Vaswani et al. 2017) of hq query
// heads in groups that share one of hk key and value heads,
//
//	Y = softmax(cap(scale Q K') + bias) V,  cap(s) = softcap tanh(s / softcap),
//
// where the bias is the mask: -Inf for keys that a query does not see.
type attention struct {
	packed               bool // inputs are (batch, length, heads size), else (batch, heads, length, size)
	batch, hq, hk        int
	queries, keys, past  int // keys are those of this call; past ones come before
	size, vsize          int // of a head
	scale, softcap       float64
	causal               bool
	left, right          int64 // what a query sees of earlier and later keys; -1 is all
	mode                 int64 // which stage the fourth output is
	bias                 []float64
	mask                 *value // if it is uncertain, and then not part of the bias
	maskShape            []int  // with an axis for groups of heads and one for those of a group
	minusInf, finiteBias bool   // what the bias has
}

func parseAttention(n *node) (a attention, err error) {
	for i := range 3 {
		if n.input(i) == nil {
			return a, errors.New("needs a query, a key and a value")
		}
	}
	q, k, v := n.in[0].shape, n.in[1].shape, n.in[2].shape
	if len(q) != 3 && len(q) != 4 || len(k) != len(q) || len(v) != len(q) {
		return a, fmt.Errorf("the query, key and value of shapes %v, %v and %v are not all of 3 or of 4 dimensions", q, k, v)
	}
	a.packed = len(q) == 3
	if a.packed {
		err = a.parsePacked(n, q, k, v)
	} else {
		err = a.parseSplit(n, q, k, v)
	}
	if err != nil {
		return a, err
	}
	if product(q) == 0 || product(k) == 0 || product(v) == 0 {
		return a, errors.New("attends over an empty tensor")
	}
	if a.hq%a.hk != 0 {
		return a, fmt.Errorf("%d key heads do not divide %d query heads", a.hk, a.hq)
	}
	if err := a.parsePast(n); err != nil {
		return a, err
	}
	a.scale = n.floatAttr("scale", 0)
	if n.attrs["scale"] == nil {
		a.scale = 1 / math.Sqrt(float64(a.size))
	}
	a.softcap, a.causal = n.floatAttr("softcap", 0), n.intAttr("is_causal", 0) != 0
	if a.softcap < 0 || a.scale < 0 {
		return a, fmt.Errorf("scale is %v and softcap %v, but neither may be negative", a.scale, a.softcap)
	}
	a.left, a.right = n.intAttr("left_window_size", -1), n.intAttr("right_window_size", -1)
	if a.left < -1 || a.right < -1 {
		return a, fmt.Errorf("the window from %d to %d has negative sizes other than -1", a.left, a.right)
	}
	if a.mode = n.intAttr("qk_matmul_output_mode", 0); a.mode < 0 || a.mode > 3 {
		return a, fmt.Errorf("qk_matmul_output_mode is %d, not 0 to 3", a.mode)
	}
	return a, a.parseBias(n)
}

func errAttentionShapes(q, k, v []int) error {
	return fmt.Errorf("the query, key and value of shapes %v, %v and %v do not fit together", q, k, v)
}

// parseSplit reads the sizes where the heads have an axis. Their numbers need
// no attributes there.
func (a *attention) parseSplit(n *node, q, k, v []int) error {
	a.batch, a.hq, a.queries, a.size = q[0], q[1], q[2], q[3]
	a.hk, a.keys, a.vsize = k[1], k[2], v[3]
	if k[0] != a.batch || v[0] != a.batch || v[1] != a.hk || v[2] != a.keys || k[3] != a.size {
		return errAttentionShapes(q, k, v)
	}
	hq, hk := n.intAttr("q_num_heads", int64(a.hq)), n.intAttr("kv_num_heads", int64(a.hk))
	if hq != int64(a.hq) || hk != int64(a.hk) {
		return fmt.Errorf("has the attributes of %d query heads and %d key heads, but %d and %d of them", hq, hk, a.hq, a.hk)
	}
	return nil
}

// parsePacked reads the sizes where the heads stand side by side.
func (a *attention) parsePacked(n *node, q, k, v []int) error {
	if n.attrs["q_num_heads"] == nil || n.attrs["kv_num_heads"] == nil {
		return errors.New("needs q_num_heads and kv_num_heads for a query, key and value of 3 dimensions")
	}
	hq, hk := n.intAttr("q_num_heads", 0), n.intAttr("kv_num_heads", 0)
	if hq < 1 || hk < 1 || hq > int64(q[2]) || hk > int64(min(k[2], v[2])) || q[2]%int(hq) != 0 || k[2]%int(hk) != 0 || v[2]%int(hk) != 0 {
		return fmt.Errorf("%d query heads and %d key heads do not divide the shapes %v, %v and %v", hq, hk, q, k, v)
	}
	a.batch, a.queries, a.keys = q[0], q[1], k[1]
	a.hq, a.hk = int(hq), int(hk)
	a.size, a.vsize = q[2]/a.hq, v[2]/a.hk
	if k[0] != a.batch || v[0] != a.batch || v[1] != a.keys || k[2]/a.hk != a.size {
		return errAttentionShapes(q, k, v)
	}
	return nil
}

// parsePast reads how many keys came before.
func (a *attention) parsePast(n *node) error {
	k, v := n.input(4), n.input(5)
	if (k == nil) != (v == nil) {
		return errors.New("has a past key or a past value without the other")
	}
	if k == nil {
		return nil
	}
	if len(k.shape) != 4 || len(v.shape) != 4 || !slices.Equal(k.shape, []int{a.batch, a.hk, k.shape[2], a.size}) ||
		!slices.Equal(v.shape, []int{a.batch, a.hk, k.shape[2], a.vsize}) {
		return fmt.Errorf("the past key and value of shapes %v and %v do not fit the others", k.shape, v.shape)
	}
	a.past = k.shape[2]
	return nil
}

// total is the number of keys with those of the past.
func (a *attention) total() int { return a.past + a.keys }

// parseBias works out the bias, (batch, hq, queries, total).
func (a *attention) parseBias(n *node) error {
	shape := []int{a.batch, a.hq, a.queries, a.total()}
	size, err := n.m.limits.size(shape)
	if err == nil {
		err = n.m.limits.take(2 * size)
	}
	if err != nil {
		return err
	}
	a.bias = make([]float64, size)
	if n.input(3) != nil {
		if err := a.parseMask(n); err != nil {
			return err
		}
	}
	valid := slices.Repeat([]int64{int64(a.total())}, a.batch)
	offset := slices.Repeat([]int64{int64(a.past)}, a.batch) // keys before the first query
	if n.input(6) != nil {
		if n.m.opset < 24 {
			return errors.New("nonpad_kv_seqlen exists from opset 24 on")
		}
		t, err := n.con(6)
		if err != nil {
			return err
		}
		if valid, err = t.integers(); err != nil {
			return err
		}
		if len(valid) != a.batch || n.input(4) != nil {
			return fmt.Errorf("nonpad_kv_seqlen of shape %v is not for %d sequences without a past", t.shape, a.batch)
		}
		for b, v := range valid {
			if v < 0 || v > int64(a.total()) {
				return fmt.Errorf("nonpad_kv_seqlen is %d of %d keys", v, a.total())
			}
			offset[b] = v - int64(a.queries)
		}
	}
	for i := range a.bias {
		k, q, b := int64(i%a.total()), int64(i/a.total()%a.queries), i/(a.total()*a.queries*a.hq)
		ahead := k - q - offset[b]
		if k >= valid[b] || a.causal && ahead > 0 || a.left >= 0 && -ahead > a.left || a.right >= 0 && ahead > a.right {
			a.bias[i] = math.Inf(-1)
		}
		a.minusInf = a.minusInf || isMinusInf(a.bias[i])
		a.finiteBias = a.finiteBias || a.bias[i] != 0 && !isMinusInf(a.bias[i])
	}
	return nil
}

// parseMask reads the mask. From opset 24 on one for fewer keys is padded with
// -Inf, even if it is for a single key, as the operator's function body does;
// before, it broadcasts.
func (a *attention) parseMask(n *node) error {
	v := n.in[3]
	to := []int{a.batch, a.hq, a.queries, a.total()}
	if s := v.shape; len(s) > 0 && n.m.opset >= 24 {
		to[3] = min(to[3], s[len(s)-1])
	}
	if out, err := broadcast(v.shape, to); err != nil || !slices.Equal(out, to) {
		return fmt.Errorf("a mask of shape %v does not fit %v", v.shape, to)
	}
	if v.dtype != boolt && !v.dtype.isFloat() {
		return fmt.Errorf("a mask of %v is not supported", v.dtype)
	}
	if v.isConst() {
		return a.addMask(n, to)
	}
	if to[3] != a.total() {
		return fmt.Errorf("an uncertain mask of shape %v is not for all %d keys", v.shape, a.total())
	}
	a.mask = v
	a.maskShape = v.shape
	if at := len(v.shape) - 3; at >= 0 {
		heads := []int{a.hk, a.hq / a.hk}
		if v.shape[at] == 1 {
			heads = []int{1, 1}
		}
		a.maskShape = concat(v.shape[:at], heads, v.shape[at+1:])
	}
	return nil
}

// addMask adds the constant mask, of which there is one for the scores of
// shape to.
func (a *attention) addMask(n *node, to []int) error {
	t, err := n.con(3)
	if err != nil {
		return err
	}
	for i := range a.bias {
		a.bias[i] = math.Inf(-1)
	}
	x := t.real()
	for i, p := range positions(t.shape, to) {
		row, k := i/to[3], i%to[3]
		v := x[p]
		if t.dtype == boolt {
			v = 0
			if t.ints[p] == 0 {
				v = math.Inf(-1)
			}
		}
		if math.IsNaN(v) || math.IsInf(v, 1) {
			return fmt.Errorf("element %d of the mask is %v", p, v)
		}
		a.bias[row*a.total()+k] = v
	}
	return nil
}
