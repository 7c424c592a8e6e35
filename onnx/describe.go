package onnx

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// A Description says what is in a model and how each of its nodes is treated.
type Description struct {
	Inputs  []TensorInfo // those without an initializer, fixed ones included
	Outputs []TensorInfo
	// Parameters is the number of weights: the elements of initializers and
	// constants that are of a real or an 8-bit integer type, scalars aside.
	Parameters int64
	Nodes      []NodeInfo     // every node of the file, in execution order
	Network    *graph.Network // nil if it cannot be built
	Err        error          // why; what ReadFile returns
}

// TensorInfo describes an input or an output.
type TensorInfo struct {
	Name  string
	DType string
	Shape []int // symbolic dimensions without a value are -1; nil if unknown
}

// NodeInfo describes a node.
type NodeInfo struct {
	Name, Op string
	Rule     string // the rule, or "constant", "fused", "unused"; "" if there is none
	Status   string // "exact", "certified", "approximate", "unsupported"
	Reason   string // for the status, "" if there is nothing to say
	Shape    []int  // of the first output; nil if unknown
}

// Describe reads a model some of whose nodes may not be supported. It returns
// an error only if the file is no valid model.
func (im Importer) Describe(path string) (*Description, error) {
	m, err := im.open(path)
	if err != nil {
		return nil, err
	}
	return m.describe(), nil
}

func (m *model) describe() *Description {
	d := &Description{}
	for _, v := range m.inputs {
		d.Inputs = append(d.Inputs, m.describeValue(v))
	}
	for _, v := range m.outputs {
		d.Outputs = append(d.Outputs, m.describeValue(v))
	}
	for _, n := range m.nodes {
		d.Nodes = append(d.Nodes, n.describe())
	}
	d.Parameters = m.parameters()
	d.Network, d.Err = m.network()
	return d
}

// describeValue falls back on what the file declares.
func (m *model) describeValue(v *value) TensorInfo {
	t := TensorInfo{Name: v.name, Shape: v.shape}
	typ := v.dtype
	if dims, _, err := declared(v.info); err == nil && !v.known() {
		t.Shape = dims
		if s := m.shapes[v.name]; len(s) == len(dims) {
			t.Shape = slices.Clone(s)
		}
	}
	if typ == 0 {
		typ = dtype(v.info.GetType().GetTensorType().GetElemType())
	}
	t.DType = typ.String()
	return t
}

// describe says how the node is treated.
func (n *node) describe() NodeInfo {
	d := NodeInfo{Name: n.name, Op: n.fileOp, Rule: n.def.kind, Status: covprop.Exact.String(), Shape: n.out[0].shape}
	switch {
	case n.folded():
		d.Rule = "constant"
		return d
	case n.into != nil:
		d.Rule, d.Reason = "fused", fmt.Sprintf("part of %q (%s)", n.into.name, n.into.op)
		return d
	case n.err == errUnknownShape && n.def.shape != nil:
		n.describeShapeless(&d)
		return d
	}
	if !n.live && n.def.kind != "" {
		d.Rule, d.Reason = "unused", "no output depends on it"
		return d
	}
	p, err := n.plan()
	if err != nil {
		d.Rule, d.Status, d.Reason = "", "unsupported", err.Error()
		return d
	}
	acc := d.describeSteps(p.steps)
	d.Status, d.Reason = acc.Status.String(), acc.Reason
	if n.members > 1 && d.Reason == "" {
		d.Reason = fmt.Sprintf("%s, fused from %d nodes", n.op, n.members)
	}
	return d
}

// describeSteps names the rule of the least exact step, of equally exact ones
// the first that does more than move or scale elements, and gives the reasons of
// all that are least exact. Several nonlinear steps rest on the Gaussian closure.
func (d *NodeInfo) describeSteps(steps []step) covprop.Accuracy {
	var worst covprop.Status
	var reasons []string
	add := func(a covprop.Accuracy) {
		if a.Status > worst {
			worst, reasons = a.Status, nil
		}
		if a.Status == worst && a.Reason != "" && !slices.Contains(reasons, a.Reason) {
			reasons = append(reasons, a.Reason)
		}
	}
	helper, nonlinear := true, 0
	for _, s := range steps {
		if _, ok := s.rule.(layer.Linear); !ok {
			nonlinear++
		}
		a := s.rule.Exactness()
		_, selects := s.rule.(*layer.Select)
		_, scales := s.rule.(*layer.Scale)
		_, reshapes := s.rule.(*layer.Reshape)
		if a.Status > worst || a.Status == worst && helper {
			d.Rule, helper = s.rule.Name(), selects || scales || reshapes
		}
		add(a)
	}
	if nonlinear > 1 {
		add(covprop.ApproximatedBy(math.Inf(1), "Gaussian closure between its steps"))
	}
	return covprop.Accuracy{Status: worst, Reason: strings.Join(reasons, "; ")}
}

// describeShapeless says of a node of unknown shape what does not depend on it.
func (n *node) describeShapeless(d *NodeInfo) {
	d.Reason = "shape unknown"
	if n.def.act != nil {
		if a, err := n.def.act(n); err == nil {
			acc := activation.Exactness(a)
			d.Rule, d.Status = a.Name(), acc.Status.String()
		}
		return
	}
	uncertain := func(i int) bool { return n.input(i) != nil && !n.in[i].isConst() }
	switch both := uncertain(0) && uncertain(1); {
	case n.op == "Div" && uncertain(1):
		acc := activation.Exactness(activation.Reciprocal())
		d.Rule, d.Status = "product", acc.Status.String()
	case n.op == "Mul" && both:
		d.Rule = "product"
	case (n.op == "MatMul" || n.op == "Gemm") && both:
		d.Rule = "matrix product"
	}
}

// parameters counts the weights.
func (m *model) parameters() int64 {
	var count int64
	add := func(d dtype, shape []int) {
		if n, err := m.limits.size(shape); err == nil && len(shape) > 0 && (d.isFloat() || d == int8t || d == uint8t) {
			count += int64(n)
		}
	}
	for _, v := range m.values {
		switch {
		case v.raw != nil:
			if shape, err := toInts(v.raw.GetDims()); err == nil {
				add(v.dtype, shape)
			}
		case v.by != nil && v.by.fileOp == "Constant" && v.con != nil:
			add(v.dtype, v.shape)
		}
	}
	return count
}
