package activation

import (
	"math"
	"strconv"

	"github.com/covprop/covprop/internal/special"
	"github.com/covprop/covprop/internal/vec"
)

// ELU returns the exponential linear unit (Clevert et al. 2016): x for x > 0
// and alpha (e^x - 1) below, named "elu_1" after alpha, which must be finite.
func ELU(alpha float64) Activation {
	return elu{"elu_" + formatNumber(alpha), alpha, 1, 1}
}

// CELU returns the continuously differentiable ELU (Barron 2017): x for x > 0
// and alpha (e^{x/alpha} - 1) below, named "celu_2" after alpha, which must be
// finite. alpha = 0 is the limit, ReLU.
func CELU(alpha float64) Activation {
	name := "celu_" + formatNumber(alpha)
	if alpha == 0 {
		return elu{name, 0, 1, 1}
	}
	return elu{name, alpha, 1 / alpha, 1}
}

// SELU returns the scaled ELU (Klambauer et al. 2017): gamma times ELU(alpha),
// named "selu" for the published alpha and gamma, also where they are rounded
// to float32, and "selu_alpha_gamma" otherwise. Both must be finite.
func SELU(alpha, gamma float64) Activation {
	const stdAlpha, stdGamma = 1.6732632423543772, 1.0507009873554805
	name := "selu"
	std := alpha == stdAlpha && gamma == stdGamma
	std32 := alpha == float64(float32(stdAlpha)) && gamma == float64(float32(stdGamma))
	if !std && !std32 {
		name += "_" + formatNumber(alpha) + "_" + formatNumber(gamma)
	}
	return elu{name, alpha, 1, gamma}
}

