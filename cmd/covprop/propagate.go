package main

import (
	"io"
	"strings"
	"time"

	"github.com/covprop/covprop"
)

type propagateCmd struct {
	modelFlags
	inputFlags
	Method string `enum:"moment,diagonal,linear,unscented,montecarlo" default:"moment" help:"moment (analytic, full covariance), diagonal (analytic, no covariances), linear, unscented or montecarlo (default: ${default})."`
	methodFlags
	Format  string     `enum:"text,json" default:"text" help:"text or json (default: ${default})."`
	Output  outputFile `name:"output" short:"o" placeholder:"FILE" help:"Write the result to a .json or .npz file and only a summary to standard output."`
	Explain bool       `help:"Show how exact every node was."`
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
	if err := c.methodFlags.check(); err != nil {
		return err
	}
	return c.Output.check(".json", ".npz")
}

func (c *propagateCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	net, in, err := readTask(&c.modelFlags, &c.inputFlags, &c.methodFlags)
	if err != nil {
		return err
	}
	t := task{method: c.Method, seed: c.Seed, net: net, in: in, flags: &c.methodFlags}
	res, elapsed, err := t.run(e, "propagating")
	if err != nil {
		return err
	}
	return c.write(e, &res, elapsed)
}

// write writes the result to the file, if there is one, and to standard
// output.
func (c *propagateCmd) write(e *env, res *covprop.Result, elapsed time.Duration) error {
	var seed *uint64
	if c.Method == monteCarlo {
		seed = &c.Seed
	}
	full := newResultJSON(c.Model, c.Method, seed, res, elapsed)
	if err := e.ctx.Err(); err != nil {
		return err
	}
	var err error
	switch c.Output.ext() {
	case ".json":
		err = c.Output.writeJSON(full)
	case ".npz":
		err = c.Output.writeWith(func(w io.Writer) error { return writeNPZ(w, res) })
	}
	switch {
	case err != nil:
		return err
	case c.Format == "text":
		return e.print(c.text(res, elapsed))
	case c.Output != "":
		return e.printJSON(full.summary(string(c.Output)))
	}
	return e.printJSON(full)
}

// text lays out the result or, if it went to a file, a summary of it.
func (c *propagateCmd) text(res *covprop.Result, elapsed time.Duration) []byte {
	var p page
	p.linef("model     %s", c.Model)
	if c.Method == monteCarlo {
		p.linef("method    %s, %d samples, seed %d", c.Method, c.Samples, c.Seed)
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
		p.linef("")
	}
	p.linef("accuracy  %s", accuracyLine(res))
	p.linef("time      %s", formatTime(elapsed))
	if c.Explain && len(res.Nodes) > 0 {
		p.linef("\nnodes: how exact each is, given that its input is Gaussian; bounds are relative to the standard deviations")
		p.nodes(res.Nodes)
	} else if c.Explain {
		p.linef("\nthe method %s does not work node by node: there is nothing to explain", c.Method)
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
