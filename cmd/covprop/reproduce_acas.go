package main

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/covprop/covprop/internal/reproduce"
)

// reproduceAcasCmd measures the audit and method auto on ACAS Xu.
type reproduceAcasCmd struct {
	Data         string  `required:"" type:"existingdir" placeholder:"DIR" help:"The directory with acasxu_1_1.onnx to acasxu_1_9.onnx."`
	Runs         int     `default:"5" placeholder:"N" help:"Means for each of the nine networks (default: ${default})."`
	TruthSamples int     `default:"1048576" placeholder:"N" help:"Scrambled Sobol points of the truth (default: ${default})."`
	RelError     float64 `default:"0.05" placeholder:"E" help:"The error that auto aims at (default: ${default})."`
	Threads      int     `default:"0" placeholder:"N" help:"Number of threads (default: one a processor)."`
	experimentFlags
}

// Help is shown below the flags' summary.
func (c *reproduceAcasCmd) Help() string {
	return `Nine networks, five means for each, and five standard deviations: does the audit notice every failure of the ` +
		`Gaussian closure, and does auto mend it? The default takes about ten minutes on two cores.`
}

func (c *reproduceAcasCmd) Run(e *env) error {
	if err := c.experimentFlags.check(); err != nil {
		return err
	}
	switch {
	case c.Runs < 1:
		return usagef("--runs must be at least 1, not %d", c.Runs)
	case c.TruthSamples < 1024:
		return usagef("--truth-samples must be at least 1024, not %d", c.TruthSamples)
	case !(c.RelError > 0 && c.RelError < 1):
		return usagef("--rel-error must lie between 0 and 1, not at %v", c.RelError)
	case c.Threads < 0:
		return usagef("--threads must not be negative, as %d is", c.Threads)
	}
	a := reproduce.DefaultACAS(c.Data)
	a.Inputs, a.TruthSamples, a.RelError, a.Seed, a.Threads = c.Runs, c.TruthSamples, c.RelError, c.Seed, c.Threads
	p := newProgress(e.stderr, "acasxu")
	a.Progress = p.update
	cases, err := a.Run(e.ctx)
	p.clear()
	if err != nil && (e.ctx.Err() == nil || len(cases) == 0) {
		return err
	}
	report := &acasReport{ACAS: a, Partial: err != nil, Score: a.Score(cases), Cases: cases}
	if c.Format == "json" {
		err = errors.Join(err, e.printJSON(report.json()))
	} else {
		err = errors.Join(err, e.print(report.text()))
	}
	return err
}

type acasReport struct {
	reproduce.ACAS
	Partial bool // interrupted
	Score   *reproduce.Score
	Cases   []reproduce.ACASCase
}

// text lays out the report as Markdown, as it stands in docs/accuracy.md.
func (r *acasReport) text() []byte {
	var p page
	s := r.Score
	if r.Partial {
		p.linef("partial: interrupted after %d of %d cases\n", s.Cases, r.Networks*r.Inputs*len(r.Stds))
	}
	p.linef("%d cases, seed %d; truth by %d scrambled Sobol points. %d cases have an output that is not", s.Cases, r.Seed, r.TruthSamples, s.Scored)
	p.linef("constant and whose truth is known to 2%%.\n")
	p.linef("audit: of %d cases with a mean off by more than 0.1 standard deviations or a variance by more", s.Bad)
	p.linef("  than 25%%, %d were missed%s", len(s.Missed), r.names(s.Missed))
	p.linef("  of %d cases within 2%%, %d were false alarms%s", s.Good, len(s.Alarms), r.names(s.Alarms))
	p.linef("auto: within %g in %d of %d cases (%.1f%%); it sampled on in %d", r.RelError, s.AutoWithin, s.Scored, 100*float64(s.AutoWithin)/float64(max(s.Scored, 1)), s.Refined)
	p.linef("  95%% quantile of the error %.3g; %.3g s, plain Monte Carlo %.3g s for the same quantile", s.AutoQuantile, s.AutoTime, s.MonteCarloTime)
	p.linef("  beyond its aim%s", r.names(s.AutoBeyond))
	p.linef("constant outputs: %d; auto did not say so of%s", s.Constants, r.names(s.Unseen))
	p.linef("moment and audit together: %.3g s\n", s.AuditTime)
	rows := [][]string{{"Monte Carlo", "time, s", "95% quantile", "within"}}
	for _, m := range s.MonteCarlo {
		rows = append(rows, []string{fmt.Sprint(m.Samples), short(m.Time), short(m.Quantile), fmt.Sprint(m.Within)})
	}
	p.table(rows, true)
	r.byStd(&p)
	r.worst(&p)
	return p.Bytes()
}

// byStd counts verdicts by standard deviation.
func (r *acasReport) byStd(p *page) {
	rows := [][]string{{"std", "cases", "consistent", "closure error", "inconclusive", "worst of moment", "worst of auto"}}
	for _, std := range r.Stds {
		n, verdicts, moment, auto := 0, map[string]int{}, math.Inf(-1), math.Inf(-1)
		for i := range r.Cases {
			c := &r.Cases[i]
			if c.Std != std {
				continue
			}
			n++
			verdicts[c.Audit.Verdict.String()]++
			for k := range c.Outputs {
				if o := &c.Outputs[k]; o.Scored() {
					moment, auto = max(moment, o.Moment.Size()), max(auto, o.Auto.Size())
				}
			}
		}
		rows = append(rows, []string{
			short(std), fmt.Sprint(n), fmt.Sprint(verdicts["consistent"]), fmt.Sprint(verdicts["closure error"]), fmt.Sprint(verdicts["inconclusive"]),
			worst(moment), worst(auto),
		})
	}
	p.linef("")
	p.table(rows, true)
}

// worst writes the largest of some errors, "-" if there are none.
func worst(x float64) string {
	if math.IsInf(x, -1) {
		return "-"
	}
	return short(x)
}

// worst lists the outputs with the largest errors of auto.
func (r *acasReport) worst(p *page) {
	type place struct{ c, k int }
	var places []place
	for i := range r.Cases {
		for k := range r.Cases[i].Outputs {
			if r.Cases[i].Outputs[k].Scored() {
				places = append(places, place{i, k})
			}
		}
	}
	sort.Slice(places, func(a, b int) bool {
		return r.Cases[places[a].c].Outputs[places[a].k].Auto.Size() > r.Cases[places[b].c].Outputs[places[b].k].Auto.Size()
	})
	p.linef("\nthe largest errors of auto (moment beside it): of the mean in standard deviations, of the variance relative")
	rows := [][]string{{"case", "output", "auto mean", "auto variance", "moment mean", "moment variance", "truth's s.e."}}
	for _, at := range places[:min(len(places), 10)] {
		c, o := &r.Cases[at.c], &r.Cases[at.c].Outputs[at.k]
		rows = append(rows, []string{
			caseName(c), fmt.Sprint(at.k), short(o.Auto.Mean), short(o.Auto.Variance), short(o.Moment.Mean), short(o.Moment.Variance), short(o.VarianceSE),
		})
	}
	p.table(rows, true)
}

// names lists cases.
func (r *acasReport) names(cases []int) string {
	if len(cases) == 0 {
		return ": none"
	}
	return ": " + strings.Join(r.list(cases), ", ")
}

// caseName names a case: network, input, standard deviation.
func caseName(c *reproduce.ACASCase) string {
	return fmt.Sprintf("1_%d/%d/%g", c.Network, c.Input+1, c.Std)
}
