package activation

import "math"

// Tanh returns the hyperbolic tangent, named "tanh".
func Tanh() Activation { return numeric{tanh{}} }

type tanh struct{}

func (tanh) Name() string            { return "tanh" }
func (tanh) Apply(x float64) float64 { return math.Tanh(x) }
func (tanh) Kinks() []float64        { return nil }
func (tanh) breaks() []float64       { return origin }
func (tanh) strip() float64          { return math.Pi / 2 }

// Derivative is 1 - tanh(x)^2 = 4 e^{2x}/(1 + e^{2x})^2, which keeps its
// relative accuracy in the tails.
func (tanh) Derivative(x float64) float64 { return 4 * logistic(2*x) * logistic(-2*x) }

// difference rests on tanh(x) = 2 logistic(2x) - 1.
func (tanh) difference(mu, delta float64) (d, size float64) {
	b := mu + delta
	d = 2 * logisticDifference(2*mu, 2*b, 2*delta)
	return d, math.Abs(d) * exponentCondition(2*mu, 2*b)
}
