package activation

import (
	"math"

	"github.com/covprop/covprop/internal/vec"
)

// Differences at mu +- t, t = i step, for grids. With A = e^mu and
// E = e^t - 1, all that functions of e^x need are sums, products and quotients
// of positive numbers: with a = mu and b = mu +- t
//
//	logistic(a) = A/(1+A),
//	logistic(b) = A (1+E)/(1 + A (1+E))            or A/(1+E+A),
//	logistic(b) - logistic(a) = E A/((1+A) (1 + A (1+E)))   or -E A/((1+A) (1+E+A)).
//
// Their rounding is that of t, times t, and a few units more: exponentCondition
// covers it.

// sweepLimit bounds mu, so that no product here overflows.
const sweepLimit = 200

// growthTo writes e^(i step) - 1, step >= 0, to s.growth for all nodes. Every
// 16th comes from package math and so do the first 15; the others are, of
// positive terms,
//
//	e^(x+y) - 1 = (e^x - 1) (1 + (e^y - 1)) + (e^y - 1).
func (s *sweeping) growthTo(step float64) []float64 {
	const block = 16
	e := s.growth[:len(s.plus)]
	for i := range min(block, len(e)) {
		e[i] = math.Expm1(float64(i) * step)
	}
	for lo := block; lo < len(e); lo += block {
		x := math.Expm1(float64(lo) * step)
		for i, y := range e[:min(block, len(e)-lo)] {
			e[lo+i] = x*(1+y) + y
		}
	}
	return e
}

func (sigmoid) sweep(s *sweeping, mu, step float64) bool { return s.logistic(mu, step, 1) }

func (tanh) sweep(s *sweeping, mu, step float64) bool { return s.logistic(2*mu, 2*step, 2) }

// logistic is for scale logistic(x).
func (s *sweeping) logistic(mu, step, scale float64) bool {
	if !(math.Abs(mu) < sweepLimit) {
		return false
	}
	a := math.Exp(mu)
	c := scale * a / (1 + a)
	plus, minus, size := s.plus, s.minus[:len(s.plus)], s.size[:len(s.plus)]
	e := s.growthTo(step)[:len(s.plus)]
	for i := range plus {
		x := c * e[i]
		plus[i] = x / (1 + a*(1+e[i]))
		minus[i] = -x / (1 + e[i] + a)
		size[i] = (plus[i] - minus[i]) * (1 + math.Abs(mu) + float64(i)*step)
	}
	return true
}

func (silu) sweep(s *sweeping, mu, step float64) bool { return s.swish(mu, step, 1) }

func (g quickGELU) sweep(s *sweeping, mu, step float64) bool {
	return g.beta > 0 && s.swish(mu, step, g.beta)
}

// swish is for x logistic(beta x), beta > 0.
func (s *sweeping) swish(mu, step, beta float64) bool {
	m, rise := beta*mu, beta*step
	if !(math.Abs(m) < sweepLimit) {
		return false
	}
	a := math.Exp(m)
	s0 := a / (1 + a)
	for i, e := range s.growthTo(rise) {
		t := float64(i) * step
		up, down := 1/(1+a*(1+e)), 1/(1+e+a)
		p, sizeP := productDifference(mu, t, s0, a*(1+e)*up, s0*e*up)
		q, sizeQ := productDifference(mu, -t, s0, a*down, -s0*e*down)
		s.plus[i], s.minus[i] = p, q
		s.size[i] = (sizeP + sizeQ) * (1 + math.Abs(m) + float64(i)*rise)
	}
	return true
}

// log(1+e^b) - log(1+e^a) is log(1 + E logistic(a)) upwards and
// -log(1 + E A/(1+E+A)) downwards.
func (softplus) sweep(s *sweeping, mu, step float64) bool {
	if !(math.Abs(mu) < sweepLimit) {
		return false
	}
	a := math.Exp(mu)
	for i, e := range s.growthTo(step) {
		s.plus[i], s.minus[i] = math.Log1p(e*(a/(1+a))), -math.Log1p(e*(a/(1+e+a)))
		s.size[i] = (s.plus[i] - s.minus[i]) * (1 + math.Abs(mu) + float64(i)*step)
	}
	return true
}

