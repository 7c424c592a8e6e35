package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/refine"
)

// A budget is what the method mixture may spend: a multiple of one propagation,
// such as 100, or a time, such as 2s.
type budget struct {
	propagations float64
	time         time.Duration
}

// UnmarshalText parses a budget.
func (b *budget) UnmarshalText(text []byte) error {
	if n, err := strconv.ParseFloat(string(text), 64); err == nil {
		if !(n >= 1 && n <= 1e9) {
			return fmt.Errorf("the budget must be at least one propagation, not %s", text)
		}
		*b = budget{propagations: n}
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is neither a number of propagations, such as 100, nor a time, such as 2s", text)
	}
	if d <= 0 {
		return errors.New("the time must be above zero")
	}
	*b = budget{propagations: 1e9, time: d}
	return nil
}

// mixture returns the method mixture.
func (t *task) mixture(progress func(done, total int)) covprop.Propagator {
	m := refine.Mixture{
		Network: t.network(nil), RelError: t.flags.relError(), Threads: t.flags.threads(), Progress: progress,
	}
	if b := t.flags.Budget; b != nil {
		m.Budget, m.Deadline = b.propagations, b.time
		if start := time.Now(); b.time > 0 {
			m.Progress = func(int, int) { progress(int(time.Since(start).Milliseconds()), int(b.time.Milliseconds())) }
		}
	}
	if t.audit.on {
		m.Check = refine.Audit{Propagator: m.Network, Func: t.net, Samples: t.audit.samples, Seed: t.seed, Threads: t.flags.threads()}.Check
	}
	return m
}

// distributionFlags ask for more than moments.
type distributionFlags struct {
	Quantile []float64 `placeholder:"P" help:"Show these quantiles of every output element, such as 0.05,0.95 (mixture)."`
	Exceed   repeated  `placeholder:"T" help:"Show the probability that every output element is above T (mixture). May be repeated."`
}

func (f *distributionFlags) check(method string) error {
	if (len(f.Quantile) > 0 || len(f.Exceed) > 0) && method != mixture {
		return usagef("--quantile and --exceed need --method mixture: the method %s gives moments, not a distribution", method)
	}
	for _, p := range f.Quantile {
		if !(p > 0 && p < 1) {
			return usagef("--quantile must lie between 0 and 1, not at %v", p)
		}
	}
	_, err := f.thresholds()
	return err
}

// thresholds parses --exceed.
func (f *distributionFlags) thresholds() ([]float64, error) {
	var ts []float64
	for _, s := range f.Exceed {
		t, err := strconv.ParseFloat(s, 64)
		if err != nil || !finite(t) {
			return nil, usagef("--exceed: %q is not a finite number", s)
		}
		ts = append(ts, t)
	}
	return ts, nil
}

// mixtureJSON is what the method mixture adds to a result.
type mixtureJSON struct {
	Components int                 `json:"components"`
	Outputs    []mixtureOutputJSON `json:"outputs"`
}

// mixtureOutputJSON describes one output's distribution, element by element.
type mixtureOutputJSON struct {
	Name      string         `json:"name"`
	Quantiles []quantileJSON `json:"quantiles"`
	Exceed    []exceedJSON   `json:"exceed"`
}

type quantileJSON struct {
	P      float64    `json:"p"`
	Values []*float64 `json:"values"`
}

type exceedJSON struct {
	Threshold   float64    `json:"threshold"`
	Probability []*float64 `json:"probability"`
}

// newMixtureJSON returns the distribution of res, nil if it has none.
func newMixtureJSON(f *distributionFlags, res *covprop.Result) *mixtureJSON {
	m := res.Mixture
	if m == nil {
		return nil
	}
	j := &mixtureJSON{Components: len(m.Components), Outputs: []mixtureOutputJSON{}}
	thresholds, _ := f.thresholds() // checked before
	for _, o := range res.Outputs {
		out := mixtureOutputJSON{Name: o.Name, Quantiles: []quantileJSON{}, Exceed: []exceedJSON{}}
		of := func(value func(i int) float64) []*float64 {
			v := make([]*float64, o.Len)
			for k := range v {
				v[k] = known(value(o.Offset + k))
			}
			return v
		}
		for _, p := range f.Quantile {
			out.Quantiles = append(out.Quantiles, quantileJSON{p, of(func(i int) float64 { return m.Quantile(i, p) })})
		}
		for _, t := range thresholds {
			out.Exceed = append(out.Exceed, exceedJSON{t, of(func(i int) float64 { return m.Exceedance(i, t) })})
		}
		j.Outputs = append(j.Outputs, out)
	}
	return j
}

// text writes the quantiles and probabilities, one row an element.
func (j *mixtureJSON) text(p *page) {
	if j == nil {
		return
	}
	for _, o := range j.Outputs {
		header, columns := []string{"index"}, [][]*float64(nil)
		for _, q := range o.Quantiles {
			header, columns = append(header, strings.TrimSuffix(short(100*q.P), ".0")+"%"), append(columns, q.Values)
		}
		for _, x := range o.Exceed {
			header, columns = append(header, "P(y > "+number(x.Threshold)+")"), append(columns, x.Probability)
		}
		if len(columns) == 0 {
			continue
		}
		rows, n := [][]string{header}, len(columns[0])
		for k := range min(n, maxRows) {
			row := []string{strconv.Itoa(k)}
			for _, c := range columns {
				if c[k] == nil {
					row = append(row, "-")
				} else {
					row = append(row, number(*c[k]))
				}
			}
			rows = append(rows, row)
		}
		p.linef("\ndistribution of output %s, a mixture of %d Gaussians", show(o.Name), j.Components)
		p.table(rows, true)
		p.more(n - maxRows)
		p.linef("  the mixture's probabilities are good to some hundredths; smaller ones rest on its Gaussian tails")
	}
}
