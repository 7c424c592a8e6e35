package graph

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/layer"
)

// linear runs the node d, y = sum_i A_i x_i + b:
//
//	E y = f(E x),  Cov(y) = sum_ij A_i Cov(x_i, x_j) A_j',  Cov(y, u) = sum_i A_i Cov(x_i, u).
func (r *run) linear(d *node, rule layer.Linear, s *step) error {
	y := live{}
	y.mean, y.place = r.ws.vector(d.out, r.tensors[d.out].n)
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
		if acc, err = r.settle(d, rule, &y); err != nil {
			return r.nodeError(d, err)
		}
	}
	if r.dropped {
		acc = covprop.ApproximatedBy(math.Inf(1), ignored)
	}
	r.dropped = r.dropped || dropped
	r.ws.keep(d.out, y)
	r.report(d, acc)
	return nil
}

// linearSelf computes the covariance of the node's output.
func (r *run) linearSelf(d *node, rule layer.Linear, s *step, dst *block) error {
	n := r.tensors[d.out].n
	if r.staysDiagonal(d, rule) {
		*dst = r.ws.diagonal(d.out, n)
		if !r.dry {
			for i, t := range d.in {
				rule.Matrix(i).SquareMulTo(dst.v, r.ws.live[t].cov.v, i > 0)
			}
		}
		return nil
	}
	if len(d.in) > 1 {
		*dst = r.ws.dense(d.out, n)
		return r.sumSelf(d, rule, dst.m)
	}
	a, x := rule.Matrix(0), &r.ws.live[d.in[0]]
	if a.InPlace() && !x.cov.diagonal {
		if s.dies(d.in[0]) && x.cov.place.n > 0 {
			*dst, x.cov.place = x.cov, span{}
		} else {
			*dst = r.ws.dense(d.out, n)
		}
		if r.dry {
			return nil
		}
		if err := a.MulTo(r.ctx, r.layer.Threads, dst.m, x.cov.m, false); err != nil {
			return err
		}
		return a.SandwichTo(r.ctx, r.layer.Threads, dst.m, dst.m)
	}
	t, place, err := r.half(d, a, x)
	if err != nil {
		return err
	}
	*dst = r.ws.dense(d.out, n)
	if !r.dry {
		err = a.SandwichTo(r.ctx, r.layer.Threads, dst.m, t)
	}
	r.ws.arena.release(place)
	return err
}

// half computes A Cov(x) into scratch that the caller releases.
func (r *run) half(d *node, a layer.Matrix, x *live) (blas64.General, span, error) {
	t, place := r.ws.matrix(d.out, r.tensors[d.out].n, x.cov.n)
	if r.dry {
		return t, place, nil
	}
	if x.cov.diagonal {
		a.MulDiagTo(t, x.cov.v)
		return t, place, nil
	}
	return t, place, a.MulTo(r.ctx, r.layer.Threads, t, x.cov.m, false)
}

