package bayes

import "gonum.org/v1/gonum/blas/blas64"

// linearBackward is the adjoint of linearForward. With a bar for the derivative
// of the loss and G that by Cov(y), symmetric, and d its diagonal,
//
//	mu  += M' y + 2 mu o (V' d)          M += y mu' + 2 G M Sigma
//	Sigma += M' G M + diag(V' d)         V += d w',   v += d,   m += y,
//
// summed over the examples where it is by parameters.
func (p *pass) linearBackward(i int, in, out *state, grad []float64) {
	s, c := &p.net.steps[i], &p.cache[i]
	l, rows := &s.linear, p.used
	m := matrix(p.theta[l.weight:], s.out, s.in, s.in)
	gm := matrix(grad[l.weight:], s.out, s.in, s.in)
	first := i == 0 // nobody asks for the gradient of the network's input

	addColumnSums(grad[l.bias:][:s.out], out.gradMean)
	p.addProduct(gm, out.gradMean, in.mean)
	for b := range rows {
		clear(row(in.gradVariance, b))
	}
	if !first {
		mulTo(in.gradMean, out.gradMean, m, false)
	}
	if out.form == full {
		out.diagonalTo(out.gradVariance, out.gradCov)
	}
	if l.uncertain {
		addColumnSums(c.gradBiasVar, out.gradVariance)
		p.addProduct(matrix(c.gradWeightVar, s.out, s.in, s.in), out.gradVariance, c.moment)
		if !first {
			p.momentBackward(s, c, in, out)
		}
	}
	switch {
	case in.form == certain || out.form == certain:
	case out.form == diagonal: // mode Diagonal
		p.stack = resize(p.stack, s.out*s.in)
		t := p.stack[:s.out*s.in]
		clear(t)
		p.addProduct(matrix(t, s.out, s.in, s.in), out.gradVariance, in.variance)
		for k, x := range t {
			gm.Data[k] += 2 * m.Data[k] * x
		}
		if !first {
			mulTo(in.gradVariance, out.gradVariance, matrix(c.squares, s.out, s.in, s.in), true)
		}
	case in.form == diagonal:
		p.spreadBackward(s, in, out, m, gm)
	default:
		p.sandwichBackward(s, c, in, out, m, gm, first)
	}
	p.crossBackward(s, in, out, m, gm)
}

// momentBackward gives the derivatives by w = diag Sigma + mu o mu to mu and to
// the variances.
func (p *pass) momentBackward(s *step, c *cache, in, out *state) {
	mulTo(in.gradVariance, out.gradVariance, matrix(c.weightVar, s.out, s.in, s.in), false)
	for b := range p.used {
		g, mu := row(in.gradMean, b), row(in.mean, b)
		for k, x := range row(in.gradVariance, b) {
			g[k] += 2 * mu[k] * x
		}
	}
}

// addProduct adds a' b, a (B, m), b (B, n), to dst, (m, n).
func (p *pass) addProduct(dst, a, b blas64.General) { addProduct(&p.turned, dst, a, b) }

// addProduct needs scratch for a'.
func addProduct(scratch *[]float64, dst, a, b blas64.General) {
	*scratch = resize(*scratch, a.Cols*a.Rows)
	t := matrix(*scratch, a.Cols, a.Rows, a.Rows)
	transposeTo(t, a)
	mulTo(dst, t, b, true)
}

func addColumnSums(dst []float64, a blas64.General) {
	for b := range a.Rows {
		for k, x := range row(a, b) {
			dst[k] += x
		}
	}
}

// spreadBackward is the adjoint of M diag(v) M': with P = G M,
//
//	v_k += sum_i M_ik P_ik,   M += 2 P diag(v).
func (p *pass) spreadBackward(s *step, in, out *state, m, gm blas64.General) {
	rows := p.used
	p.stack = resize(p.stack, p.rows*s.out*s.in)
	mulTo(matrix(p.stack, rows*s.out, s.in, s.in), matrix(out.gradCov, rows*s.out, s.out, out.ld), m, false)
	k := 0
	for b := range rows {
		v, gv := row(in.variance, b), row(in.gradVariance, b)
		for o := range s.out {
			w, g, t := row(m, o), row(gm, o), p.stack[k:][:len(v)]
			for j, x := range t {
				gv[j] += w[j] * x
				g[j] += 2 * x * v[j]
			}
			k += s.in
		}
	}
}

// sandwichBackward is the adjoint of M Sigma M' for full Sigma: Sigma += M' G M,
// M += 2 G (M Sigma).
func (p *pass) sandwichBackward(s *step, c *cache, in, out *state, m, gm blas64.General, first bool) {
	rows, size := p.used, s.in*s.out
	p.turned = resize(p.turned, size)
	sum := matrix(p.turned, s.out, s.in, s.in)
	for b := range rows {
		mulTransTo(sum, out.covOf(out.gradCov, b), matrix(c.product[b*size:], s.in, s.out, s.out), b > 0)
	}
	for k, x := range sum.Data[:size] {
		gm.Data[k] += 2 * x
	}
	if first {
		return
	}
	p.stack = resize(p.stack, p.rows*size)
	mulTo(matrix(p.stack, rows*s.out, s.in, s.in), matrix(out.gradCov, rows*s.out, s.out, out.ld), m, false)
	in.gradCov = resize(in.gradCov, p.rows*s.in*in.ld)
	t := matrix(c.transposed, s.in, s.out, s.out)
	for b := range rows {
		g := in.covOf(in.gradCov, b)
		mulTo(g, t, matrix(p.stack[b*size:], s.out, s.in, s.in), false)
		for k, x := range row(in.gradVariance, b) {
			g.Data[k*(in.ld+1)] += x
		}
	}
}

// crossBackward is the adjoint of crossForward.
func (p *pass) crossBackward(s *step, in, out *state, m, gm blas64.General) {
	for d, q := range in.cross {
		if len(q) == 0 {
			continue
		}
		rows := len(q) / in.ld
		used := rows / p.rows * p.used
		in.gradCross[d] = resize(in.gradCross[d], rows*in.ld)
		g := matrix(out.gradCross[d], used, s.out, out.ld)
		mulTo(matrix(in.gradCross[d], used, s.in, in.ld), g, m, false)
		p.addProduct(gm, g, matrix(q, used, s.in, in.ld))
	}
}
