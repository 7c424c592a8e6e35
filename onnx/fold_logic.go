package onnx

import (
	"errors"
	"fmt"
	"math"
)

// bits is a function of two booleans or integers.
type bits func(x, y int64) (int64, error)

func and(x, y int64) (int64, error) { return x & y, nil }
func or(x, y int64) (int64, error)  { return x | y, nil }
func xor(x, y int64) (int64, error) { return x ^ y, nil }

// foldBits applies f to the elements of two inputs that are no real numbers,
// broadcast together.
func foldBits(f bits) func(*node) ([]*tensor, error) {
	return func(n *node) ([]*tensor, error) {
		if err := whole(n); err != nil {
			return nil, err
		}
		return foldBinary(numbers{int: f})(n)
	}
}

// whole returns an error if an input is of a real type.
func whole(n *node) error {
	for _, v := range n.in {
		if v != nil && v.dtype.isFloat() {
			return fmt.Errorf("of %v is not supported", v.dtype)
		}
	}
	return nil
}

func foldNot(n *node) ([]*tensor, error) {
	if v := n.input(0); v != nil && v.dtype != boolt {
		return nil, fmt.Errorf("of %v is not supported", v.dtype)
	}
	return foldReal(func(x float64) float64 { return 1 - x })(n)
}

// foldShift shifts integers left or right.
func foldShift(n *node) ([]*tensor, error) {
	left := false
	switch d := n.stringAttr("direction", ""); d {
	case "LEFT":
		left = true
	case "RIGHT":
	default:
		return nil, fmt.Errorf("the direction %q is unknown", d)
	}
	return foldBits(func(x, y int64) (int64, error) {
		switch {
		case y < 0:
			return 0, errors.New("shifts by less than 0")
		case left:
			return x << y, nil
		}
		return x >> y, nil
	})(n)
}

// foldMod is the remainder, of y's sign, or of x's if fmod is set.
func foldMod(n *node) ([]*tensor, error) {
	f := numbers{math.Mod, func(x, y int64) (int64, error) {
		if y == 0 {
			return 0, errors.New("divides an integer by zero")
		}
		return x % y, nil
	}}
	if n.intAttr("fmod", 0) == 0 {
		if err := whole(n); err != nil {
			return nil, err
		}
		f.int = func(x, y int64) (int64, error) {
			if y == 0 {
				return 0, errors.New("divides an integer by zero")
			}
			return (x%y + y) % y, nil
		}
	}
	return foldBinary(f)(n)
}

// foldIs tests every element of a real tensor, which may be NaN or infinite.
func foldIs(test func(n *node, x float64) bool) func(*node) ([]*tensor, error) {
	return func(n *node) ([]*tensor, error) {
		t, err := n.con(0)
		if err != nil {
			return nil, err
		}
		if err := n.m.limits.take(2 * t.len()); err != nil {
			return nil, err
		}
		out := newTensor(n, boolt, t.shape, t.len())
		for i, v := range t.real() {
			out.ints[i] = boolInt(test(n, v))
		}
		return []*tensor{out}, nil
	}
}

func isNaN(_ *node, x float64) bool { return math.IsNaN(x) }

func isInf(n *node, x float64) bool {
	return math.IsInf(x, 1) && n.intAttr("detect_positive", 1) != 0 || math.IsInf(x, -1) && n.intAttr("detect_negative", 1) != 0
}

// foldOneHot makes an axis on which each index is marked: by the second of two
// values among the first.
func foldOneHot(n *node) ([]*tensor, error) {
	at, err := n.con(0)
	if err != nil {
		return nil, err
	}
	depth, err := n.scalar(1)
	if err != nil {
		return nil, err
	}
	values, err := n.con(2)
	if err != nil {
		return nil, err
	}
	axis, err := axisOf(n.intAttr("axis", -1), len(at.shape)+1)
	switch {
	case err != nil:
		return nil, err
	case depth < 1 || depth > math.MaxInt32 || depth != math.Trunc(depth):
		return nil, fmt.Errorf("the depth %v is no size", depth)
	case values.len() != 2:
		return nil, fmt.Errorf("the %s has %d elements, not two", values.origin, values.len())
	}
	index, err := n.finite(0)
	if err != nil {
		return nil, err
	}
	d := int(depth)
	shape := concat(at.shape[:axis], []int{d}, at.shape[axis:])
	size, err := n.m.limits.size(shape)
	if err == nil {
		err = n.m.limits.take(2 * size)
	}
	if err != nil {
		return nil, err
	}
	pick, inner := make([]int, size), product(at.shape[axis:])
	for i, k := range index {
		if k < 0 {
			k += depth
		}
		if k >= 0 && k < depth {
			pick[(i/inner*d+int(k))*inner+i%inner] = 1
		}
	}
	return []*tensor{values.pick(shape, pick)}, nil
}
