package onnx

import (
	"fmt"
	"math"

	"github.com/covprop/covprop/internal/onnxpb"
)

// attr returns the attribute of that name if it exists and has one of the
// types; old files do not state the type. A wrong type is remembered in
// attrErr.
func (n *node) attr(name string, typ onnxpb.AttributeProto_AttributeType) *onnxpb.AttributeProto {
	a := n.attrs[name]
	if a == nil {
		return nil
	}
	if t := a.GetType(); t != typ && t != onnxpb.AttributeProto_UNDEFINED {
		n.badAttr("the attribute %q is %v, not %v", name, t, typ)
		return nil
	}
	return a
}

func (n *node) badAttr(format string, args ...any) {
	if n.attrErr == nil {
		n.attrErr = fmt.Errorf(format, args...)
	}
}

func (n *node) intAttr(name string, def int64) int64 {
	if a := n.attr(name, onnxpb.AttributeProto_INT); a != nil {
		return a.GetI()
	}
	return def
}

// floatAttr returns a finite attribute, widened as stored. Defaults are
// float32 in ONNX, too.
func (n *node) floatAttr(name string, def float32) float64 {
	v := def
	if a := n.attr(name, onnxpb.AttributeProto_FLOAT); a != nil {
		v = a.GetF()
	}
	if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
		n.badAttr("the attribute %q is %v", name, v)
		return float64(def)
	}
	return float64(v)
}

func (n *node) stringAttr(name, def string) string {
	if a := n.attr(name, onnxpb.AttributeProto_STRING); a != nil {
		return string(a.GetS())
	}
	return def
}

func (n *node) intsAttr(name string) (v []int64, ok bool) {
	if a := n.attr(name, onnxpb.AttributeProto_INTS); a != nil {
		return a.GetInts(), true
	}
	return nil, false
}

// ints returns a list that was the attribute name before opset since and is
// input i from then on. ok is false if it is left out.
func (n *node) ints(name string, i, since int) (v []int64, ok bool, err error) {
	if n.m.opset < since {
		v, ok = n.intsAttr(name)
		return v, ok, nil
	}
	in := n.input(i)
	if in == nil {
		return nil, false, nil
	}
	t, err := n.con(i)
	if err != nil {
		return nil, false, err
	}
	v, err = t.integers()
	return v, true, err
}

// con returns input i, which must be given and constant.
func (n *node) con(i int) (*tensor, error) {
	v := n.input(i)
	switch {
	case v == nil:
		return nil, fmt.Errorf("input %d is missing", i)
	case !v.isConst():
		return nil, fmt.Errorf("input %d, %q, depends on an uncertain input, but must be constant", i, v.name)
	}
	return n.m.constant(v)
}

// finite returns input i, which must be constant, as finite real numbers.
func (n *node) finite(i int) ([]float64, error) {
	t, err := n.con(i)
	if err != nil {
		return nil, err
	}
	return t.finite()
}

// sizes returns input i, which must be constant, as a list of dimensions.
func (n *node) sizes(i int) ([]int, error) {
	t, err := n.con(i)
	if err != nil {
		return nil, err
	}
	list, err := t.integers()
	if err != nil {
		return nil, err
	}
	dims, err := toInts(list)
	if err != nil {
		return nil, fmt.Errorf("the %s %w", t.origin, err)
	}
	return dims, nil
}

// scalar returns input i, which must be constant with one finite element: of an
// integer type up to 2^53.
func (n *node) scalar(i int) (float64, error) {
	t, err := n.con(i)
	if err != nil {
		return 0, err
	}
	if t.len() != 1 {
		return 0, fmt.Errorf("the %s has %d elements, not one", t.origin, t.len())
	}
	x, err := t.finite()
	if err != nil {
		return 0, err
	}
	if !t.dtype.isFloat() && math.Abs(x[0]) > 1<<53 {
		return 0, fmt.Errorf("the %s is too large an integer", t.origin)
	}
	return x[0], nil
}

// integer is scalar for a whole number.
func (n *node) integer(i int) (int64, error) {
	x, err := n.scalar(i)
	if err == nil && (x != math.Trunc(x) || math.Abs(x) > 1<<53) {
		err = fmt.Errorf("the %s is %v, which is not a whole number", n.in[i].con.origin, x)
	}
	return int64(x), err
}

// data returns input 0, which must be given.
func (n *node) data() (*value, error) {
	if v := n.input(0); v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("input 0 is missing")
}
