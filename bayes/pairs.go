package bayes

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/kernel"
)

// The covariances between the units of one example, row by row. With h_k =
// c_k/sqrt(k!) over the unit's output standard deviation s,
//
//	C_ij = s_i s_j sum_{k>=1} rho^k h_ki h_kj,
//
// and at a fixed covariance of the inputs, since d c_k/d mu = c_{k+1}/sigma,
//
//	dC/dmu_i = s_i s_j/sigma_i  sum_{k>=1} rho^k sqrt(k+1) h_{k+1,i} h_kj
//	dC/dv_i  = s_i s_j/(2 v_i)  sum_{k>=1} rho^k sqrt((k+1)(k+2)) h_{k+2,i} h_kj
//	dC/dSigma_ij = s_i s_j/(sigma_i sigma_j)  sum_{k>=1} rho^(k-1) k h_ki h_kj.
//
// After K terms the remainders are at most, by Cauchy-Schwarz, with T_K the root
// of sum_{k>K} h_k^2 and as long as (k+2) |rho|^k falls from there on,
//
//	|rho|^(K+1) T_i T_j   and   (K+3) |rho|^K T_i T_j
//
// in the value and in each of the three sums. Every row takes the lowest order at
// which that meets the tolerance; pairs for which the highest does not are
// integrated one by one.

// pairScratch is scratch for the pairs of one example.
type pairScratch struct {
	u       *units
	tol     float64
	fixed   int // the order, if it is given
	n, ld   int
	h, tail []float64 // of the example
	mu      []float64 // (n)
	sigma   []float64 // (n)
	sd      []float64 // (n)
	inverse []float64 // (ld): 1/sigma, 0 where that is
	worst   [len(kernel.Orders)]float64
	rho     []float64 // (ld) of a row
	sums    []float64 // (3 ld)
	x       [3 * pairOrder]float64
	hard    []int
	bound   float64 // the largest
	excess  float64 // by which a correlation exceeds 1
	inexact bool    // a pair was integrated without a bound
}

// orders are the orders that a row may take, as indices of kernel.Orders; the
// last is MaxOrder, whose tail is that of the order before it.
const lastLevel = len(kernel.Orders) - 1

func levelOrder(l int) int { return min(kernel.Orders[l], MaxOrder) }

// begin prepares for example b.
func (p *pairScratch) begin(u *units, b int, in *state, o Options) {
	n, ld := in.n, in.ld
	p.u, p.n, p.ld, p.tol, p.fixed = u, n, ld, o.Tol, o.Order
	p.h = u.h[b*u.order*ld:][:u.order*ld]
	p.tail = u.tail[b*len(kernel.Orders)*ld:][:len(kernel.Orders)*ld]
	p.mu = row(in.mean, b)
	p.sigma, p.sd = u.sigma[b*ld:][:n], u.sd[b*ld:][:n]
	p.inverse, p.rho, p.sums = resize(p.inverse, ld), resize(p.rho, ld), resize(p.sums, 3*ld)
	clear(p.inverse)
	for j, s := range p.sigma {
		if s > 0 {
			p.inverse[j] = 1 / s
		}
	}
	for l := range p.worst {
		p.worst[l] = 0
		for _, t := range p.tailOf(l)[:n] {
			p.worst[l] = max(p.worst[l], t)
		}
	}
	p.bound, p.excess, p.inexact = 0, 0, false
}

// tailOf returns the tails at level l. Those of the last are of an order beyond.
func (p *pairScratch) tailOf(l int) []float64 {
	if l == lastLevel {
		l--
	}
	return p.tail[l*p.ld:]
}

// accuracy is that of the covariances since begin.
func (p *pairScratch) accuracy() covprop.Accuracy {
	if p.excess > p.tol {
		return covprop.ApproximatedBy(p.excess, "a correlation came out above 1 and was taken as 1: the input covariance is not quite positive semidefinite")
	}
	if p.inexact {
		return covprop.ApproximatedBy(p.bound, "quadrature")
	}
	return covprop.CertifiedBy(p.bound, "series truncated")
}

// prepare computes the correlations of unit i with units 0 to n-1 and returns
// the order for them. Those that are hard are in p.hard, and 0 in p.rho.
func (p *pairScratch) prepare(i, n int, cov []float64) (order int) {
	top, inv := 0., p.inverse[i]
	for j, c := range cov[:n] {
		r := c * inv * p.inverse[j]
		p.rho[j] = r
		if a := math.Abs(r); a > top && j != i {
			top = a
		}
	}
	clear(p.rho[n:roundUp(n)])
	p.hard = p.hard[:0]
	if top > 1 {
		p.excess = max(p.excess, top-1)
		for j, r := range p.rho[:n] {
			p.rho[j] = max(-1, min(1, r))
		}
		top = 1
	}
	if p.fixed > 0 {
		l := 0
		for l+1 < lastLevel && kernel.Orders[l+1] <= p.fixed {
			l++
		}
		p.bound = max(p.bound, math.Pow(top, float64(p.fixed+1))*p.tailOf(l)[i]*p.worst[l])
		return p.fixed
	}
	order = p.level(i, top)
	if order > 0 {
		return order
	}
	// The highest order serves up to limit.
	k := float64(MaxOrder)
	limit := math.Exp(-1 / (k + 3))
	if t := (k + 3) * p.tailOf(lastLevel)[i] * p.worst[lastLevel]; t > 0 {
		limit = min(limit, math.Pow(p.tol/t, 1/k))
	}
	top = 0
	for j, r := range p.rho[:n] {
		if a := math.Abs(r); a <= limit || j == i {
			top = max(top, a)
		} else {
			p.hard = append(p.hard, j)
			p.rho[j] = 0
		}
	}
	return MaxOrder
}

