package activation

import (
	"math"

	"github.com/covprop/covprop"
)

// SeriesCovariance returns sum_{k>=1} rho^k hf[k] hg[k], the covariance of two
// activations with the coefficients hf and hg (Mehler 1866), truncated after
// the shorter of the two. Coefficient 0, the mean, plays no part.
func SeriesCovariance(hf, hg []float64, rho float64) float64 {
	sum := 0.0
	for k := min(len(hf), len(hg)) - 1; k >= 1; k-- {
		sum = rho * (hf[k]*hg[k] + sum)
	}
	return sum
}

// Covariance returns Cov(a(X1), b(X2)) for the jointly Gaussian pair p, for
// any correlation in [-1, 1], and how exact it is relative to the product of
// the two standard deviations: exact where a closed form for the pair exists,
// otherwise by quadrature with an estimate. It is meant for |rho| near 1, where
// the series over the coefficients is slow; elsewhere the series is cheaper.
func Covariance(a, b Activation, p Pair) (cov float64, acc covprop.Accuracy) {
	if p.Sigma1 == 0 || p.Sigma2 == 0 || p.Rho == 0 {
		return 0, covprop.Accuracy{}
	}
	f, g := centre(a, p.Mu1, p.Sigma1), centre(b, p.Mu2, p.Sigma2)
	sum := f.mean + g.mean + p.Rho
	if math.IsNaN(sum) || math.IsInf(sum, 0) || math.Abs(p.Rho) > 1 || !(p.Sigma1 > 0) || !(p.Sigma2 > 0) {
		return math.NaN(), covprop.ApproximatedBy(math.Inf(1), "no finite moments")
	}
	if cov, bound, ok := PairForm(a, b, p, f.sd, g.sd); ok {
		acc = covprop.CertifiedBy(bound, pairReason)
		for _, c := range [...]*centred{&f, &g} {
			if c.acc.Reason == Linearized {
				acc = c.acc
			}
		}
		return cov, acc
	}
	if f.sd == 0 || g.sd == 0 {
		return 0, f.acc.Worse(g.acc)
	}
	var estimate float64
	switch hu, hv, ok := planeSteps(f, g, p); {
	case ok:
		cov, estimate = plane(f, g, p, hu, hv)
	case outer(f, g):
		cov, estimate = conditional(f, g, p)
	default:
		cov, estimate = conditional(g, f, p.Swap())
	}
	return cov, covprop.ApproximatedBy(estimate+f.leftOut+g.leftOut, quadratureReason)
}

const pairReason = "pair quadrature"

// centred is an activation minus its mean for one input distribution.
type centred struct {
	Activation
	formula   formula // nil unless the moments are by quadrature
	mu, sigma float64
	mean      float64
	shift     float64 // mean - g(mu)
	sd        float64
	leftOut   float64 // part of the variance beyond the range of a clamped formula
	acc       covprop.Accuracy
}

func centre(a Activation, mu, sigma float64) centred {
	c := centred{Activation: a, mu: mu, sigma: sigma}
	switch a := a.(type) {
	case numeric:
		c.formula = a.formula
	case guarded:
		if f := a.within(mu, sigma); f != nil {
			c.formula, c.leftOut = f, f.leftOut
		}
	}
	if c.formula != nil {
		m := quadrature(c.formula, nil, mu, sigma)
		c.shift, c.mean, c.sd = m.shift, a.Apply(mu)+m.shift, math.Sqrt(m.variance)
		c.acc = covprop.ApproximatedBy(m.estimate, quadratureReason)
		return c
	}
	var h [1]float64
	v, acc := Marginal(a, h[:], mu, sigma, 0)
	c.mean, c.shift, c.sd, c.acc = h[0], h[0]-a.Apply(mu), math.Sqrt(v), acc
	return c
}

// at returns g(mu + delta) - E g(X) and the size of the numbers behind it. The
// rounding of E g itself does not count: in a covariance the other factor has
// the mean zero.
func (c *centred) at(delta float64) (d, size float64) {
	if c.formula != nil {
		d, size = c.difference(delta)
		return d - c.shift, size + math.Abs(c.shift)
	}
	g, g0 := c.Apply(c.mu+delta), c.Apply(c.mu)
	d = g - g0
	if d != 0 {
		size = math.Abs(g) + math.Abs(g0)
	}
	return d - c.shift, size + math.Abs(c.shift)
}

func (c *centred) difference(delta float64) (d, size float64) {
	return c.formula.difference(c.mu, delta)
}

