package graph

import (
	"github.com/covprop/covprop/layer"
)

// sumSelf computes, for several inputs,
//
//	Cov(y) = M + M' + sum_i A_i Cov(x_i) A_i',  M = sum_{i>j} A_i Cov(x_i, x_j) A_j'.
func (r *run) sumSelf(d *node, rule layer.Linear, s *step, dst *block) error {
	if k := r.reusable(d, rule, s); k >= 0 {
		return r.sumInPlace(d, rule, s, k, dst)
	}
	*dst = r.ws.dense(d.out, r.tensors[d.out].n)
	if !r.dry {
		dst.m.zero()
	}
	for i, t := range d.in {
		for j, u := range d.in[:i] {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			c, place, ok := r.between(t, u)
			if !ok {
				continue
			}
			err := r.sumCross(d, rule, dst.m, i, j, c)
			r.ws.arena.release(place)
			if err != nil {
				return err
			}
		}
	}
	if !r.dry {
		dst.m.addOwnTranspose()
	}
	for i, t := range d.in {
		half, place, err := r.half(d, rule.Matrix(i), &r.ws.live[t])
		if err == nil {
			err = r.mulTransTo(rule.Matrix(i), dst.m, half, true)
		}
		r.ws.arena.release(place)
		if err != nil {
			return err
		}
	}
	if !r.dry {
		dst.m.mirror()
	}
	return nil
}

// sumCross adds A_i C A_j' to dst, C = Cov(x_i, x_j) being stored in c one way
// or the other; stored the other way it adds the transpose, which makes no
// difference to M + M'.
func (r *run) sumCross(d *node, rule layer.Linear, dst matrix, i, j int, c cross) error {
	if c.a != d.in[i] {
		i, j = j, i
	}
	half, place := r.ws.matrix(d.out, dst.Rows, c.m.Cols)
	defer r.ws.arena.release(place)
	if err := r.mulTo(rule.Matrix(i), half, c.m, false); err != nil {
		return err
	}
	return r.mulTransTo(rule.Matrix(j), dst, half, true)
}

// reusable returns an input whose dense block can become that of the output,
// or -1: it dies with the step and all matrices work in place, as in a sum.
func (r *run) reusable(d *node, rule layer.Linear, s *step) int {
	k := -1
	for i, t := range d.in {
		if !rule.Matrix(i).InPlace() {
			return -1
		}
		if x := &r.ws.live[t].cov; k < 0 && !x.diagonal && x.place.n > 0 && r.dies(s, t) {
			k = i
		}
	}
	return k
}

// sumInPlace is sumSelf in the block of input k. Blocks that die with the step
// are overwritten, so that it takes no memory of its own for them.
func (r *run) sumInPlace(d *node, rule layer.Linear, s *step, k int, dst *block) error {
	x := &r.ws.live[d.in[k]]
	x.cov.full()
	*dst, x.cov.place = x.cov, span{}
	if err := r.product(dst.m, dst.m, rule.Matrix(k), rule.Matrix(k)); err != nil {
		return err
	}
	for i, t := range d.in {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if i != k {
			if err := r.addSelf(d, rule.Matrix(i), s, t, dst.m); err != nil {
				return err
			}
		}
		for j, u := range d.in[:i] {
			c, ok := r.ws.covariance(t, u)
			if !ok {
				continue
			}
			a, b := rule.Matrix(i), rule.Matrix(j)
			if c.a != t {
				a, b = b, a
			}
			p, place := r.overwrite(d, c.m, c.place.n > 0 && (r.dies(s, t) || r.dies(s, u)))
			if err := r.product(p, c.m, a, b); err != nil {
				return err
			}
			if !r.dry {
				dst.m.add(p)
				dst.m.addTrans(p)
			}
			r.ws.arena.release(place)
		}
	}
	if !r.dry {
		dst.m.mirror()
	}
	return nil
}

// addSelf adds A Cov(t) A' to dst.
func (r *run) addSelf(d *node, a layer.Matrix, s *step, t Tensor, dst matrix) error {
	x := &r.ws.live[t].cov
	if !x.diagonal {
		p, place := r.overwrite(d, x.full(), x.place.n > 0 && r.dies(s, t))
		defer r.ws.arena.release(place)
		if err := r.product(p, x.m, a, a); err != nil || r.dry {
			return err
		}
		dst.add(p)
		return nil
	}
	if a.KeepsDiagonal() {
		v, place := r.ws.vector(d.out, x.n)
		defer r.ws.arena.release(place)
		r.count(gainOperations(a, dst.Rows, x.n), 1)
		if r.dry {
			return nil
		}
		a.SquareMulTo(v, x.v, false)
		for i, w := range v {
			dst.set(i, i, dst.at(i, i)+w)
		}
		return nil
	}
	half, place, err := r.half(d, a, &r.ws.live[t])
	if err == nil {
		err = r.mulTransTo(a, dst, half, true)
	}
	r.ws.arena.release(place)
	return err
}

// overwrite returns m itself if it is not needed any more, else scratch of its
// shape, which the caller releases.
func (r *run) overwrite(d *node, m matrix, dies bool) (matrix, span) {
	if dies {
		return m, span{}
	}
	return r.ws.matrix(d.out, m.Rows, m.Cols)
}

// product computes dst = A src B', where dst may be src.
func (r *run) product(dst, src matrix, a, b layer.Matrix) error {
	if err := r.mulTo(a, dst, src, false); err != nil {
		return err
	}
	return r.mulTransTo(b, dst, dst, false)
}
