package onnx

import (
	"math"
	"slices"
)

// squares is a mean(x^2) + epsilon of every group of elements of x, or
// a var(x) + epsilon if it is centred.
type squares struct {
	x          *value
	center     bool
	g          groups
	a, epsilon float64
	least      float64 // squares below it count as it
	added      float64 // to their root
}

// inverseRoot is factor gamma / sqrt(squares); gamma is a constant or nil, which
// is 1.
type inverseRoot struct {
	squares squares
	factor  float64
	gamma   *value
}

// clone returns a copy for a trial.
func (m *match) clone() *match {
	t := *m
	t.members = slices.Clone(m.members)
	return &t
}

// try keeps the members that f finds only if it finds all it looks for.
func (m *match) try(f func(*match) bool) bool {
	t := m.clone()
	if !f(t) || len(t.members) > maxNodes {
		return false
	}
	*m = *t
	return true
}

// step returns the node of op that makes v and makes it a member, or nil.
func (m *match) step(v *value, op string) *node {
	n := producer(v, op)
	if n != nil {
		m.members = append(m.members, n)
	}
	return n
}

// unreshaped goes back from v through nodes that only change its shape.
func (m *match) unreshaped(v *value) *value {
	for n := v.by; n != nil && producer(v, n.op) != nil; n = v.by {
		switch n.op {
		case "Unsqueeze", "Squeeze", "Reshape", "Identity":
			m.members = append(m.members, n)
			v = n.in[0]
		default:
			return v
		}
	}
	return v
}

// power returns u and p if v = u^p is spelled as a root, a reciprocal or a
// power.
func (m *match) power(v *value) (u *value, p float64) {
	if n := m.step(v, "Sqrt"); n != nil {
		return n.in[0], 0.5
	}
	if n := m.step(v, "Reciprocal"); n != nil {
		return n.in[0], -1
	}
	if n := producer(v, "Pow"); n != nil {
		if p, ok := m.scalar(n.in[1]); ok && slices.Equal(n.in[0].shape, v.shape) {
			m.members = append(m.members, n)
			return n.in[0], p
		}
	}
	return nil, 0
}

// square returns u if v = u^2.
func (m *match) square(v *value) *value {
	if n := producer(v, "Mul"); n != nil && n.in[0] == n.in[1] {
		m.members = append(m.members, n)
		return n.in[0]
	}
	if u, p := m.power(v); u != nil && p == 2 {
		return u
	}
	return nil
}

// reduced returns what v is the reduction by op of, and its groups.
func (m *match) reduced(v *value, op string) (*value, groups) {
	n := producer(v, op)
	if n == nil {
		return nil, groups{}
	}
	g, err := parseReduce(n, reduceSince(op))
	if err != nil || g.size == 0 {
		return nil, groups{}
	}
	m.members = append(m.members, n)
	return n.in[0], g
}

// reduceSince is the opset from which on the axes of a reduction are an input.
func reduceSince(op string) int {
	if op == "ReduceSum" {
		return 13
	}
	return 18
}

// aligned reports whether a tensor with one element for each group, of the
// given shape, broadcasts so that every element of a group meets its own.
func (g groups) aligned(shape []int) bool {
	want := newGroups(g.x, g.axes, true).out
	extra := len(want) - len(shape)
	return extra >= 0 && product(want[:extra]) == 1 && slices.Equal(want[extra:], shape)
}

// same reports whether the groups are those of h.
func (g groups) same(h groups) bool { return slices.Equal(g.x, h.x) && slices.Equal(g.axes, h.axes) }

// meanOf reports whether v is the mean of every group of x.
func (m *match) meanOf(v, x *value, g groups) bool {
	return g.aligned(v.shape) && m.try(func(t *match) bool {
		u, h := t.reduced(t.unreshaped(v), "ReduceMean")
		return u == x && g.same(h)
	})
}

// centred returns x if v = x - mean(x), the mean being that of its group.
func (m *match) centred(v *value, g groups) *value {
	n := producer(v, "Sub")
	if n == nil || !slices.Equal(n.in[0].shape, v.shape) || !m.meanOf(n.in[1], n.in[0], g) {
		return nil
	}
	m.members = append(m.members, n)
	return n.in[0]
}

// inverse finds v = factor gamma / sqrt(squares).
func (m *match) inverse(v *value) (r inverseRoot, ok bool) {
	found := m.try(func(t *match) bool {
		r, ok = t.inversePower(v)
		return ok
	}) || m.try(func(t *match) bool {
		n := t.step(v, "Div")
		if n == nil {
			return false
		}
		c, one := t.scalar(n.in[0])
		r, ok = t.inverseOf(n.in[1])
		r.factor *= c
		return one && ok
	})
	for i := 0; i < 2 && !found; i++ {
		found = m.try(func(t *match) bool {
			n := t.step(v, "Mul")
			if n == nil || n.in[i].con == nil || n.in[1-i].isConst() {
				return false
			}
			r, ok = t.inversePower(n.in[1-i])
			r.gamma = n.in[i]
			return ok
		})
	}
	return r, found
}

// inversePower finds v = 1/sqrt(squares) as a power or a reciprocal.
func (m *match) inversePower(v *value) (inverseRoot, bool) {
	v = m.expanded(v)
	shape := v.shape
	u, p := m.power(m.unreshaped(v))
	if u == nil {
		return inverseRoot{}, false
	}
	if p == -1 {
		r, ok := m.inverseOf(u)
		return r, ok && r.squares.g.aligned(shape)
	}
	if p == 0.5 { // the root of a reciprocal
		if u, p = m.power(u); u == nil || p != -1 {
			return inverseRoot{}, false
		}
		p = -0.5
	}
	s, ok := m.squares(u)
	return inverseRoot{squares: s, factor: 1}, ok && p == -0.5 && s.g.aligned(shape)
}

