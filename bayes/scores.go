package bayes

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"
)

// Scores say how well a prediction does on examples whose targets are known: one
// number for every example, in the units of the network's target.
type Scores struct {
	// LogDensity and PlugIn are those of Prediction.
	LogDensity, PlugIn []float64
	// Of targets that are numbers, else empty: Error is mean minus target, CRPS that of
	// Distribution, and PIT, the probability integral transform, P(Y <= y), which is
	// uniform if the distributions are right.
	Error, CRPS, PIT []float64
	// Of classes, else empty: Class is the most probable one and Confidence its
	// probability, Correct whether it is the target, and Brier the sum over the classes
	// of (p - indicator)^2.
	Class             []int
	Confidence, Brier []float64
	Correct           []bool
}

// Score scores examples with one target each, y (B, 1), in the order of the
// prediction.
func (r *Prediction) Score(y blas64.General) (*Scores, error) {
	if y.Rows != r.Mean.Rows || y.Cols != 1 || r.likelihood.targets() != 1 {
		return nil, fmt.Errorf("bayes: %d x %d targets for %d examples; there must be one for each", y.Rows, y.Cols, r.Mean.Rows)
	}
	s := &Scores{}
	for i := range y.Rows {
		target := row(y, i)
		if err := r.likelihood.checkTarget(target); err != nil {
			return nil, fmt.Errorf("bayes: row %d: %w", i, err)
		}
		s.LogDensity = append(s.LogDensity, r.LogDensity(i, target))
		s.PlugIn = append(s.PlugIn, r.PlugIn(i, target))
		if p := r.Probabilities(i); p != nil {
			s.scoreClass(p, int(target[0]))
			continue
		}
		d := r.Distribution(i, 0)
		s.Error = append(s.Error, row(r.Mean, i)[0]-target[0])
		s.CRPS = append(s.CRPS, d.CRPS(target[0]))
		s.PIT = append(s.PIT, d.CDF(target[0]))
	}
	return s, nil
}

func (s *Scores) scoreClass(p []float64, target int) {
	best, brier := 0, 0.
	for k, x := range p {
		if x > p[best] {
			best = k
		}
		if k == target {
			x = 1 - x
		}
		brier += x * x
	}
	s.Class, s.Confidence = append(s.Class, best), append(s.Confidence, p[best])
	s.Correct, s.Brier = append(s.Correct, best == target), append(s.Brier, brier)
}

// Append appends other examples' scores.
func (s *Scores) Append(other *Scores) {
	s.LogDensity, s.PlugIn = append(s.LogDensity, other.LogDensity...), append(s.PlugIn, other.PlugIn...)
	s.Error, s.CRPS, s.PIT = append(s.Error, other.Error...), append(s.CRPS, other.CRPS...), append(s.PIT, other.PIT...)
	s.Class, s.Confidence = append(s.Class, other.Class...), append(s.Confidence, other.Confidence...)
	s.Correct, s.Brier = append(s.Correct, other.Correct...), append(s.Brier, other.Brier...)
}

// RMSE returns the root of the mean squared Error.
func (s *Scores) RMSE() float64 {
	sum := 0.
	for _, e := range s.Error {
		sum += e * e
	}
	return math.Sqrt(sum / float64(len(s.Error)))
}

// Coverage returns the fraction of targets within the central intervals of
// probability level: those whose PIT is at most level/2 from 1/2.
func (s *Scores) Coverage(level float64) float64 {
	n := 0
	for _, u := range s.PIT {
		if math.Abs(u-0.5) <= 0.5*level {
			n++
		}
	}
	return float64(n) / float64(len(s.PIT))
}

// Accuracy returns the fraction of Correct.
func (s *Scores) Accuracy() float64 {
	n := 0
	for _, c := range s.Correct {
		if c {
			n++
		}
	}
	return float64(n) / float64(len(s.Correct))
}
