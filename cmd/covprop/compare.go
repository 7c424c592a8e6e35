package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

type compareCmd struct {
	modelFlags
	inputFlags
	Methods []string `default:"moment,diagonal,linear,unscented,montecarlo" placeholder:"LIST" help:"The methods, separated by commas (default: ${default})."`
	methodFlags
	TruthSamples *int       `placeholder:"N" help:"Number of samples of the truth (default: that of --samples)."`
	Scales       []float64  `placeholder:"LIST" help:"Compare at several scales, such as 0.25,0.5,1,2: the standard deviations of the input are multiplied by each."`
	Plot         outputFile `placeholder:"FILE" help:"Draw error against time for all methods in a .svg or .png file."`
	Format       string     `enum:"text,json" default:"text" help:"text or json (default: ${default})."`
	Output       outputFile `name:"output" short:"o" placeholder:"FILE" help:"Write the comparison to a .json file, too."`
}

// Help is shown below the flags' summary.
func (c *compareCmd) Help() string {
	return `The truth is Monte Carlo with --truth-samples, --sampler and --seed. The method montecarlo is a second run with ` +
		`--samples and the next seed, so that its errors are those of sampling; no method can be seen to be better than the truth's own error. ` +
		`A method that fails is reported and the exit status is 1. If the work is interrupted, what is done is shown and labelled partial.`
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
	if err := checkSamples("--truth-samples", c.truthSamples(), c.Sampler); err != nil {
		return err
	}
	for i, s := range c.Scales {
		if !(s > 0) || math.IsInf(s, 1) {
			return usagef("--scales: a scale must be positive and finite, not %v", s)
		}
		if slices.Contains(c.Scales[:i], s) {
			return usagef("--scales lists %v twice", s)
		}
	}
	if err := c.Plot.checkAs("--plot", ".svg", ".png"); err != nil {
		return err
	}
	return c.Output.check(".json")
}

// truthSamples returns the number of samples of the truth.
func (c *compareCmd) truthSamples() int {
	if c.TruthSamples == nil {
		return c.Samples
	}
	return *c.TruthSamples
}

// scales returns the scales of the input, 1 if there are no others.
func (c *compareCmd) scales() []float64 {
	if len(c.Scales) == 0 {
		return []float64{1}
	}
	return c.Scales
}

// A comparison is what was found at one scale of the input.
type comparison struct {
	scale  float64
	truth  covprop.Result
	err    error   // why there is no truth
	trials []trial // those that are done, in the order of --methods
}

func (c *compareCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	net, in, err := readTask(&c.modelFlags, &c.inputFlags, &c.methodFlags)
	if err != nil {
		return err
	}
	inputs := make([]covprop.Gaussian, len(c.scales()))
	for i, s := range c.scales() {
		if inputs[i], err = scaled(in, s); err != nil {
			return err
		}
	}
	t := task{model: c.Model, net: net, flags: &c.methodFlags}
	var done []comparison
	for i, s := range c.scales() {
		t.in = inputs[i]
		r, ok := c.compare(e, t)
		if r.scale = s; ok {
			done = append(done, r)
		}
		if e.ctx.Err() != nil {
			break
		}
	}
	switch {
	case len(done) == 0:
		return errors.New("interrupted before anything was finished")
	case len(c.Scales) == 0 && done[0].err != nil:
		return done[0].err
	}
	if err := c.write(e, done); err != nil {
		return err
	}
	return failures(e.ctx, done)
}

// scaled returns in with its standard deviations multiplied by s.
func scaled(in covprop.Gaussian, s float64) (covprop.Gaussian, error) {
	if s == 1 {
		return in, nil
	}
	n := in.Dim()
	for i := range n {
		// smallest is the smallest variance that float64 holds to full accuracy.
		const smallest = 0x1p-1022
		v := in.Cov.At(i, i)
		if w := v * s * s; v > 0 && (w < smallest || math.IsInf(w, 1)) {
			return in, usagef("--scales: with the scale %v, the variance of input element %d, %v, leaves the range of float64", s, i, v)
		}
	}
	out := covprop.Gaussian{Mean: in.Mean}
	switch c := in.Cov.(type) {
	case covprop.Diagonal:
		d := make(covprop.Diagonal, n)
		for i, v := range c {
			d[i] = v * s * s
		}
		out.Cov = d
	default:
		data := make([]float64, n*n)
		for i := range n {
			for j := range n {
				data[i*n+j] = c.At(i, j) * s * s
			}
		}
		out.Cov = covprop.DenseOf(blas64.General{Rows: n, Cols: n, Stride: n, Data: data})
	}
	return out, nil
}