// inverseOf finds v = sqrt(squares).
func (m *match) inverseOf(v *value) (inverseRoot, bool) {
	v = m.expanded(v)
	s, ok := m.rootOf(v)
	return inverseRoot{squares: s, factor: 1}, ok && s.g.aligned(v.shape)
}

// expanded goes back through the repetition of every element for its group,
// which a product would make by itself.
func (m *match) expanded(v *value) *value {
	if n := m.step(v, "Expand"); n != nil {
		return n.in[0]
	}
	return v
}

// The largest number added to the root of a mean, and the largest lower bound
// of a root, that count as protection against a division by zero.
const (
	maxAdded = 1e-8
	maxFloor = 1e-6
)

// rootOf finds v = a sqrt(squares) + b, where b is 0 or small: sqrt(s + b^2),
// the same where s is 0, stands for it, and the rule says what is lost.
func (m *match) rootOf(v *value) (s squares, ok bool) {
	v = m.unreshaped(v)
	for _, op := range []string{"Sqrt", "Pow", "ReduceL2", "Clip", "Max"} {
		if m.try(func(t *match) bool {
			a, b, f := t.affine(v, op)
			if f == nil || !(a > 0) || !(b >= 0) {
				return false
			}
			if s, ok = t.simpleRoot(f); !ok || b > 0 && s.epsilon > 0 {
				return false
			}
			s.a, s.epsilon, s.least, s.added = a*a*s.a, a*a*s.epsilon+b*b, a*a*s.least, a*s.added+b
			return b <= maxAdded*math.Sqrt(s.a)*(1+t.tol)
		}) {
			return s, true
		}
	}
	return squares{}, false
}

// simpleRoot finds sqrt(squares) in the output of f, a member.
func (m *match) simpleRoot(f *node) (s squares, ok bool) {
	switch f.op {
	case "Sqrt":
		return m.squares(f.in[0])
	case "Pow":
		if p, half := m.scalar(f.in[1]); !half || p != 0.5 {
			return s, false
		}
		return m.squares(f.in[0])
	case "ReduceL2":
		g, err := parseReduce(f, reduceSince(f.op))
		return squares{x: f.in[0], g: g, a: float64(g.size)}, err == nil && g.size > 0
	}
	v, floor, ok := m.floor(f)
	if !ok || floor > maxFloor {
		return s, false
	}
	if s, ok = m.rootOf(v); ok {
		s, ok = s.atLeast(floor * floor)
	}
	return s, ok
}

// floor returns v and the constant if f is max(v, constant).
func (m *match) floor(f *node) (v *value, floor float64, ok bool) {
	if f.op == "Clip" {
		lo, hi, err := clipBounds(f)
		return f.in[0], lo, err == nil && lo > 0 && hi >= math.MaxFloat32
	}
	if len(f.in) != 2 {
		return nil, 0, false
	}
	for i, c := range f.in {
		if floor, ok := m.scalar(c); ok && floor > 0 {
			return f.in[1-i], floor, true
		}
	}
	return nil, 0, false
}

// atLeast is max(s, floor). Where nothing is added to the squares they take
// lpEpsilon instead, and the rule says where that may matter: a vector divided
// by their root is another only where the root is below that of the floor, and
// there no longer than elsewhere.
func (s squares) atLeast(floor float64) (squares, bool) {
	if s.epsilon == 0 {
		s.epsilon, s.least = lpEpsilon, floor
		return s, true
	}
	return s, floor <= s.epsilon
}

// squares finds v = a mean(x^2) + epsilon, as a mean, a sum, or a mean of
// squares less the square of the mean.
func (m *match) squares(v *value) (s squares, ok bool) {
	v = m.unreshaped(v)
	for _, op := range []string{"ReduceMean", "ReduceSum", "ReduceSumSquare", "Sub", "Clip", "Max"} {
		if m.try(func(t *match) bool {
			a, b, f := t.affine(v, op)
			if f == nil || !(a > 0) || !(b >= 0) {
				return false
			}
			if s, ok = t.simpleSquares(f); !ok {
				return false
			}
			s.a, s.epsilon, s.least = a*s.a, a*s.epsilon+b, a*s.least
			return true
		}) {
			return s, true
		}
	}
	return squares{}, false
}

// simpleSquares finds a mean of squares in the output of f, a member.
func (m *match) simpleSquares(f *node) (s squares, ok bool) {
	switch f.op {
	case "Clip", "Max":
		v, floor, ok := m.floor(f)
		if !ok || floor > maxFloor*maxFloor {
			return s, false
		}
		if s, ok = m.squares(v); ok {
			s, ok = s.atLeast(floor)
		}
		return s, ok
	case "Sub":
		return m.variance(f)
	}
	g, err := parseReduce(f, reduceSince(f.op))
	if err != nil || g.size == 0 {
		return s, false
	}
	s = squares{x: f.in[0], g: g, a: 1}
	if f.op != "ReduceMean" {
		s.a = float64(g.size)
	}
	if f.op != "ReduceSumSquare" {
		s.x = m.square(f.in[0])
	}
	return s, s.x != nil
}

// variance finds mean(x^2) - mean(x)^2 in the output of f, a member.
func (m *match) variance(f *node) (s squares, ok bool) {
	if !slices.Equal(f.in[0].shape, f.in[1].shape) {
		return s, false
	}
	u, g := m.reduced(f.in[0], "ReduceMean")
	if u == nil {
		return s, false
	}
	x, mean := m.square(u), m.square(f.in[1])
	if x == nil || mean == nil {
		return s, false
	}
	v, h := m.reduced(mean, "ReduceMean")
	return squares{x: x, center: true, g: g, a: 1}, v == x && g.same(h)
}
