package bayes

// A Residual is y = x + f(x), so
//
//	Cov(y) = Cov(x) + Cov(f) + Q + Q',   Q = Cov(x, f),
//	Cov(u, y) = Cov(u, x) + Cov(u, f)    for u of an enclosing Residual.
//
// Q begins as Cov(x), and goes by M' through a linear step and by the gains
// through an activation. In the mode diagonal there is none.

// enterForward begins a Residual.
func (p *pass) enterForward(i int, in, out *state) {
	out.form = in.form
	copyRows(out.mean, in.mean)
	copyRows(out.variance, in.variance)
	if in.form == full {
		out.cov = resize(out.cov, len(in.cov))
		copy(out.cov, in.cov)
	}
	last := len(out.cross) - 1
	for d, q := range in.cross {
		out.cross[d] = append(out.cross[d][:0], q...)
	}
	out.cross[last] = out.cross[last][:0]
	n, ld := in.n, in.ld
	switch {
	case p.opts.Mode == Diagonal || in.form == certain:
	case in.form == full:
		out.cross[last] = append(out.cross[last], in.cov...)
	default:
		out.cross[last] = resize(out.cross[last], p.rows*n*ld)
		clear(out.cross[last])
		for b := range p.used {
			for k, v := range row(in.variance, b) {
				out.cross[last][b*n*ld+k*(ld+1)] = v
			}
		}
	}
}

// enterBackward is the adjoint of enterForward. leaveBackward has put the
// gradients of the branch that waited into those of in.
func (p *pass) enterBackward(i int, in, out *state) {
	n, ld := in.n, in.ld
	addRows(in.gradMean, out.gradMean)
	if in.form == diagonal {
		addRows(in.gradVariance, out.gradVariance)
	}
	if in.form == full {
		addTo(in.gradCov[:p.used*n*ld], out.gradCov)
	}
	last := len(out.cross) - 1
	for d, q := range in.cross {
		if len(q) > 0 {
			addTo(in.gradCross[d][:len(q)/p.rows*p.used], out.gradCross[d])
		}
	}
	if len(out.cross[last]) == 0 {
		return
	}
	g := out.gradCross[last]
	for b := range p.used {
		for j := range n {
			if in.form == diagonal {
				in.gradVariance.Data[b*ld+j] += g[(b*n+j)*ld+j]
				continue
			}
			// Q = Sigma at the outset; its gradient as a symmetric matrix.
			for k := range n {
				in.gradCov[(b*n+j)*ld+k] += 0.5 * (g[(b*n+j)*ld+k] + g[(b*n+k)*ld+j])
			}
		}
	}
}

// leaveForward ends a Residual.
func (p *pass) leaveForward(i int, in, out *state) {
	x := &p.states[p.net.steps[i].enter]
	out.form = max(in.form, x.form)
	copyRows(out.mean, in.mean)
	addRows(out.mean, x.mean)
	for b := range p.used {
		clear(row(out.variance, b))
	}
	for _, s := range [...]*state{in, x} {
		if s.form != certain {
			addRows(out.variance, s.variance)
		}
	}
	if p.opts.Mode == Diagonal && in.form != certain && x.form != certain {
		p.acc = p.acc.And(noCovariances)
	}
	n, ld := in.n, in.ld
	last := len(in.cross) - 1
	q := in.cross[last]
	if len(q) > 0 && in.form != certain {
		for b := range p.used {
			for k := range n {
				out.variance.Data[b*ld+k] += 2 * q[b*n*ld+k*(ld+1)]
			}
		}
	} else {
		q = nil
	}
	if out.form == full {
		out.cov = resize(out.cov, p.rows*n*ld)
		clear(out.cov)
		for _, s := range [...]*state{in, x} {
			if s.form == full {
				addTo(out.cov[:p.used*n*ld], s.cov)
			}
		}
		for b := range p.used {
			for j := range n {
				r := out.cov[(b*n+j)*ld:][:ld]
				for k := 0; k < n && q != nil; k++ {
					r[k] += q[(b*n+j)*ld+k] + q[(b*n+k)*ld+j]
				}
				r[j] = out.variance.Data[b*ld+j]
			}
		}
	}
	for d := range out.cross {
		out.cross[d] = out.cross[d][:0]
		if len(in.cross[d]) > 0 {
			out.cross[d] = append(out.cross[d], in.cross[d]...)
			addTo(out.cross[d], x.cross[d])
		}
	}
}

// leaveBackward is the adjoint of leaveForward.
func (p *pass) leaveBackward(i int, in, out *state) {
	x := &p.states[p.net.steps[i].enter]
	n, ld := in.n, in.ld
	size := p.used * n * ld
	if out.form == full {
		out.diagonalTo(out.gradVariance, out.gradCov)
	}
	for _, s := range [...]*state{in, x} {
		copyRows(s.gradMean, out.gradMean)
		copyRows(s.gradVariance, out.gradVariance)
		if s.form == full {
			s.gradCov = resize(s.gradCov, p.rows*n*ld)
			copy(s.gradCov[:size], out.gradCov)
		}
	}
	for d := range out.cross {
		if len(out.cross[d]) == 0 {
			continue
		}
		for _, s := range [...]*state{in, x} {
			s.gradCross[d] = resize(s.gradCross[d], len(out.cross[d]))
			copy(s.gradCross[d], out.gradCross[d])
		}
	}
	last := len(in.cross) - 1
	if len(in.cross[last]) == 0 {
		return
	}
	in.gradCross[last] = resize(in.gradCross[last], len(in.cross[last]))
	g := in.gradCross[last][:size]
	clear(g)
	switch {
	case in.form == certain:
	case out.form == full:
		for k, y := range out.gradCov[:size] {
			g[k] = 2 * y
		}
	default:
		for b := range p.used {
			for k := range n {
				g[b*n*ld+k*(ld+1)] = 2 * out.gradVariance.Data[b*ld+k]
			}
		}
	}
}
