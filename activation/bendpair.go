package activation

import (
	"math"

	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/vec"
)

// Bends are n units whose activations have one bend, as ReLU and its kin, for
// covariances of many pairs of them. The zero value holds no units.
type Bends struct {
	units []bendUnit
	// by unit: a, what its density is asked for, and E (Z - a)_+^m / phi(a)
	a, root, j0, j1, j2 []float64
}

// A bendUnit is linear about its mean, but for a tail beyond the knot. In units
// of its output standard deviation sd it is
//
//	const + b Z + w (sign Z - a)_+ / root,   a = |knot - mu|/sigma,   root = sqrt(phi(a)),
//
// with numbers of ordinary size also where phi(a) is none. w is NaN for other
// units.
type bendUnit struct {
	b, w, sign, a   float64
	root, inverse   float64    // root and its inverse
	j               [3]float64 // E (Z - a)_+^m / phi(a)
	mean, first, sd float64    // E T and E T Z of the last term T
}

// Set makes b the units with the activations acts, one for all or one each, the
// input means mu and standard deviations sigma, and the output standard
// deviations sd.
func (b *Bends) Set(acts []Activation, mu, sigma, sd []float64) {
	n := len(mu)
	if cap(b.units) < n {
		b.units = make([]bendUnit, n)
	}
	b.units = b.units[:n]
	for _, s := range [...]*[]float64{&b.a, &b.root, &b.j0, &b.j1, &b.j2} {
		if cap(*s) < n {
			*s = make([]float64, n)
		}
		*s = (*s)[:n]
	}
	var p pieces
	for i := range n {
		if i == 0 || i < len(acts) && acts[i] != acts[i-1] {
			p = piecesOf(acts[i])
			p.linear = p.linear && p.n == 1 && p.jump[0][0] == 0
		}
		u := &b.units[i]
		u.set(&p, mu[i], sigma[i], sd[i])
		b.a[i], b.root[i] = u.a, 1
	}
	kernel.HalfLineTo(b.j0, b.j1, b.j2, b.a, b.root)
	for i, a := range b.a {
		b.root[i] = a * math.Sqrt(0.5)
	}
	vec.DensityTo(b.root, b.root) // exp(-a^2/4) / sqrt(2 pi)
	for i := range n {
		u := &b.units[i]
		u.root = b.root[i] * math.Sqrt(math.Sqrt(2*math.Pi))
		u.inverse = 1 / u.root
		u.j = [3]float64{b.j0[i], b.j1[i], b.j2[i]}
		if u.b != 0 {
			u.w *= u.root
		} else { // nothing but the tail: its variance is 1
			u.w = math.Copysign(1/math.Sqrt(u.j[2]-u.root*u.root*u.j[1]*u.j[1]), u.w)
		}
		u.mean, u.first = u.w*u.root*u.j[1], u.w*u.root*u.j[0]*u.sign
	}
}

// set makes u the unit with the pieces p, but for what the density decides; w is
// that of root = 1.
func (u *bendUnit) set(p *pieces, mu, sigma, sd float64) {
	delta := mu - p.at[0]
	slope := p.slope[0]
	if delta >= 0 {
		slope = p.slope[1]
	}
	u.b, u.w, u.sd = slope*sigma/sd, p.jump[0][1]*sigma/sd, sd
	u.sign, u.a = -math.Copysign(1, delta), math.Abs(delta)/sigma
	known := p.linear && sigma > 0 && sd > 0 && (u.a <= farthestTail || u.b != 0)
	if !known {
		u.a, u.b, u.w = 0, 1, math.NaN()
	} else if u.a > farthestTail {
		u.a, u.w = 0, 0
	}
}

