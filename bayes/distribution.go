package bayes

import (
	"math"

	"github.com/covprop/covprop/internal/special"
)

// A Distribution is that of one target: a mixture of Gaussians. A noise variance
// that is itself random makes many of one.
type Distribution struct {
	Weight   []float64 // positive, their sum is 1
	Mean     []float64
	Variance []float64 // positive
}

// LogDensity returns the logarithm of the density at y.
func (d *Distribution) LogDensity(y float64) float64 {
	top, sum := math.Inf(-1), 0.
	for k, w := range d.Weight {
		z := y - d.Mean[k]
		l := math.Log(w) - 0.5*(logTwoPi+math.Log(d.Variance[k])+z*z/d.Variance[k])
		switch {
		case l > top:
			sum = sum*math.Exp(top-l) + 1
			top = l
		case l > math.Inf(-1):
			sum += math.Exp(l - top)
		}
	}
	return top + math.Log(sum)
}

// CDF returns P(Y <= y).
func (d *Distribution) CDF(y float64) float64 {
	sum := 0.
	for k, w := range d.Weight {
		sum += w * special.CDF((y-d.Mean[k])/math.Sqrt(d.Variance[k]))
	}
	return sum
}

// Quantile returns the y with CDF(y) = p, for p in (0, 1), to about 1e-13 of y or, near
// 0, of the narrowest component; NaN for any other p.
func (d *Distribution) Quantile(p float64) float64 {
	if !(p > 0 && p < 1) {
		return math.NaN()
	}
	narrow, lo, hi := math.Inf(1), math.Inf(1), math.Inf(-1)
	for k, m := range d.Mean {
		narrow = min(narrow, math.Sqrt(d.Variance[k]))
		lo, hi = min(lo, m), max(hi, m)
	}
	// Heavy tails have components of any width, so the bracket grows from the means.
	p *= d.CDF(math.Inf(1)) // 1 but for rounding
	for step := narrow; d.CDF(lo) > p; step *= 2 {
		lo -= step
	}
	for step := narrow; d.CDF(hi) < p; step *= 2 {
		hi += step
	}
	// Newton's steps within the bracket, which every fourth step halves.
	x := lo + 0.5*(hi-lo)
	for k := 1; ; k++ {
		excess := d.CDF(x) - p
		if excess < 0 {
			lo = x
		} else {
			hi = x
		}
		tolerance := 1e-13 * max(math.Abs(lo), math.Abs(hi), narrow)
		next := x - excess/math.Exp(d.LogDensity(x))
		newton := next > lo && next < hi && k%4 != 0
		if !newton {
			next = lo + 0.5*(hi-lo)
		}
		if newton && math.Abs(next-x) <= tolerance || hi-lo <= tolerance || next <= lo || next >= hi {
			return next
		}
		x = next
	}
}

// CRPS returns the continuous ranked probability score of y, the integral of
// (CDF(x) - 1{x >= y})^2, in the units of the target: less is better. For a mixture
// it is a closed form (Grimit, Gneiting, Berrocal & Johnson 2006, DOI
// 10.1256/qj.05.235),
//
//	sum_k w_k A(y - m_k, v_k) - 1/2 sum_kl w_k w_l A(m_k - m_l, v_k + v_l),
//	A(d, v) = E |N(d, v)| = d (2 Phi(d/s) - 1) + 2 s phi(d/s),   s = sqrt v.
func (d *Distribution) CRPS(y float64) float64 {
	sum := 0.
	for k, w := range d.Weight {
		if w == 0 {
			continue
		}
		sum += w * meanMagnitude(y-d.Mean[k], d.Variance[k])
		pairs := 0.5 * w * meanMagnitude(0, 2*d.Variance[k])
		for l := range k {
			if d.Weight[l] > 0 {
				pairs += d.Weight[l] * meanMagnitude(d.Mean[k]-d.Mean[l], d.Variance[k]+d.Variance[l])
			}
		}
		sum -= w * pairs
	}
	return sum
}

