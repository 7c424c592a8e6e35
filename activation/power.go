package activation

import "math"

// Sqrt returns the square root, named "sqrt". Like all functions that end or
// have a pole at a real point it needs its mean more than 8 standard deviations
// from there, or it is linearised (see [Linearized]).
func Sqrt() Activation { return guarded{sqrt{}} }

// Reciprocal returns 1/x, named "reciprocal", linearised where 0 is less than 8
// standard deviations from the mean.
func Reciprocal() Activation { return guarded{reciprocal{}} }

// Power returns x^p, named "power_P" after p, which must be finite. Whole
// numbers from 0 to [MaxDegree] give the polynomial, 1/2 and -1 [Sqrt] and
// [Reciprocal]. It is NaN for x < 0 unless p is whole. Where 0 is a singular
// point less than 8 standard deviations from the mean it is linearised.
func Power(p float64) Activation {
	switch p {
	case -1:
		return Reciprocal()
	case 0.5:
		return Sqrt()
	case 1:
		return Identity()
	}
	for n := range MaxDegree + 1 {
		if p == float64(n) {
			m := polynomial{n: n}
			m.c[n] = 1
			return m
		}
	}
	return guarded{power{p}}
}

type sqrt struct{}

func (sqrt) Name() string                          { return "sqrt" }
func (sqrt) Apply(x float64) float64               { return math.Sqrt(x) }
func (sqrt) Kinks() []float64                      { return origin }
func (sqrt) Derivative(x float64) float64          { return 0.5 / math.Sqrt(x) }
func (sqrt) room(x float64) (below, above float64) { return x, math.Inf(1) }

func (sqrt) difference(mu, delta float64) (d, size float64) {
	a, b := math.Sqrt(mu), math.Sqrt(mu+delta)
	d = delta / (a + b)
	return d, math.Abs(d) * (2 + a/b)
}

type reciprocal struct{}

func (reciprocal) Name() string                          { return "reciprocal" }
func (reciprocal) Apply(x float64) float64               { return 1 / x }
func (reciprocal) Kinks() []float64                      { return origin }
func (reciprocal) Derivative(x float64) float64          { return -1 / x / x }
func (reciprocal) room(x float64) (below, above float64) { return poleRoom(x) }

func (reciprocal) difference(mu, delta float64) (d, size float64) {
	b := mu + delta
	d = -delta / mu / b
	return d, math.Abs(d) * (2 + math.Abs(mu/b))
}

// poleRoom is the room of a function with a pole at 0.
func poleRoom(x float64) (below, above float64) {
	if x < 0 {
		return math.Inf(1), -x
	}
	return x, math.Inf(1)
}

// power is x^p, p not a whole number from 0 to MaxDegree.
type power struct{ p float64 }

func (g power) Name() string            { return "power_" + formatNumber(g.p) }
func (g power) Apply(x float64) float64 { return math.Pow(x, g.p) }

func (g power) Derivative(x float64) float64 { return g.p * math.Pow(x, g.p-1) }

// whole reports whether p is a whole number, so that x may be negative.
func (g power) whole() bool { return g.p == math.Trunc(g.p) }

func (g power) Kinks() []float64 {
	if g.whole() && g.p > 0 {
		return nil
	}
	return origin
}

func (g power) room(x float64) (below, above float64) {
	switch {
	case !g.whole():
		return x, math.Inf(1)
	case g.p > 0:
		return math.Inf(1), math.Inf(1)
	}
	return poleRoom(x)
}

// difference is mu^p (e^y - 1), y = p log(1 + t), t = delta/mu, for a change
// that is not large or may not cross 0. math.Pow is good to about p roundings.
func (g power) difference(mu, delta float64) (d, size float64) {
	g0, t := g.Apply(mu), delta/mu
	if g.whole() && g.p > 0 && !(math.Abs(t) < 0.5) {
		g1 := g.Apply(mu + delta)
		return g1 - g0, (math.Abs(g1) + math.Abs(g0)) * (1 + g.p)
	}
	y := g.p * math.Log1p(t)
	d = g0 * math.Expm1(y)
	return d, math.Abs(d)*(1+math.Abs(g.p)) + math.Abs(g0)*math.Exp(y)*(math.Abs(y)+math.Abs(g.p*t/(1+t)))
}
