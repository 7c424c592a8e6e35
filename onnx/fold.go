package onnx

import (
	"errors"
	"fmt"
	"slices"
)

// analyse finds out about every tensor, in execution order, whether it is
// constant and which value it has, or else its shape. What is wrong with a
// node is left in its err: it matters only if an output depends on it.
func (m *model) analyse() {
	m.err = m.setInputs()
	for _, n := range m.nodes {
		n.err = n.evaluate()
		if n.err == nil {
			n.err = n.attrErr
		}
		if n.err != nil {
			n.guessShapes()
		}
	}
	m.markLive()
	m.fuse()
}

var errUnknownShape = errors.New("the shape of its input is unknown")

// evaluate computes the node's outputs or their shapes.
func (n *node) evaluate() error {
	var err error
	if n.def, err = lookup(n); err != nil {
		return err
	}
	for i, v := range n.in {
		if v != nil && v.isConst() {
			if _, err := n.con(i); err != nil {
				return err
			}
		}
	}
	if n.constant() || n.def.ready != nil && n.def.ready(n) {
		return n.fold()
	}
	if n.def.shape == nil {
		return errors.New("the operator is supported for constants only")
	}
	for _, v := range n.in {
		if v != nil && !v.known() {
			return errUnknownShape
		}
	}
	n.out[0].dtype = n.realType()
	shapes, err := n.def.shape(n)
	if err != nil {
		return err
	}
	if len(n.out) > len(shapes) {
		return fmt.Errorf("has %d outputs, but makes %d", len(n.out), len(shapes))
	}
	for i, v := range n.out {
		if v.con != nil {
			continue
		}
		if _, err := n.m.limits.size(shapes[i]); err != nil {
			return err
		}
		v.shape = shapes[i]
		if v.dtype == 0 {
			v.dtype = n.out[0].dtype
		}
		if product(v.shape) == 0 { // nothing in it is uncertain
			v.con = newTensor(n, v.dtype, v.shape, 0)
		}
	}
	return nil
}

// realType returns the type of the first input that is not constant.
func (n *node) realType() dtype {
	for _, v := range n.in {
		if v != nil && !v.isConst() {
			return v.dtype
		}
	}
	return 0
}

// fold computes constant outputs.
func (n *node) fold() error {
	ts, err := n.def.fold(n)
	if err != nil {
		return err
	}
	if len(n.out) > len(ts) {
		return fmt.Errorf("has %d outputs, but makes %d", len(n.out), len(ts))
	}
	for i, v := range n.out {
		if _, err := n.m.limits.size(ts[i].shape); err != nil {
			return err
		}
		v.con, v.shape, v.dtype = ts[i], ts[i].shape, ts[i].dtype
	}
	return nil
}

// guessShapes takes what the file says of the shapes of outputs that could not
// be worked out, for reports.
func (n *node) guessShapes() {
	for _, v := range n.out {
		if v.known() || v.info == nil {
			continue
		}
		dims, _, err := declared(v.info)
		if err == nil && !slices.Contains(dims, -1) {
			if _, err := n.m.limits.size(dims); err == nil {
				v.shape = dims
			}
		}
	}
}

// markLive marks the nodes that the outputs depend on, and forgets the others
// as users.
func (m *model) markLive() {
	need := map[*value]bool{}
	for _, v := range m.outputs {
		need[v] = true
	}
	for _, n := range slices.Backward(m.nodes) {
		n.live = slices.ContainsFunc(n.out, func(v *value) bool { return need[v] && v.con == nil })
		if !n.live {
			continue
		}
		for _, v := range n.in {
			if v != nil {
				need[v] = true
			}
		}
	}
	for _, v := range m.values {
		v.users = slices.DeleteFunc(v.users, func(u *node) bool { return !u.live })
	}
}

func firstConstant(n *node) bool {
	return n.input(0) != nil && n.in[0].isConst() && (n.input(1) == nil || n.in[1].dtype != 0)
}

func knownShape(n *node) bool { return n.input(0) != nil && n.in[0].known() }
