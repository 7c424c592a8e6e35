package bayes

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
)

const logTwoPi = 1.83787706640934548356 // log(2 pi)

// HeteroscedasticGaussian has for every target a mean and a log variance of the
// noise, both outputs of the network: first all means, then all log variances.
type HeteroscedasticGaussian struct{ Targets int }

// Name implements [Likelihood].
func (HeteroscedasticGaussian) Name() string { return "heteroscedastic-gaussian" }

func (l HeteroscedasticGaussian) check() error              { return checkTargets(l.Targets) }
func (l HeteroscedasticGaussian) outputs() int              { return 2 * l.Targets }
func (l HeteroscedasticGaussian) targets() int              { return l.Targets }
func (HeteroscedasticGaussian) noises() int                 { return 0 }
func (HeteroscedasticGaussian) secondMoments() bool         { return false }
func (HeteroscedasticGaussian) initialise([]float64)        {}
func (HeteroscedasticGaussian) checkTarget([]float64) error { return nil }

func checkTargets(n int) error {
	if n < 1 || n > maxUnits/2 {
		return fmt.Errorf("bayes: a likelihood has from 1 to %d targets, not %d", maxUnits/2, n)
	}
	return nil
}

func (h HeteroscedasticGaussian) logNoise(f []float64) (sum float64) {
	for _, l := range f[h.Targets:] {
		sum += l / float64(h.Targets)
	}
	return sum
}

// expected is exact for Gaussian outputs (Wu et al. 2019, section 4): with m and l
// ~ N((m, l), S),
//
//	E log p = -1/2 [ log 2 pi + l + e ( Smm + d^2 ) ],   e = exp(-l + Sll/2),   d = m - Sml - y,
//
// since exp(-l) only tilts the Gaussian: it moves the mean of m by -Sml.
func (h HeteroscedasticGaussian) expected(out *moments, y, _ []float64, weight float64) (value float64, acc covprop.Accuracy) {
	for t, target := range y {
		k := h.Targets + t
		l, smm, sml, sll := out.mean[k], out.at(t, t), out.at(t, k), out.at(k, k)
		d, e := out.mean[t]-sml-target, math.Exp(-l+0.5*sll)
		q := e * (smm + d*d)
		value -= 0.5 * (logTwoPi + l + q)
		out.gradMean[t] -= weight * e * d
		out.gradMean[k] -= weight * 0.5 * (1 - q)
		out.addCov(t, t, -weight*0.5*e)
		out.addCov(t, k, weight*e*d)
		out.addCov(k, k, -weight*0.25*q)
	}
	return value, acc
}

func (h HeteroscedasticGaussian) pointwise(grad, _, f, y, _ []float64, weight float64) (value float64) {
	for t, target := range y {
		k := h.Targets + t
		d, e := f[t]-target, math.Exp(-f[k])
		value -= 0.5 * (logTwoPi + f[k] + e*d*d)
		grad[t] -= weight * e * d
		grad[k] -= weight * 0.5 * (1 - e*d*d)
	}
	return value
}

// Gaussian has one noise variance for every target, whose logarithm is a
// parameter, "likelihood.logvar".
type Gaussian struct{ Targets int }

// Name implements [Likelihood].
func (Gaussian) Name() string { return "gaussian" }

func (l Gaussian) check() error              { return checkTargets(l.Targets) }
func (l Gaussian) outputs() int              { return l.Targets }
func (l Gaussian) targets() int              { return l.Targets }
func (l Gaussian) noises() int               { return l.Targets }
func (Gaussian) secondMoments() bool         { return true }
func (Gaussian) checkTarget([]float64) error { return nil }

// initialise sets the log variances to 0: targets of variance 1 of which nothing
// is explained.
func (Gaussian) initialise(noise []float64) { clear(noise) }

// expected is exact: -1/2 [ log 2 pi + l + exp(-l) (S + (m - y)^2) ], l the noise's
// log variance.
func (Gaussian) expected(out *moments, y, noise []float64, weight float64) (value float64, acc covprop.Accuracy) {
	for t, target := range y {
		d, e := out.mean[t]-target, math.Exp(-noise[t])
		q := e * (out.at(t, t) + d*d)
		value -= 0.5 * (logTwoPi + noise[t] + q)
		out.gradMean[t] -= weight * e * d
		out.addCov(t, t, -weight*0.5*e)
		out.gradNoise[t] -= weight * 0.5 * (1 - q)
	}
	return value, acc
}

func (Gaussian) pointwise(grad, gradNoise, f, y, noise []float64, weight float64) (value float64) {
	for t, target := range y {
		d, e := f[t]-target, math.Exp(-noise[t])
		value -= 0.5 * (logTwoPi + noise[t] + e*d*d)
		grad[t] -= weight * e * d
		gradNoise[t] -= weight * 0.5 * (1 - e*d*d)
	}
	return value
}