// compare compares the methods on t's input; ok is false if it was interrupted
// before there was anything to judge.
//
// The methods that may take long come after the truth, the others before it: so
// an interruption, which most likely hits one of the long runs, leaves something to
// judge and something to judge it by, if only the samples of the truth that were
// done.
func (c *compareCmd) compare(e *env, t task) (r comparison, ok bool) {
	trials := make(map[string]trial)
	run := func(long bool) {
		for _, m := range c.Methods {
			if (sampling(m) || m == mixture) != long || e.ctx.Err() != nil {
				continue
			}
			t.method, t.seed, t.samples = m, nextSeed(c.Seed), c.Samples
			t.audit.on = m == mixture // which goes by it
			tr := trial{method: m}
			tr.res, tr.elapsed, tr.err = t.run(e, m)
			if e.ctx.Err() == nil {
				trials[m] = tr
			}
		}
	}
	run(false)
	t.method, t.seed, t.samples, t.partial, t.audit.on = monteCarlo, c.Seed, c.truthSamples(), true, false
	if r.truth, _, r.err = t.run(e, "truth"); r.err != nil {
		return r, e.ctx.Err() == nil
	}
	t.partial = false
	run(true)
	for _, m := range c.Methods {
		if tr, done := trials[m]; done {
			if tr.err == nil {
				tr.judge(&r.truth)
			}
			r.trials = append(r.trials, tr)
		}
	}
	return r, true
}

// samples returns the number of samples of the truth, and whether they are
// fewer than the asked ones, since it was interrupted.
func (r *comparison) samples(asked int) (n int, partial bool) {
	if r.err != nil {
		return asked, false
	}
	n = r.truth.StandardErrors.Samples
	return n, n < asked
}

// nextSeed returns another seed, which is not 0.
func nextSeed(seed uint64) uint64 { return max(seed+1, 1) }

// failures returns an error if the work was interrupted or a method failed.
func failures(ctx context.Context, done []comparison) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var failed []string
	for _, r := range done {
		at := ""
		if len(done) > 1 {
			at = " at scale " + formatScale(r.scale)
		}
		if r.err != nil {
			failed = append(failed, "the truth"+at+": "+r.err.Error())
		}
		for _, t := range r.trials {
			if t.err != nil {
				failed = append(failed, t.method+at+": "+t.err.Error())
			}
		}
	}
	if failed == nil {
		return nil
	}
	return errors.New("failed: " + strings.Join(failed, "; "))
}

func formatScale(s float64) string { return strconv.FormatFloat(s, 'g', -1, 64) }

// write draws the plot, writes the file and prints the comparison.
func (c *compareCmd) write(e *env, done []comparison) error {
	partial := ""
	if e.ctx.Err() != nil {
		partial = c.partial(done)
	}
	if c.Plot != "" {
		if err := c.plot(e, done, partial != ""); err != nil {
			return err
		}
	}
	full := c.json(done, partial != "")
	if c.Output != "" {
		if err := c.Output.writeJSON(full); err != nil {
			return err
		}
	}
	if c.Format == "json" {
		return e.printJSON(full)
	}
	return e.print(c.text(done, partial))
}

// partial says what was done before the interruption.
func (c *compareCmd) partial(done []comparison) string {
	last := done[len(done)-1]
	var methods []string
	for _, t := range last.trials {
		methods = append(methods, t.method)
	}
	if n, partial := last.samples(c.truthSamples()); partial {
		methods = append(methods, fmt.Sprintf("%d of %d samples of the truth", n, c.truthSamples()))
	}
	s := "interrupted after " + strings.Join(methods, ", ")
	if len(c.Scales) > 0 {
		s += fmt.Sprintf(" at scale %s, which is number %d of %d", formatScale(last.scale), len(done), len(c.Scales))
	}
	return s
}
