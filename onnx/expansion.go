package onnx

import "github.com/covprop/covprop/internal/onnxpb"

// expansion writes a node as a graph of nodes of simpler operators.
type expansion struct {
	n *node
	p plan
}

// node appends a node and returns its output, a constant if all inputs are.
// attrs are the attributes that matter, of type int64, []int64 or string.
func (e *expansion) node(name string, def op, attrs map[string]any, in ...*value) *value {
	out := &value{name: e.n.name + " <- " + name, dtype: e.n.in[0].dtype, users: []*node{e.n}}
	if e.p.err != nil {
		return out
	}
	sub := &node{m: e.n.m, name: e.n.name, op: name, in: in, out: []*value{out}, def: def, attrs: map[string]*onnxpb.AttributeProto{}}
	for key, v := range attrs {
		a := &onnxpb.AttributeProto{Name: &key}
		switch v := v.(type) {
		case int64:
			a.I = &v
		case []int64:
			a.Ints = v
		case string:
			a.S = []byte(v)
		}
		sub.attrs[key] = a
	}
	if sub.constant() {
		e.p.fail(sub.fold())
		return out
	}
	shapes, err := def.shape(sub)
	if err != nil {
		e.p.fail(err)
		return out
	}
	if _, err := e.n.m.limits.size(shapes[0]); err != nil {
		e.p.fail(err)
		return out
	}
	out.shape = shapes[0]
	p, err := def.rule(sub)
	e.p.fail(err)
	e.p.steps = append(e.p.steps, p.steps...)
	return out
}

// constant returns a value of real numbers.
func (e *expansion) constant(shape []int, x []float64) *value {
	t := newTensor(e.n, e.n.in[0].dtype, shape, 0)
	t.floats = x
	return &value{name: e.n.name + " <- constant", dtype: t.dtype, shape: shape, con: t}
}

// reshape returns v under another shape of as many elements.
func (e *expansion) reshape(v *value, shape []int) *value {
	size := newTensor(e.n, int64t, []int{len(shape)}, 0)
	for _, d := range shape {
		size.ints = append(size.ints, int64(d))
	}
	return e.node("Reshape", moveOps["Reshape"], nil, v, &value{dtype: int64t, shape: size.shape, con: size})
}

// scale returns f v.
func (e *expansion) scale(v *value, f float64) *value {
	if f == 1 {
		return v
	}
	return e.node("Mul", arithmeticOps["Mul"], nil, v, e.constant([]int{}, []float64{f}))
}

// einsum returns the sum of products that the equation says.
func (e *expansion) einsum(equation string, in ...*value) *value {
	return e.node("Einsum", productOps["Einsum"], map[string]any{"equation": equation}, in...)
}
