package graph

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// nonlinear runs the node d, y = f(x_1, ..., x_m). The rule computes the
// moments of y and the gains G_i = E[df/dx_i]; then Cov(y, u) = sum_i G_i
// Cov(x_i, u) (Stein 1981).
func (r *run) nonlinear(d *node, rule layer.Nonlinear, s *step) error {
	n := r.tensors[d.out].n
	y := live{}
	y.mean, y.place = r.ws.vector(d.out, n)
	if r.opts.Diagonal {
		y.cov = r.ws.diagonal(d.out, n)
	} else {
		y.cov = r.ws.dense(d.out, n)
	}
	work, place := r.ws.vector(d.out, rule.WorkFloats(r.opts.Diagonal))
	var acc covprop.Accuracy
	var gains []layer.Gain
	if !r.dry {
		dst := layer.Response{Mean: y.mean, Variance: y.cov.v, Cov: y.cov.m, Work: work}
		if !r.opts.Diagonal {
			dst.Gain = make([]layer.Gain, len(d.in))
		}
		var err error
		if acc, err = rule.MomentsTo(r.ctx, &dst, r.joint(d), r.layer); err == nil {
			err = y.check()
		}
		if err != nil {
			if r.ctx.Err() != nil {
				return err
			}
			return r.nodeError(d, err)
		}
		gains = dst.Gain
		for _, t := range d.in {
			if x := &r.ws.live[t]; x.uncertain() {
				y.nonGaussian = true
				r.closure = r.closure || x.nonGaussian
			}
		}
	}
	if err := r.nonlinearCross(d, gains, s); err != nil {
		return err
	}
	if r.opts.Diagonal {
		r.dropped = true
		acc = acc.Worse(covprop.ApproximatedBy(math.Inf(1), ignored))
	}
	r.ws.arena.release(place)
	r.ws.keep(d.out, y)
	r.report(d, acc)
	return nil
}

// joint gathers the joint moments of the node's inputs.
func (r *run) joint(d *node) *layer.Joint {
	g := &layer.Joint{}
	for i, t := range d.in {
		x := &r.ws.live[t]
		g.Mean = append(g.Mean, x.mean)
		row := make([]layer.Block, i+1)
		for j, u := range d.in[:i+1] {
			if t == u {
				row[j] = layer.Block{Diag: x.cov.v, Dense: x.cov.m}
			} else if c, ok := r.ws.covariance(t, u); ok {
				row[j] = layer.Block{Dense: c.m, Trans: c.a != t}
			}
		}
		g.Cov = append(g.Cov, row)
	}
	return g
}

// check reports moments that are not finite or not possible.
func (l *live) check() error {
	for i, m := range l.mean {
		v := l.cov.variance(i)
		if math.IsNaN(m) || math.IsInf(m, 0) || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("element %d has the mean %v and the variance %v: the values overflow float64 or the moments do not exist", i, m, v)
		}
		if v < 0 {
			return fmt.Errorf("element %d has the variance %v: rounding has outweighed it", i, v)
		}
	}
	return nil
}

// uncertain reports whether an element has a variance above zero.
func (l *live) uncertain() bool {
	for i := range l.mean {
		if l.cov.variance(i) > 0 {
			return true
		}
	}
	return false
}

// nonlinearCross computes the covariances between the node's output and every
// tensor that stays live. gains is nil in a dry run.
func (r *run) nonlinearCross(d *node, gains []layer.Gain, s *step) error {
	if r.opts.Diagonal {
		return nil
	}
	for _, u := range r.ws.alive {
		if r.dies(s, u) {
			continue
		}
		var dst cross
		for i, t := range d.in {
			var g layer.Gain
			if gains != nil {
				g = gains[i]
			}
			if err := r.addCross(&dst, d.out, g, t, u); err != nil {
				return err
			}
			_, correlated := r.ws.covariance(t, u)
			if correlated && !r.dry && r.ws.live[u].nonGaussian && r.ws.live[t].uncertain() {
				r.closure = true
			}
		}
		if dst.m.Rows > 0 {
			r.ws.setCovariance(dst)
		}
	}
	return nil
}