// staysDiagonal reports whether the node's output has a diagonal covariance,
// and notes covariances that are ignored.
func (r *run) staysDiagonal(d *node, rule layer.Linear) bool {
	keeps := true
	for i, t := range d.in {
		keeps = keeps && r.ws.live[t].cov.diagonal && rule.Matrix(i).KeepsDiagonal()
		for _, u := range d.in[:i] {
			if _, correlated := r.ws.covariance(t, u); correlated {
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

// sumSelf computes dst = sum_ij A_i Cov(x_i, x_j) A_j' for several inputs.
func (r *run) sumSelf(d *node, rule layer.Linear, dst blas64.General) error {
	n := dst.Rows
	if !r.dry {
		clear(dst.Data)
	}
	p, place := r.ws.matrix(d.out, n, n)
	for i, t := range d.in {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		half, halfPlace, err := r.half(d, rule.Matrix(i), &r.ws.live[t])
		if err != nil {
			return err
		}
		if !r.dry {
			err = rule.Matrix(i).MulTransTo(r.ctx, r.layer.Threads, dst, half, true)
		}
		r.ws.arena.release(halfPlace)
		if err != nil {
			return err
		}
		for j := range d.in[:i] {
			c, ok := r.ws.covariance(t, d.in[j])
			if !ok {
				continue
			}
			if err := r.sumCross(d, rule, dst, p, i, j, c); err != nil {
				return err
			}
		}
	}
	r.ws.arena.release(place)
	if !r.dry {
		kernel.Mirror(dst)
	}
	return nil
}

// sumCross adds A_i C A_j' and its transpose to dst, C = Cov(x_i, x_j) being
// stored in c one way or the other; p is scratch of dst's shape.
func (r *run) sumCross(d *node, rule layer.Linear, dst, p blas64.General, i, j int, c cross) error {
	if c.a != d.in[i] {
		i, j = j, i
	}
	half, place := r.ws.matrix(d.out, p.Rows, c.m.Cols)
	defer r.ws.arena.release(place)
	if r.dry {
		return nil
	}
	if err := rule.Matrix(i).MulTo(r.ctx, r.layer.Threads, half, c.m, false); err != nil {
		return err
	}
	if err := rule.Matrix(j).MulTransTo(r.ctx, r.layer.Threads, p, half, false); err != nil {
		return err
	}
	addTo(dst, p)
	addTransTo(dst, p)
	return nil
}

// linearCross computes the covariances between the node's output and every
// tensor that stays live.
func (r *run) linearCross(d *node, rule layer.Linear, s *step) error {
	if r.opts.Diagonal {
		return nil
	}
	for _, u := range r.ws.alive {
		if s.dies(u) {
			continue
		}
		if err := r.crossWith(d, rule, s, u); err != nil {
			return err
		}
	}
	return nil
}

// crossWith computes Cov(y, u) = sum_i A_i Cov(x_i, u), if any term is not
// zero.
func (r *run) crossWith(d *node, rule layer.Linear, s *step, u Tensor) error {
	n, nu := r.tensors[d.out].n, r.tensors[u].n
	if len(d.in) == 1 && d.in[0] != u {
		c, ok := r.ws.covariance(d.in[0], u)
		if !ok {
			return nil
		}
		return r.gainCross(c, d.in[0], d.out, rule.Matrix(0), s.dies(d.in[0]) && rule.Matrix(0).InPlace())
	}
	var dst cross
	for i, t := range d.in {
		c, ok := r.ws.covariance(t, u)
		if t == u {
			c, ok = cross{a: t, b: u, m: r.ws.live[t].cov.m}, true
		}
		if !ok {
			continue
		}
		first := dst.m.Rows == 0
		if first {
			dst.a, dst.b = d.out, u
			dst.m, dst.place = r.ws.matrix(d.out, n, nu)
		}
		if err := r.addCross(dst.m, rule.Matrix(i), t, c, !first); err != nil {
			return err
		}
	}
	if dst.m.Rows > 0 {
		r.ws.setCovariance(dst)
	}
	return nil
}

// addCross computes dst (+)= A Cov(t, u), the covariance c being stored one way
// or the other, or that of t itself.
func (r *run) addCross(dst blas64.General, a layer.Matrix, t Tensor, c cross, add bool) error {
	if c.a == c.b && r.ws.live[t].cov.diagonal {
		p, place := r.ws.matrix(t, dst.Rows, dst.Cols)
		if !r.dry {
			a.MulDiagTo(p, r.ws.live[t].cov.v)
			if !add {
				clear(dst.Data)
			}
			addTo(dst, p)
		}
		r.ws.arena.release(place)
		return nil
	}
	if c.a == t {
		if r.dry {
			return nil
		}
		return a.MulTo(r.ctx, r.layer.Threads, dst, c.m, add)
	}
	p, place := r.ws.matrix(t, dst.Cols, dst.Rows)
	defer r.ws.arena.release(place)
	if r.dry {
		return nil
	}
	if err := a.MulTransTo(r.ctx, r.layer.Threads, p, c.m, false); err != nil {
		return err
	}
	if !add {
		clear(dst.Data)
	}
	addTransTo(dst, p)
	return nil
}

// gainCross adds the covariance between y and the other tensor of c, made from
// c by the gain g of x -> y. c is stored one way or the other; in place, its
// memory goes to the new block.
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
	switch {
	case r.dry:
		return nil
	case left:
		return g.MulTo(r.ctx, r.layer.Threads, dst.m, c.m, false)
	}
	return g.MulTransTo(r.ctx, r.layer.Threads, dst.m, c.m, false)
}

// settle checks the moments of a linear node's output. A variance that is
// negative by no more than rounding is zero (one that rounding made positive
// cannot be told from a true one); one that is more negative comes
// of an input covariance that is positive semidefinite only within its
// tolerance, and makes the node approximate.
func (r *run) settle(d *node, rule layer.Linear, y *live) (acc covprop.Accuracy, err error) {
	var scale []float64
	for i, m := range y.mean {
		if math.IsNaN(m) || math.IsInf(m, 0) {
			return acc, fmt.Errorf("the mean of element %d is %v: the values overflow float64", i, m)
		}
		v := y.cov.variance(i)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return acc, fmt.Errorf("the variance of element %d is %v: the values overflow float64", i, v)
		}
		if v >= 0 {
			continue
		}
		if scale == nil {
			scale = r.varianceScale(d, rule)
		}
		if -v > rounding*scale[i] {
			acc = acc.Worse(covprop.ApproximatedBy(-v/scale[i], "a variance came out negative and was taken as zero: the input covariance is not quite positive semidefinite"))
		}
		r.makeCertain(d.out, y, i)
	}
	return acc, nil
}

// makeCertain sets the variance of element i of tensor t, whose state is y,
// and all its covariances to zero.
func (r *run) makeCertain(t Tensor, y *live, i int) {
	for j := range y.cov.m.Rows {
		y.cov.m.Data[i*y.cov.m.Stride+j] = 0
		y.cov.m.Data[j*y.cov.m.Stride+i] = 0
	}
	for _, u := range r.ws.alive {
		c, ok := r.ws.covariance(t, u)
		switch {
		case !ok:
		case c.a == t:
			clear(c.m.Data[i*c.m.Stride:][:c.m.Cols])
		default:
			for j := range c.m.Rows {
				c.m.Data[j*c.m.Stride+i] = 0
			}
		}
	}
}

// rounding is the relative error of a sum of products in float64, with a
// margin; the number of terms is part of varianceScale.
const rounding = 0x1p-48

// varianceScale returns the variances that the elements of the node's output
// could have if none of their terms cancelled: for m terms
// (sum |a_k| sigma_k)^2 <= m sum a_k^2 v_k, and rounding adds another m.
func (r *run) varianceScale(d *node, rule layer.Linear) []float64 {
	scale := make([]float64, r.tensors[d.out].n)
	terms := 0.
	for k, t := range d.in {
		x := &r.ws.live[t].cov
		v := make([]float64, x.n)
		for j := range v {
			v[j] = x.variance(j)
		}
		rule.Matrix(k).SquareMulTo(scale, v, k > 0)
		terms += float64(x.n)
	}
	for i := range scale {
		scale[i] *= terms * terms
	}
	return scale
}

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
	for i := range a.Rows {
		for j, v := range a.Data[i*a.Stride:][:a.Cols] {
			dst.Data[j*dst.Stride+i] += v
		}
	}
}
