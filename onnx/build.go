package onnx

import (
	"errors"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
)

// network builds the network of the nodes that the outputs depend on.
func (m *model) network() (*graph.Network, error) {
	if m.err != nil {
		return nil, &covprop.ModelError{File: m.file, Err: m.err}
	}
	b := graph.NewBuilder()
	b.Model = m.file
	tensors := map[*value]graph.Tensor{}
	for _, v := range m.inputs {
		if v.isConst() {
			continue
		}
		t, err := b.Input(v.name, v.shape)
		if err != nil {
			return nil, m.wrap(err)
		}
		tensors[v] = t
	}
	for _, n := range m.nodes {
		if err := n.build(b, tensors); err != nil {
			return nil, err
		}
	}
	for _, v := range m.outputs {
		if err := m.addOutput(b, v, tensors); err != nil {
			return nil, m.wrap(err)
		}
	}
	return b.Build()
}

// wrap adds the file to an error that does not have it.
func (m *model) wrap(err error) error {
	var me *covprop.ModelError
	if errors.As(err, &me) {
		return err
	}
	return &covprop.ModelError{File: m.file, Err: err}
}

// build adds the node's steps.
func (n *node) build(b *graph.Builder, tensors map[*value]graph.Tensor) error {
	if !n.live || n.into != nil {
		return nil
	}
	p, err := n.plan()
	if err != nil {
		return n.wrap(err)
	}
	for _, s := range p.steps {
		in := make([]graph.Tensor, len(s.in))
		for i, v := range s.in {
			in[i] = tensors[v]
		}
		t, err := b.Add(graph.Node{Name: n.name, Op: n.op, Rule: s.rule, Inputs: in, Output: s.out.name, Shape: s.out.shape})
		if err != nil {
			return n.m.wrap(err)
		}
		tensors[s.out] = t
	}
	return nil
}

// plan returns the node's steps, worked out at the first call.
func (n *node) plan() (plan, error) {
	if n.planned == nil {
		p := plan{err: n.err}
		if n.err == nil {
			p, p.err = n.def.rule(n)
		}
		if p.err == nil {
			p.err = n.attrErr
		}
		n.planned = &p
	}
	return *n.planned, n.planned.err
}

func (m *model) addOutput(b *graph.Builder, v *value, tensors map[*value]graph.Tensor) error {
	if !v.isConst() {
		return b.Output(v.name, tensors[v])
	}
	t, err := m.constant(v)
	if err != nil {
		return err
	}
	x, err := t.finite()
	if err != nil {
		return err
	}
	return b.Constant(v.name, t.shape, x)
}
