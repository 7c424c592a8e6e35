package activation

import "math"

// Log returns the natural logarithm, named "log", linearised where 0 is less
// than 8 standard deviations from the mean.
func Log() Activation { return guarded{logarithm{}} }

type logarithm struct{}

func (logarithm) Name() string                          { return "log" }
func (logarithm) Apply(x float64) float64               { return math.Log(x) }
func (logarithm) Kinks() []float64                      { return origin }
func (logarithm) Derivative(x float64) float64          { return 1 / x }
func (logarithm) room(x float64) (below, above float64) { return x, math.Inf(1) }

func (logarithm) difference(mu, delta float64) (d, size float64) { return log1p(delta / mu) }

// log1p returns log(1 + t) and the size of what it is formed from, with the
// rounding of t.
func log1p(t float64) (d, size float64) {
	d = math.Log1p(t)
	return d, math.Abs(d) + math.Abs(t/(1+t))
}
