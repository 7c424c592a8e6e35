package activation

import (
	"math"

	"github.com/covprop/covprop/internal/special"
)

// An eluUnit is an elu of X = mu + sigma Z as a sum of three parts, up to a
// constant: with a = mu/sigma and s = beta sigma,
//
//	slope (Z + a)_+  +  step 1{Z > -a}  +  scale T,   T = e^{sZ - s^2/2} 1{-Z > a},
//
// slope = gamma sigma, step = gamma alpha, scale = step e^{beta mu + s^2/2}.
// The exponential shifts the mean of a Gaussian: for any function g of Z and a W
// of correlation r with it, E[T g(Z, W)] = E[1{-Z > a+s} g(Z+s, W+rs)].
type eluUnit struct {
	a, s               float64
	slope, step, scale float64
	up, down           tail // thresholds -a and a+s
}

func (e elu) unit(mu, sigma float64) eluUnit {
	a, s := mu/sigma, e.beta*sigma
	step := e.gamma * e.alpha
	return eluUnit{
		a: a, s: s,
		slope: e.gamma * sigma, step: step, scale: step * math.Exp(s*(a+0.5*s)),
		up: newTail(1, -a, [3]float64{}), down: newTail(-1, a+s, [3]float64{}),
	}
}

// steepest is the largest s for which the closed form is used: e^{s^2/2} has to
// be made up for by the tails.
const steepest = 5

// pairCovariance implements pairer for two ELUs, with sigma not too small where
// the kinks are near: there the parts cancel, and it declines.
func (e elu) pairCovariance(b Activation, p Pair, sd1, sd2 float64) (cov, bound float64, ok bool) {
	g, is := b.(elu)
	if !is {
		return 0, 0, false
	}
	if p.Sigma1 == 0 || p.Sigma2 == 0 || p.Rho == 0 {
		return 0, 0, true
	}
	u, w := e.unit(p.Mu1, p.Sigma1), g.unit(p.Mu2, p.Sigma2)
	if !(u.s >= 0 && u.s <= steepest && w.s >= 0 && w.s <= steepest) || math.Abs(u.a) > farthestTail || math.Abs(w.a) > farthestTail {
		return 0, 0, false
	}
	sum := parts{}
	sum.add(u.slope * w.slope * tailCovariance(1, 1, &u.up, &w.up, p.Rho))
	sum.add(u.slope * w.step * tailCovariance(1, 0, &u.up, &w.up, p.Rho))
	sum.add(u.step * w.slope * tailCovariance(0, 1, &u.up, &w.up, p.Rho))
	sum.add(u.step * w.step * tailCovariance(0, 0, &u.up, &w.up, p.Rho))
	sum.addTilted(&u, &w, p.Rho)
	sum.addTilted(&w, &u, p.Rho)
	sum.addTwiceTilted(&u, &w, p.Rho)
	if !(partError*sum.size <= 1e-12*sd1*sd2) {
		return 0, 0, false
	}
	return sum.value, 0, true
}

// addTilted adds the covariance of scale T of u with the first two parts of w,
//
//	Cov(T, (W + b)_+^n) = Cov(1{-Z > a+s}, (W + b + rho s)_+^n) + J_0(a+s) [J_n(-b - rho s) - J_n(-b)],
//
// in the notation of tailMoments.
func (sum *parts) addTilted(u, w *eluUnit, rho float64) {
	up := newTail(1, w.up.a-rho*u.s, [3]float64{})
	j := u.scale * u.down.j[0]
	sum.add(u.scale * w.slope * tailCovariance(0, 1, &u.down, &up, -rho))
	sum.add(u.scale * w.step * tailCovariance(0, 0, &u.down, &up, -rho))
	sum.add(j * w.slope * up.j[1])
	sum.add(-j * w.slope * w.up.j[1])
	sum.addMass(j*w.step, up.a, w.up.a)
}

// addTwiceTilted adds the covariance of the last parts: with c = rho s1 s2 and
// the thresholds a_i + s_i moved up by rho s_j under both tilts,
//
//	Cov(T1, T2) = e^c Cov(1{..}, 1{..}) + (e^c - 1) J_0 J_0 + [J_0 J_0 - J_0(a1+s1) J_0(a2+s2)].
func (sum *parts) addTwiceTilted(u, w *eluUnit, rho float64) {
	t, r := newTail(-1, u.down.a+rho*w.s, [3]float64{}), newTail(-1, w.down.a+rho*u.s, [3]float64{})
	c, k := rho*u.s*w.s, u.scale*w.scale
	sum.add(k * math.Exp(c) * tailCovariance(0, 0, &t, &r, rho))
	sum.add(k * math.Expm1(c) * t.j[0] * r.j[0])
	sum.addMass(k*r.j[0], t.a, u.down.a)
	sum.addMass(k*u.down.j[0], r.a, w.down.a)
}

// addMass adds f [J_0(x) - J_0(y)], J_0 = 1 - Phi, from the smaller tails.
func (sum *parts) addMass(f, x, y float64) {
	if x+y < 0 {
		sum.add(f * special.CDF(y))
		sum.add(-f * special.CDF(x))
		return
	}
	sum.add(f * special.CDF(-x))
	sum.add(-f * special.CDF(-y))
}