func (logSigmoid) sweep(s *sweeping, mu, step float64) bool {
	if !(softplus{}).sweep(s, -mu, step) {
		return false
	}
	for i, p := range s.plus {
		s.plus[i], s.minus[i] = -s.minus[i], -p
	}
	return true
}

// The gate of mish is t = n/(n+2), 1 - t = 2/(n+2), n = e^x (e^x + 2), and
//
//	t(b) - t(a) = (n_b - n_a) (1 - t(a)) (1 - t(b))/2,   n_b - n_a = (e^b - e^a) (e^b + e^a + 2).
func (mish) sweep(s *sweeping, mu, step float64) bool {
	if !(math.Abs(mu) < sweepLimit) {
		return false
	}
	a := math.Exp(mu)
	na := a * (a + 2)
	t0, u0 := na/(na+2), 2/(na+2)
	// gate returns t(b) and t(b) - t(a) for e^b = x, e^b - e^a = d.
	gate := func(x, d float64) (t, dt float64) {
		n := x * (x + 2)
		inv := 1 / (n + 2)
		return n * inv, d * u0 * ((x + a + 2) * inv)
	}
	for i, e := range s.growthTo(step) {
		x := float64(i) * step
		tp, dp := gate(a*(1+e), a*e)
		tq, dq := gate(a/(1+e), -a*(e/(1+e)))
		p, sizeP := productDifference(mu, x, t0, tp, dp)
		q, sizeQ := productDifference(mu, -x, t0, tq, dq)
		s.plus[i], s.minus[i] = p, q
		s.size[i] = (sizeP + sizeQ) * (1 + math.Abs(mu) + x)
	}
	return true
}

// tanh GELU is x logistic(v(x)) with an increasing v. The differences of v are
// cut off where the logistic function is 0 or 1 to all digits.
func (g geluTanh) sweep(s *sweeping, mu, step float64) bool {
	const far = 500
	va := g.gate(mu)
	if !(math.Abs(va) < sweepLimit) {
		return false
	}
	// rise returns |v(b) - v(a)|, as difference has it.
	rise := func(t float64) float64 {
		b := mu + t
		return min(geluTanhScale*math.Abs(t)*(1+geluTanhCubic*(mu*mu+mu*b+b*b)), far)
	}
	for i := range s.plus {
		t := float64(i) * step
		s.plus[i], s.minus[i] = rise(t), rise(-t)
	}
	a := math.Exp(va)
	s0 := a / (1 + a)
	for i, v := range s.growthOf(s.plus) {
		t, u := float64(i)*step, s.plus[i]
		up := 1 / (1 + a*(1+v))
		p, size := productDifference(mu, t, s0, a*(1+v)*up, s0*v*up)
		s.plus[i], s.size[i] = p, size*(1+3*(math.Abs(va)+u))
	}
	for i, v := range s.growthOf(s.minus) {
		t, u := float64(i)*step, s.minus[i]
		down := 1 / (1 + v + a)
		q, size := productDifference(mu, -t, s0, a*down, -s0*v*down)
		s.minus[i] = q
		s.size[i] += size * (1 + 3*(math.Abs(va)+u))
	}
	return true
}

// growthOf writes e^x - 1, x >= 0, to s.growth.
func (s *sweeping) growthOf(x []float64) []float64 {
	e := s.growth[:len(x)]
	vec.ExpTo(e, x)
	for i, v := range x {
		if v < 1 {
			e[i] = math.Expm1(v)
		} else {
			e[i]--
		}
	}
	return e
}

func (g arctan) sweep(s *sweeping, mu, step float64) bool { return s.each(g, mu, step) }
func (g asinh) sweep(s *sweeping, mu, step float64) bool  { return s.each(g, mu, step) }

// each takes one difference after the other.
func (s *sweeping) each(f formula, mu, step float64) bool {
	for i := range s.plus {
		t := float64(i) * step
		p, sizeP := f.difference(mu, t)
		q, sizeQ := f.difference(mu, -t)
		s.plus[i], s.minus[i], s.size[i] = p, q, sizeP+sizeQ
	}
	return true
}