func meanMagnitude(d, v float64) float64 {
	s := math.Sqrt(v)
	z := d / s
	return d*math.Erf(z/math.Sqrt2) + 2*s*special.Density(z)
}

// add adds a component.
func (d *Distribution) add(weight, mean, variance float64) {
	d.Weight, d.Mean, d.Variance = append(d.Weight, weight), append(d.Mean, mean), append(d.Variance, variance)
}

const (
	noiseReach = 8. // standard deviations of a log variance, for the trapezoidal rule
	// minNoiseNodes to maxNoiseNodes are its nodes.
	minNoiseNodes, maxNoiseNodes = 33, 1025
)

// addHeteroscedastic adds weight times the distribution of y ~ N(m, e^l) for
// Gaussian (m, l): given l, m is Gaussian, and l is integrated by the trapezoidal
// rule. Its nodes are half as far apart as the integrand is wide: as the Gaussian, as
// what e^l grows by in a standard deviation, or as the density of y as its mean moves
// with l. Within five standard deviations of the mean the error of a log density is at
// most 2e-5 nats; what is so far out that log variances beyond noiseReach explain it is
// less probable than it should be.
func (d *Distribution) addHeteroscedastic(weight, m, l, smm, sml, sll float64) {
	if !(sll > 0) {
		d.add(weight, m, smm+math.Exp(l))
		return
	}
	s := math.Sqrt(sll)
	slope := sml / s
	rest := max(0, smm-slope*slope) // negative by rounding, where m follows from l
	narrow := max(1, s, math.Abs(slope)/math.Sqrt(rest+math.Exp(l-6*s)))
	nodes := int(min(max(4*noiseReach*narrow+1, minNoiseNodes), maxNoiseNodes))
	first, sum := len(d.Weight), 0.
	for k := range nodes {
		z := noiseReach * (2*float64(k)/float64(nodes-1) - 1)
		w := special.Density(z)
		sum += w
		d.add(w, m+slope*z, rest+math.Exp(l+s*z))
	}
	for k := first; k < len(d.Weight); k++ {
		d.Weight[k] *= weight / sum
	}
}

// addStudent adds weight times the distribution of m + s T, m ~ N(mean, variance) and
// T of Student's distribution: a Gaussian with the variance s^2/G, G ~ Gamma(dof/2,
// rate dof/2), integrated over log G by the trapezoidal rule, where the density is
//
//	exp( dof/2 (u - e^u) ) times a constant.
//
// It ends where that is 1e-26 of its largest value. So a log density is good to
// 1e-9 while it is less than 40 below its maximum; farther out, where only many
// degrees of freedom come, tails fall short.
func (d *Distribution) addStudent(weight, mean, variance, s2, dof float64) {
	const drop = 60 // exp(-60) = 1e-26
	h := 0.5 * dof
	exponent := func(u float64) float64 { return h * (u - math.Expm1(u)) }
	// Where the exponent is -drop, from its curvature h at 0 inwards and outwards.
	end := math.Sqrt(2 * drop / h)
	lo, hi := -end, end
	for exponent(lo) > -drop {
		lo *= 1.1
	}
	for exponent(hi/1.1) < -drop {
		hi /= 1.1
	}
	// The rule converges geometrically once steps are short against the width.
	first, sum := len(d.Weight), 0.
	n := max(64, int(math.Ceil((hi-lo)*4*math.Sqrt(1+h))))
	n = min(n, 512)
	for k := range n + 1 {
		u := lo + (hi-lo)*float64(k)/float64(n)
		w := math.Exp(exponent(u))
		if w == 0 {
			continue
		}
		sum += w
		d.add(w, mean, variance+s2*math.Exp(-u))
	}
	for k := first; k < len(d.Weight); k++ {
		d.Weight[k] *= weight / sum
	}
}
