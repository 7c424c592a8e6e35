package graph

import (
	"math"
	"slices"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// linear runs the node d, y = sum_i A_i x_i + b:
//
//	E y = f(E x),  Cov(y) = sum_ij A_i Cov(x_i, x_j) A_j',  Cov(y, u) = sum_i A_i Cov(x_i, u).
//
// The largest blocks of a network are worth avoiding: what dies with the step
// is overwritten where the matrices allow it, and the covariance with an input
// that stays is also the first half of Cov(y).
func (r *run) linear(d *node, rule layer.Linear, s *step) error {
	y := r.ws.values(d.out, r.tensors[d.out].n)
	before, place := r.variances(d)
	var sum []float64
	if r.ws.narrow {
		var p span
		sum, p = r.ws.vector(d.out, r.tensors[d.out].n)
		defer r.ws.arena.release(p)
	}
	r.count(layer.Operations(rule), 1)
	if !r.dry {
		args := r.ws.args[:0]
		for _, t := range d.in {
			args = append(args, r.ws.live[t].mean)
			y.nonGaussian = y.nonGaussian || r.ws.live[t].nonGaussian
		}
		r.ws.args = args
		rule.Forward(y.mean, args...)
	}
	if err := r.linearCross(d, rule, s); err != nil {
		return err
	}
	dropped := r.dropped
	r.dropped = false
	if err := r.linearSelf(d, rule, s, &y.cov); err != nil {
		return err
	}
	acc := covprop.Accuracy{}
	if !r.dry {
		var err error
		if r.ws.narrow && !y.cov.diagonal {
			acc, err = r.settle32(d, rule, &y, before, sum)
		}
		if err == nil {
			var a covprop.Accuracy
			a, err = r.settle(d, rule, &y, before)
			acc = acc.Worse(a)
		}
		if err != nil {
			return r.nodeError(d, err)
		}
	}
	if r.dropped {
		acc = covprop.ApproximatedBy(math.Inf(1), ignored)
	}
	r.dropped = r.dropped || dropped
	r.ws.arena.release(place)
	r.ws.keep(d.out, y)
	r.report(d, acc)
	return nil
}

// variances returns those of the node's inputs, one after the other, since
// their blocks may be overwritten.
func (r *run) variances(d *node) ([]float64, span) {
	n := 0
	for _, t := range d.in {
		n += r.tensors[t].n
	}
	v, place := r.ws.vector(d.out, n)
	if r.dry {
		return v, place
	}
	k := 0
	for _, t := range d.in {
		cov := &r.ws.live[t].cov
		cov.variancesTo(v[k:][:cov.n])
		k += cov.n
	}
	return v, place
}

// linearSelf computes the covariance of the node's output.
func (r *run) linearSelf(d *node, rule layer.Linear, s *step, dst *block) error {
	n := r.tensors[d.out].n
	if r.staysDiagonal(d, rule) {
		*dst = r.ws.diagonal(d.out, n)
		for i, t := range d.in {
			a := rule.Matrix(i)
			r.count(gainOperations(a, n, r.tensors[t].n), 1)
			if !r.dry {
				a.SquareMulTo(dst.v, r.ws.live[t].cov.v, i > 0)
			}
		}
		return nil
	}
	if len(d.in) > 1 {
		return r.sumSelf(d, rule, s, dst)
	}
	a, x := rule.Matrix(0), &r.ws.live[d.in[0]]
	if a.InPlace() && !x.cov.diagonal && r.dies(s, d.in[0]) && x.cov.place.n > 0 {
		m := x.cov.full()
		*dst, x.cov.place = x.cov, span{}
		if err := r.mulTo(a, m, m, false); err != nil {
			return err
		}
		return r.sandwich(a, dst, m)
	}
	if c, ok := r.ws.covariance(d.out, d.in[0]); ok { // A Cov(x), as x stays
		*dst = r.ws.dense(d.out, n)
		return r.sandwich(a, dst, c.m)
	}
	if a.InPlace() && !x.cov.diagonal {
		*dst = r.ws.dense(d.out, n)
		if err := r.mulTo(a, dst.m, x.cov.full(), false); err != nil {
			return err
		}
		return r.sandwich(a, dst, dst.m)
	}
	if c, ok := a.(layer.Congruence); ok && c.IsSmall() && !x.cov.diagonal && !r.ws.narrow {
		*dst = r.ws.dense(d.out, n)
		r.congruence(c, dst, x.cov.full())
		return nil
	}
	half, place, err := r.half(d, a, x)
	if err != nil {
		return err
	}
	if r.dies(s, d.in[0]) {
		r.ws.arena.release(x.cov.place)
		x.cov.place = span{}
	}
	*dst = r.ws.dense(d.out, n)
	err = r.sandwich(a, dst, half)
	r.ws.arena.release(place)
	return err
}

// sandwich computes dst = src A', with src = A Cov(x).
func (r *run) sandwich(a layer.Matrix, dst *block, src matrix) error {
	dst.lower = true
	return r.sandwichTo(a, dst.m, src)
}

// congruence computes dst = A src A'.
func (r *run) congruence(a layer.Congruence, dst *block, src matrix) {
	dst.lower = true
	if r.dry {
		r.count(gainOperations(a, dst.n, src.Rows), src.Rows+(dst.n+1)/2)
		return
	}
	a.CongruenceTo(dst.m.general(), src.general())
}

// half computes A Cov(x) into scratch that the caller releases.
func (r *run) half(d *node, a layer.Matrix, x *live) (matrix, span, error) {
	t, place := r.ws.matrix(d.out, r.tensors[d.out].n, x.cov.n)
	if x.cov.diagonal {
		r.mulDiagTo(d.out, a, t, x.cov.v)
		return t, place, nil
	}
	return t, place, r.mulTo(a, t, x.cov.full(), false)
}

// staysDiagonal reports whether the node's output has a diagonal covariance,
// and notes covariances that are ignored.
func (r *run) staysDiagonal(d *node, rule layer.Linear) bool {
	keeps := true
	for i, t := range d.in {
		keeps = keeps && r.ws.live[t].cov.diagonal && rule.Matrix(i).KeepsDiagonal()
		for _, u := range d.in[:i] {
			if _, correlated := r.ws.covariance(t, u); correlated || t == u {
				keeps = false
			}
		}
	}
	if r.opts.Diagonal {
		r.dropped = r.dropped || !keeps || len(d.in) > 1
		return true
	}
	return keeps
}

// linearCross computes the covariances between the node's output and every
// tensor that stays live.
func (r *run) linearCross(d *node, rule layer.Linear, s *step) error {
	if r.opts.Diagonal {
		return nil
	}
	for _, u := range r.ws.alive {
		if r.dies(s, u) {
			continue
		}
		if err := r.crossWith(d, rule, s, u); err != nil {
			return err
		}
	}
	return nil
}

// crossWith computes Cov(y, u) = sum_i A_i Cov(x_i, u), if any term is not
// zero: in the memory of a term that dies with its input, where that is
// possible. The covariances among the inputs are still needed for Cov(y).
func (r *run) crossWith(d *node, rule layer.Linear, s *step, u Tensor) error {
	var dst cross
	taken := -1
	for i, t := range d.in {
		c, ok := r.ws.covariance(t, u)
		if t == u || !ok || !rule.Matrix(i).InPlace() || !r.dies(s, t) || c.place.n == 0 || slices.Contains(d.in, u) {
			continue
		}
		if err := r.gainCross(c, t, d.out, rule.Matrix(i), true); err != nil {
			return err
		}
		dst, _ = r.ws.covariance(d.out, u)
		taken = i
		break
	}
	for i, t := range d.in {
		if i == taken {
			continue
		}
		if t == u && r.ws.live[t].cov.diagonal {
			if err := r.addDiagonal(&dst, d.out, rule.Matrix(i), u); err != nil {
				return err
			}
			continue
		}
		if err := r.addCross(&dst, d.out, rule.Matrix(i), t, u); err != nil {
			return err
		}
	}
	if dst.m.Rows > 0 {
		r.ws.setCovariance(dst)
	}
	return nil
}

// between returns the covariance between t and u, which may be t itself. The
// caller releases place, which holds a diagonal one as a matrix.
func (r *run) between(t, u Tensor) (c cross, place span, ok bool) {
	if t != u {
		c, ok = r.ws.covariance(t, u)
		return c, span{}, ok
	}
	x := &r.ws.live[t].cov
	c = cross{a: t, b: t, m: x.full()}
	if x.diagonal {
		c.m, place = r.ws.matrix(t, x.n, x.n)
		if !r.dry {
			x.fill(c.m)
		}
	}
	return c, place, true
}

// addCross adds G Cov(x, u), if that is not zero, to dst, the covariance
// between y and u. An empty dst is made first, the same way round as Cov(x, u)
// is stored.
func (r *run) addCross(dst *cross, y Tensor, g layer.Gain, x, u Tensor) error {
	c, held, ok := r.between(x, u)
	if !ok {
		return nil
	}
	defer r.ws.arena.release(held)
	left := c.a == x
	n, nu := r.tensors[y].n, r.tensors[u].n
	add := dst.m.Rows > 0
	if !add && left {
		dst.a, dst.b = y, u
		dst.m, dst.place = r.ws.matrix(y, n, nu)
	} else if !add {
		dst.a, dst.b = u, y
		dst.m, dst.place = r.ws.matrix(y, nu, n)
	}
	if (dst.a == y) == left {
		if left {
			return r.mulTo(g, dst.m, c.m, add)
		}
		return r.mulTransTo(g, dst.m, c.m, add)
	}
	p, place := r.ws.matrix(y, dst.m.Cols, dst.m.Rows)
	defer r.ws.arena.release(place)
	var err error
	if left {
		err = r.mulTo(g, p, c.m, false)
	} else {
		err = r.mulTransTo(g, p, c.m, false)
	}
	if err == nil && !r.dry {
		dst.m.addTrans(p)
	}
	return err
}

// addDiagonal adds A Cov(u) to dst, the covariance between y and u, for a
// diagonal Cov(u).
func (r *run) addDiagonal(dst *cross, y Tensor, a layer.Matrix, u Tensor) error {
	n, nu := r.tensors[y].n, r.tensors[u].n
	if dst.m.Rows == 0 {
		dst.a, dst.b = y, u
		dst.m, dst.place = r.ws.matrix(y, n, nu)
		r.mulDiagTo(y, a, dst.m, r.ws.live[u].cov.v)
		return nil
	}
	p, place := r.ws.matrix(y, n, nu)
	defer r.ws.arena.release(place)
	r.mulDiagTo(y, a, p, r.ws.live[u].cov.v)
	switch {
	case r.dry:
	case dst.a == y:
		dst.m.add(p)
	default:
		dst.m.addTrans(p)
	}
	return nil
}

// gainCross makes the covariance between y and the other tensor of c from c by
// the gain g of x -> y. c is stored one way or the other; in place, its memory
// goes to the new block.
func (r *run) gainCross(c cross, x, y Tensor, g layer.Gain, inPlace bool) error {
	left := c.a == x
	dst := cross{a: y, b: c.b}
	shape := [2]int{r.tensors[y].n, c.m.Cols}
	if !left {
		dst.a, dst.b = c.a, y
		shape = [2]int{c.m.Rows, r.tensors[y].n}
	}
	if inPlace && c.place.n > 0 {
		dst.m, dst.place = c.m, c.place
		c.place = span{}
		r.ws.setCovariance(c)
	} else {
		dst.m, dst.place = r.ws.matrix(y, shape[0], shape[1])
	}
	r.ws.setCovariance(dst)
	if left {
		return r.mulTo(g, dst.m, c.m, false)
	}
	return r.mulTransTo(g, dst.m, c.m, false)
}
