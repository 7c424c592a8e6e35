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

// lastLevel is the level of MaxOrder, whose tail is that of the order before it.
const lastLevel = len(kernel.Orders) - 1

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
	p.worst = u.worst[b]
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
	inv, inverse, rho := p.inverse[i], p.inverse[:n], p.rho[:n]
	for j, c := range cov[:n] {
		rho[j] = c * inv * inverse[j]
	}
	clear(p.rho[n:roundUp(n)])
	top := largest(rho[:min(i, n)])
	if i < n {
		top = max(top, largest(rho[i+1:]))
	}
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
	k, limit := float64(MaxOrder), levels[lastLevel].limit
	if t := levels[lastLevel].factor * p.tailOf(lastLevel)[i] * p.worst[lastLevel]; t > 0 {
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
// correlation r >= 0 with unit i, or 0.
func (p *pairScratch) level(i int, r float64) int {
	r2 := r * r
	r4 := r2 * r2
	r8 := r4 * r4
	// r^K goes from one order to the next, 1, 2, 3, 4, 6, 8, ..., by these.
	steps := [...]float64{r, r, r, r, r2, r2, r4, r4, r8, r8, r8 * r8, r8 * r4 * r2}
	power := 1.
	for l := range kernel.Orders {
		power *= steps[l]
		t := p.tailOf(l)[i] * p.worst[l]
		if t == 0 {
			return levels[l].order
		}
		if e := levels[l].factor * power * t; e <= p.tol && r < levels[l].limit {
			p.bound = max(p.bound, e)
			return levels[l].order
		}
	}
	return 0
}

// levels are the orders that a row may take, those of kernel.Orders up to
// MaxOrder, with K + 3 and the r up to which (k+2) r^k falls from k = K+1 on.
var levels = func() (t [len(kernel.Orders)]struct {
	order         int
	factor, limit float64
},
) {
	for l := range t {
		t[l].order = min(kernel.Orders[l], MaxOrder)
		t[l].factor = float64(t[l].order + 3)
		t[l].limit = math.Exp(-1 / t[l].factor)
	}
	return t
}()

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
	s, d := p.sd[i], dst.Data[i*dst.Stride:][:i]
	sd, rho := p.sd[:i], p.rho[:i]
	for j, x := range sums[:i] {
		d[j] = s * sd[j] * rho[j] * x
	}
	for _, j := range p.hard {
		if s == 0 || p.sd[j] == 0 {
			d[j] = 0
			continue
		}
		d[j] = p.integrate(e, p.pair(i, j, cov), s, p.sd[j])
	}
}

// integrate returns the covariance of a hard pair.
func (p *pairScratch) integrate(e *elementwise, pair activation.Pair, sd1, sd2 float64) float64 {
	if c, bound, ok := activation.PairForm(e.Activation, e.Activation, pair, sd1, sd2); ok && bound <= p.tol {
		p.bound = max(p.bound, bound)
		return c
	}
	c, acc := activation.Covariance(e.Activation, e.Activation, pair)
	p.bound = max(p.bound, acc.Bound)
	p.inexact = p.inexact || acc.Status == covprop.Approximate
	return c
}

// pairSlopes returns the derivatives of a covariance: see the functions of which it
// chooses one.
func (e *elementwise) pairSlopes(p activation.Pair, mean2 float64) (dmu, dv, dc float64) {
	if e.linear {
		return linearPairSlopes(e, p, mean2)
	}
	return pairSlopes(e.Activation, p, mean2)
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
	sd, rho, inverse := p.sd[:n], p.rho[:n], p.inverse[:n]
	for j, y := range g {
		w := y * sd[j]
		r := w * rho[j]
		dm += r * s0[j]
		dv += r * s1[j]
		t[j] = scale * w * inverse[j] * s2[j]
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
		a, b, c := e.pairSlopes(p.pair(i, j, cov), mean[j])
		gm[i] += 2 * g[j] * a
		gv[i] += 2 * g[j] * b
		t[j] = g[j] * c
	}
}

// largest returns the largest magnitude in x. Magnitudes are ordered as their bits
// are.
func largest(x []float64) float64 {
	top := uint64(0)
	for _, v := range x {
		top = max(top, math.Float64bits(v)&^(1<<63))
	}
	return math.Float64frombits(top)
}
