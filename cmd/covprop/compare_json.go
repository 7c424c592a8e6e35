package main

import "github.com/covprop/covprop"

// compareJSON is what compare writes. With --scales, Methods is empty and
// Scales has an element for each scale.
type compareJSON struct {
	Schema  int         `json:"schema"`
	Version string      `json:"version"`
	Model   string      `json:"model"`
	Truth   truthJSON   `json:"truth"`
	Methods []trialJSON `json:"methods"`
	Scales  []scaleJSON `json:"scales,omitempty"`
	Partial bool        `json:"partial,omitempty"` // the work was interrupted
}

// truthJSON is the truth; it is Partial if it was interrupted after Samples.
type truthJSON struct {
	Method  string       `json:"method"`
	Sampler string       `json:"sampler"`
	Samples int          `json:"samples"`
	Seed    uint64       `json:"seed"`
	Outputs []outputJSON `json:"outputs"`
	Partial bool         `json:"partial,omitempty"`
}

// set adds what is known of the truth.
func (t *truthJSON) set(d *comparison, samples int) {
	t.Samples, t.Partial = d.samples(samples)
	t.Outputs = []outputJSON{}
	if d.err == nil {
		t.Outputs = newOutputsJSON(&d.truth, false) // as for the methods
	}
}

// scaleJSON is the comparison at one scale; Error says why it has no methods.
type scaleJSON struct {
	Scale   float64     `json:"scale"`
	Truth   truthJSON   `json:"truth"`
	Methods []trialJSON `json:"methods"`
	Error   string      `json:"error,omitempty"`
}

// trialJSON is one method; Error says why it has no outputs.
type trialJSON struct {
	Method    string       `json:"method"`
	Outputs   []scoredJSON `json:"outputs"`
	ElapsedMS *float64     `json:"elapsed_ms"`
	Error     string       `json:"error,omitempty"`
}

type scoredJSON struct {
	Name              string    `json:"name"`
	Mean              []float64 `json:"mean"`
	Std               []float64 `json:"std"`
	MeanErrorStd      *float64  `json:"mean_error_std"`
	MeanErrorSE       *float64  `json:"mean_error_se"`
	CovErrorFrobenius *float64  `json:"cov_error_frobenius"`
	KLNats            *float64  `json:"kl_nats"`
	MeanReason        string    `json:"mean_reason,omitempty"`
	CovReason         string    `json:"cov_reason,omitempty"`
	KLReason          string    `json:"kl_reason,omitempty"`
}

func (c *compareCmd) json(done []comparison, partial bool) *compareJSON {
	truth := truthJSON{Method: monteCarlo, Sampler: c.Sampler, Samples: c.truthSamples(), Seed: c.Seed, Outputs: []outputJSON{}}
	r := &compareJSON{Schema: 1, Version: covprop.Version, Model: c.Model, Truth: truth, Methods: []trialJSON{}, Partial: partial}
	if len(c.Scales) == 0 {
		r.Truth.set(&done[0], c.truthSamples())
		r.Methods = trialsJSON(done[0].trials)
		return r
	}
	for _, d := range done {
		truth.set(&d, c.truthSamples())
		s := scaleJSON{Scale: d.scale, Truth: truth, Methods: trialsJSON(d.trials)}
		if d.err != nil {
			s.Error = d.err.Error()
		}
		r.Scales = append(r.Scales, s)
	}
	return r
}

func trialsJSON(trials []trial) []trialJSON {
	r := []trialJSON{}
	for _, t := range trials {
		j := trialJSON{Method: t.method, Outputs: []scoredJSON{}}
		if t.err != nil {
			j.Error = t.err.Error()
			r = append(r, j)
			continue
		}
		j.ElapsedMS = known(milliseconds(t.elapsed))
		for i, s := range t.scores {
			g := t.res.Output(i)
			meanWhy := s.meanStdWhy
			if meanWhy == "" {
				meanWhy = s.meanSEWhy
			}
			j.Outputs = append(j.Outputs, scoredJSON{
				Name: t.res.Outputs[i].Name, Mean: g.Mean, Std: g.Std(),
				MeanErrorStd: s.meanStd, MeanErrorSE: s.meanSE, CovErrorFrobenius: s.cov, KLNats: s.kl,
				MeanReason: meanWhy, CovReason: s.covWhy, KLReason: s.klWhy,
			})
		}
		r = append(r, j)
	}
	return r
}
