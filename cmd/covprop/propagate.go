package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/score"
)

type propagateCmd struct {
	modelFlags
	inputFlags
	Method string `enum:"moment,diagonal,linear,unscented,montecarlo,mixture,cumulant3,hybrid,auto" default:"moment" help:"moment (analytic, full covariance), diagonal (analytic, no covariances), linear, unscented, montecarlo, mixture (analytic, the input split into narrower Gaussians), cumulant3 (analytic, with third cumulants; for chains of wide random layers), hybrid (samples with the analytic gain as control variate) or auto (moment if the audit agrees, else hybrid) (default: ${default})."`
	methodFlags
	distributionFlags
	Audit       *int       `placeholder:"N" help:"Compare the result with N samples of the model, 0 for none (default for moment, diagonal, mixture and cumulant3: as many as resolve 1%, at most 50000, and at most 10^9 multiply-adds or half the propagation's if that is more; at least 32)."`
	Strict      bool       `help:"Refuse a model with a node that could only be linearised, and end with status 1 if the audit finds a closure error; standard error says if it could not tell or there was none (moment, diagonal, mixture, cumulant3, auto)."`
	KeepInput   bool       `help:"Add the covariance between outputs and inputs to the JSON and .npz forms (moment)."`
	Attribution bool       `help:"Show each input's share of the variance of each output (moment)."`
	Classify    bool       `help:"Show the probability of every class, and that the predicted one changes."`
	Format      string     `enum:"text,json" default:"text" help:"text or json (default: ${default})."`
	Output      outputFile `name:"output" short:"o" placeholder:"FILE" help:"Write the result to a .json or .npz file and only a summary to standard output."`
	Explain     bool       `help:"Show how exact every node was and, if the audit finds a closure error, how far off."`
}

// Help is shown below the flags' summary.
func (c *propagateCmd) Help() string {
	return `The output's mean and covariance follow from the input's by closed forms and certified series; ` +
		`the accuracy says which. The inputs' elements are counted row by row, and every input is uncertain or fixed.

A .npz file holds out0/mean, out0/std, out0/cov and so on for every output, cross/0_1 for the covariance between two, ` +
		`and names.json; with one output also mean, std and cov.`
}

func (c *propagateCmd) check() error {
	if err := c.inputFlags.check(); err != nil {
		return err
	}
	if err := c.methodFlags.check(c.Method); err != nil {
		return err
	}
	if err := c.distributionFlags.check(c.Method); err != nil {
		return err
	}
	switch {
	case c.Audit != nil && *c.Audit != 0 && *c.Audit < minAudit:
		return usagef("--audit must be at least %d samples, or 0 for none, not %d", minAudit, *c.Audit)
	case c.Audit != nil && c.Method == auto:
		return usagef("--audit has no meaning for the method auto, which takes the samples that it needs")
	case c.Audit != nil && *c.Audit > 0 && sampling(c.Method):
		return usagef("--audit has no meaning for the method %s, which itself samples", c.Method)
	case c.Sampler != "random" && c.Method != monteCarlo:
		return usagef("--sampler has no meaning for the method %s: it says how the method montecarlo draws its samples", c.Method)
	case c.Strict && !analytic(c.Method):
		return usagef("--strict has no meaning for the method %s, which does not work node by node", c.Method)
	case c.KeepInput && c.Method != moment:
		return usagef("--keep-input needs --method moment: the method %s has no covariances with the input", c.Method)
	case c.Attribution && c.Method != moment:
		return usagef("--attribution needs --method moment: the method %s has no covariances with the input", c.Method)
	}
	return c.Output.check(".json", ".npz")
}

// auditing returns whether to audit: by default what rests on the Gaussian
// closure.
func (c *propagateCmd) auditing() auditing {
	if c.Audit == nil {
		return auditing{on: analytic(c.Method) && c.Method != auto}
	}
	return auditing{on: *c.Audit > 0, samples: *c.Audit}
}

func (c *propagateCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	net, in, err := readTask(&c.modelFlags, &c.inputFlags, &c.methodFlags)
	if err != nil {
		return err
	}
	var logits *graph.Network
	if c.Classify {
		if logits, err = logitsOf(net); err != nil {
			return fmt.Errorf("%s: %w", c.Model, err)
		}
	}
	t := task{
		model: c.Model, method: c.Method, seed: c.Seed, samples: c.Samples, net: net, in: in, flags: &c.methodFlags,
		audit: c.auditing(), strict: c.Strict, keepInput: c.KeepInput || c.Attribution,
	}
	r := findings{inputs: net.Inputs()}
	if r.res, r.elapsed, err = t.run(e, "propagating"); err != nil {
		if r.res.Audit == nil {
			return err
		}
		// The moments are there; only their audit was interrupted.
		return errors.Join(err, c.write(&env{ctx: context.WithoutCancel(e.ctx), stdout: e.stdout, stderr: e.stderr}, &r))
	}
	if c.Attribution {
		variance := make([]float64, r.res.Dim())
		r.res.Cov.VarianceTo(variance)
		if r.shares, err = score.Attribute(in.Cov, r.res.InputCov, variance); err != nil {
			return err
		}
	}
	if c.Classify {
		if r.classes, err = t.classify(e, logits, &r.res); err != nil {
			return err
		}
	}
	if err := c.write(e, &r); err != nil {
		return err
	}
	if a := r.res.Audit; c.Strict && c.Method != auto && a != nil && a.Verdict == covprop.ClosureError {
		return fmt.Errorf("%s: --strict: the audit finds a closure error: %s", c.Model, a.Reason)
	}
	c.warn(e, r.res.Audit)
	return nil
}