// conditionalMean returns E g(mu + delta + s Z) - E g(X).
func (c *centred) conditionalMean(delta, s float64, h []float64) (d, size float64) {
	if s == 0 {
		return c.at(delta)
	}
	if c.formula != nil {
		shift, err := c.conditionalShift(delta, s)
		d, size = c.difference(delta)
		return d + shift - c.shift, size + math.Abs(shift) + math.Abs(c.shift) + err/epsilon
	}
	if m, ok := c.Activation.(marginaler); ok {
		v, acc := m.marginal(h[:1], c.mu+delta, s, 0)
		if acc.Bound > 0 {
			size = acc.Bound * math.Sqrt(v) / epsilon
		}
	} else {
		c.Coefficients(h[:1], c.mu+delta, s) // the mean alone
	}
	return h[0] - c.mean, size + math.Abs(h[0]) + math.Abs(c.mean)
}

// conditionalShift returns E g(mu + delta + s Z) - g(mu + delta) and an
// estimate of its error, by quadrature as fine as the standard deviation of
// g(X) needs.
func (c *centred) conditionalShift(delta, s float64) (shift, err float64) {
	r := panelPool.Get().(*panels)
	defer panelPool.Put(r)
	r.marginal = shifted{c.formula, c.mu + delta, s}
	r.f, r.square, r.scale = &r.marginal, false, c.sd
	r.breaks = r.breaks[:0]
	r.addBreaks(c.breaks(), c.strip(), c.mu+delta, s)
	r.build(r.breaks, meanReach, meanWidth)
	shift, err = r.integral(), r.estimate()*c.sd
	r.marginal = shifted{}
	return shift, err
}

// breaks returns where panels are to meet.
func (c *centred) breaks() []float64 {
	if c.formula != nil {
		return c.formula.breaks()
	}
	return c.Kinks()
}

// strip returns the distance from the line to the nearest singularity, 0 if the
// function is not analytic or that is unknown.
func (c *centred) strip() float64 {
	if c.formula != nil {
		return c.formula.strip()
	}
	return 0
}

// users reports whether the activation is a user's function.
func (c *centred) users() bool {
	_, is := c.formula.(*function)
	return is
}

// outer reports whether conditional should condition on the variable of f: the
// other function needs a mean, best a closed form, and where both have one, or
// neither, that of the function with the smaller mean in its own deviations is
// rounded less.
func outer(f, g centred) bool {
	fExact, gExact := f.acc.Status == covprop.Exact, g.acc.Status == covprop.Exact
	if fExact != gExact {
		return gExact
	}
	return math.Abs(f.mean)*g.sd >= math.Abs(g.mean)*f.sd
}

// conditional conditions on the first variable: with q = sqrt(1 - rho^2),
//
//	Cov = E[ (f(mu1 + sigma1 Z) - E f) (E g(mu2 + rho sigma2 Z + q sigma2 W) - E g) ],
//
// W standard normal. Panels meet at the breaks of f and, on the scale q/|rho|
// on which a kink of g is blurred, around z = (kink - mu2)/(rho sigma2). At
// |rho| = 1 the conditional mean is g itself.
func conditional(f, g centred, p Pair) (cov, estimate float64) {
	r := panelPool.Get().(*panels)
	defer panelPool.Put(r)
	q := math.Sqrt((1 - p.Rho) * (1 + p.Rho))
	r.pair = conditioned{f: f, g: g, slope: p.Rho * p.Sigma2, rest: q * p.Sigma2}
	r.f, r.square, r.scale = &r.pair, false, f.sd*g.sd
	r.breaks = r.breaks[:0]
	r.addBreaks(f.breaks(), f.strip(), p.Mu1, p.Sigma1)
	for _, s := range [...]float64{-6, -2, 0, 2, 6} {
		if blur := q / math.Abs(p.Rho); s == 0 || 0 < blur && blur < 1 {
			r.addBreaks(g.breaks(), g.strip(), p.Mu2-s*q*p.Sigma2, p.Rho*p.Sigma2)
		}
	}
	r.build(r.breaks, covarianceReach, covarianceWidth)
	cov, estimate = r.integral(), r.estimate()
	r.pair = conditioned{}
	return cov, estimate
}

// Ranges in which f phi is resolved if f does not grow, and the widths of
// panels that resolve phi itself.
const (
	covarianceReach = 9.5 // phi is 1e-20 beyond it
	covarianceWidth = 3.2
	meanReach       = 8.5 // phi is 8e-17 beyond it
	meanWidth       = 5.7
)

// conditioned is the integrand of conditional.
type conditioned struct {
	f, g        centred
	slope, rest float64 // rho sigma2 and q sigma2
	h           [1]float64
}

