package main

import "github.com/covprop/covprop/internal/reproduce"

// acasJSON is what reproduce acasxu prints as JSON. Cases are named
// network/input/standard deviation.
type acasJSON struct {
	Schema       int                  `json:"schema"`
	Partial      bool                 `json:"partial"`
	Seed         uint64               `json:"seed"`
	TruthSamples int                  `json:"truth_samples"`
	RelError     float64              `json:"rel_error"`
	Cases        int                  `json:"cases"`
	Scored       int                  `json:"scored"`
	Bad          int                  `json:"bad"`
	Missed       []string             `json:"missed"`
	Good         int                  `json:"good"`
	FalseAlarms  []string             `json:"false_alarms"`
	AutoWithin   int                  `json:"auto_within"`
	AutoBeyond   []string             `json:"auto_beyond"`
	AutoQuantile *float64             `json:"auto_error_quantile95"`
	AutoSeconds  float64              `json:"auto_seconds"`
	SameSeconds  *float64             `json:"montecarlo_seconds_same_quantile"`
	AuditSeconds float64              `json:"audit_seconds"`
	Constants    int                  `json:"constant_outputs"`
	Unseen       []string             `json:"constant_not_said"`
	MonteCarlo   []acasMonteCarloJSON `json:"montecarlo"`
	Results      []acasCaseJSON       `json:"results"`
}

type acasMonteCarloJSON struct {
	Samples  int      `json:"samples"`
	Seconds  float64  `json:"seconds"`
	Quantile *float64 `json:"error_quantile95"`
	Within   int      `json:"within"`
}

type acasCaseJSON struct {
	Network     int              `json:"network"`
	Mean        []float64        `json:"mean"`
	Std         float64          `json:"std"`
	Verdict     string           `json:"verdict"`
	Reason      string           `json:"reason"`
	Samples     int              `json:"audit_samples"`
	FirstBroken string           `json:"first_broken_node,omitempty"`
	Refined     bool             `json:"refined"`
	Done        string           `json:"auto_reason"`
	AutoMS      float64          `json:"auto_ms"`
	Outputs     []acasOutputJSON `json:"outputs"`
}

// acasOutputJSON is one output element; errors are of the mean in standard
// deviations and of the variance relative to it.
type acasOutputJSON struct {
	Mean     float64     `json:"mean"`
	Std      float64     `json:"std"`
	Scored   bool        `json:"scored"`
	Constant bool        `json:"constant"`
	Moment   [2]*float64 `json:"moment_error"`
	Auto     [2]*float64 `json:"auto_error"`
}

func (r *acasReport) json() *acasJSON {
	s := r.Score
	j := &acasJSON{
		Schema: 1, Partial: r.Partial, Seed: r.Seed, TruthSamples: r.TruthSamples, RelError: r.RelError,
		Cases: s.Cases, Scored: s.Scored, Bad: s.Bad, Missed: r.list(s.Missed), Good: s.Good, FalseAlarms: r.list(s.Alarms),
		AutoWithin: s.AutoWithin, AutoBeyond: r.list(s.AutoBeyond), AutoQuantile: known(s.AutoQuantile),
		AutoSeconds: s.AutoTime, SameSeconds: known(s.MonteCarloTime), AuditSeconds: s.AuditTime,
		Constants: s.Constants, Unseen: r.list(s.Unseen), MonteCarlo: []acasMonteCarloJSON{}, Results: []acasCaseJSON{},
	}
	for _, m := range s.MonteCarlo {
		j.MonteCarlo = append(j.MonteCarlo, acasMonteCarloJSON{m.Samples, m.Time, known(m.Quantile), m.Within})
	}
	for i := range r.Cases {
		j.Results = append(j.Results, newACASCaseJSON(&r.Cases[i]))
	}
	return j
}

func newACASCaseJSON(c *reproduce.ACASCase) acasCaseJSON {
	j := acasCaseJSON{
		Network: c.Network, Mean: c.X, Std: c.Std, Verdict: c.Audit.Verdict.String(), Reason: c.Audit.Reason,
		Samples: c.Audit.Samples, FirstBroken: c.FirstBroken, Refined: c.Refined, Done: c.AutoReason, AutoMS: c.AutoTime,
	}
	pair := func(e reproduce.MomentError) [2]*float64 { return [2]*float64{known(e.Mean), known(e.Variance)} }
	for k := range c.Outputs {
		o := &c.Outputs[k]
		j.Outputs = append(j.Outputs, acasOutputJSON{o.Mean, o.Std, o.Scored(), o.Constant(), pair(o.Moment), pair(o.Auto)})
	}
	return j
}

// list names cases.
func (r *acasReport) list(cases []int) []string {
	names := []string{}
	for _, i := range cases {
		names = append(names, caseName(&r.Cases[i]))
	}
	return names
}
