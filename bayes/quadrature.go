package bayes

import (
	"math"
	"slices"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/special"
)

// Composite Gauss-Legendre for what has no closed form and no fast series:
// panels meet at the kinks and, on either side of them and of the origin, where
// the activations of package activation turn, at distances that double. Nowhere
// are they longer than phi, the density, allows.

const (
	panelNodes = 16
	panelReach = 9.5 // phi is 1e-20 beyond it
	panelWidth = 2.0
	turn       = 0.75 // the first panel beside a kink or the origin
)

// breaks appends the ends of panels in z, for x = mu + sigma z, in increasing
// order.
func (p *panels) breaks(kinks []float64, mu, sigma float64) {
	p.around(0, mu, sigma)
	for _, k := range kinks {
		p.around(k, mu, sigma)
	}
}

// around appends breaks at x and at distances from it that double.
func (p *panels) around(x, mu, sigma float64) {
	z := (x - mu) / sigma
	p.add(z)
	for d := turn / sigma; d < 2*panelReach+math.Abs(z); d *= 2 {
		p.add(z - d)
		p.add(z + d)
	}
}

func (p *panels) add(z float64) {
	if math.Abs(z) < panelReach {
		p.ends = append(p.ends, z)
	}
}

// panels are the ends of panels, and the scratch for them.
type panels struct{ ends []float64 }

// integrate calls f with the nodes and their weights, which include phi.
func (p *panels) integrate(f func(z, w float64)) {
	p.ends = append(p.ends, -panelReach, panelReach)
	slices.Sort(p.ends)
	x, w := special.GaussLegendre(panelNodes)
	for i, hi := range p.ends[1:] {
		lo := p.ends[i]
		n := math.Ceil((hi - lo) / panelWidth)
		half := 0.5 * (hi - lo) / n
		for k := range int(n) {
			centre := lo + half*float64(2*k+1)
			for j := range x {
				z := centre + half*x[j]
				f(z, half*w[j]*special.Density(z))
			}
		}
	}
}

// varianceSlopes returns the derivatives of Var g(X), X ~ N(mu, sigma^2), by
//
//	dVar/dmu = E[(g - Eg)^2 Z]/sigma,   dVar/dv = E[(g - Eg)^2 (Z^2 - 1)]/(2 v),
//
// and as an estimate of their relative error that of the variance by the same
// nodes.
func varianceSlopes(a activation.Activation, mu, sigma, mean, variance float64) (dm, dv, estimate float64) {
	var p panels
	p.breaks(a.Kinks(), mu, sigma)
	sum := 0.
	p.integrate(func(z, w float64) {
		d := a.Apply(mu+sigma*z) - mean
		w *= d * d
		sum += w
		dm += w * z
		dv += w * (z*z - 1)
	})
	return dm / sigma, dv / (2 * sigma * sigma), math.Abs(sum-variance)/variance + 0x1p-52
}

// pairSlopes returns the derivatives of C = Cov(f(X1), f(X2)) by mu1 and v1 at a
// fixed covariance c of the inputs, and by c:
//
//	dC/dmu1 = E[f'(X1) G],   dC/dv1 = E[f'(X1) (Z G - dG/dz)]/(2 sigma1),   dC/dc = E[f'(X1) g1],
//
// with Z = (X1 - mu1)/sigma1, G(z) = E[f(X2) - Ef(X2) | Z = z] and g1 = E[f'(X2) | z], both closed
// forms or the activation's own quadrature, so that dG/dz = rho sigma2 g1. A jump J of f at t adds
// J delta(x-t) to f'. p is the pair, mean2 is E f(X2).
func pairSlopes(a activation.Activation, p activation.Pair, mean2 float64) (dmu, dv, dc float64) {
	q := math.Sqrt((1 - p.Rho) * (1 + p.Rho))
	slope, rest := p.Rho*p.Sigma2, q*p.Sigma2
	term := func(z, w float64) {
		g, g1 := conditionalMean(a, p.Mu2+slope*z, rest)
		g -= mean2
		dmu += w * g
		dv += w * (z*g - slope*g1)
		dc += w * g1
	}
	var s panels
	kinks := a.Kinks()
	s.breaks(kinks, p.Mu1, p.Sigma1)
	// A kink of f at X2 is blurred over q/|rho| of Z.
	for _, k := range append([]float64{0}, kinks...) {
		for d := -8.; d <= 8; d += 2 {
			s.add((k - p.Mu2 + d*rest) / slope)
		}
	}
	s.integrate(func(z, w float64) { term(z, w*a.Derivative(p.Mu1+p.Sigma1*z)) })
	for _, k := range kinks {
		jump := a.Apply(math.Nextafter(k, math.Inf(1))) - a.Apply(math.Nextafter(k, math.Inf(-1)))
		if z := (k - p.Mu1) / p.Sigma1; math.Abs(jump) > 1e-12 {
			term(z, jump*special.Density(z)/p.Sigma1)
		}
	}
	return dmu, dv / (2 * p.Sigma1), dc
}