func formatNumber(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// elu is gamma times x for x > 0 and alpha (e^{beta x} - 1) below.
//
// In the comments a = mu/sigma, s = beta sigma, m = beta mu, and
// N(x) = e^{beta min(x,0)} - 1, so that elu = gamma (ReLU + alpha N).
type elu struct {
	name               string
	alpha, beta, gamma float64
}

func (e elu) Name() string { return e.name }

func (elu) Kinks() []float64 { return origin }

func (e elu) Apply(x float64) float64 {
	if x > 0 {
		return e.gamma * x
	}
	return e.gamma * e.alpha * math.Expm1(e.beta*x)
}

func (e elu) Derivative(x float64) float64 {
	slope := e.alpha * e.beta
	switch {
	case x > 0:
		return e.gamma
	case x < 0:
		return e.gamma * slope * exp(e.beta*x)
	}
	return e.gamma * 0.5 * (1 + slope)
}

// Coefficients implements Activation. With r_k those of ReLU and n_k those of
// N, h_k(f) = sigma h_{k-1}(f')/sqrt(k) and N' = beta (N + 1{X<0}) give
//
//	n_1 = s E[e^{beta X} 1{X<0}],   n_k = s n_{k-1}/sqrt(k) - beta r_k,   k >= 2.
//
// The recurrence multiplies the error of n_1 by up to exp(s^2/2), reached at
// k = s^2. For a + 2s < 0 the n_k grow as fast, being nearly those of
// e^{beta X}. Otherwise the kink keeps them small, and unless s is small too,
// quadrature gives them up to k = s^2; where a is so far below 0 that they
// underflow, the recurrence gives 0.
func (e elu) Coefficients(h []float64, mu, sigma float64) {
	if sigma == 0 {
		clear(h)
		if len(h) > 0 {
			h[0] = e.Apply(mu)
		}
		return
	}
	ReLU().Coefficients(h, mu, sigma)
	if len(h) == 0 {
		return
	}
	a, s := mu/sigma, e.beta*sigma
	h[0] = e.gamma * (h[0] + e.alpha*negativeMean(a, s))
	if len(h) == 1 {
		return
	}
	first := 1
	n := s * tilted(a, s)
	if s > 2 && a+2*s > 0 && a > -2*farthestTail {
		first = int(min(s*s, float64(len(h)-1)))
		n = e.addLow(h[:first+1], a, s)
	} else {
		h[1] = e.gamma * (h[1] + e.alpha*n)
	}
	for k := first + 1; k < len(h); k++ {
		n = s/math.Sqrt(float64(k))*n - e.beta*h[k]
		h[k] = e.gamma * (h[k] + e.alpha*n)
	}
}

// tilted returns E[e^{beta X} 1{X<0}] = e^{m + s^2/2} Phi(-(a+s)), which is
// phi(a) times the Mills ratio at a+s.
func tilted(a, s float64) float64 {
	if a+s > 0 {
		return special.Density(a) * special.Mills(a+s)
	}
	return expTimes(s*(a+0.5*s), special.CDF(-(a + s)))
}

// negativeMean returns E N = E[e^{beta X} 1{X<0}] - Phi(-a). For small s the two
// are nearly equal; then, with the tilted tail probability P = Phi(-a-s), it is
// (e^{m + s^2/2} - 1) P - (Phi(-a) - P), the second term by quadrature of the
// density, which is analytic and nearly constant on [a, a+s].
func negativeMean(a, s float64) float64 {
	switch {
	case math.Abs(s) > 0.5:
		return tilted(a, s) - special.CDF(-a)
	case a > farthestTail:
		return 0 // where e^{m + s^2/2} may overflow
	}
	nodes, weights := special.GaussLegendre(16)
	mass := 0.0
	for i, w := range weights {
		mass += w * special.Density(a+0.5*s*(1+nodes[i]))
	}
	return math.Expm1(s*(a+0.5*s))*special.CDF(-(a+s)) - 0.5*s*mass
}

// addLow turns h, the coefficients of ReLU with h[0] done, into those of e, for
// 1 <= k < len(h) <= s^2 + 1, a + 2s > 0. It returns the last n_k. With
// p_k = He_k phi/sqrt(k!),
//
//	n_k = s/sqrt(k) int_0^inf e^{-s w} p_{k-1}(-a - w) dw.
//
// Since |p_k|^2 < phi/2 (Cramer's inequality), the square of the integrand is
// below e^{-2 s w} phi(a + w), whose integral is at most the second moment: it
// is cut off where that has fallen by exp(-2 drop). Since k <= s^2, it oscillates
// no faster than cos(s w): 16 Gauss-Legendre nodes on panels of width 8/s leave
// rounding errors only.
func (e elu) addLow(h []float64, a, s float64) (last float64) {
	for k := 1; k < len(h); k++ {
		h[k] *= e.gamma
	}
	nodes, weights := special.GaussLegendre(16)
	const drop = 40 // exp(-40) = 4e-18
	b := a + 2*s
	end := 4 * drop / (b + math.Sqrt(b*b+4*drop)) // b w/2 + w^2/4 = drop
	panels := math.Ceil(end * max(s/8, 1/1.5))
	width := end / panels
	for lo := 0.0; lo < panels; lo++ {
		for i, weight := range weights {
			w := width * (lo + 0.5*(1+nodes[i]))
			z := -a - w
			c := 0.5 * width * weight * s * math.Exp(-s*w)
			p, below := c*special.Density(z), 0.0
			n := 0.0
			for k := 1; k < len(h); k++ {
				root := math.Sqrt(float64(k))
				n = p / root
				h[k] += e.gamma * e.alpha * n
				p, below = (z*p-math.Sqrt(float64(k-1))*below)/root, p
			}
			last += n
		}
	}
	return last
}

// Variance implements Activation by quadrature of the deviation
// D(z) = elu(mu + sigma z) - elu(mu), formed without cancellation:
// Var = E[D^2] - (E D)^2. mu is the median of X, and for a monotone function
// the median and the mean of the output differ by at most its standard
// deviation, so this subtraction costs at most one bit.
//
// On each side of the kink z = -a the integrand is a sum of Gaussians with
// centres 0, s and 2s, cut off at the kink, where they change at the rates |a|
// and |s|; from there the panels grow to a width of 1.5. The error is rounding.
// The variance is NaN if a or s is not finite, and for beta < 0 also if the
// centre 2s, where e^{beta X} has the size e^{-m-2s^2}, is out of float64's reach.
func (e elu) Variance(mu, sigma float64) float64 {
	if sigma == 0 {
		return 0
	}
	a, s := mu/sigma, e.beta*sigma
	const reach, unseen = 10, 40 // phi(10) = 8e-23, phi(40) = 0
	if math.IsNaN(a-a) || math.IsNaN(s-s) || 2*s-reach < -unseen {
		return math.NaN()
	}
	var m momentSum
	kink, scale := -a, 1/max(min(math.Abs(a), unseen), math.Abs(s))
	if lo, hi := -reach+min(0, 2*s), min(kink, reach+max(0, 2*s), unseen); lo < hi {
		m.add(hi, lo, scale, func(z float64) float64 { return e.left(z, mu, sigma) })
	}
	if lo, hi := max(kink, -reach), min(max(kink, 0)+reach, unseen); lo < hi {
		m.add(lo, hi, scale, func(z float64) float64 { return e.right(z, mu, sigma) })
	}
	return e.gamma * e.gamma * (m.second - m.first*m.first)
}

// left returns D(z)/gamma where mu + sigma z <= 0.
func (e elu) left(z, mu, sigma float64) float64 {
	m, sz := e.beta*mu, e.beta*sigma*z
	y := e.beta * sigma * (z + mu/sigma)
	switch {
	case mu > 0:
		return e.alpha*math.Expm1(y) - mu
	case math.Abs(sz) < 1:
		return e.alpha * expTimes(m, math.Expm1(sz))
	}
	return e.alpha * (exp(y) - exp(m))
}

// right returns D(z)/gamma where mu + sigma z >= 0.
func (e elu) right(z, mu, sigma float64) float64 {
	if mu > 0 {
		return sigma * z
	}
	return sigma*(z+mu/sigma) - e.alpha*math.Expm1(e.beta*mu)
}

// momentSum accumulates int D phi and int D^2 phi.
type momentSum struct{ first, second float64 }

// add integrates from z = from, where the first panel has at most the width
// scale, to z = to; the widths double up to 1.5.
func (m *momentSum) add(from, to, scale float64, d func(z float64) float64) {
	nodes, weights := special.GaussLegendre(16)
	sign := math.Copysign(1, to-from)
	length := math.Abs(to - from)
	for done, width := 0.0, scale; done < length; width *= 2 {
		step := min(width, 1.5, length-done)
		var z, phi [16]float64
		for i, x := range nodes {
			z[i] = from + sign*(done+0.5*step*(1+x))
		}
		vec.DensityTo(phi[:], z[:])
		for i, weight := range weights {
			dz := d(z[i])
			w := 0.5 * step * weight * phi[i] * dz
			m.first += w
			m.second += w * dz
		}
		done += step
	}
}
