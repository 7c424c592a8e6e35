package onnx

import (
	"errors"
	"fmt"
	"math"

	"github.com/covprop/covprop/layer"
)

// castType returns the type a Cast or CastLike converts to.
func castType(n *node) (dtype, error) {
	if n.op == "CastLike" {
		if n.input(1) == nil {
			return 0, errors.New("input 1 is missing")
		}
		return n.in[1].dtype, nil
	}
	if n.attrs["to"] == nil {
		return 0, errors.New("does not say to which type")
	}
	return dtype(n.intAttr("to", 0)), nil
}

func castShape(n *node) ([][]int, error) {
	v, err := n.data()
	if err != nil {
		return nil, err
	}
	to, err := castType(n)
	if err != nil {
		return nil, err
	}
	n.out[0].dtype = to
	return [][]int{v.shape}, nil
}

// castRule leaves a tensor as it is: propagation is in float64 whatever the
// model rounds to.
func castRule(n *node) (plan, error) {
	if to := n.out[0].dtype; !to.isFloat() {
		return plan{}, fmt.Errorf("converts an uncertain tensor to %v, which is not supported", to)
	}
	return sameRule(n)
}

// sameRule is y = x.
func sameRule(n *node) (plan, error) {
	var p plan
	p.step(n.out[0], n.in[0])(layer.NewReshape(product(n.in[0].shape)))
	return p.done()
}

// foldCast rounds to the type's precision; to integers it cuts off the
// fraction.
func foldCast(n *node) ([]*tensor, error) {
	t, err := n.con(0)
	if err != nil {
		return nil, err
	}
	to, err := castType(n)
	if err != nil {
		return nil, err
	}
	if to.size() == 0 {
		return nil, fmt.Errorf("converts to %v, which is not supported", to)
	}
	if err := n.m.limits.take(t.len()); err != nil {
		return nil, err
	}
	u := &tensor{origin: t.origin, dtype: to, shape: t.shape}
	if to.isFloat() {
		u.floats = make([]float64, t.len())
		for i, v := range t.real() {
			u.floats[i] = to.round(v)
		}
		return []*tensor{u}, nil
	}
	u.ints = make([]int64, t.len())
	for i := range u.ints {
		if !t.dtype.isFloat() {
			u.ints[i] = to.wrap(t.ints[i])
			continue
		}
		x := t.floats[i]
		switch {
		case to == boolt:
			u.ints[i] = boolInt(x != 0)
		case !(math.Abs(x) < 0x1p63):
			return nil, fmt.Errorf("element %d of the %s is %v and has no %v", i, t.origin, x, to)
		default:
			u.ints[i] = to.wrap(int64(x))
		}
	}
	return []*tensor{u}, nil
}

// dropoutTrains returns an error if the node drops elements at random: the
// attribute is_test in opset 6, the input training_mode from 12 on. A ratio of
// 0 drops none.
func dropoutTrains(n *node) error {
	const msg = "is in training mode: export the model for inference"
	if n.m.opset < 7 {
		if n.intAttr("is_test", 0) == 0 && n.floatAttr("ratio", 0.5) != 0 {
			return errors.New(msg)
		}
		return nil
	}
	if n.m.opset < 12 || n.input(2) == nil {
		return nil
	}
	mode, err := n.scalar(2)
	if err != nil || mode == 0 {
		return err
	}
	ratio := 0.5
	if n.input(1) != nil {
		if ratio, err = n.scalar(1); err != nil {
			return err
		}
	}
	if ratio != 0 {
		return errors.New(msg)
	}
	return nil
}

// dropoutMask keeps everything. Before opset 10 it was of the data's type.
func dropoutMask(n *node, v *value) (*tensor, error) {
	d := boolt
	if n.m.opset < 10 {
		d = v.dtype
	}
	return filled(n, d, v.shape, 1)
}

func dropoutShape(n *node) ([][]int, error) {
	v, err := n.data()
	if err != nil {
		return nil, err
	}
	if err := dropoutTrains(n); err != nil {
		return [][]int{v.shape, v.shape}, err
	}
	if len(n.out) > 1 {
		mask, err := dropoutMask(n, v)
		if err != nil {
			return nil, err
		}
		n.out[1].con, n.out[1].shape, n.out[1].dtype = mask, mask.shape, mask.dtype
	}
	return [][]int{v.shape, v.shape}, nil
}

func foldDropout(n *node) ([]*tensor, error) {
	t, err := n.con(0)
	if err != nil {
		return nil, err
	}
	if err := dropoutTrains(n); err != nil {
		return nil, err
	}
	mask, err := dropoutMask(n, n.in[0])
	return []*tensor{t, mask}, err
}
