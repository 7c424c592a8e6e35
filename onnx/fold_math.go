package onnx

import (
	"errors"
	"fmt"
	"math"

	"github.com/covprop/covprop/activation"
)

var (
	ceil  = math.Ceil
	floor = math.Floor
)

// foldReal applies f to every element. Of integers f is exact up to 2^53.
func foldReal(f func(float64) float64) func(*node) ([]*tensor, error) {
	return func(n *node) ([]*tensor, error) {
		t, err := n.con(0)
		if err != nil {
			return nil, err
		}
		x, err := t.finite()
		if err != nil {
			return nil, err
		}
		if err := n.m.limits.take(len(x)); err != nil {
			return nil, err
		}
		out := newTensor(n, t.dtype, t.shape, len(x))
		for i, v := range x {
			y := f(v)
			switch {
			case t.dtype.isFloat():
				out.floats[i] = y
			case math.Abs(v) > 1<<53 || !(math.Abs(y) <= 1<<53):
				return nil, fmt.Errorf("element %d of the %s is too large an integer", i, t.origin)
			case y != math.Trunc(y):
				return nil, fmt.Errorf("makes %v of element %d of the %s, which is not %v", y, i, t.origin, t.dtype)
			default:
				out.ints[i] = int64(y)
			}
		}
		return []*tensor{out}, nil
	}
}

func foldNeg(n *node) ([]*tensor, error) {
	return foldReal(func(x float64) float64 { return -x })(n)
}

// numbers is a function of two numbers, real or integer.
type numbers struct {
	real func(x, y float64) float64
	int  func(x, y int64) (int64, error)
}

var (
	addNumbers = numbers{
		func(x, y float64) float64 { return x + y },
		func(x, y int64) (int64, error) { return x + y, nil },
	}
	subNumbers = numbers{
		func(x, y float64) float64 { return x - y },
		func(x, y int64) (int64, error) { return x - y, nil },
	}
	mulNumbers = numbers{
		func(x, y float64) float64 { return x * y },
		func(x, y int64) (int64, error) { return x * y, nil },
	}
	divNumbers = numbers{func(x, y float64) float64 { return x / y }, divInts}
	powNumbers = numbers{math.Pow, powInts}
)

// divInts cuts off the fraction.
func divInts(x, y int64) (int64, error) {
	if y == 0 {
		return 0, errors.New("divides an integer by zero")
	}
	return x / y, nil
}

func powInts(x, y int64) (int64, error) {
	z := math.Pow(float64(x), float64(y))
	if !(math.Abs(z) <= 1<<53) {
		return 0, fmt.Errorf("the power %d^%d is too large", x, y)
	}
	return int64(z), nil
}

// pairs lists the elements of a and b that broadcasting to the shape out
// combines.
func pairs(n *node, a, b, out []int) (ia, ib []int, err error) {
	size, err := n.m.limits.size(out)
	if err == nil {
		err = n.m.limits.take(3 * size)
	}
	if err != nil {
		return nil, nil, err
	}
	return positions(a, out), positions(b, out), nil
}

// positions lists, for every element of the shape to, the element of the shape
// from that broadcasts to it.
func positions(from, to []int) []int {
	if i := stretch(from, to); i != nil {
		return i
	}
	return iota(product(to))
}

// foldBinary applies f to the elements of two inputs, broadcast together.
func foldBinary(f numbers) func(*node) ([]*tensor, error) {
	return func(n *node) ([]*tensor, error) {
		a, b, out, err := operands(n)
		if err != nil {
			return nil, err
		}
		ia, ib, err := pairs(n, a, b, out)
		if err != nil {
			return nil, err
		}
		x, y := n.in[0].con, n.in[1].con
		if x.dtype != y.dtype && n.op != "Pow" {
			return nil, fmt.Errorf("combines %v and %v", x.dtype, y.dtype)
		}
		t, err := combine(n, x, y, out, ia, ib, f)
		return []*tensor{t}, err
	}
}

// combine is f(x[ia], y[ib]) in x's type, for which the fraction of a power is
// cut off.
func combine(n *node, x, y *tensor, shape, ia, ib []int, f numbers) (*tensor, error) {
	out := newTensor(n, x.dtype, shape, len(ia))
	if !x.dtype.isFloat() && !y.dtype.isFloat() {
		for i := range ia {
			v, err := f.int(x.ints[ia[i]], y.ints[ib[i]])
			if err != nil {
				return nil, err
			}
			out.ints[i] = x.dtype.wrap(v)
		}
		return out, nil
	}
	a, err := x.finite()
	if err != nil {
		return nil, err
	}
	b, err := y.finite()
	if err != nil {
		return nil, err
	}
	for i := range ia {
		v := f.real(a[ia[i]], b[ib[i]])
		if x.dtype.isFloat() {
			out.floats[i] = v
		} else {
			if !(math.Abs(v) <= 1<<53) { // an integer base with a real exponent
				return nil, fmt.Errorf("the power %v^%v is no integer that can be computed", a[ia[i]], b[ib[i]])
			}
			out.ints[i] = x.dtype.wrap(int64(v))
		}
	}
	return out, nil
}