// level returns the lowest order whose bound meets the tolerance for a
// correlation r with unit i, or 0.
func (p *pairScratch) level(i int, r float64) int {
	for l := range kernel.Orders {
		k := float64(levelOrder(l))
		if t := p.tailOf(l)[i] * p.worst[l]; t == 0 {
			return levelOrder(l)
		} else if r < math.Exp(-1/(k+3)) {
			if e := (k + 3) * math.Pow(r, k) * t; e <= p.tol {
				p.bound = max(p.bound, e)
				return levelOrder(l)
			}
		}
	}
	return 0
}

// covariances writes the covariances of unit i with those before it to row i of
// dst.
func (p *pairScratch) covariances(e *elementwise, i int, cov, dst blas64.General) {
	order := p.prepare(i, i, cov.Data[i*cov.Stride:])
	width := roundUp(i)
	x := p.x[:order]
	for k := range x {
		x[k] = p.h[k*p.ld+i]
	}
	sums := p.sums[:width]
	kernel.PowersTo(sums, p.rho[:width], x, p.h, p.ld)
	s, d := p.sd[i], dst.Data[i*dst.Stride:]
	for j := range i {
		d[j] = s * p.sd[j] * p.rho[j] * sums[j]
	}
	for _, j := range p.hard {
		if s == 0 || p.sd[j] == 0 {
			d[j] = 0
			continue
		}
		c, acc := activation.Covariance(e.Activation, e.Activation, p.pair(i, j, cov))
		d[j] = c
		p.bound = max(p.bound, acc.Bound)
		p.inexact = p.inexact || acc.Status == covprop.Approximate
	}
}

func (p *pairScratch) pair(i, j int, cov blas64.General) activation.Pair {
	r := cov.Data[i*cov.Stride+j] * p.inverse[i] * p.inverse[j]
	return activation.Pair{Rho: max(-1, min(1, r)), Mu1: p.mu[i], Sigma1: p.sigma[i], Mu2: p.mu[j], Sigma2: p.sigma[j]}
}

// adjoint adds to the gradients by the mean and variance of unit i what its
// covariances with all others do, each of which stands twice in the matrix, and
// writes the gradient by row i of the covariance of the inputs. grad is the
// gradient by the covariances of the outputs, mean their means.
func (p *pairScratch) adjoint(e *elementwise, i int, cov, grad, to blas64.General, mean, gm, gv []float64) {
	n, width := p.n, roundUp(p.n)
	order := p.prepare(i, n, cov.Data[i*cov.Stride:])
	x := p.x[:3*order]
	for k := range order {
		y := float64(k + 1)
		root := math.Sqrt(y + 1)
		h1, h2 := 0., 0. // beyond those held: at most the order before last
		if k+1 < p.u.order {
			h1 = p.h[(k+1)*p.ld+i]
		}
		if k+2 < p.u.order {
			h2 = p.h[(k+2)*p.ld+i]
		}
		x[3*k] = root * h1
		x[3*k+1] = root * math.Sqrt(y+2) * h2
		x[3*k+2] = y * p.h[k*p.ld+i]
	}
	sums := p.sums[:3*width]
	kernel.Powers3To(sums, p.rho[:width], x, p.h, p.ld)
	g, t := grad.Data[i*grad.Stride:][:n], to.Data[i*to.Stride:][:n]
	scale, inv := p.sd[i]*p.inverse[i], p.inverse[i]
	var dm, dv float64
	s0, s1, s2 := sums[:n], sums[width:][:n], sums[2*width:][:n]
	for j, y := range g {
		w := y * p.sd[j]
		r := w * p.rho[j]
		dm += r * s0[j]
		dv += r * s1[j]
		t[j] = scale * w * p.inverse[j] * s2[j]
	}
	y := g[i] * p.sd[i] * p.rho[i] // the diagonal is not one of the pairs
	dm -= y * s0[i]
	dv -= y * s1[i]
	for _, j := range p.hard {
		t[j] = 0
	}
	gm[i] += 2 * scale * dm
	gv[i] += scale * inv * dv
	for _, j := range p.hard {
		if p.sd[i] == 0 || p.sd[j] == 0 {
			continue
		}
		a, b, c := pairSlopes(e.Activation, p.pair(i, j, cov), mean[j])
		gm[i] += 2 * g[j] * a
		gv[i] += 2 * g[j] * b
		t[j] = g[j] * c
	}
}
