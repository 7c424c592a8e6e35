package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/score"
)

type compareCmd struct {
	modelFlags
	inputFlags
	Methods []string `default:"moment,diagonal,linear,unscented,montecarlo" placeholder:"LIST" help:"The methods, separated by commas (default: ${default})."`
	methodFlags
	Format string     `enum:"text,json" default:"text" help:"text or json (default: ${default})."`
	Output outputFile `name:"output" short:"o" placeholder:"FILE" help:"Write the comparison to a .json file, too."`
}

// Help is shown below the flags' summary.
func (c *compareCmd) Help() string {
	return `The truth is Monte Carlo with --samples and --seed. The method montecarlo is a second run with the next seed, ` +
		`so that its errors are those of sampling; a method cannot be seen to be better than that. ` +
		`A method that fails is reported and the exit status is 1.`
}

func (c *compareCmd) check() error {
	if err := c.inputFlags.check(); err != nil {
		return err
	}
	for i, m := range c.Methods {
		if !slices.Contains(allMethods, m) {
			return usagef("--methods: %q is not one of %s", m, strings.Join(allMethods, ", "))
		}
		if slices.Contains(c.Methods[:i], m) {
			return usagef("--methods lists %s twice", m)
		}
	}
	if len(c.Methods) == 0 {
		return usagef("--methods lists no method")
	}
	if err := c.methodFlags.check(c.Methods...); err != nil {
		return err
	}
	return c.Output.check(".json")
}

// A trial is one method's result beside the truth.
type trial struct {
	method  string
	res     covprop.Result
	elapsed time.Duration
	err     error // why there is no result
	scores  []scores
}

// scores are the errors of one output. Each is nil, and has a reason, if it
// has no meaning.
type scores struct {
	meanStd, meanSE, cov, kl             *float64
	meanStdWhy, meanSEWhy, covWhy, klWhy string
}

func (c *compareCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	net, in, err := readTask(&c.modelFlags, &c.inputFlags, &c.methodFlags)
	if err != nil {
		return err
	}
	t := task{model: c.Model, method: monteCarlo, seed: c.Seed, net: net, in: in, flags: &c.methodFlags}
	truth, _, err := t.run(e, "truth")
	if err != nil {
		return err
	}
	t.seed = nextSeed(c.Seed)
	var trials []trial
	for _, m := range c.Methods {
		t.method = m
		tr := trial{method: m}
		tr.res, tr.elapsed, tr.err = t.run(e, m)
		if err := e.ctx.Err(); err != nil {
			return err
		}
		if tr.err == nil {
			tr.judge(&truth)
		}
		trials = append(trials, tr)
	}
	if err := c.write(e, &truth, trials); err != nil {
		return err
	}
	return failures(trials)
}

// nextSeed returns another seed, which is not 0.
func nextSeed(seed uint64) uint64 { return max(seed+1, 1) }

// failures returns an error if a method failed.
func failures(trials []trial) error {
	var failed []string
	for _, t := range trials {
		if errors.Is(t.err, context.Canceled) {
			return t.err
		}
		if t.err != nil {
			failed = append(failed, t.method+": "+t.err.Error())
		}
	}
	if failed == nil {
		return nil
	}
	return errors.New("failed: " + strings.Join(failed, "; "))
}

// judge scores every output.
func (t *trial) judge(truth *covprop.Result) {
	for i, o := range truth.Outputs {
		got, want := t.res.Output(i), truth.Output(i)
		var s scores
		s.meanStd, s.meanStdWhy = judged(score.MeanErrorStd(got.Mean, want))
		s.meanSE, s.meanSEWhy = judged(score.MeanErrorSE(got.Mean, want.Mean, truth.StandardErrors.Mean[o.Offset:o.Offset+o.Len]))
		s.cov, s.covWhy = judged(score.CovErrorFrobenius(got.Cov, want.Cov))
		s.kl, s.klWhy = judged(score.KL(want, got))
		t.scores = append(t.scores, s)
	}
}

// scoreWords puts the reasons of package score in the terms of a comparison.
var scoreWords = strings.NewReplacer("score: ", "", "the first distribution", "the truth", "the second distribution", "the method's result")

func judged(x float64, err error) (*float64, string) {
	if err != nil {
		return nil, scoreWords.Replace(err.Error())
	}
	return &x, ""
}

