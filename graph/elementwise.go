package graph

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// elementwise runs all nodes of a step, y_p = g_p(x_p). The covariances of the
// outputs, with themselves and with each other, come from the series; those
// with tensors beside the step from the gains.
func (r *run) elementwise(s *step) error {
	for len(r.ws.moments) < len(s.nodes) {
		r.ws.moments = append(r.ws.moments, layer.Moments{})
	}
	r.ws.outs = resize(r.ws.outs, len(s.nodes))
	outs := r.ws.outs
	clear(outs)
	for p, k := range s.nodes {
		if err := r.marginals(&r.nodes[k], p, len(s.nodes) > 1, &outs[p]); err != nil {
			return err
		}
	}
	// The accuracy of a node covers its covariances within the step, too.
	r.ws.acc = resize(r.ws.acc, len(s.nodes))
	acc := r.ws.acc
	clear(acc)
	for p := range s.nodes {
		for q := range p {
			a, err := r.pairOfNodes(s, p, q)
			if err != nil {
				return err
			}
			acc[p], acc[q] = acc[p].And(a), acc[q].And(a)
		}
	}
	for p, k := range s.nodes {
		d := &r.nodes[k]
		if err := r.elementwiseCross(d, p, s); err != nil {
			return err
		}
		a, err := r.elementwiseSelf(d, p, s, &outs[p])
		if err != nil {
			return err
		}
		acc[p] = acc[p].And(a)
		if r.dry || !r.ws.narrow || outs[p].cov.diagonal {
			continue
		}
		v := r.ws.moments[p].Variance
		if a, err = r.round32(block{n: len(v), diagonal: true, v: v}); err != nil {
			return r.nodeError(d, err)
		}
		a = a.Worse(elementwiseLoss(&outs[p], &r.ws.live[d.in[0]], &r.ws.moments[p]))
		series := acc[p]
		if acc[p] = series.And(a); series.Bound > a.Bound {
			acc[p].Reason = series.Reason + ", " + a.Reason
		}
	}
	for p, k := range s.nodes {
		r.ws.keep(r.nodes[k].out, outs[p])
		if r.dry {
			continue
		}
		marginal := r.ws.moments[p].Accuracy
		a := marginal.Worse(acc[p])
		a.Bound = acc[p].Bound + 2*marginal.Bound
		r.report(&r.nodes[k], a)
	}
	return nil
}

// marginals computes means, variances and gains of the node, member p of its
// step, and allocates its output's mean. shared says that the step has other
// members.
func (r *run) marginals(d *node, p int, shared bool, y *live) error {
	n := r.tensors[d.out].n
	*y = r.ws.values(d.out, n)
	v, place := r.ws.vector(d.out, n) // the input's variances
	defer r.ws.arena.release(place)
	covariances := !r.opts.Diagonal && (shared || !r.ws.live[d.in[0]].cov.diagonal)
	if r.dry {
		r.count(r.seriesTerms(), n)
		r.ws.planMoments(p, n*layer.UnitFloats(covariances, r.opts.Order))
		return nil
	}
	x := &r.ws.live[d.in[0]]
	x.cov.variancesTo(v)
	m := &r.ws.moments[p]
	rule := d.Rule.(*layer.Elementwise)
	if err := rule.MomentsTo(r.ctx, m, x.mean, v, covariances, r.layer); err != nil {
		if r.ctx.Err() != nil {
			return err
		}
		return r.nodeError(d, err)
	}
	copy(y.mean, m.Mean)
	for i := range m.Gain {
		if math.IsNaN(m.Gain[i]) || math.IsInf(m.Gain[i], 0) {
			return r.nodeError(d, fmt.Errorf("the expected slope of element %d is %v: the values overflow float64", i, m.Gain[i]))
		}
	}
	y.nonGaussian = m.Uncertain && (x.nonGaussian || !rule.IsAffine())
	r.restsOn(d, p, d.in[0])
	return nil
}

// restsOn notes a run that rests on the Gaussian closure because node d, member
// p of its step, is nonlinear and u, its input or a tensor correlated with
// that, is not Gaussian.
func (r *run) restsOn(d *node, p int, u Tensor) {
	if r.ws.live[u].nonGaussian && r.ws.moments[p].Uncertain && !d.Rule.(*layer.Elementwise).IsAffine() {
		r.closure = true
	}
}

