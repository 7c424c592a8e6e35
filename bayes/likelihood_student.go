package bayes

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
)

// StudentT is a Student t distribution about the output, with DoF degrees of
// freedom and one scale for every target, whose squared logarithm, log s^2, is a
// parameter, "likelihood.logvar". It bears outliers.
type StudentT struct {
	Targets int
	DoF     float64 // at least 1; the variance is finite above 2
}

// Name implements [Likelihood].
func (StudentT) Name() string { return "student-t" }

func (l StudentT) check() error {
	if !(l.DoF >= 1 && l.DoF <= 1e6) {
		return fmt.Errorf("bayes: the Student t likelihood has from 1 to 1e6 degrees of freedom, not %v", l.DoF)
	}
	return checkTargets(l.Targets)
}
func (l StudentT) outputs() int              { return l.Targets }
func (l StudentT) targets() int              { return l.Targets }
func (l StudentT) noises() int               { return l.Targets }
func (StudentT) secondMoments() bool         { return false }
func (StudentT) checkTarget([]float64) error { return nil }
func (StudentT) initialise(noise []float64)  { clear(noise) }

// studentLog is log(1 + (x-y)^2/a), a = DoF s^2, with its derivatives. It is
// analytic but at x = y +- i sqrt(a).
type studentLog struct{ y, a float64 }

func (s studentLog) at(x float64) (f, df, d2f float64) {
	d := x - s.y
	q := 1 / (s.a + d*d)
	return math.Log1p(d * d / s.a), 2 * d * q, 2 * (s.a - d*d) * q * q
}

// constant is log p at the middle, but for the scale.
func (l StudentT) constant() float64 {
	a, _ := math.Lgamma(0.5 * (l.DoF + 1))
	b, _ := math.Lgamma(0.5 * l.DoF)
	return a - b - 0.5*math.Log(math.Pi*l.DoF)
}

// expected is by quadrature over the output, m ~ N(m^, S):
//
//	E log p = c - log(s^2)/2 - (DoF+1)/2 E log(1 + (m-y)^2/(DoF s^2)).
//
// With t = log s^2 the derivative of the last logarithm by t is -(m-y) times half
// of that by m, f', and by Stein E (m-y) f' = (m^-y) E f' + S times the mean of the
// second derivative.
func (l StudentT) expected(out *moments, y, noise []float64, weight float64) (value float64, acc covprop.Accuracy) {
	for t, target := range y {
		a := l.DoF * math.Exp(noise[t])
		f, df, d2f, line := expect(studentLog{target, a}, out.mean[t], out.at(t, t), math.Sqrt(a))
		half := 0.5 * (l.DoF + 1)
		value += l.constant() - 0.5*noise[t] - half*f
		out.gradMean[t] -= weight * half * df
		out.addCov(t, t, -weight*half*0.5*d2f)
		out.gradNoise[t] += weight * (-0.5 + half*0.5*((out.mean[t]-target)*df+out.at(t, t)*d2f))
		acc = acc.And(line)
	}
	return value, acc
}

func (l StudentT) pointwise(grad, gradNoise, f, y, noise []float64, weight float64) (value float64) {
	for t, target := range y {
		g, dg, _ := studentLog{target, l.DoF * math.Exp(noise[t])}.at(f[t])
		half := 0.5 * (l.DoF + 1)
		value += l.constant() - 0.5*noise[t] - half*g
		grad[t] -= weight * half * dg
		gradNoise[t] += weight * (-0.5 + half*0.5*(f[t]-target)*dg)
	}
	return value
}