func (c *compareCmd) write(e *env, truth *covprop.Result, trials []trial) error {
	full := c.json(trials)
	if c.Output != "" {
		if err := c.Output.writeJSON(full); err != nil {
			return err
		}
	}
	if c.Format == "json" {
		return e.printJSON(full)
	}
	return e.print(c.text(truth, trials))
}

// compareJSON is what compare writes.
type compareJSON struct {
	Schema  int         `json:"schema"`
	Model   string      `json:"model"`
	Truth   truthJSON   `json:"truth"`
	Methods []trialJSON `json:"methods"`
}

type truthJSON struct {
	Method  string `json:"method"`
	Samples int    `json:"samples"`
	Seed    uint64 `json:"seed"`
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

func (c *compareCmd) json(trials []trial) *compareJSON {
	r := &compareJSON{
		Schema: 1, Model: c.Model, Methods: []trialJSON{},
		Truth: truthJSON{Method: monteCarlo, Samples: c.Samples, Seed: c.Seed},
	}
	for _, t := range trials {
		j := trialJSON{Method: t.method, Outputs: []scoredJSON{}}
		if t.err != nil {
			j.Error = t.err.Error()
			r.Methods = append(r.Methods, j)
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
		r.Methods = append(r.Methods, j)
	}
	return r
}

// text lays out the comparison, output by output.
func (c *compareCmd) text(truth *covprop.Result, trials []trial) []byte {
	var p page
	p.linef("model  %s", c.Model)
	p.linef("truth  Monte Carlo, %d samples, seed %d", c.Samples, c.Seed)
	var ok []trial
	for _, t := range trials {
		if t.err == nil {
			ok = append(ok, t)
		}
	}
	for i, o := range truth.Outputs {
		p.linef("\noutput %s (%s)", show(o.Name), formatShape(o.Shape))
		p.linef("  mean")
		p.columns(truth, ok, i, func(g covprop.Gaussian) []float64 { return g.Mean })
		p.linef("  standard deviation")
		p.columns(truth, ok, i, covprop.Gaussian.Std)
		p.linef("  error")
		p.scores(trials, i)
	}
	p.linef("\nmean/std, mean/s.e.: root mean square error of the mean, in true standard deviations and in")
	p.linef("  standard errors of the truth (about 1 or less: no difference can be seen)")
	p.linef("covariance: Frobenius norm of the error, relative to the truth    KL: KL(truth || method) in nats")
	if slices.Contains(c.Methods, monteCarlo) {
		p.linef("montecarlo: a second run, with seed %d; its errors are those of sampling", nextSeed(c.Seed))
	}
	return p.Bytes()
}

// columns writes a vector of output i, one column a method.
func (p *page) columns(truth *covprop.Result, trials []trial, i int, of func(covprop.Gaussian) []float64) {
	header, vectors := []string{"index", "truth"}, [][]float64{of(truth.Output(i))}
	for _, t := range trials {
		header, vectors = append(header, t.method), append(vectors, of(t.res.Output(i)))
	}
	rows, n := [][]string{header}, len(vectors[0])
	for k := range min(n, maxRows) {
		row := []string{fmt.Sprint(k)}
		for _, v := range vectors {
			row = append(row, number(v[k]))
		}
		rows = append(rows, row)
	}
	p.table(rows, true)
	p.more(n - maxRows)
}

// scores writes the errors of output i, one row a method.
func (p *page) scores(trials []trial, i int) {
	rows, notes := [][]string{{left("method"), "mean/std", "mean/s.e.", "covariance", "KL", "time"}}, []string(nil)
	cell := func(method string, x *float64, why string) string {
		if x != nil {
			return strconv.FormatFloat(*x, 'g', 3, 64)
		}
		if note := method + ": " + why; !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
		return "-"
	}
	for _, t := range trials {
		if t.err != nil {
			rows = append(rows, []string{left(t.method), "-", "-", "-", "-", "failed"})
			notes = append(notes, t.method+": "+oneLine(t.err))
			continue
		}
		s := t.scores[i]
		rows = append(rows, []string{
			left(t.method), cell(t.method, s.meanStd, s.meanStdWhy), cell(t.method, s.meanSE, s.meanSEWhy),
			cell(t.method, s.cov, s.covWhy), cell(t.method, s.kl, s.klWhy), formatTime(t.elapsed),
		})
	}
	p.table(rows, true)
	for _, n := range notes {
		p.linef("  %s", n)
	}
}

// left makes a method's name look aligned to the left.
func left(method string) string { return fmt.Sprintf("%-10s", method) }
