package activation

import "math"

// Tan returns the tangent, named "tan", linearised where a pole, pi/2 + k pi,
// is less than 8 standard deviations from the mean. Its Kinks leave the poles
// out, of which there are infinitely many.
func Tan() Activation { return guarded{tan{}} }

// Asin returns the inverse sine, named "asin", linearised where -1 or 1 is less
// than 8 standard deviations from the mean.
func Asin() Activation { return guarded{asin{}} }

// Acos returns the inverse cosine, named "acos", linearised like [Asin].
func Acos() Activation { return guarded{acos{}} }

type tan struct{}

func (tan) Name() string            { return "tan" }
func (tan) Apply(x float64) float64 { return math.Tan(x) }
func (tan) Kinks() []float64        { return nil }

func (tan) Derivative(x float64) float64 {
	t := math.Tan(x)
	return 1 + t*t
}

// room uses that atan(tan(x)) is x less a multiple of pi, of which math.Tan
// takes all digits.
func (tan) room(x float64) (below, above float64) {
	r := math.Atan(math.Tan(x))
	return 0.5*math.Pi + r, 0.5*math.Pi - r
}

// difference is (1 + t^2) sin(delta) / (cos(delta) - t sin(delta)), t = tan(mu).
func (g tan) difference(mu, delta float64) (d, size float64) {
	t := math.Tan(mu)
	s, c := math.Sincos(delta)
	n := c - t*s
	d = (1 + t*t) * s / n
	return d, math.Abs(d) * (3 + (math.Abs(c)+math.Abs(t*s))/math.Abs(n))
}

type asin struct{}

func (asin) Name() string                          { return "asin" }
func (asin) Apply(x float64) float64               { return math.Asin(x) }
func (asin) Kinks() []float64                      { return plusMinusOne }
func (asin) room(x float64) (below, above float64) { return 1 + x, 1 - x }

func (asin) Derivative(x float64) float64 { return 1 / (math.Sqrt(1-x) * math.Sqrt(1+x)) }

// difference uses the chord between the points (cos, sin) of the unit circle
// at the angles asin(mu) and asin(b): its length is 2 sin(d/2), and the
// difference of the cosines (b^2 - a^2)/(cos + cos).
func (asin) difference(mu, delta float64) (d, size float64) {
	l, r := (1+mu)+delta, (1-mu)-delta
	ca, cb := math.Sqrt(1-mu)*math.Sqrt(1+mu), math.Sqrt(l)*math.Sqrt(r)
	chord := delta * math.Hypot(1, (mu+(mu+delta))/(ca+cb))
	d = 2 * math.Asin(0.5*chord)
	return d, math.Abs(d) * (4 + (1-mu)/r + (1+mu)/l)
}

type acos struct{ asin }

func (acos) Name() string                   { return "acos" }
func (acos) Apply(x float64) float64        { return math.Acos(x) }
func (g acos) Derivative(x float64) float64 { return -g.asin.Derivative(x) }

func (g acos) difference(mu, delta float64) (d, size float64) {
	d, size = g.asin.difference(mu, delta)
	return -d, size
}
