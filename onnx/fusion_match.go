package onnx

import "slices"

// cubic is c[0] + c[1] x + c[2] x^2 + c[3] x^3.
type cubic [4]float64

func (c cubic) plus(d cubic, sign float64) cubic {
	for i := range c {
		c[i] += sign * d[i]
	}
	return c
}

// times returns the product; ok is false if its degree is above 3.
func (c cubic) times(d cubic) (p cubic, ok bool) {
	for i, a := range c {
		for j, b := range d {
			switch {
			case a == 0 || b == 0:
			case i+j > 3:
				return p, false
			default:
				p[i+j] += a * b
			}
		}
	}
	return p, true
}

// maxNodes bounds the search: the longest spelling of a known activation has
// fewer nodes, and a tensor used twice is expanded twice.
const maxNodes = 64

// polynomial expands v as a polynomial in x of degree up to 3, if it is one.
// The nodes on the way become members.
func (m *match) polynomial(v, x *value) (cubic, bool) {
	if v == x {
		return cubic{0, 1}, true
	}
	if c, ok := m.scalar(v); ok {
		return cubic{c}, true
	}
	n := v.by
	if n == nil || len(m.members) > maxNodes || producer(v, n.op) == nil || !slices.Equal(v.shape, x.shape) {
		return cubic{}, false
	}
	m.members = append(m.members, n)
	a, ok := m.polynomial(n.in[0], x)
	if !ok {
		return a, false
	}
	if n.op == "Neg" {
		return cubic{}.plus(a, -1), true
	}
	if len(n.in) != 2 || n.in[1] == nil {
		return a, false
	}
	b, ok := m.polynomial(n.in[1], x)
	if !ok {
		return b, false
	}
	switch constant := b == (cubic{b[0]}); {
	case n.op == "Add" || n.op == "Sum":
		return a.plus(b, 1), true
	case n.op == "Sub":
		return a.plus(b, -1), true
	case n.op == "Mul":
		return a.times(b)
	case n.op == "Div" && constant && b[0] != 0:
		return a.times(cubic{1 / b[0]})
	case n.op == "Pow" && constant && b[0] == 2:
		return a.times(a)
	case n.op == "Pow" && constant && b[0] == 3:
		if s, ok := a.times(a); ok {
			return s.times(a)
		}
	}
	return cubic{}, false
}

// affine finds v = a f + b, where f is the output of an op of the given name
// and a and b are constants. f is nil if v is nothing like that. The nodes on
// the way, f included, become members.
func (m *match) affine(v *value, op string) (a, b float64, f *node) {
	a = 1
	for range maxNodes {
		n := v.by
		if n == nil || producer(v, n.op) == nil || len(n.in) == 0 || n.in[0] == nil {
			return 0, 0, nil
		}
		m.members = append(m.members, n)
		if n.op == op {
			return a, b, n
		}
		if n.op == "Neg" {
			a, v = -a, n.in[0]
			continue
		}
		if len(n.in) != 2 || n.in[1] == nil {
			return 0, 0, nil
		}
		c, left := m.scalar(n.in[0])
		d, right := m.scalar(n.in[1])
		switch {
		case (n.op == "Add" || n.op == "Sum") && left:
			b, v = b+a*c, n.in[1]
		case (n.op == "Add" || n.op == "Sum") && right:
			b, v = b+a*d, n.in[0]
		case n.op == "Sub" && right:
			b, v = b-a*d, n.in[0]
		case n.op == "Sub" && left:
			a, b, v = -a, b+a*c, n.in[1]
		case n.op == "Mul" && left:
			a, v = a*c, n.in[1]
		case n.op == "Mul" && right:
			a, v = a*d, n.in[0]
		case n.op == "Div" && right && d != 0:
			a, v = a/d, n.in[0]
		default:
			return 0, 0, nil
		}
	}
	return 0, 0, nil
}