// CovariancesTo sets Cov and Bound of those pairs of a unit of f and one of g
// that it can do within tol, and returns the others, for which it has changed
// the order of pairs. Bound is that on the quadrature and the rounding,
// relative to the two output standard deviations.
//
// With r = |rho|, beta = b or -b so that the two tails lie on one side of their
// units, J_m = phi j_m, and m the larger of a and b, the covariance of the tails
// is
//
//	on one side:     J_2(m) + |a - b| J_1(m) - J_1(a) J_1(b) - (1-r) J_0(m) + I,
//	on either side:  -J_1(a) J_1(b) + I,
//
// the value at r = 1, less the slope there, plus what the curvature adds (Price
// 1958: the second derivative in r is the density),
//
//	I = int_r^1 (u - r) phi2(a, beta; u) du.
//
// With u = cos 2 arctan(tau x), tau^2 = (1-r)/(1+r), the exponent of the density
// becomes -(p x - q/x)^2 - m^2/2, p = |a+beta| tau/sqrt(8), q = |a-beta|/(tau sqrt(8)):
//
//	I = sqrt(2/pi) (1+r) tau^3 phi(m) int_0^1 (1-x^2)/(1+tau^2 x^2)^2 exp(-(p x - q/x)^2) dx,
//
// 0 in most pairs, as q is large unless the knots are close. Subtracting
// (1-r) J_0 costs digits for tails far away, m^2 (1-r)/2 times; that is part of
// the bound.
func (f *Bends) CovariancesTo(pairs []kernel.HardPair, g *Bends, tol float64) (left []kernel.HardPair) {
	var integrals kernel.BendIntegrals
	var scale [kernel.HardBatch]float64
	var place [kernel.HardBatch]int
	done := 0
	for k := range pairs {
		p := &pairs[k]
		u, v := &f.units[p.I], &g.units[p.J]
		s := u.pair(v, p.Rho)
		bound := bendRounding*s.size + kernel.BendError*math.Abs(s.scale)
		if !(bound <= tol) {
			continue
		}
		sd := u.sd * v.sd
		if s.needed {
			i, ok := integrals.Add(s.p, s.q, s.s)
			if !ok {
				continue
			}
			scale[i], place[i] = s.scale*sd, done
		}
		p.Cov, p.Bound = s.cov*sd, bound
		pairs[done], pairs[k] = pairs[k], pairs[done]
		done++
	}
	integrals.Compute()
	for i := range integrals.N {
		pairs[place[i]].Cov += scale[i] * integrals.G[i]
	}
	return pairs[done:]
}

const (
	// bendRounding is the relative error of a part of a covariance: the
	// argument of the density is rounded, a^2/2 2^-53 <= 8.5e-14, and a few
	// operations.
	bendRounding = 1e-13
	// bendNegligible is a scale below which the integral, at most 1, counts as
	// rounding.
	bendNegligible = 1e-15
)

// A bendPair is a covariance, in units of the two output standard deviations,
// without its integral: cov + scale G(p, q, s), cov being a sum of parts of the
// given size. needed says that the integral is not negligible.
type bendPair struct {
	cov, size      float64
	scale, p, q, s float64
	needed         bool
}

func (u *bendUnit) pair(v *bendUnit, rho float64) (s bendPair) {
	bb, bt, tb, mm := u.b*v.b, u.b*v.first, u.first*v.b, u.mean*v.mean
	r := math.Abs(rho)
	s.cov = rho*(bb+bt+tb) - mm
	s.size = r*(math.Abs(bb)+math.Abs(bt)+math.Abs(tb)) + math.Abs(mm)
	far, near := u, v
	if v.a > u.a {
		far, near = v, u
	}
	ww := u.w * v.w * (far.root * near.inverse)
	sum, gap := u.a-v.a, u.a+v.a // a + beta and a - beta
	if rho*u.sign*v.sign > 0 {
		sum, gap = gap, sum
		at1, slope := far.j[2]+math.Abs(gap)*far.j[1], (1-r)*far.j[0]
		s.cov += ww * (at1 - slope)
		s.size += math.Abs(ww) * (at1 + slope)
	}
	if math.Abs(ww) <= bendNegligible {
		return s
	}
	s.s = (1 - r) / (1 + r) // tau^2
	t := math.Sqrt(8 * s.s)
	s.scale = ww * (1 + r) * s.s * t / (2 * math.SqrtPi)
	s.p = math.Abs(sum) * t * 0.125
	if gap = math.Abs(gap); gap < (kernel.BendCut+s.p)*t {
		s.q, s.needed = gap/t, true
	}
	return s
}
