package activation

import "math"

// Asinh returns the inverse hyperbolic sine, named "asinh".
func Asinh() Activation { return numeric{asinh{}} }

// Acosh returns the inverse hyperbolic cosine, named "acosh", linearised where
// 1 is less than 8 standard deviations from the mean.
func Acosh() Activation { return guarded{acosh{}} }

// Atanh returns the inverse hyperbolic tangent, named "atanh", linearised where
// -1 or 1 is less than 8 standard deviations from the mean.
func Atanh() Activation { return guarded{atanh{}} }

type asinh struct{}

func (asinh) Name() string            { return "asinh" }
func (asinh) Apply(x float64) float64 { return math.Asinh(x) }
func (asinh) Kinks() []float64        { return nil }
func (asinh) breaks() []float64       { return origin }
func (asinh) strip() float64          { return 1 }

func (asinh) Derivative(x float64) float64 { return 1 / math.Hypot(1, x) }

// difference rests, for a and b = a + delta of one sign, on
//
//	sinh(asinh(b) - asinh(a)) = b sqrt(1+a^2) - a sqrt(1+b^2) = delta (a+b) / (b sqrt(1+a^2) + a sqrt(1+b^2)).
//
// Across 0 the two parts have opposite signs.
func (asinh) difference(mu, delta float64) (d, size float64) {
	b := mu + delta
	lo, hi := mu, b // by size
	if math.Abs(lo) > math.Abs(hi) {
		lo, hi = hi, lo
	}
	switch r := lo / hi; {
	case hi == 0:
		return 0, 0
	case r > 0:
		d = math.Asinh(delta * (1 + r) / (math.Hypot(1, lo) + r*math.Hypot(1, hi)))
	default:
		d = math.Asinh(b) - math.Asinh(mu)
	}
	// The rounding of b counts where b is small against mu.
	return d, 4*math.Abs(d) + math.Abs(delta)/math.Hypot(1, b)
}

type acosh struct{}

func (acosh) Name() string                          { return "acosh" }
func (acosh) Apply(x float64) float64               { return math.Acosh(x) }
func (acosh) Kinks() []float64                      { return atOne }
func (acosh) room(x float64) (below, above float64) { return x - 1, math.Inf(1) }

func (acosh) Derivative(x float64) float64 { return 1 / (math.Sqrt(x-1) * math.Sqrt(x+1)) }

var (
	atOne        = []float64{1}
	plusMinusOne = []float64{-1, 1}
)

// difference rests on
//
//	sinh(acosh(b) - acosh(a)) = a sqrt(b^2-1) - b sqrt(a^2-1) = delta (a+b) / (a sqrt(b^2-1) + b sqrt(a^2-1)).
func (acosh) difference(mu, delta float64) (d, size float64) {
	b := mu + delta
	ra, rb := mu-1, (mu-1)+delta
	sa, sb := math.Sqrt(ra)*math.Sqrt(mu+1), math.Sqrt(rb)*math.Sqrt(b+1)
	d = math.Asinh(delta * (1 + mu/b) / (mu*(sb/b) + sa))
	return d, math.Abs(d) * (4 + ra/rb)
}

type atanh struct{}

func (atanh) Name() string                          { return "atanh" }
func (atanh) Apply(x float64) float64               { return math.Atanh(x) }
func (atanh) Kinks() []float64                      { return plusMinusOne }
func (atanh) Derivative(x float64) float64          { return 1 / ((1 - x) * (1 + x)) }
func (atanh) room(x float64) (below, above float64) { return 1 + x, 1 - x }

// difference is [log(1 + delta/(1+mu)) - log(1 - delta/(1-mu))]/2, two terms of
// one sign.
func (atanh) difference(mu, delta float64) (d, size float64) {
	l, sl := log1p(delta / (1 + mu))
	r, sr := log1p(-delta / (1 - mu))
	return 0.5 * (l - r), sl + sr
}
