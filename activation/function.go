package activation

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/covprop/covprop/internal/special"
)

// New returns the function f as an Activation, whose coefficients come from
// adaptive quadrature. It must be safe for concurrent use.
//
// derivative is f'; it may be nil, and then Derivative is a central difference,
// good to about 1e-10 relative to the larger of |f| and |f'|. A gain E[f'(X)]
// never uses it: it is h_1/sigma. kinks are the points where f is not smooth,
// where it or a derivative jumps: a kink that is not declared costs time and
// accuracy. A place where f changes within much less than a standard deviation
// of the input is worth declaring too. The nodes may miss what is not declared,
// and then the estimate of the error misses it as well. Kinks must be finite;
// their order does not matter.
//
// Two calls of New give different activations, even with the same arguments.
func New(name string, f, derivative func(float64) float64, kinks ...float64) (Activation, error) {
	if name == "" {
		return nil, errors.New("activation: the function has no name")
	}
	if f == nil {
		return nil, fmt.Errorf("activation: %s: the function is nil", name)
	}
	for _, k := range kinks {
		if math.IsNaN(k) || math.IsInf(k, 0) {
			return nil, fmt.Errorf("activation: %s: kink %v is not finite", name, k)
		}
	}
	k := slices.Clone(kinks)
	slices.Sort(k)
	return numeric{&function{name: name, f: f, df: derivative, kinks: slices.Compact(k)}}, nil
}

// function is a user's function.
type function struct {
	name  string
	f, df func(float64) float64
	kinks []float64
}

func (u *function) Name() string            { return u.name }
func (u *function) Apply(x float64) float64 { return u.f(x) }
func (u *function) Kinks() []float64        { return u.kinks }
func (u *function) breaks() []float64       { return u.kinks }

// strip supposes a transition of the length of tanh's where no kink is
// declared; a wrong guess costs time.
func (u *function) strip() float64 {
	if len(u.kinks) > 0 {
		return 0
	}
	return math.Pi / 2
}

func (u *function) Derivative(x float64) float64 {
	if u.df != nil {
		return u.df(x)
	}
	lo, hi := x-differenceStep(x), x+differenceStep(x)
	return (u.f(hi) - u.f(lo)) / (hi - lo)
}

// differenceStep is epsilon^(1/3) max(1, |x|), where the truncation of a
// central difference meets its rounding.
func differenceStep(x float64) float64 { return 6.06e-6 * max(1, math.Abs(x)) }

// difference takes the plain difference. Its size includes what the rounding
// of mu + delta does, by the slope of the chord.
func (u *function) difference(mu, delta float64) (d, size float64) {
	x := mu + delta
	g, g0 := u.f(x), u.f(mu)
	d = g - g0
	size = math.Abs(g) + math.Abs(g0)
	if d != 0 {
		size += math.Abs(x * d / delta)
	}
	return d, size
}

// slopeThreshold is the estimate beyond which differences of a user's function
// are formed from its derivative.
const slopeThreshold = 1e-11

// slopes is a user's function whose differences come from the derivative,
//
//	g(mu+delta) - g(mu) = delta int_0^1 g'(mu + t delta) dt,
//
// for a sigma so small that the plain difference is rounding.
type slopes struct{ *function }

// suits reports whether no kink is in reach of the integral.
func (s slopes) suits(mu, sigma float64) bool {
	r := reach*sigma + 2*differenceStep(mu)
	for _, k := range s.kinks {
		if math.Abs(k-mu) <= r {
			return false
		}
	}
	return true
}

// difference uses two Gauss rules; what they differ by counts as rounding, and
// so does that of the central difference which may stand for the derivative.
func (s slopes) difference(mu, delta float64) (d, size float64) {
	fine, coarse := s.mean(mu, delta, 8), s.mean(mu, delta, 5)
	size = math.Abs(fine) + math.Abs(fine-coarse)/epsilon
	if s.df == nil {
		size += (math.Abs(fine) + math.Abs(s.f(mu))/max(1, math.Abs(mu))) / differenceStep(0)
	}
	return delta * fine, math.Abs(delta) * size
}

// mean returns the mean slope by the n-point rule.
func (s slopes) mean(mu, delta float64, n int) float64 {
	x, w := special.GaussLegendre(n)
	sum := 0.0
	for i := range x {
		sum += 0.5 * w[i] * s.Derivative(mu+0.5*(1+x[i])*delta)
	}
	return sum
}
