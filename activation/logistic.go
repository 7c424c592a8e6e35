package activation

import "math"

// Sigmoid returns the logistic function 1/(1 + e^{-x}), named "sigmoid".
func Sigmoid() Activation { return numeric{sigmoid{}} }

type sigmoid struct{}

func (sigmoid) Name() string            { return "sigmoid" }
func (sigmoid) Apply(x float64) float64 { return logistic(x) }
func (sigmoid) Kinks() []float64        { return nil }
func (sigmoid) breaks() []float64       { return origin }
func (sigmoid) strip() float64          { return math.Pi }

func (sigmoid) Derivative(x float64) float64 { return logistic(x) * logistic(-x) }

func (sigmoid) difference(mu, delta float64) (d, size float64) {
	b := mu + delta
	d = logisticDifference(mu, b, delta)
	return d, math.Abs(d) * exponentCondition(mu, b)
}

// origin is the middle of the transition of the functions of this package.
var origin = []float64{0}

// logistic returns 1/(1 + e^{-x}), with full relative accuracy in the lower
// tail.
func logistic(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// logisticDifference returns logistic(b) - logistic(a), with delta = b - a,
// without cancellation:
//
//	(e^delta - 1) logistic(a) logistic(-b) = (1 - e^-delta) logistic(b) logistic(-a).
func logisticDifference(a, b, delta float64) float64 {
	if delta < 0 {
		return math.Expm1(delta) * logistic(a) * logistic(-b)
	}
	return -math.Expm1(-delta) * logistic(b) * logistic(-a)
}

// exponentCondition is what exp(b) makes of the rounding of b = a + delta, in
// units of epsilon. Beyond 750 every exponential here is 0.
func exponentCondition(a, b float64) float64 {
	return 1 + min(max(math.Abs(a), math.Abs(b)), 750)
}
