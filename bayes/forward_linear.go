package bayes

import "gonum.org/v1/gonum/blas/blas64"

// linearForward computes, for the weights W_ij ~ N(M_ij, V_ij) and the bias
// N(m, v) and every example,
//
//	E y = M mu + m,   Cov(y) = M Sigma M' + diag( V w + v ),   w = diag Sigma + mu o mu,
//
// and Cov(x_d, y) = Cov(x_d, x) M' for what waits in a Residual.
func (p *pass) linearForward(i int, in, out *state) {
	s, c := &p.net.steps[i], &p.cache[i]
	l, rows := &s.linear, p.used
	m := matrix(p.theta[l.weight:], s.out, s.in, s.in)
	mulTransTo(out.mean, in.mean, m, false)
	addRow(out.mean, p.theta[l.bias:][:s.out])

	c.moment.Rows = rows
	switch {
	case l.uncertain:
		momentTo(c.moment, in)
		mulTransTo(out.variance, c.moment, matrix(c.weightVar, s.out, s.in, s.in), false)
		addRow(out.variance, c.biasVar)
	default:
		for b := range rows {
			clear(row(out.variance, b))
		}
	}
	switch in.form {
	case certain:
		out.form = certain
		if l.uncertain {
			out.form = diagonal
		}
	case diagonal:
		if p.opts.Mode == Diagonal {
			out.form = diagonal
			mulTransTo(out.variance, in.variance, matrix(c.squares, s.out, s.in, s.in), true)
			if s.out > 1 {
				p.acc = p.acc.And(noCovariances)
			}
			break
		}
		out.form = full
		p.spread(s, in, out, m)
	case full:
		out.form = full
		p.sandwich(s, c, in, out, m)
	}
	p.crossForward(s, in, out, m)
}

// momentTo writes w = diag Sigma + mu o mu.
func momentTo(dst blas64.General, in *state) {
	for b := range dst.Rows {
		w, mu := row(dst, b), row(in.mean, b)
		for k, x := range mu {
			w[k] = x * x
		}
		if in.form == certain {
			continue
		}
		for k, v := range row(in.variance, b) {
			w[k] += v
		}
	}
}

// addRow adds x to every row of a.
func addRow(a blas64.General, x []float64) {
	for b := range a.Rows {
		r := row(a, b)
		for k, v := range x {
			r[k] += v
		}
	}
}

// spread computes M diag(v) M' for every example: the matrices M diag(v), one
// below the other, times M'.
func (p *pass) spread(s *step, in, out *state, m blas64.General) {
	rows := p.used
	p.stack = resize(p.stack, p.rows*s.out*s.in)
	out.cov = resize(out.cov, p.rows*s.out*out.ld)
	k := 0
	for b := range rows {
		v := row(in.variance, b)
		for o := range s.out {
			w := row(m, o)
			t := p.stack[k:][:len(v)]
			for j, x := range v {
				t[j] = w[j] * x
			}
			k += s.in
		}
	}
	mulTransTo(matrix(out.cov, rows*s.out, s.out, out.ld), matrix(p.stack, rows*s.out, s.in, s.in), m, false)
	p.finishCovariance(out)
}

// sandwich computes M Sigma M' for every example.
func (p *pass) sandwich(s *step, c *cache, in, out *state, m blas64.General) {
	rows := p.used
	c.product = resize(c.product, p.rows*s.in*s.out)
	out.cov = resize(out.cov, p.rows*s.out*out.ld)
	mulTransTo(matrix(c.product, rows*s.in, s.out, s.out), matrix(in.cov, rows*s.in, s.in, in.ld), m, false)
	for b := range rows {
		mulTo(out.covOf(out.cov, b), m, matrix(c.product[b*s.in*s.out:], s.in, s.out, s.out), false)
	}
	p.finishCovariance(out)
}

// finishCovariance adds the variances in s to the diagonals of its covariances,
// and makes the variances those sums. The matrices are symmetric to rounding.
func (p *pass) finishCovariance(s *state) {
	n, ld := s.n, s.ld
	for b := range p.used {
		v, cov := row(s.variance, b), s.cov[b*n*ld:][:n*ld]
		for i := range n {
			r := cov[i*ld:][:ld]
			r[i] += v[i]
			v[i] = r[i]
			clear(r[n:])
		}
	}
}

// crossForward computes Cov(x_d, y) = Cov(x_d, x) M'.
func (p *pass) crossForward(s *step, in, out *state, m blas64.General) {
	for d, q := range in.cross {
		if out.cross[d] = out.cross[d][:0]; len(q) == 0 {
			continue
		}
		rows := len(q) / in.ld // p.rows examples, of which p.used count
		out.cross[d] = resize(out.cross[d], rows*out.ld)
		clear(out.cross[d])
		used := rows / p.rows * p.used
		mulTransTo(matrix(out.cross[d], used, s.out, out.ld), matrix(q, used, s.in, in.ld), m, false)
	}
}
