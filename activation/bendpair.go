package activation

import (
	"math"

	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/vec"
)

// Bends are n units whose activations have one bend, as ReLU and its kin, for
// covariances of many pairs of them. About its mean such a unit is linear, but
// for a tail beyond the knot. In units of its output standard deviation it is
//
//	const + b Z + w (sign Z - a)_+ / sqrt(phi(a)),   a = |knot - mu|/sigma,
//
// with numbers of ordinary size also where phi(a) is none. The moments of the
// tail are E (Z - a)_+^m = phi(a) j_m. The zero value holds no units.
type Bends struct {
	known      []bool
	b, w, sign []float64
	a, root    []float64 // a and sqrt(phi(a))
	j0, j1, j2 []float64
	sd         []float64 // of the outputs
}

// Set makes b the units with the activations acts, one for all or one each, the
// input means mu and standard deviations sigma, and the output standard
// deviations sd, which is kept.
func (b *Bends) Set(acts []Activation, mu, sigma, sd []float64) {
	n := len(mu)
	if cap(b.known) < n {
		b.known = make([]bool, n)
	}
	b.known, b.sd = b.known[:n], sd
	for _, s := range [...]*[]float64{&b.b, &b.w, &b.sign, &b.a, &b.root, &b.j0, &b.j1, &b.j2} {
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
		b.set(i, &p, mu[i], sigma[i])
		b.root[i] = 1
	}
	kernel.HalfLineTo(b.j0, b.j1, b.j2, b.a, b.root)
	for i, a := range b.a {
		b.root[i] = a * math.Sqrt(0.5)
	}
	vec.DensityTo(b.root, b.root)
	for i := range n {
		b.root[i] *= math.Sqrt(math.Sqrt(2 * math.Pi))
		if b.b[i] != 0 {
			b.w[i] *= b.root[i]
		} else { // nothing but the tail
			b.w[i] = math.Copysign(1/math.Sqrt(b.j2[i]-b.root[i]*b.root[i]*b.j1[i]*b.j1[i]), b.w[i])
		}
	}
}

// set makes unit i that with the pieces p, but for the factor root in w.
func (b *Bends) set(i int, p *pieces, mu, sigma float64) {
	delta := mu - p.at[0]
	piece := 0
	if delta >= 0 {
		piece = 1
	}
	b.b[i], b.w[i] = p.slope[piece]*sigma/b.sd[i], p.jump[0][1]*sigma/b.sd[i]
	b.sign[i], b.a[i] = -math.Copysign(1, delta), math.Abs(delta)/sigma
	b.known[i] = p.linear && sigma > 0 && b.sd[i] > 0 && (b.a[i] <= farthestTail || b.b[i] != 0)
	if b.a[i] > farthestTail || !b.known[i] {
		b.a[i], b.w[i] = 0, 0
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
		if !f.known[p.I] || !g.known[p.J] {
			continue
		}
		s := f.pair(g, p)
		if p.Bound = bendRounding*s.size + kernel.BendError*math.Abs(s.scale); !(p.Bound <= tol) {
			continue
		}
		if math.Abs(s.scale) > bendNegligible {
			i, ok := integrals.Add(s.p, s.q, s.s)
			if !ok {
				continue
			}
			if i >= 0 {
				scale[i], place[i] = s.scale, done
			}
		}
		p.Cov = s.cov
		pairs[done], pairs[k] = pairs[k], pairs[done]
		done++
	}
	integrals.Compute()
	for i := range integrals.N {
		pairs[place[i]].Cov += scale[i] * integrals.G[i]
	}
	for k := range done {
		pairs[k].Cov *= f.sd[pairs[k].I] * g.sd[pairs[k].J]
	}
	return pairs[done:]
}

const (
	// bendRounding is the relative error of a part of a covariance: the
	// argument of the density is rounded, a^2/2 2^-53 <= 8.5e-14, and a few
	// operations.
	bendRounding = 1e-13
	// bendNegligible is what an integral need not be computed for: it is below
	// 1, and its error of that size counts as rounding of a covariance of 1.
	bendNegligible = 1e-15
)

// A bendPair is a covariance, in units of the two output standard deviations,
// without its integral: cov + scale G(p, q, s), cov being a sum of parts of the
// given size.
type bendPair struct {
	cov, size      float64
	scale, p, q, s float64
}

func (f *Bends) pair(g *Bends, pair *kernel.HardPair) (s bendPair) {
	i, j, rho := pair.I, pair.J, pair.Rho
	a, b, r := f.a[i], g.a[j], math.Abs(pair.Rho)
	ww := f.w[i] * g.w[j]
	s.add(rho * f.b[i] * g.b[j])
	s.add(rho * f.b[i] * g.w[j] * g.sign[j] * g.root[j] * g.j0[j])
	s.add(rho * f.w[i] * f.sign[i] * f.root[i] * f.j0[i] * g.b[j])
	s.add(-ww * f.root[i] * f.j1[i] * g.root[j] * g.j1[j])
	far, at, ratio := f, i, f.root[i]/g.root[j] // the farther tail, and phi(m)/sqrt(phi(a) phi(b))
	if b > a {
		far, at, ratio = g, j, 1/ratio
	}
	ww *= ratio
	beta := -b
	if rho*f.sign[i]*g.sign[j] > 0 {
		beta = b
		s.add(ww * (far.j2[at] + math.Abs(a-b)*far.j1[at]))
		s.add(-ww * (1 - r) * far.j0[at])
	}
	tau2 := (1 - r) / (1 + r)
	tau := math.Sqrt(tau2)
	s.scale = ww * math.Sqrt(2/math.Pi) * (1 + r) * tau * tau2
	s.p, s.q, s.s = math.Abs(a+beta)*tau/math.Sqrt(8), math.Abs(a-beta)/(tau*math.Sqrt(8)), tau2
	return s
}

func (s *bendPair) add(part float64) {
	s.cov += part
	s.size += math.Abs(part)
}
