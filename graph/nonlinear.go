package graph

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// nonlinear runs the node d, y = f(x_1, ..., x_m). The rule computes the
// moments of y and the gains G_i = E[df/dx_i]; then Cov(y, u) = sum_i G_i
// Cov(x_i, u) (Stein 1981).
func (r *run) nonlinear(d *node, rule layer.Nonlinear, s *step) error {
	n := r.tensors[d.out].n
	y := r.ws.values(d.out, n)
	if r.opts.Diagonal {
		y.cov = r.ws.diagonal(d.out, n)
	} else {
		y.cov = r.ws.dense(d.out, n)
	}
	work, place := r.ws.vector(d.out, rule.WorkFloats(r.opts.Diagonal))
	acc, gains, err := r.moments(d, rule, &y, work)
	if err != nil {
		if r.ctx.Err() != nil {
			return err
		}
		return r.nodeError(d, err)
	}
	if !r.dry {
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

// moments computes the moments of the node's output, and its gains. Float32
// blocks are widened for it.
func (r *run) moments(d *node, rule layer.Nonlinear, y *live, work []float64) (acc covprop.Accuracy, gains []layer.Gain, err error) {
	in, widened := r.joint(d)
	cov := y.cov.m
	if r.ws.narrow && !r.opts.Diagonal {
		var place span
		cov, place = r.ws.wide(d.out, cov.Rows, cov.Cols)
		widened = append(widened, place)
	}
	for _, place := range widened {
		defer r.ws.arena.release(place)
	}
	if r.dry {
		r.count(layer.MomentsOperations(rule, r.opts.Diagonal), 1)
		for i := range d.in {
			gains = append(gains, plannedGain{operations: layer.GainOperations(rule, i)})
		}
		return acc, gains, nil
	}
	dst := layer.Response{Mean: y.mean, Variance: y.cov.v, Cov: cov.general(), Work: work}
	if !r.opts.Diagonal {
		dst.Gain = make([]layer.Gain, len(d.in))
	}
	if acc, err = rule.MomentsTo(r.ctx, &dst, in, r.layer); err != nil {
		return acc, nil, err
	}
	if y.cov.m.is32() {
		a, err := r.round32(block{n: y.cov.n, m: cov})
		if err != nil {
			return acc, nil, err
		}
		acc = acc.And(a.Worse(r.nonlinearLoss(d, y, cov)))
		y.cov.m.copyFrom(cov)
	}
	return acc, dst.Gain, y.check()
}

// joint gathers the joint moments of the node's inputs. The caller releases the
// memory of blocks that had to be widened.
func (r *run) joint(d *node) (g *layer.Joint, widened []span) {
	g = &layer.Joint{}
	dense := func(t Tensor, m matrix) blas64.General {
		if r.ws.narrow && m.Rows > 0 {
			w, place := r.ws.wide(t, m.Rows, m.Cols)
			widened = append(widened, place)
			if !r.dry {
				w.copyFrom(m)
			}
			m = w
		}
		return m.general()
	}
	for i, t := range d.in {
		x := &r.ws.live[t]
		g.Mean = append(g.Mean, x.mean)
		row := make([]layer.Block, i+1)
		for j, u := range d.in[:i+1] {
			if t == u {
				row[j] = layer.Block{Diag: x.cov.v, Dense: dense(t, x.cov.full())}
			} else if c, ok := r.ws.covariance(t, u); ok {
				row[j] = layer.Block{Dense: dense(t, c.m), Trans: c.a != t}
			}
		}
		g.Cov = append(g.Cov, row)
	}
	return g, widened
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
// tensor that stays live.
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
			if err := r.addCross(&dst, d.out, gains[i], t, u); err != nil {
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