func (c *conditioned) at(z float64) (value, size float64) {
	a, sizeA := c.f.at(c.f.sigma * z)
	b, sizeB := c.g.conditionalMean(c.slope*z, c.rest, c.h[:])
	return a * b, math.Abs(a)*sizeB + math.Abs(b)*sizeA
}

// Limits of the trapezoidal rule.
const (
	planeReach  = 8.5   // the density at the range's edge is 8e-17
	planeNodes  = 50000 // beyond it the nested rule is cheaper
	planeTarget = 1e-12
)

// planeSteps returns the steps of the trapezoidal rule for plane; ok is false
// if it does not apply or would be too long.
func planeSteps(f, g centred, p Pair) (hu, hv float64, ok bool) {
	if f.formula == nil || g.formula == nil || math.Abs(p.Rho) == 1 {
		return 0, 0, false
	}
	strip := min(f.strip()/p.Sigma1, g.strip()/p.Sigma2)
	a, b := rotation(p.Rho)
	hu, hv = planeStep(strip/a), planeStep(strip/b)
	return hu, hv, hu*hv*planeNodes > 4*planeReach*planeReach
}

// planeStep returns the step h for a function whose nearest singularity has the
// distance y from the real line. With the Gaussian the error of the rule at
// step 2h is exp(-pi y/h + y^2/2), y = 5 standing for anything larger. It is to
// be near 1e-7, which leaves room for the growth of the function off the line.
func planeStep(y float64) float64 {
	y = min(y, 5)
	return math.Pi * y / (17 + 2./3*y*y)
}

// rotation returns A, B = sqrt((1 +- |rho|)/2).
func rotation(rho float64) (a, b float64) {
	r := math.Abs(rho)
	return math.Sqrt(0.5 * (1 + r)), math.Sqrt(0.5 * (1 - r))
}

// plane integrates a pair of analytic functions over independent standard
// normal U and V,
//
//	X1 = mu1 + sigma1 (A U + B V),   X2 = mu2 +- sigma2 (A U - B V),   A, B = sqrt((1 +- |rho|)/2),
//
// by the trapezoidal rule, which converges geometrically for analytic functions
// (Trefethen & Weideman 2014, DOI 10.1137/130932132): the error at step h is
// about the square of that at 2h, whose nodes are among those of h. Nobody
// knows whether a user's function is analytic: for it the error at 2h counts.
func plane(f, g centred, p Pair, hu, hv float64) (cov, estimate float64) {
	scale := f.sd * g.sd
	for {
		fine, coarse, size := planeSum(f, g, p, hu, hv)
		missing := math.Abs(fine-coarse) / scale
		if !f.users() && !g.users() {
			missing = min(missing, missing*missing)
		}
		estimate = missing + epsilon*(4+size/scale)
		hu, hv = hu/2, hv/2
		if !(missing > planeTarget) || hu*hv*planeNodes < 4*planeReach*planeReach {
			return fine, estimate
		}
	}
}

// planeSum returns the sums with steps h and 2h, and the size of the first for
// its rounding.
func planeSum(f, g centred, p Pair, hu, hv float64) (fine, coarse, size float64) {
	a, b := rotation(p.Rho)
	a1, b1 := p.Sigma1*a, p.Sigma1*b
	a2, b2 := math.Copysign(p.Sigma2*a, p.Rho), -math.Copysign(p.Sigma2*b, p.Rho)
	total := 0.0
	// line calls visit with 0, 1, 2, ... and -1, -2, ... until, out of the
	// range, what it returns is negligible.
	line := func(h float64, visit func(i int) float64) {
		for _, sign := range [...]int{1, -1} {
			for i := (1 - sign) / 2; ; i++ {
				t := visit(sign * i)
				if z := float64(i) * h; z > planeReach && !(t > negligible*total) || z > reach {
					break
				}
			}
		}
	}
	line(hu, func(i int) float64 {
		u := float64(i) * hu
		row, even, content := 0.0, 0.0, 0.0
		line(hv, func(j int) float64 {
			v := float64(j) * hv
			w := math.Exp(-0.5 * (u*u + v*v))
			x, sizeX := f.at(a1*u + b1*v)
			y, sizeY := g.at(a2*u + b2*v)
			t := w * x * y
			row += t
			if j%2 == 0 {
				even += t
			}
			size += w * (math.Abs(x)*sizeY + math.Abs(y)*sizeX)
			content += math.Abs(t)
			total += math.Abs(t)
			return math.Abs(t)
		})
		fine += row
		if i%2 == 0 {
			coarse += even
		}
		return content
	})
	w := hu * hv / (2 * math.Pi)
	return fine * w, 4 * coarse * w, size * w
}
