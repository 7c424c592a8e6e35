package bayes

import (
	"math"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/kernel"
)

// Where inputs and weights are uncertain, the law of total variance divides the
// covariance of the outputs f,
//
//	Cov(f) = Cov(E[f | weights]) + E Cov(f | weights).
//
// The first is what the weights do, the second what inputs do to a network of
// given weights, averaged over those; so interactions of the two count as the
// inputs'. The first, S, goes through the network beside Sigma: since E[y | weights]
// of y = W x + b is W E[x | weights] + b,
//
//	S_y = M S M' + diag( V (diag S + mu o mu) + v ),
//
// and with the parts of x that depend on weights and on inputs independent,
// E[g(x) | weights] is a function of the first with the coefficients
// c_k (sqrt(S_ii)/sigma_i)^k: the same series with S_ij for Sigma_ij,
//
//	S_y,ij = sum_{k>=1} (S_ij/(sigma_i sigma_j))^k c_ki c_kj / k!,
//
// on the diagonal too. It is exact under the Gaussian closure, like Sigma.

// shareForward computes all states of p, which are those of S, from the pass whole,
// which has been forward with the same examples.
func (p *pass) shareForward(whole *pass, b *Batch, lo, hi int) {
	certainInput := Batch{X: b.X}
	p.setInput(&certainInput, lo, hi)
	p.acc = whole.acc
	for i := range p.net.steps {
		in, out := &p.states[i], &p.states[i+1]
		switch p.net.steps[i].kind {
		case linearStep:
			p.linearForward(i, in, out)
		case activationStep:
			p.shareActivation(i, in, out, whole)
		case enterStep:
			p.enterForward(i, in, out)
		case leaveStep:
			p.leaveForward(i, in, out)
		}
	}
}

// shareActivation is the activation of S.
func (p *pass) shareActivation(i int, in, out *state, whole *pass) {
	e, u := &p.net.steps[i].act, &whole.cache[i].units
	copyRows(out.mean, whole.states[i+1].mean)
	out.form = in.form
	if in.form == certain {
		return
	}
	if in.form == full {
		out.cov = resize(out.cov, p.rows*in.n*in.ld)
	}
	for b := range p.used {
		s := &p.pairs
		s.begin(u, b, &whole.states[i], p.opts)
		for j := range in.n {
			if in.form == diagonal {
				row(out.variance, b)[j] = s.share(e, j, j, row(in.variance, b)[j])
				continue
			}
			cov, dst := in.covOf(in.cov, b), out.covOf(out.cov, b)
			for k := range j + 1 {
				c := s.share(e, j, k, cov.Data[j*cov.Stride+k])
				dst.Data[j*dst.Stride+k], dst.Data[k*dst.Stride+j] = c, c
			}
			clear(dst.Data[j*dst.Stride+in.n : j*dst.Stride+dst.Stride])
			row(out.variance, b)[j] = dst.Data[j*(dst.Stride+1)]
		}
		p.acc = p.acc.And(s.accuracy())
	}
	for d, q := range in.cross {
		out.cross[d] = resize(out.cross[d], len(q))
		p.scaleCross(out.cross[d], q, in, u)
	}
}

// share returns the covariance of units i and j for a covariance c of their
// inputs.
func (p *pairScratch) share(e *elementwise, i, j int, c float64) float64 {
	if p.sd[i] == 0 || p.sd[j] == 0 || c == 0 {
		return 0
	}
	r := max(-1, min(1, c*p.inverse[i]*p.inverse[j]))
	if i == j && r == 1 {
		return p.sd[i] * p.sd[i]
	}
	order, given := p.u.order, p.fixed > 0 && i != j
	if given { // as for the whole, of which this is to be a part
		order = min(order, p.fixed)
	}
	bound := math.Pow(math.Abs(r), pairOrder+1) * p.tailOf(len(kernel.Orders) - 1)[i] * p.tailOf(len(kernel.Orders) - 1)[j]
	if bound > p.tol && !given {
		pair := activation.Pair{Mu1: p.mu[i], Sigma1: p.sigma[i], Mu2: p.mu[j], Sigma2: p.sigma[j], Rho: r}
		return p.integrate(e, pair, p.sd[i], p.sd[j])
	}
	p.bound = max(p.bound, bound)
	sum := 0.
	for k := order - 1; k >= 0; k-- {
		sum = r * (p.h[k*p.ld+i]*p.h[k*p.ld+j] + sum)
	}
	return p.sd[i] * p.sd[j] * sum
}
