package activation

import (
	"math"
	"sync"

	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/vec"
)

// Bends are n units whose activations have one bend, as ReLU and its kin, for
// the covariances of many pairs of them. About its mean such a unit is linear
// but for a tail beyond the knot: up to a constant
//
//	g(mu + sigma Z)/sd = b Z + d (sign Z - a)_+,   a = |knot - mu|/sigma,
//
// sd being its output standard deviation. The zero value holds no units.
type Bends struct{ units []bentUnit }

// A bentUnit is one of Bends. What it holds neither overflows nor is denormal,
// however far the tail: J_m = E (Z - a)_+^m goes by phi(a), sd by its root, and
// so do the numbers here.
type bentUnit struct {
	sd      float64
	alpha   float64    // sign a, with the sign also where a is 0; NaN if the unit has not one bend
	linear  float64    // b
	first   float64    // d E[(sign Z - a)_+ Z] = sign d J_0
	jump    float64    // d
	density float64    // d sqrt(phi(a))
	moments [3]float64 // J_m / sqrt(phi(a))
}

// beyondTail stands for any larger a. sqrt(phi) is 7e-273 there, and d 1e165 at
// most.
const beyondTail = 50

// Set makes b the units with the activations acts, one for all or one each, the
// input means mu and standard deviations sigma, and the output standard
// deviations sd.
func (b *Bends) Set(acts []Activation, mu, sigma, sd []float64) {
	n := len(mu)
	if cap(b.units) < n {
		b.units = make([]bentUnit, n)
	}
	b.units = b.units[:n]
	var bend pieces
	for lo := 0; lo < n; lo += BatchSize {
		hi := min(n, lo+BatchSize)
		for i := lo; i < hi; i++ {
			if i == 0 || len(acts) > 1 && !same(acts[i], acts[i-1]) {
				bend = piecesOf(acts[i])
			}
			b.units[i].set(&bend, mu[i], sigma[i], sd[i])
		}
		setTails(b.units[lo:hi])
	}
}

// set sets alpha, linear and jump.
func (u *bentUnit) set(p *pieces, mu, sigma, sd float64) {
	delta := mu - p.at[0]
	alpha := -delta / sigma
	if !p.linear || p.n != 1 || p.jump[0][0] != 0 || !(sigma > 0) || !(sd > 0) || !finite(sigma+sd+alpha) {
		u.alpha = math.NaN()
		return
	}
	piece := 0
	if !math.Signbit(delta) {
		piece = 1
	}
	u.sd, u.alpha = sd, math.Copysign(min(math.Abs(alpha), beyondTail), alpha)
	u.linear, u.jump = p.slope[piece]*(sigma/sd), p.jump[0][1]*(sigma/sd)
}

// setTails sets the rest for at most BatchSize units. The rounding error of
// a^2/4, which the exponential would magnify, is put back.
func setTails(units []bentUnit) {
	var a, root, ones, j0, j1, j2 [BatchSize]float64
	n := len(units)
	for i := range units {
		a[i] = math.Abs(units[i].alpha)
		root[i], ones[i] = -0.25*a[i]*a[i], 1
	}
	vec.ExpTo(root[:n], root[:n])
	kernel.HalfLineTo(j0[:n], j1[:n], j2[:n], a[:n], ones[:n])
	for i := range units {
		u, quarter := &units[i], 0.25*a[i]
		r := rootTwoPi4 * root[i] * (1 - math.FMA(quarter, a[i], -quarter*a[i]))
		u.density = u.jump * r
		u.moments = [3]float64{r * j0[i], r * j1[i], r * j2[i]}
		u.first = math.Copysign(1, u.alpha) * u.density * u.moments[0]
	}
}

const rootTwoPi4 = 0.63161877774606470129 // (2 pi)^(-1/4)

// bendScratch is what CovariancesTo needs besides.
type bendScratch struct {
	integrals kernel.PairIntegrals
	scale     [kernel.HardBatch]float64
	place     [kernel.HardBatch]int // in pairs
}

var bendScratches = sync.Pool{New: func() any { return new(bendScratch) }}

