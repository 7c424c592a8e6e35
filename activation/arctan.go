package activation

import "math"

// Arctan returns the inverse tangent, named "arctan".
func Arctan() Activation { return numeric{arctan{}} }

type arctan struct{}

func (arctan) Name() string            { return "arctan" }
func (arctan) Apply(x float64) float64 { return math.Atan(x) }
func (arctan) Kinks() []float64        { return nil }
func (arctan) breaks() []float64       { return origin }
func (arctan) strip() float64          { return 1 }

func (arctan) Derivative(x float64) float64 { return 1 / (1 + x*x) }

// difference is the angle between the directions (1, mu) and (1, mu+delta).
func (arctan) difference(mu, delta float64) (d, size float64) {
	d = math.Atan2(delta, 1+mu*(mu+delta))
	return d, 2 * math.Abs(d)
}