// warn says on standard error that --strict was satisfied without an audit that could
// tell.
func (c *propagateCmd) warn(e *env, a *covprop.Audit) {
	switch {
	case !c.Strict || c.Method == auto || c.Method == mixture:
	case a == nil:
		fmt.Fprintln(e.stderr, "covprop: --strict: nothing was audited")
	case a.Verdict == covprop.Inconclusive:
		fmt.Fprintf(e.stderr, "covprop: --strict: the audit is inconclusive: %s\n", plain(a.Reason))
	}
}

// findings are what propagate found out.
type findings struct {
	inputs  []graph.TensorInfo
	res     covprop.Result
	elapsed time.Duration
	shares  []score.Attribution // by output element, with --attribution
	classes *classes            // with --classify
}

// write writes the result to the file, if there is one, and to standard
// output.
func (c *propagateCmd) write(e *env, r *findings) error {
	var seed *uint64
	if sampling(c.Method) {
		seed = &c.Seed
	}
	full := newResultJSON(c.Model, c.Method, seed, &r.res, r.elapsed)
	if c.KeepInput {
		full.InputCross = r.inputCross()
	}
	full.Mixture = newMixtureJSON(&c.distributionFlags, &r.res)
	full.Attribution, full.Classify = r.attribution(), r.classes.json()
	if err := e.ctx.Err(); err != nil {
		return err
	}
	var err error
	switch c.Output.ext() {
	case ".json":
		err = c.Output.writeJSON(full)
	case ".npz":
		err = c.Output.writeWith(func(w io.Writer) error { return writeNPZ(w, r, c.KeepInput) })
	}
	switch {
	case err != nil:
		return err
	case c.Format == "text":
		return e.print(c.text(r))
	case c.Output != "":
		return e.printJSON(full.summary(string(c.Output)))
	}
	return e.printJSON(full)
}

// text lays out the result or, if it went to a file, a summary of it.
func (c *propagateCmd) text(r *findings) []byte {
	var p page
	res := &r.res
	p.linef("model     %s", c.Model)
	if c.Method == monteCarlo {
		sampler := ""
		if c.Sampler != "random" {
			sampler = c.Sampler + ", "
		}
		p.linef("method    %s, %s%d samples, seed %d", c.Method, sampler, res.StandardErrors.Samples, c.Seed)
	} else {
		p.linef("method    %s", c.Method)
	}
	if c.Output != "" {
		for _, o := range res.Outputs {
			p.linef("output    %s (%s)", show(o.Name), formatShape(o.Shape))
		}
		p.linef("written   %s", string(c.Output))
	} else {
		c.outputs(&p, res)
		if c.KeepInput {
			p.linef("\nthe covariances with the input are in the JSON and .npz forms")
		}
		newMixtureJSON(&c.distributionFlags, res).text(&p)
		r.attributionText(&p)
		r.classes.text(&p)
		p.linef("")
	}
	p.linef("accuracy  %s", accuracyLine(res))
	audited := ""
	if res.Audit != nil {
		p.linef("audit     %s", auditLine(c.Method, res.Audit))
		audited = ", with the audit"
	}
	p.linef("time      %s%s", formatTime(r.elapsed), audited)
	if c.Explain && len(res.Nodes) > 0 {
		p.linef("\nnodes: how exact each is, given that its input is Gaussian; bounds are relative to the standard deviations")
		p.nodes(res.Nodes)
	} else if c.Explain {
		p.linef("\nthe method %s does not work node by node: there is nothing to explain", c.Method)
	}
	if c.Explain && res.Audit != nil && len(res.Audit.Nodes) > 0 {
		p.linef("\naudit of the nodes, root mean squares over their elements: mean off by, in standard deviations; analytic standard deviation over the sampled one; largest skewness; \"breaks here\": the first node that is off by more than an audit allows, as far as so many samples show")
		p.nodeAudits(res.Audit)
	}
	return p.Bytes()
}

func (c *propagateCmd) outputs(p *page, res *covprop.Result) {
	for i, o := range res.Outputs {
		p.linef("\noutput %s (%s)", show(o.Name), formatShape(o.Shape))
		g := res.Output(i)
		var se []float64
		if res.StandardErrors != nil {
			se = res.StandardErrors.Mean[o.Offset : o.Offset+o.Len]
		}
		p.moments(g.Mean, g.Std(), se)
		if cov, ok := res.Cross(i, i); ok && o.Len > 1 && o.Len <= maxCovariance {
			p.linef("  covariance")
			p.matrix(cov)
		}
	}
	if len(res.Outputs) > 1 {
		if _, ok := res.Cross(0, 1); ok {
			p.linef("\nthe covariances between outputs are in the JSON and .npz forms")
		}
	}
}

// formatTime writes a duration to three digits.
func formatTime(d time.Duration) string {
	for unit := time.Duration(1); ; unit *= 10 {
		if d < 1000*unit {
			return strings.Replace(d.Round(unit).String(), "µ", "u", 1)
		}
	}
}
