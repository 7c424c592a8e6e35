package main

import (
	"fmt"
	"io"

	"github.com/covprop/covprop/onnx"
)

type exportCmd struct {
	Model  string     `arg:"" help:"The model, a .cpb file."`
	Output outputFile `name:"output" short:"o" required:"" placeholder:"FILE.onnx" help:"The network."`
}

// Help is shown below the flags' summary.
func (c *exportCmd) Help() string {
	return `The network has the means of the weights as its weights, and of several members the mean of their outputs. It takes a row of the columns ` +
		`in their own units, categories as one number each, 1 for that which is there, and gives the target in its unit; with the likelihood gaussian also its log noise variance, ` +
		`and for classes their scores. The uncertainty of the weights is not in it.`
}

func (c *exportCmd) Run(e *env) error {
	if err := c.Output.check(".onnx"); err != nil {
		return err
	}
	f, err := readTrained(c.Model)
	if err != nil {
		return err
	}
	network, err := f.Mean()
	if err != nil {
		return fmt.Errorf("%s: %w", c.Model, err)
	}
	if err := c.Output.writeWith(func(w io.Writer) error { return onnx.Write(w, network) }); err != nil {
		return err
	}
	var p page
	p.linef("%s: inputs, in this order: %s", plain(string(c.Output)), plain(quoteList(f.Encoder.Names())))
	return e.print(p.Bytes())
}