// foldSum adds any number of inputs, or averages them.
func foldSum(n *node) ([]*tensor, error) {
	return foldInputs(n, addNumbers, func(t *tensor) {
		if n.op == "Mean" {
			t.floats = scaled(t.floats, 1/float64(len(n.in)))
		}
	})
}

// foldExtreme is the elementwise maximum, or minimum for sign -1.
func foldExtreme(sign int) func(*node) ([]*tensor, error) {
	f := numbers{math.Max, func(x, y int64) (int64, error) { return max(x, y), nil }}
	if sign < 0 {
		f = numbers{math.Min, func(x, y int64) (int64, error) { return min(x, y), nil }}
	}
	return func(n *node) ([]*tensor, error) { return foldInputs(n, f, func(*tensor) {}) }
}

// foldInputs combines all inputs from left to right.
func foldInputs(n *node, f numbers, last func(*tensor)) ([]*tensor, error) {
	sum, err := n.con(0)
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(n.in); i++ {
		t, err := n.con(i)
		if err != nil {
			return nil, err
		}
		if t.dtype != sum.dtype {
			return nil, fmt.Errorf("combines %v and %v", sum.dtype, t.dtype)
		}
		out, err := broadcast(sum.shape, t.shape)
		if err != nil {
			return nil, err
		}
		ia, ib, err := pairs(n, sum.shape, t.shape, out)
		if err != nil {
			return nil, err
		}
		if sum, err = combine(n, sum, t, out, ia, ib, f); err != nil {
			return nil, err
		}
	}
	sum = sum.with(sum.shape)
	last(sum)
	return []*tensor{sum}, nil
}

// comparison is a relation of two numbers.
type comparison struct {
	real func(x, y float64) bool
	int  func(x, y int64) bool
}

var (
	equal   = comparison{func(x, y float64) bool { return x == y }, func(x, y int64) bool { return x == y }}
	greater = comparison{func(x, y float64) bool { return x > y }, func(x, y int64) bool { return x > y }}
	less    = comparison{func(x, y float64) bool { return x < y }, func(x, y int64) bool { return x < y }}

	greaterOrEqual = comparison{func(x, y float64) bool { return x >= y }, func(x, y int64) bool { return x >= y }}
	lessOrEqual    = comparison{func(x, y float64) bool { return x <= y }, func(x, y int64) bool { return x <= y }}
)

func foldCompare(f comparison) func(*node) ([]*tensor, error) {
	return func(n *node) ([]*tensor, error) {
		a, b, shape, err := operands(n)
		if err != nil {
			return nil, err
		}
		x, y := n.in[0].con, n.in[1].con
		if x.dtype != y.dtype {
			return nil, fmt.Errorf("compares %v and %v", x.dtype, y.dtype)
		}
		ia, ib, err := pairs(n, a, b, shape)
		if err != nil {
			return nil, err
		}
		out := newTensor(n, boolt, shape, len(ia))
		for i := range ia {
			if x.dtype.isFloat() {
				out.ints[i] = boolInt(f.real(x.floats[ia[i]], y.floats[ib[i]]))
			} else {
				out.ints[i] = boolInt(f.int(x.ints[ia[i]], y.ints[ib[i]]))
			}
		}
		return []*tensor{out}, nil
	}
}

// foldWhere takes elements of the second input where the first is true, else
// of the third.
func foldWhere(n *node) ([]*tensor, error) {
	var t [3]*tensor
	shape := []int{}
	for i := range t {
		var err error
		if t[i], err = n.con(i); err != nil {
			return nil, err
		}
		if shape, err = broadcast(shape, t[i].shape); err != nil {
			return nil, err
		}
	}
	cond, x, y := t[0], t[1], t[2]
	if cond.dtype != boolt || x.dtype != y.dtype {
		return nil, fmt.Errorf("chooses by %v between %v and %v", cond.dtype, x.dtype, y.dtype)
	}
	ic, ix, err := pairs(n, cond.shape, x.shape, shape)
	if err != nil {
		return nil, err
	}
	_, iy, err := pairs(n, cond.shape, y.shape, shape)
	if err != nil {
		return nil, err
	}
	out := newTensor(n, x.dtype, shape, len(ic))
	for i := range ic {
		from, k := x, ix[i]
		if cond.ints[ic[i]] == 0 {
			from, k = y, iy[i]
		}
		if x.dtype.isFloat() {
			out.floats[i] = from.floats[k]
		} else {
			out.ints[i] = from.ints[k]
		}
	}
	return []*tensor{out}, nil
}

func foldPRelu(n *node) ([]*tensor, error) {
	s, err := slopes(n)
	if err != nil {
		return nil, err
	}
	t, err := n.con(0)
	if err != nil {
		return nil, err
	}
	x, err := t.finite()
	if err != nil {
		return nil, err
	}
	if err := n.m.limits.take(len(x)); err != nil {
		return nil, err
	}
	if !t.dtype.isFloat() {
		return nil, fmt.Errorf("slopes for constants of type %v are not supported", t.dtype)
	}
	out := newTensor(n, t.dtype, t.shape, len(x))
	for i, v := range x {
		out.floats[i] = activation.LeakyReLU(s[min(i, len(s)-1)]).Apply(v)
	}
	return []*tensor{out}, nil
}
