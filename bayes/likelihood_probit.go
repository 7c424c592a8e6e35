package bayes

import (
	"fmt"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/special"
)

// Probit is a target of 0 or 1: P(y = 1) = Phi(f) with one output f.
type Probit struct{}

// Name implements [Likelihood].
func (Probit) Name() string { return "probit" }

func (Probit) check() error         { return nil }
func (Probit) outputs() int         { return 1 }
func (Probit) targets() int         { return 1 }
func (Probit) noises() int          { return 0 }
func (Probit) secondMoments() bool  { return false }
func (Probit) initialise([]float64) {}
func (Probit) checkTarget(y []float64) error {
	if y[0] != 0 && y[0] != 1 {
		return fmt.Errorf("the target is 0 or 1, not %v", y[0])
	}
	return nil
}

// logPhi is log Phi(x), with derivatives r = phi/Phi and -r (x + r). The zeros of
// Phi nearest to the real line are 2.8 from it.
type logPhi struct{}

const logPhiStrip = 2.8

func (logPhi) at(x float64) (f, df, d2f float64) {
	r := 1 / special.Mills(-x)
	return special.LogCDF(x), r, -r * (x + r)
}

// expected is E log Phi(f) for y = 1 and E log Phi(-f) for y = 0, by quadrature:
// there is no closed form.
func (Probit) expected(out *moments, y, _ []float64, weight float64) (value float64, acc covprop.Accuracy) {
	sign := 2*y[0] - 1
	value, df, d2f, acc := expect(logPhi{}, sign*out.mean[0], out.at(0, 0), logPhiStrip)
	out.gradMean[0] += weight * sign * df
	out.addCov(0, 0, weight*0.5*d2f)
	return value, acc
}

func (Probit) pointwise(grad, _, f, y, _ []float64, weight float64) (value float64) {
	sign := 2*y[0] - 1
	value, df, _ := logPhi{}.at(sign * f[0])
	grad[0] += weight * sign * df
	return value
}
