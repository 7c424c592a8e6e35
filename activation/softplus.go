package activation

import "math"

// Softplus returns log(1 + e^x), named "softplus".
func Softplus() Activation { return numeric{softplus{}} }

type softplus struct{}

func (softplus) Name() string      { return "softplus" }
func (softplus) Kinks() []float64  { return nil }
func (softplus) breaks() []float64 { return origin }
func (softplus) strip() float64    { return math.Pi }

// Apply neither overflows for large x nor rounds to zero for small.
func (softplus) Apply(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func (softplus) Derivative(x float64) float64 { return logistic(x) }

// difference is log(1 + (e^delta - 1) logistic(mu)) where that bracket is near 1.
func (a softplus) difference(mu, delta float64) (d, size float64) {
	b := mu + delta
	if math.Abs(delta) < 1 {
		d = math.Log1p(math.Expm1(delta) * logistic(mu))
		return d, math.Abs(d) * exponentCondition(mu, b)
	}
	g, g0 := a.Apply(b), a.Apply(mu)
	return g - g0, (g + g0) * exponentCondition(min(mu, 0), min(b, 0))
}
