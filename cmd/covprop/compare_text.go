package main

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/covprop/covprop"
)

// text lays out the comparison. partial says what an interruption left, and is
// empty if there was none.
func (c *compareCmd) text(done []comparison, partial string) []byte {
	var p page
	p.linef("model  %s", c.Model)
	samples := c.truthSamples()
	if len(c.Scales) == 0 {
		samples, _ = done[0].samples(samples)
	}
	p.linef("truth  %s, %d samples, seed %d", samplerName(c.Sampler), samples, c.Seed)
	if c.Plot != "" {
		p.linef("plot   %s", string(c.Plot))
	}
	if partial != "" {
		p.linef("partial: %s", partial)
	}
	if len(c.Scales) == 0 {
		p.comparison(&done[0])
		p.linef("\nmean/std, mean/s.e.: root mean square error of the mean, in true standard deviations and in")
		p.linef("  standard errors of the truth (about 1 or less: no difference can be seen)")
		p.linef("covariance: Frobenius norm of the error, relative to the truth    KL: KL(truth || method) in nats")
	} else {
		p.scales(c.Methods, done)
	}
	if slices.Contains(c.Methods, monteCarlo) {
		count := ""
		if c.Samples != c.truthSamples() {
			count = fmt.Sprintf("%d samples and ", c.Samples)
		}
		p.linef("montecarlo: a second run, with %sseed %d; its errors are those of sampling", count, nextSeed(c.Seed))
	}
	return p.Bytes()
}

// comparison lays out one comparison, output by output.
func (p *page) comparison(r *comparison) {
	var ok []trial
	for _, t := range r.trials {
		if t.err == nil {
			ok = append(ok, t)
		}
	}
	for i, o := range r.truth.Outputs {
		p.linef("\noutput %s (%s)", show(o.Name), formatShape(o.Shape))
		p.linef("  mean")
		p.columns(&r.truth, ok, i, func(g covprop.Gaussian) []float64 { return g.Mean })
		p.linef("  standard deviation")
		p.columns(&r.truth, ok, i, covprop.Gaussian.Std)
		p.linef("  error")
		p.scores(r.trials, i)
	}
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

// A scoreTable has a cell for every score, and notes on those without a value.
type scoreTable struct {
	rows  [][]string
	notes []string
}

func (t *scoreTable) cell(who string, x *float64, why string) string {
	if x != nil {
		return digits3(*x)
	}
	t.note(who + ": " + why)
	return "-"
}

func (t *scoreTable) note(s string) {
	if !slices.Contains(t.notes, s) {
		t.notes = append(t.notes, s)
	}
}

func (t *scoreTable) write(p *page) {
	p.table(t.rows, true)
	for _, n := range t.notes {
		p.linef("  %s", n)
	}
}

// scores writes the errors of output i, one row a method.
func (p *page) scores(trials []trial, i int) {
	t := scoreTable{rows: [][]string{{left("method"), "mean/std", "mean/s.e.", "covariance", "KL", "time"}}}
	for _, r := range trials {
		if r.err != nil {
			t.rows = append(t.rows, []string{left(r.method), "-", "-", "-", "-", "failed"})
			t.note(r.method + ": " + oneLine(r.err))
			continue
		}
		s := r.scores[i]
		t.rows = append(t.rows, []string{
			left(r.method), t.cell(r.method, s.meanStd, s.meanStdWhy), t.cell(r.method, s.meanSE, s.meanSEWhy),
			t.cell(r.method, s.cov, s.covWhy), t.cell(r.method, s.kl, s.klWhy), formatTime(r.elapsed),
		})
	}
	t.write(p)
}

// left makes a method's name look aligned to the left.
func left(method string) string { return fmt.Sprintf("%-10s", method) }

func digits3(x float64) string { return strconv.FormatFloat(x, 'g', 3, 64) }
