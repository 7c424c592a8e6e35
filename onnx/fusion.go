package onnx

import (
	"math"
	"slices"

	"github.com/covprop/covprop/activation"
)

// fuse puts together what exporters took apart. The parts are products of
// uncertain tensors, which have no exact rule; the whole has one.
//
// A group ends in one node and is replaced by it. Its other members must serve
// nothing else.
func (m *model) fuse() {
	for _, n := range m.nodes {
		if !n.live || n.err != nil {
			continue
		}
		n.fuseConv()
		if n.fuseNorm() || n.fuseSoftmax() {
			continue
		}
		switch n.op {
		case "Div":
			n.fuseSoftsign()
			n.fuseProduct()
		case "Mul":
			n.fuseProduct()
		case "Add", "Sub":
			n.fuseBias()
		case "Log":
			n.fuseLog()
		case "Softmax":
			n.fuseMask()
		case "GlobalMaxPool", "MaxPool", "ReduceMax", "ReduceMin":
			n.fuseMax()
		}
	}
}

// A match is what a pattern has found: the group's members, and how close to
// their ideal values its constants have to be.
type match struct {
	root    *node
	members []*node
	tol     float64
}

func newMatch(root *node) *match { return &match{root: root, members: []*node{root}, tol: 1e-6} }

// is reports whether x is the ideal value to the precision of the constants.
func (m *match) is(x, ideal float64) bool { return math.Abs(x-ideal) <= m.tol*math.Abs(ideal) }

// closed reports whether members other than the root serve only members.
func (m *match) closed() bool {
	in := make(map[*node]bool, len(m.members))
	for _, n := range m.members {
		in[n] = true
	}
	for n := range in {
		if n == m.root {
			continue
		}
		for _, v := range n.out {
			if v.output || slices.ContainsFunc(v.users, func(u *node) bool { return !in[u] }) {
				return false
			}
		}
	}
	return true
}

// replace makes the root the operator name with the inputs given, and the
// other members parts of it.
func (m *match) replace(name string, def op, in ...*value) {
	m.root.op, m.root.def, m.root.in = name, def, in
	for _, n := range m.members {
		if n != m.root && n.into == nil {
			n.into = m.root
			m.root.members++
		}
	}
}

// producer returns the node of op that makes v, or nil. A node that is part of
// a group does not count, nor does the end of one.
func producer(v *value, op string) *node {
	if n := v.by; n != nil && n.op == op && n.op == n.fileOp && n.err == nil && n.into == nil && !v.isConst() {
		return n
	}
	return nil
}

// fuseProduct recognises x times a function of x in a product of two factors
// and constants.
func (n *node) fuseProduct() {
	m := newMatch(n)
	c, factors := m.factors(n.out[0], true)
	if len(factors) != 2 || factors[0] == factors[1] {
		return
	}
	for i, x := range factors {
		if !slices.Equal(x.shape, n.out[0].shape) {
			continue
		}
		for _, p := range patterns {
			t := &match{root: n, members: slices.Clone(m.members), tol: m.tol}
			if name, act := p(t, c, x, factors[1-i]); act != nil && t.closed() {
				t.replace(name, unary(oldestOpset, simple(func() activation.Activation { return act })), x)
				return
			}
		}
	}
}

// factors takes the product that makes v apart into a constant and factors
// that are no products. Below the root it enters only nodes with one user.
func (m *match) factors(v *value, root bool) (c float64, f []*value) {
	leaf := []*value{v}
	if !root && (len(v.users) != 1 || v.output || len(m.members) > maxNodes) {
		return 1, leaf
	}
	n := producer(v, "Mul")
	if n == nil {
		n = producer(v, "Div")
	}
	if n == nil {
		return 1, leaf
	}
	if !root {
		m.members = append(m.members, n)
	}
	a, fa := m.factor(n.in[0])
	b, fb := m.factor(n.in[1])
	if n.op == "Div" {
		if len(fb) > 0 {
			if !root {
				m.members = m.members[:len(m.members)-1]
			}
			return 1, leaf
		}
		b = 1 / b
	}
	return a * b, append(fa, fb...)
}