// CovariancesTo sets Cov and Bound of those pairs of a unit of f and one of g
// that it can do within tol, and returns the others, for which it has changed
// the order of pairs. Bound covers the quadrature and the rounding, relative to
// the two output standard deviations.
func (f *Bends) CovariancesTo(pairs []kernel.HardPair, g *Bends, tol float64) (left []kernel.HardPair) {
	w := bendScratches.Get().(*bendScratch)
	defer bendScratches.Put(w)
	w.integrals.N = 0
	done := 0
	for k := range pairs {
		p := &pairs[k]
		u, v := &f.units[p.I], &g.units[p.J]
		delta := (1 - math.Abs(p.Rho)) / (1 + math.Abs(p.Rho))
		beta := v.alpha * math.Copysign(1, p.Rho)
		gap, sum := math.Abs(u.alpha-beta), math.Abs(u.alpha+beta)
		if !(gap >= 0) || !(delta <= kernel.PairLongest) {
			continue
		}
		cov, size := u.outer(v, p.Rho, beta, gap)
		bound := bendNegligible + bendRounding*size
		sd := u.sd * v.sd
		// In most pairs the knots are so far apart that nothing is left of I.
		if delta > bendTouch && gap*gap < 8*bendCut*delta && gap*sum < 4*bendCut {
			a, b, s, t := inner(delta, gap, sum)
			scale := rootTwoByPi * (1 + math.Abs(p.Rho)) * u.density * v.density * s * math.Sqrt(s)
			if bound += kernel.PairError * math.Abs(scale) * t; bound <= tol {
				i := w.integrals.Add(a, b, s, t)
				w.scale[i], w.place[i] = scale*sd, done
			}
		}
		if !(bound <= tol) {
			continue
		}
		p.Cov, p.Bound = cov*sd, bound
		if k != done {
			pairs[done], pairs[k] = pairs[k], pairs[done]
		}
		done++
	}
	w.integrals.Compute()
	for i, g := range w.integrals.G[:w.integrals.N] {
		pairs[w.place[i]].Cov += w.scale[i] * g
	}
	return pairs[done:]
}

const (
	// bendRounding is the relative error of a part of a covariance.
	bendRounding = 16 * epsilon
	// bendNegligible bounds an integral that is left out.
	bendNegligible = 1e-14
	// bendCut is the exponent from which on integrals are: their scale is below
	// 2000.
	bendCut = 40
	// bendTouch is the (1-r)/(1+r) up to which they are.
	bendTouch = 1e-13
)

// With r = |rho| and beta the other knot, turned round for rho < 0, the
// covariance of the tails at alpha and beta is, m being the farther one,
//
//	same sign:      J_2(m) + |alpha - beta| J_1(m) - (1-r) J_0(m) - J_1(alpha) J_1(beta) + I,
//	opposite sign:  -J_1(alpha) J_1(beta) + I:
//
// the value at r = 1, its slope there, and what the curvature adds, since the
// second derivative in r is the density (Price 1958),
//
//	I = int_r^1 (u - r) phi2(alpha, beta; u) du.
//
// With u = cos 2 arctan y, delta = (1-r)/(1+r), this is
//
//	I = (1+r)/pi int_0^sqrt(delta) (delta - y^2)/(1+y^2)^2 exp(-E) dy,
//	E = (alpha^2 + beta^2)/4 + ((alpha-beta)/y)^2/8 + ((alpha+beta) y)^2/8.
//
// exp(-(alpha^2 + beta^2)/4) is sqrt(2 pi phi(alpha) phi(beta)), and y =
// sqrt(s) x gives the integrals of package kernel: s is delta, or less where
// the third term of E is above kernel.PairSteepest before y gets there.
//
// Subtracting (1-r) J_0 costs digits where the tail is far, about m^2 (1-r) of
// them; size shows that.

// outer returns all but I, in units of the two output standard deviations, and
// the sum of the sizes of its parts. beta is the knot of v turned round, gap
// the distance of the knots.
func (u *bentUnit) outer(v *bentUnit, rho, beta, gap float64) (cov, size float64) {
	x0, x1, x2 := rho*u.linear*v.linear, rho*u.linear*v.first, rho*u.first*v.linear
	x3 := -u.density * u.moments[1] * (v.density * v.moments[1])
	cov, size = x0+x1+x2+x3, math.Abs(x0)+math.Abs(x1)+math.Abs(x2)+math.Abs(x3)
	if math.Signbit(u.alpha) != math.Signbit(beta) {
		return cov, size
	}
	far, near := u, v
	if math.Abs(u.alpha) < math.Abs(beta) {
		far, near = v, u
	}
	d := far.density * near.jump
	x4, x5 := d*(far.moments[2]+gap*far.moments[1]), d*(1-math.Abs(rho))*far.moments[0]
	return cov + (x4 - x5), size + math.Abs(x4) + math.Abs(x5)
}

// inner returns the arguments of the integral. sum is |alpha + beta|.
func inner(delta, gap, sum float64) (a, b, s, t float64) {
	s, t = delta, 1
	if b = sum * sum * delta / 8; b > kernel.PairSteepest {
		t = b / kernel.PairSteepest
		s, b = delta/t, kernel.PairSteepest
	}
	return gap * gap / (8 * s), b, s, t
}

const rootTwoByPi = 0.79788456080286535588 // sqrt(2/pi)
