package activation

import "math"

// GELUTanh returns the tanh form of GELU (Hendrycks & Gimpel 2016),
//
//	x/2 [1 + tanh( sqrt(2/pi) (x + 0.044715 x^3) )] = x logistic(v(x)),
//	v(x) = 2 sqrt(2/pi) (x + 0.044715 x^3),
//
// named "gelu_tanh".
func GELUTanh() Activation { return numeric{geluTanh{}} }

type geluTanh struct{}

const (
	geluTanhScale = 1.59576912160573071175978423973751508 // 2 sqrt(2/pi)
	geluTanhCubic = 0.044715
)

func (geluTanh) Name() string      { return "gelu_tanh" }
func (geluTanh) Kinks() []float64  { return nil }
func (geluTanh) breaks() []float64 { return origin }

// The logistic function has its first poles at v = +-i pi, at x = +-.634 +-
// 2.755 i.
func (geluTanh) strip() float64 { return 2.75 }

func (geluTanh) gate(x float64) float64 {
	return geluTanhScale * (x + geluTanhCubic*x*x*x)
}

func (g geluTanh) Apply(x float64) float64 {
	s := logistic(g.gate(x))
	if s == 0 {
		return math.Copysign(0, x) // also at infinity
	}
	return x * s
}

// Derivative is s + x s (1 - s) v'(x).
func (g geluTanh) Derivative(x float64) float64 {
	v := g.gate(x)
	s, t := logistic(v), logistic(-v)
	if s == 0 || t == 0 {
		return s // also at infinity
	}
	return s * (1 + x*t*geluTanhScale*(1+3*geluTanhCubic*x*x))
}

func (g geluTanh) difference(mu, delta float64) (d, size float64) {
	if delta == 0 {
		return 0, 0
	}
	b := mu + delta
	va, vb := g.gate(mu), g.gate(b)
	dv := geluTanhScale * delta * (1 + geluTanhCubic*(mu*mu+mu*b+b*b))
	d, size = productDifference(mu, delta, logistic(va), logistic(vb), logisticDifference(va, vb, dv))
	return d, size * exponentCondition(3*va, 3*vb)
}