// pairOfNodes computes the covariance between the outputs of members p and q.
func (r *run) pairOfNodes(s *step, p, q int) (acc covprop.Accuracy, err error) {
	if r.opts.Diagonal {
		return acc, nil
	}
	x, y := r.nodes[s.nodes[p]].in[0], r.nodes[s.nodes[q]].in[0]
	var c cross
	if x == y {
		c = cross{a: x, b: x, m: r.ws.live[x].cov.full()}
	} else {
		var ok bool
		if c, ok = r.ws.covariance(x, y); !ok {
			return acc, nil
		}
	}
	if c.a != x {
		p, q = q, p
	}
	f, g := &r.nodes[s.nodes[p]], &r.nodes[s.nodes[q]]
	dst := cross{a: f.out, b: g.out}
	dst.m, dst.place = r.ws.matrix(f.out, r.tensors[f.out].n, r.tensors[g.out].n)
	r.ws.setCovariance(dst)
	if r.dry {
		r.count(r.seriesTerms()*int64(dst.m.Rows), dst.m.Cols)
		return acc, nil
	}
	r.restsOn(f, p, g.in[0])
	r.restsOn(g, q, f.in[0])
	if x == y && r.ws.live[x].cov.diagonal {
		r.ws.live[x].cov.fill(dst.m)
		c.m = dst.m
	}
	return r.covarianceTo(dst.m, c.m, &r.ws.moments[p], &r.ws.moments[q], false)
}

// elementwiseCross computes the covariances between the output of member p and
// the tensors beside the step that stay live, by the gain.
func (r *run) elementwiseCross(d *node, p int, s *step) error {
	if r.opts.Diagonal {
		return nil
	}
	x := d.in[0]
	var g layer.Gain
	if r.dry {
		g = plannedGain{operations: int64(r.tensors[d.out].n)}
	} else {
		g = r.ws.moments[p].Slopes()
	}
	own := r.soleUse(s, x)
	for _, u := range r.ws.alive {
		if r.dies(s, u) {
			continue
		}
		if u == x {
			if err := r.gainSelf(d, g); err != nil {
				return err
			}
			continue
		}
		c, ok := r.ws.covariance(x, u)
		if !ok {
			continue
		}
		if !r.dry {
			r.restsOn(d, p, u)
		}
		if err := r.gainCross(c, x, d.out, g, own); err != nil {
			return err
		}
	}
	return nil
}

// gainSelf adds Cov(y, x) = G Cov(x) for an input that stays live.
func (r *run) gainSelf(d *node, g layer.Gain) error {
	x := &r.ws.live[d.in[0]]
	n := r.tensors[d.out].n
	dst := cross{a: d.out, b: d.in[0]}
	dst.m, dst.place = r.ws.matrix(d.out, n, n)
	r.ws.setCovariance(dst)
	src := x.cov.full()
	if x.cov.diagonal {
		src = dst.m
		if !r.dry {
			x.cov.fill(dst.m)
		}
	}
	return r.mulTo(g, dst.m, src, false)
}

// elementwiseSelf computes the covariance of member p's output, in place where
// nothing else needs the input's.
func (r *run) elementwiseSelf(d *node, p int, s *step, y *live) (acc covprop.Accuracy, err error) {
	x := &r.ws.live[d.in[0]]
	n := r.tensors[d.out].n
	if x.cov.diagonal {
		y.cov = r.ws.diagonal(d.out, n)
		if !r.dry {
			copy(y.cov.v, r.ws.moments[p].Variance)
		}
		return acc, nil
	}
	src := x.cov.m // the lower triangle is enough
	if r.soleUse(s, d.in[0]) && x.cov.place.n > 0 {
		y.cov, x.cov.place = x.cov, span{}
		y.cov.lower = false
	} else {
		y.cov = r.ws.dense(d.out, n)
	}
	if r.dry {
		r.count(r.seriesTerms(), n*(n+1)/2)
		return acc, nil
	}
	m := &r.ws.moments[p]
	return r.covarianceTo(y.cov.m, src, m, m, true)
}

// covarianceTo is layer.CovarianceTo for blocks of either type.
func (r *run) covarianceTo(dst, c matrix, f, g *layer.Moments, symmetric bool) (covprop.Accuracy, error) {
	if dst.is32() {
		return layer.CovarianceTo32(r.ctx, dst.general32(), c.general32(), f, g, symmetric, r.layer)
	}
	return layer.CovarianceTo(r.ctx, dst.general(), c.general(), f, g, symmetric, r.layer)
}

// soleUse reports whether x is the input of one member of the step and not
// needed afterwards.
func (r *run) soleUse(s *step, x Tensor) bool {
	uses := 0
	for _, k := range s.nodes {
		if r.nodes[k].in[0] == x {
			uses++
		}
	}
	return uses == 1 && r.dies(s, x)
}
