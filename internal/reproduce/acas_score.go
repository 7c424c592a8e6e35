package reproduce

import (
	"math"
	"slices"

	"github.com/covprop/covprop"
)

// The measures that cases are scored by: of the mean in standard deviations,
// of the variance relative to it.
const (
	badMean, badVariance = .1, .25 // off: an audit must flag it
	goodError            = .02     // right: an audit should not
)

// A Score counts cases. An output that counts is one that is not constant and
// whose truth is known to 2%; a case counts if one of its outputs does.
type Score struct {
	Cases, Scored int
	// Bad cases have an output that counts and whose mean is off by more than
	// 0.1 standard deviations, or whose variance by more than 25%. Missed are
	// those that the audit found consistent.
	Bad    int
	Missed []int // indices
	// Good cases have no output that is off by more than 2%, nor one of unknown
	// truth, nor a constant one that is said to vary; Alarms are those that the audit did not find consistent.
	Good   int
	Alarms []int
	// AutoWithin is the number of scored cases in which auto is within its
	// aim, AutoBeyond are the others, and AutoQuantile is the 95% quantile of
	// its largest error in a case. Refined counts the cases in which it
	// sampled on.
	AutoWithin   int
	AutoBeyond   []int
	AutoQuantile float64
	Refined      int
	// Constants is the number of outputs that are constant, and Unseen those
	// of which auto did not say so.
	Constants int
	Unseen    []int
	// Times in seconds, of all scored cases together.
	AuditTime, AutoTime float64
	MonteCarlo          []MonteCarloScore
	// MonteCarloTime is the time in which plain Monte Carlo would have the 95%
	// quantile of auto, between or beyond the sizes measured.
	MonteCarloTime float64
}

// A MonteCarloScore is that of plain Monte Carlo with some number of samples.
type MonteCarloScore struct {
	Samples  int
	Time     float64 // seconds, of all scored cases together
	Quantile float64 // 95% quantile of the largest error in a case
	Within   int     // cases within auto's aim
}

// Score scores the cases.
func (a ACAS) Score(cases []ACASCase) *Score {
	s := &Score{Cases: len(cases)}
	for _, n := range a.MonteCarlo {
		s.MonteCarlo = append(s.MonteCarlo, MonteCarloScore{Samples: n})
	}
	var auto []float64
	monteCarlo := make([][]float64, len(a.MonteCarlo))
	for i := range cases {
		c := &cases[i]
		s.constants(c, i)
		if !c.scored() {
			continue
		}
		s.Scored++
		flagged := c.Audit.Verdict != covprop.Consistent
		if c.bad() {
			s.Bad++
			if !flagged {
				s.Missed = append(s.Missed, i)
			}
		}
		if c.good() {
			s.Good++
			if flagged {
				s.Alarms = append(s.Alarms, i)
			}
		}
		size := c.largest(func(o *ACASOutput) MomentError { return o.Auto })
		if auto = append(auto, size); size <= a.RelError {
			s.AutoWithin++
		} else {
			s.AutoBeyond = append(s.AutoBeyond, i)
		}
		if c.Refined {
			s.Refined++
		}
		s.AuditTime += c.AuditTime / 1e3
		s.AutoTime += c.AutoTime / 1e3
		for k := range s.MonteCarlo {
			size := c.largest(func(o *ACASOutput) MomentError { return o.MonteCarlo[k] })
			monteCarlo[k] = append(monteCarlo[k], size)
			s.MonteCarlo[k].Time += c.MonteCarloTime[k] / 1e3
			if size <= a.RelError {
				s.MonteCarlo[k].Within++
			}
		}
	}
	s.AutoQuantile = quantile(auto, .95)
	for k, sizes := range monteCarlo {
		s.MonteCarlo[k].Quantile = quantile(sizes, .95)
	}
	s.MonteCarloTime = s.monteCarloTime()
	return s
}

// constants counts outputs that are constant in the case.
func (s *Score) constants(c *ACASCase, i int) {
	for k := range c.Outputs {
		o := &c.Outputs[k]
		if !o.Constant() {
			continue
		}
		s.Constants++
		if !o.constant(o.AutoStd) && !slices.Contains(s.Unseen, i) {
			s.Unseen = append(s.Unseen, i)
		}
	}
}

func (c *ACASCase) scored() bool {
	return slices.ContainsFunc(c.Outputs, func(o ACASOutput) bool { return o.Scored() })
}

func (c *ACASCase) bad() bool {
	return slices.ContainsFunc(c.Outputs, func(o ACASOutput) bool { return o.Scored() && !o.Moment.Within(badMean, badVariance) })
}

func (c *ACASCase) good() bool {
	return !slices.ContainsFunc(c.Outputs, func(o ACASOutput) bool {
		if o.Constant() {
			return !o.constant(o.MomentStd)
		}
		return !o.Scored() || !o.Moment.Within(goodError, goodError)
	})
}

// largest returns the largest error of the outputs that count.
func (c *ACASCase) largest(of func(o *ACASOutput) MomentError) float64 {
	worst := 0.0
	for k := range c.Outputs {
		if o := &c.Outputs[k]; o.Scored() {
			worst = math.Max(worst, of(o).Size())
		}
	}
	return worst
}

// quantile returns the p-quantile of x, which it sorts; NaN if x is empty.
func quantile(x []float64, p float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	slices.Sort(x)
	return x[min(int(p*float64(len(x))), len(x)-1)]
}

// monteCarloTime interpolates the time in the quantile, both as logarithms.
// Beyond the sizes measured, the error falls as one over the root of the
// number of samples.
func (s *Score) monteCarloTime() float64 {
	m := s.MonteCarlo
	if len(m) == 0 {
		return math.NaN()
	}
	for k := 1; k < len(m); k++ {
		a, b := m[k-1], m[k]
		if b.Quantile <= s.AutoQuantile && s.AutoQuantile <= a.Quantile {
			t := math.Log(a.Quantile/s.AutoQuantile) / math.Log(a.Quantile/b.Quantile)
			return a.Time * math.Pow(b.Time/a.Time, t)
		}
	}
	nearest := m[len(m)-1]
	if s.AutoQuantile > m[0].Quantile {
		nearest = m[0]
	}
	ratio := nearest.Quantile / s.AutoQuantile
	return nearest.Time * ratio * ratio
}
