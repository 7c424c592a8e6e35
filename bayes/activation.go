package bayes

import "github.com/covprop/covprop/internal/kernel"

// activationForward computes, for y_j = g(x_j),
//
//	E y_j = c_0,  Var y_j,  Cov(y_i, y_j) by mode,  Cov(x_d, y_j) = Cov(x_d, x_j) E g'.
func (p *pass) activationForward(i int, in, out *state) error {
	s, u := &p.net.steps[i], &p.cache[i].units
	e := &s.act
	out.form = in.form
	if in.form == certain {
		for b := range p.used {
			y := row(out.mean, b)
			for j, x := range row(in.mean, b) {
				y[j] = e.Apply(x)
			}
		}
		return nil
	}
	pairs := in.form == full && (p.opts.Mode == Exact || p.opts.Mode == Series) || p.keepSeries
	order := leastOrder
	switch {
	case pairs:
		order = pairOrder
	case !e.linear:
		order = slopeOrder
	}
	u.reset(p.rows, in.ld, order)
	for b := range p.used {
		acc, err := u.row(&p.batch, e, b, in.ld, row(out.mean, b), row(out.variance, b), row(in.mean, b), row(in.variance, b), p.opts.Tol, pairs)
		if err != nil {
			return err
		}
		p.acc = p.acc.And(acc)
	}
	if in.form == full {
		out.cov = resize(out.cov, p.rows*in.n*in.ld)
		for b := range p.used {
			p.covarianceForward(e, u, b, in, out)
		}
	}
	for d, q := range in.cross {
		out.cross[d] = resize(out.cross[d], len(q))
		p.scaleCross(out.cross[d], q, in, u)
	}
	return nil
}

// scaleCross multiplies column j of every example's matrix in q by its gain.
func (p *pass) scaleCross(dst, q []float64, in *state, u *units) {
	if len(q) == 0 {
		return
	}
	n := len(q) / p.rows // numbers of an example
	for b := range p.used {
		gain := u.gain[b*in.ld:][:in.n]
		for r := b * n; r < (b+1)*n; r += in.ld {
			for j, g := range gain {
				dst[r+j] = q[r+j] * g
			}
		}
	}
}

// covarianceForward computes the covariance of example b.
func (p *pass) covarianceForward(e *elementwise, u *units, b int, in, out *state) {
	if p.opts.Mode == DVI {
		p.dviForward(u, b, in, out)
	} else {
		p.pairs.begin(u, b, in, p.opts)
		for i := 1; i < in.n; i++ {
			p.pairs.covariances(e, i, in.covOf(in.cov, b), out.covOf(out.cov, b))
		}
		p.acc = p.acc.And(p.pairs.accuracy())
	}
	c := out.covOf(out.cov, b)
	for i, v := range row(out.variance, b) {
		r := c.Data[i*c.Stride:][:c.Stride]
		r[i] = v
		clear(r[in.n:])
	}
	kernel.Mirror(c)
}

// activationBackward is the adjoint of activationForward. By the mean, variance
// and gain of each unit,
//
//	d mean = E g' dmu + E g''/2 dv,   d E g' = E g'' dmu + E g'''/2 dv,
//
// and for pairs see [pairScratch].
func (p *pass) activationBackward(i int, in, out *state) {
	s, u := &p.net.steps[i], &p.cache[i].units
	if in.form == certain {
		for b := range p.used {
			g, y := row(in.gradMean, b), row(out.gradMean, b)
			for j, x := range row(in.mean, b) {
				g[j] = y[j] * s.act.Derivative(x)
			}
		}
		return
	}
	if out.form == full {
		out.diagonalTo(out.gradVariance, out.gradCov)
		in.gradCov = resize(in.gradCov, p.rows*in.n*in.ld)
	}
	for b := range p.used {
		at := b * in.ld
		gain, bend, varMu, varV := u.gain[at:][:in.n], u.bend[at:][:in.n], u.varMu[at:][:in.n], u.varV[at:][:in.n]
		gm, gv := row(in.gradMean, b), row(in.gradVariance, b)
		m, v := row(out.gradMean, b), row(out.gradVariance, b)
		for j := range gm {
			gm[j] = m[j]*gain[j] + v[j]*varMu[j]
			gv[j] = 0.5*m[j]*bend[j] + v[j]*varV[j]
		}
		if out.form == full {
			p.covarianceBackward(&s.act, u, b, in, out)
		}
	}
	for d, q := range in.cross {
		in.gradCross[d] = resize(in.gradCross[d], len(q))
		p.crossActivationBackward(in.gradCross[d], out.gradCross[d], q, in, u)
	}
	if in.form == full {
		for b := range p.used {
			g := in.covOf(in.gradCov, b)
			for j, x := range row(in.gradVariance, b) {
				g.Data[j*(in.ld+1)] = x
			}
		}
	}
}

// crossActivationBackward is the adjoint of scaleCross.
func (p *pass) crossActivationBackward(dst, grad, q []float64, in *state, u *units) {
	if len(q) == 0 {
		return
	}
	n := len(q) / p.rows
	for b := range p.used {
		at := b * in.ld
		gm, gv := row(in.gradMean, b), row(in.gradVariance, b)
		for r := b * n; r < (b+1)*n; r += in.ld {
			for j := range gm {
				g := grad[r+j]
				dst[r+j] = g * u.gain[at+j]
				gm[j] += g * q[r+j] * u.bend[at+j]
				gv[j] += 0.5 * g * q[r+j] * u.third[at+j]
			}
		}
	}
}

// covarianceBackward adds what the covariances of example b do to the gradients
// of its means and variances, and writes those by the covariances of the input.
func (p *pass) covarianceBackward(e *elementwise, u *units, b int, in, out *state) {
	cov, grad, to := in.covOf(in.cov, b), out.covOf(out.gradCov, b), in.covOf(in.gradCov, b)
	gm, gv := row(in.gradMean, b), row(in.gradVariance, b)
	if p.opts.Mode == DVI {
		dviBackward(u, b, in, cov, grad, to, gm, gv)
		return
	}
	p.pairs.begin(u, b, in, p.opts)
	for i := range in.n {
		p.pairs.adjoint(e, i, cov, grad, to, row(out.mean, b), gm, gv)
	}
}
