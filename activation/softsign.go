package activation

import "math"

// Softsign returns x/(1 + |x|), named "softsign". Its second derivative jumps
// at 0.
func Softsign() Activation { return numeric{softsign{}} }

type softsign struct{}

func (softsign) Name() string      { return "softsign" }
func (softsign) Kinks() []float64  { return origin }
func (softsign) breaks() []float64 { return origin }
func (softsign) strip() float64    { return 0 }

func (softsign) Apply(x float64) float64 {
	if math.IsInf(x, 0) {
		return math.Copysign(1, x)
	}
	return x / (1 + math.Abs(x))
}

func (softsign) Derivative(x float64) float64 {
	s := 1 / (1 + math.Abs(x))
	return s * s
}

// difference is delta/((1+|mu|) (1+|b|)) on one side of 0; across it the two
// parts have opposite signs.
func (a softsign) difference(mu, delta float64) (d, size float64) {
	b := mu + delta
	if (mu < 0) == (b < 0) {
		d = delta / (1 + math.Abs(mu)) / (1 + math.Abs(b))
	} else {
		d = a.Apply(b) - a.Apply(mu)
	}
	return d, 2 * math.Abs(d)
}