func (m *match) factor(v *value) (c float64, f []*value) {
	if c, ok := m.scalar(v); ok {
		return c, nil
	}
	return m.factors(v, false)
}

// scalar returns the value of a constant with one element.
func (m *match) scalar(v *value) (float64, bool) {
	if v.con == nil || v.con.len() != 1 {
		return 0, false
	}
	switch v.con.dtype {
	case float16:
		m.tol = max(m.tol, 1e-3)
	case bfloat16:
		m.tol = max(m.tol, 4e-3) // half a unit in the last of 8 bits
	}
	x := v.con.real()[0]
	return x, !math.IsNaN(x) && !math.IsInf(x, 0)
}

// A pattern recognises an activation in c x s. It returns its name as an
// operator, and nil if it is not what it looks for.
type pattern func(m *match, c float64, x, s *value) (string, activation.Activation)

var patterns = []pattern{matchGELU, matchGELUTanh, matchSiLU, matchMish, matchHardSwish, matchHardSigmoidSwish}

// matchGELU: x Phi(x) = x (1 + erf(x / sqrt2)) / 2.
func matchGELU(m *match, c float64, x, s *value) (string, activation.Activation) {
	a, b, f := m.affine(s, "Erf")
	if f == nil {
		return "", nil
	}
	p, ok := m.polynomial(f.in[0], x)
	if p[1] < 0 { // the function is odd
		a, p = -a, cubic{}.plus(p, -1)
	}
	if !ok || !m.is(c*a, 0.5) || !m.is(c*b, 0.5) || p != (cubic{1: p[1]}) || !m.is(p[1], math.Sqrt2/2) {
		return "", nil
	}
	return "Gelu", activation.GELU()
}

// matchGELUTanh: x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.
func matchGELUTanh(m *match, c float64, x, s *value) (string, activation.Activation) {
	a, b, f := m.affine(s, "Tanh")
	if f == nil {
		return "", nil
	}
	p, ok := m.polynomial(f.in[0], x)
	if p[1] < 0 { // the function is odd
		a, p = -a, cubic{}.plus(p, -1)
	}
	k := math.Sqrt(2 / math.Pi)
	if !ok || !m.is(c*a, 0.5) || !m.is(c*b, 0.5) || p != (cubic{1: p[1], 3: p[3]}) || !m.is(p[1], k) || !m.is(p[3], k*0.044715) {
		return "", nil
	}
	return "Gelu", activation.GELUTanh()
}

// matchSiLU: x sigmoid(x), and quick-GELU x sigmoid(1.702 x) or with another
// factor.
func matchSiLU(m *match, c float64, x, s *value) (string, activation.Activation) {
	a, b, f := m.affine(s, "Sigmoid")
	if f == nil {
		return "", nil
	}
	p, ok := m.polynomial(f.in[0], x)
	switch {
	case !ok || !m.is(c*a, 1) || b != 0 || p != (cubic{1: p[1]}) || p[1] == 0:
		return "", nil
	case m.is(p[1], 1):
		return "Silu", activation.SiLU()
	case m.is(p[1], 1.702):
		return "QuickGelu", activation.QuickGELU(1.702)
	}
	return "QuickGelu", activation.QuickGELU(p[1])
}

// matchMish: x tanh(softplus(x)).
func matchMish(m *match, c float64, x, s *value) (string, activation.Activation) {
	a, b, f := m.affine(s, "Tanh")
	if f == nil || !m.is(c*a, 1) || b != 0 {
		return "", nil
	}
	g := producer(f.in[0], "Softplus")
	if g == nil || g.in[0] != x {
		return "", nil
	}
	m.members = append(m.members, g)
	return "Mish", activation.Mish()
}

// matchHardSwish: x clip(x+3, 0, 6) / 6.
func matchHardSwish(m *match, c float64, x, s *value) (string, activation.Activation) {
	a, b, f := m.affine(s, "Clip")
	if f == nil || b != 0 {
		return "", nil
	}
	lo, hi, err := clipBounds(f)
	if err != nil {
		return "", nil
	}
	p, ok := m.polynomial(f.in[0], x)
	if !ok || lo != 0 || !m.is(c*a*hi, 1) {
		return "", nil
	}
	return m.hardSwish(p, c*a)
}

