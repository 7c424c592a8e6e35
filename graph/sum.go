package graph

import (
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/kernel"
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
		clear(dst.m.Data)
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
		addOwnTranspose(dst.m)
	}
	for i, t := range d.in {
		half, place, err := r.half(d, rule.Matrix(i), &r.ws.live[t])
		if err == nil && !r.dry {
			err = rule.Matrix(i).MulTransTo(r.ctx, r.layer.Threads, dst.m, half, true)
		}
		r.ws.arena.release(place)
		if err != nil {
			return err
		}
	}
	if !r.dry {
		kernel.Mirror(dst.m)
	}
	return nil
}

// sumCross adds A_i C A_j' to dst, C = Cov(x_i, x_j) being stored in c one way
// or the other; stored the other way it adds the transpose, which makes no
// difference to M + M'.
func (r *run) sumCross(d *node, rule layer.Linear, dst blas64.General, i, j int, c cross) error {
	if c.a != d.in[i] {
		i, j = j, i
	}
	half, place := r.ws.matrix(d.out, dst.Rows, c.m.Cols)
	defer r.ws.arena.release(place)
	if r.dry {
		return nil
	}
	if err := rule.Matrix(i).MulTo(r.ctx, r.layer.Threads, half, c.m, false); err != nil {
		return err
	}
	return rule.Matrix(j).MulTransTo(r.ctx, r.layer.Threads, dst, half, true)
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
	*dst, x.cov.place = x.cov, span{}
	if err := r.sandwich(dst.m, dst.m, rule.Matrix(k), rule.Matrix(k)); err != nil {
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
			if err := r.sandwich(p, c.m, a, b); err != nil {
				return err
			}
			if !r.dry {
				addTo(dst.m, p)
				addTransTo(dst.m, p)
			}
			r.ws.arena.release(place)
		}
	}
	if !r.dry {
		kernel.Mirror(dst.m)
	}
	return nil
}

// addSelf adds A Cov(t) A' to dst.
func (r *run) addSelf(d *node, a layer.Matrix, s *step, t Tensor, dst blas64.General) error {
	x := &r.ws.live[t].cov
	if !x.diagonal {
		p, place := r.overwrite(d, x.m, x.place.n > 0 && r.dies(s, t))
		defer r.ws.arena.release(place)
		if err := r.sandwich(p, x.m, a, a); err != nil || r.dry {
			return err
		}
		addTo(dst, p)
		return nil
	}
	if a.KeepsDiagonal() {
		v, place := r.ws.vector(d.out, x.n)
		defer r.ws.arena.release(place)
		if r.dry {
			return nil
		}
		a.SquareMulTo(v, x.v, false)
		for i, w := range v {
			dst.Data[i*dst.Stride+i] += w
		}
		return nil
	}
	half, place, err := r.half(d, a, &r.ws.live[t])
	if err == nil && !r.dry {
		err = a.MulTransTo(r.ctx, r.layer.Threads, dst, half, true)
	}
	r.ws.arena.release(place)
	return err
}

// overwrite returns m itself if it is not needed any more, else scratch of its
// shape, which the caller releases.
func (r *run) overwrite(d *node, m blas64.General, dies bool) (blas64.General, span) {
	if dies {
		return m, span{}
	}
	return r.ws.matrix(d.out, m.Rows, m.Cols)
}

// sandwich computes dst = A src B', where dst may be src.
func (r *run) sandwich(dst, src blas64.General, a, b layer.Matrix) error {
	if r.dry {
		return nil
	}
	if err := a.MulTo(r.ctx, r.layer.Threads, dst, src, false); err != nil {
		return err
	}
	return b.MulTransTo(r.ctx, r.layer.Threads, dst, dst, false)
}

// tile is the side of the squares in which matrices are transposed: two fit
// into the first level cache.
const tile = 32

// addTo computes dst += a.
func addTo(dst, a blas64.General) {
	for i := range a.Rows {
		d := dst.Data[i*dst.Stride:][:a.Cols]
		for j, v := range a.Data[i*a.Stride:][:a.Cols] {
			d[j] += v
		}
	}
}

// addTransTo computes dst += a'.
func addTransTo(dst, a blas64.General) {
	for i0 := 0; i0 < a.Rows; i0 += tile {
		for j0 := 0; j0 < a.Cols; j0 += tile {
			for i := i0; i < min(i0+tile, a.Rows); i++ {
				row := a.Data[i*a.Stride:][:a.Cols]
				for j := j0; j < min(j0+tile, a.Cols); j++ {
					dst.Data[j*dst.Stride+i] += row[j]
				}
			}
		}
	}
}

// addOwnTranspose computes a = a + a'.
func addOwnTranspose(a blas64.General) {
	for i0 := 0; i0 < a.Rows; i0 += tile {
		for j0 := 0; j0 <= i0; j0 += tile {
			for i := i0; i < min(i0+tile, a.Rows); i++ {
				for j := j0; j < min(j0+tile, i+1); j++ {
					p, q := &a.Data[i*a.Stride+j], &a.Data[j*a.Stride+i]
					*p += *q
					*q = *p
				}
			}
		}
	}
}
