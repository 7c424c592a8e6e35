package onnx

import (
	"errors"
	"fmt"
	"math"

	"github.com/covprop/covprop/internal/onnxpb"
)

// filled returns a tensor with all elements v.
func filled(n *node, d dtype, shape []int, v float64) (*tensor, error) {
	size, err := n.m.limits.size(shape)
	if err != nil {
		return nil, err
	}
	if err := n.m.limits.take(size); err != nil {
		return nil, err
	}
	t := newTensor(n, d, shape, size)
	for i := range t.floats {
		t.floats[i] = v
	}
	for i := range t.ints {
		t.ints[i] = int64(v)
	}
	return t, nil
}

// newTensor returns a zero tensor named after the node's first output. The
// caller has checked the size.
func newTensor(n *node, d dtype, shape []int, size int) *tensor {
	t := &tensor{origin: fmt.Sprintf("constant %q", n.out[0].name), dtype: d, shape: shape}
	if d.isFloat() {
		t.floats = make([]float64, size)
	} else {
		t.ints = make([]int64, size)
	}
	return t
}

// list returns a tensor of one dimension.
func list(n *node, v []int64) []*tensor {
	t := newTensor(n, int64t, []int{len(v)}, 0)
	t.ints = v
	return []*tensor{t}
}

// foldConstant has one of several attributes.
func foldConstant(n *node) ([]*tensor, error) {
	if len(n.attrs) != 1 {
		return nil, fmt.Errorf("has %d attributes, but needs exactly one", len(n.attrs))
	}
	for name, a := range n.attrs {
		switch name {
		case "value":
			if n.attr(name, onnxpb.AttributeProto_TENSOR) == nil || a.GetT() == nil {
				break
			}
			t, err := n.m.decodeTensor(a.GetT(), fmt.Sprintf("constant %q", n.out[0].name))
			return []*tensor{t}, err
		case "value_int":
			t := list(n, []int64{n.intAttr(name, 0)})[0]
			return []*tensor{t.with([]int{})}, nil
		case "value_ints":
			v, _ := n.intsAttr(name)
			return list(n, v), nil
		case "value_float", "value_floats":
			return foldFloats(n, name)
		}
	}
	return nil, errors.New("is a string or sparse constant, which is not supported")
}

func foldFloats(n *node, name string) ([]*tensor, error) {
	v := []float32{}
	if a := n.attr(name, onnxpb.AttributeProto_FLOATS); name == "value_floats" && a != nil {
		v = a.GetFloats()
	}
	shape := []int{len(v)}
	if a := n.attr(name, onnxpb.AttributeProto_FLOAT); name == "value_float" && a != nil {
		v, shape = []float32{a.GetF()}, []int{}
	}
	t := newTensor(n, float32t, shape, len(v))
	for i, x := range v {
		t.floats[i] = float64(x)
	}
	return []*tensor{t}, nil
}

// foldShape is the shape, from axis start to end (attributes from opset 15 on).
func foldShape(n *node) ([]*tensor, error) {
	v, err := n.data()
	if err != nil {
		return nil, err
	}
	x := v.shape
	rank := int64(len(x))
	bound := func(p int64) int64 {
		if p < 0 {
			p = max(p, -rank) + rank
		}
		return min(p, rank)
	}
	start, end := bound(n.intAttr("start", 0)), bound(n.intAttr("end", rank))
	dims := []int64{}
	for i := start; i < end; i++ {
		dims = append(dims, int64(x[i]))
	}
	return list(n, dims), nil
}

func foldSize(n *node) ([]*tensor, error) {
	v, err := n.data()
	if err != nil {
		return nil, err
	}
	t := list(n, []int64{int64(product(v.shape))})[0]
	return []*tensor{t.with([]int{})}, nil
}

// foldConcat joins tensors along an axis.
func foldConcat(n *node) ([]*tensor, error) {
	shape, axis, err := parseConcat(n)
	if err != nil {
		return nil, err
	}
	first := n.in[0].con
	for _, v := range n.in {
		if v.dtype != first.dtype {
			return nil, fmt.Errorf("joins %v and %v", first.dtype, v.dtype)
		}
	}
	size, err := n.m.limits.size(shape)
	if err != nil {
		return nil, err
	}
	if err := n.m.limits.take(size); err != nil {
		return nil, err
	}
	out := newTensor(n, first.dtype, shape, 0)
	for o := range product(shape[:axis]) {
		for i := range n.in {
			t := n.in[i].con
			block := product(t.shape[axis:])
			if t.dtype.isFloat() {
				out.floats = append(out.floats, t.floats[o*block:(o+1)*block]...)
			} else {
				out.ints = append(out.ints, t.ints[o*block:(o+1)*block]...)
			}
		}
	}
	return []*tensor{out}, nil
}

// foldConstantOfShape fills a shape with the value given, 0 by default.
func foldConstantOfShape(n *node) ([]*tensor, error) {
	t, err := n.con(0)
	if err != nil {
		return nil, err
	}
	dims, err := t.integers()
	if err != nil {
		return nil, err
	}
	shape, err := toInts(dims)
	if err != nil {
		return nil, fmt.Errorf("the %s %w", t.origin, err)
	}
	d, v := float32t, 0.
	if a := n.attr("value", onnxpb.AttributeProto_TENSOR); a != nil {
		u, err := n.m.decodeTensor(a.GetT(), "attribute \"value\"")
		if err != nil {
			return nil, err
		}
		if u.len() != 1 {
			return nil, fmt.Errorf("its value has %d elements, not one", u.len())
		}
		if !u.dtype.isFloat() && (u.ints[0] > 1<<53 || u.ints[0] < -1<<53) {
			return nil, fmt.Errorf("its value %d is too large", u.ints[0])
		}
		d, v = u.dtype, u.real()[0]
	}
	out, err := filled(n, d, shape, v)
	return []*tensor{out}, err
}

// foldRange is start, start+delta, ... before limit.
func foldRange(n *node) ([]*tensor, error) {
	var x [3]float64
	for i := range x {
		var err error
		if x[i], err = n.scalar(i); err != nil {
			return nil, err
		}
	}
	start, limit, delta := x[0], x[1], x[2]
	count := math.Max(math.Ceil((limit-start)/delta), 0)
	if delta == 0 || math.IsNaN(count) || count > float64(n.m.limits.elements) {
		return nil, fmt.Errorf("the range from %v to %v in steps of %v is too long", start, limit, delta)
	}
	out, err := filled(n, n.in[0].con.dtype, []int{int(count)}, 0)
	if err != nil {
		return nil, err
	}
	for i := range out.floats {
		out.floats[i] = start + float64(i)*delta
	}
	for i := range out.ints {
		out.ints[i] = int64(start) + int64(i)*int64(delta)
	}
	return []*tensor{out}, nil
}