// matchHardSigmoidSwish: x hard-sigmoid(x) with slope 1/6 and offset 1/2.
func matchHardSigmoidSwish(m *match, c float64, x, s *value) (string, activation.Activation) {
	a, b, f := m.affine(s, "HardSigmoid")
	if f == nil || b != 0 || !m.is(c*a, 1) {
		return "", nil
	}
	p, ok := m.polynomial(f.in[0], x)
	if !ok {
		return "", nil
	}
	alpha, beta := f.floatAttr("alpha", 0.2), f.floatAttr("beta", 0.5)
	for i := range p {
		p[i] *= alpha
	}
	p[0] += beta
	return m.hardSwish(p, 1)
}

// hardSwish reports whether f p is x/6 + 1/2.
func (m *match) hardSwish(p cubic, f float64) (string, activation.Activation) {
	if p != (cubic{p[0], p[1]}) || !m.is(f*p[1], 1./6) || !m.is(f*p[0], 0.5) {
		return "", nil
	}
	return "HardSwish", activation.HardSwish()
}

// fuseLog: log sigmoid(x), and softplus(x) = log(1 + e^x). The logarithm alone
// would meet its singular point.
func (n *node) fuseLog() {
	m := newMatch(n)
	act, f := activation.LogSigmoid, producer(n.in[0], "Sigmoid")
	name := "LogSigmoid"
	if f != nil {
		m.members = append(m.members, f)
	} else {
		var a, b float64
		if a, b, f = m.affine(n.in[0], "Exp"); f == nil || a != 1 || b != 1 {
			return
		}
		act, name = activation.Softplus, "Softplus"
	}
	if m.closed() {
		m.replace(name, unary(oldestOpset, simple(act)), f.in[0])
	}
}

// fuseSoftsign: x / (1 + |x|).
func (n *node) fuseSoftsign() {
	m := newMatch(n)
	a, b, f := m.affine(n.in[1], "Abs")
	if f != nil && a == 1 && b == 1 && f.in[0] == n.in[0] && slices.Equal(n.in[0].shape, n.out[0].shape) && m.closed() {
		m.replace("Softsign", unary(oldestOpset, simple(activation.Softsign)), n.in[0])
	}
}

// fuseBias makes one affine map of a product with a constant matrix and the
// addition of a constant that is the same for all its vectors.
func (n *node) fuseBias() {
	side := slices.IndexFunc(n.in, func(v *value) bool { return v != nil && v.isConst() })
	if side < 0 || len(n.in) != 2 || n.op == "Sub" && side == 0 || n.m.opset < 7 {
		return
	}
	c, v := n.in[side].con, n.in[1-side]
	p := producer(v, "MatMul")
	if p == nil || len(p.in) != 2 || len(v.shape) == 0 || !slices.Equal(v.shape, n.out[0].shape) {
		return
	}
	bias, ok := p.bias(c)
	if !ok {
		return
	}
	m := newMatch(n)
	m.members = append(m.members, p)
	if !m.closed() {
		return
	}
	if n.op == "Sub" {
		bias = scaled(bias, -1)
	}
	b := &value{name: n.in[side].name, con: &tensor{origin: c.origin, dtype: float64t, shape: []int{len(bias)}, floats: bias}}
	m.replace("Gemm", p.def, p.in[0], p.in[1], b)
}

// bias returns c as one number for each row of the map's matrix: along the
// last axis of the result of x W, along the one before it in W x.
func (n *node) bias(c *tensor) ([]float64, bool) {
	d, err := matMulInputs(n)
	if err != nil {
		return nil, false
	}
	size, trailing := d.n, 0
	if n.in[0].isConst() {
		size = d.m
		if len(d.batchA) > 0 {
			return nil, false
		}
		if len(n.in[1].shape) > 1 {
			trailing = 1
		}
	}
	one := product(c.shape) == 1
	axis := len(c.shape) - 1 - trailing
	if !one && (axis < 0 || c.shape[axis] != size || product(c.shape) != size) || len(n.in[1].shape) == 1 && !n.in[0].isConst() {
		return nil, false
	}
	x := c.real()
	if one {
		x = slices.Repeat(x, size)
	}
	return x, true
}
