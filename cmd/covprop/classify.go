package main

import (
	"fmt"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/floats"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/classify"
	"github.com/covprop/covprop/graph"
)

// logitsOf returns the network of the logits, or an error that says why there
// is none.
func logitsOf(net *graph.Network) (*graph.Network, error) {
	logits, ok := net.Logits()
	if ok {
		return logits, nil
	}
	outputs := net.Outputs()
	if len(outputs) > 1 {
		names := make([]string, len(outputs))
		for i, o := range outputs {
			names[i] = o.Name
		}
		return nil, fmt.Errorf("--classify needs a model with one output, but this one has %d: %s", len(outputs), quoteList(names))
	}
	o := outputs[0]
	return nil, fmt.Errorf("--classify needs an output that is one vector of at least two logits that depend on the input, but %q has the shape %s",
		o.Name, formatShape(o.Shape))
}

// classes are the probabilities of the classes.
type classes struct {
	classify.Result
	output    string
	predicted int     // by the forward pass at the mean input
	change    float64 // the probability of all others
}

// classify finds the probabilities of the classes. res is the result of t's
// network, which need not be computed again if the logits are its output.
func (t *task) classify(e *env, logits *graph.Network, res *covprop.Result) (*classes, error) {
	if logits != t.net {
		u := *t
		u.net, u.keepInput = logits, false
		r, _, err := u.run(e, "logits")
		if err != nil {
			return nil, err
		}
		res = &r
	}
	p, err := classify.Probabilities(e.ctx, res.Gaussian, classify.Options{Seed: t.flags.Seed})
	if err != nil {
		return nil, err
	}
	at := make([]float64, logits.OutputDim())
	if err := logits.EvalTo(at, t.in.Mean); err != nil {
		return nil, err
	}
	c := &classes{Result: p, output: res.Outputs[0].Name, predicted: floats.MaxIdx(at)}
	for i, p := range p.P {
		if i != c.predicted { // 1 - P[predicted] would cancel
			c.change += p
		}
	}
	return c, nil
}

// classifyJSON is what --classify adds. The accuracy is that of the
// probabilities of Gaussian logits.
type classifyJSON struct {
	Output            string              `json:"output"`
	Predicted         int                 `json:"predicted"`
	Probabilities     []float64           `json:"probabilities"`
	StandardErrors    []float64           `json:"standard_errors"`
	ChangeProbability float64             `json:"change_probability"`
	Accuracy          summaryAccuracyJSON `json:"accuracy"`
}

func (c *classes) json() *classifyJSON {
	if c == nil {
		return nil
	}
	return &classifyJSON{
		Output: c.output, Predicted: c.predicted, Probabilities: c.P, StandardErrors: c.StandardErrors, ChangeProbability: c.change,
		Accuracy: summaryAccuracyJSON{c.Accuracy.Status.String(), c.Accuracy.Reason, known(c.Accuracy.Bound)},
	}
}

// text writes the probabilities of the classes.
func (c *classes) text(p *page) {
	if c == nil {
		return
	}
	p.linef("\nclasses by the logits %s, if they are Gaussian: %s", show(c.output), describe(c.Accuracy))
	rows := [][]string{strings.Fields("class probability s.e.")}
	for i := range min(len(c.P), maxRows) {
		rows = append(rows, []string{strconv.Itoa(i), number(c.P[i]), short(c.StandardErrors[i])})
	}
	p.table(rows, true)
	p.more(len(c.P) - maxRows)
	p.linef("  predicted %d; it changes with probability %s", c.predicted, number(c.change))
}

// write writes classify/probabilities and classify/standard_errors.
func (c *classes) write(z npzWriter) error {
	if c == nil {
		return nil
	}
	if err := z.vector("classify/probabilities", c.P); err != nil {
		return err
	}
	return z.vector("classify/standard_errors", c.StandardErrors)
}
