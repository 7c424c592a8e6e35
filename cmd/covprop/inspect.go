package main

import (
	"github.com/covprop/covprop"
	"github.com/covprop/covprop/onnx"
)

type inspectCmd struct {
	modelFlags
	Format string `enum:"text,json" default:"text" help:"text or json (default: ${default})."`
}

func (c *inspectCmd) Run(e *env) error {
	d, err := c.describe()
	if err != nil {
		return err
	}
	if err := e.ctx.Err(); err != nil {
		return err
	}
	if c.Format == "json" {
		return e.printJSON(newInspectJSON(c.Model, d))
	}
	return e.print(inspectText(c.Model, d))
}

// inspectJSON is what inspect writes. Dimensions that are not known are null,
// and so is the memory of a model that cannot be propagated; Error says why
// not.
type inspectJSON struct {
	Schema     int               `json:"schema"`
	Model      string            `json:"model"`
	Inputs     []tensorJSON      `json:"inputs"`
	Outputs    []tensorJSON      `json:"outputs"`
	Parameters int64             `json:"parameters"`
	Nodes      []inspectNodeJSON `json:"nodes"`
	Memory     *memoryJSON       `json:"memory"`
	Error      string            `json:"error,omitempty"`
}

type tensorJSON struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []*int `json:"shape"`
}

type inspectNodeJSON struct {
	Name   string `json:"name"`
	Op     string `json:"op"`
	Rule   string `json:"rule"`
	Status string `json:"status"`
	Reason string `json:"reason"`
	Shape  []*int `json:"shape"`
}

type memoryJSON struct {
	PeakBytes int64 `json:"peak_bytes"`
}

func newInspectJSON(model string, d *onnx.Description) *inspectJSON {
	r := &inspectJSON{
		Schema: 1, Model: model, Parameters: d.Parameters,
		Inputs: tensorsJSON(d.Inputs), Outputs: tensorsJSON(d.Outputs), Nodes: []inspectNodeJSON{},
	}
	for _, n := range d.Nodes {
		r.Nodes = append(r.Nodes, inspectNodeJSON{
			Name: n.Name, Op: n.Op, Rule: n.Rule, Status: n.Status, Reason: n.Reason, Shape: shapeJSON(n.Shape),
		})
	}
	if d.Network != nil {
		r.Memory = &memoryJSON{d.Network.PeakBytes()}
	} else if d.Err != nil {
		r.Error = d.Err.Error()
	}
	return r
}

func tensorsJSON(tensors []onnx.TensorInfo) []tensorJSON {
	list := []tensorJSON{}
	for _, t := range tensors {
		list = append(list, tensorJSON{Name: t.Name, DType: t.DType, Shape: shapeJSON(t.Shape)})
	}
	return list
}

// shapeJSON returns a shape whose unknown dimensions are null; a shape that is
// not known at all is null itself.
func shapeJSON(shape []int) []*int {
	if shape == nil {
		return nil
	}
	dims := make([]*int, len(shape))
	for i := range shape {
		if shape[i] >= 0 {
			dims[i] = &shape[i]
		}
	}
	return dims
}

func inspectText(model string, d *onnx.Description) []byte {
	var p page
	p.linef("model       %s", model)
	p.linef("parameters  %d", d.Parameters)
	if d.Network != nil {
		p.linef("memory      %s at the peak, for a full input covariance", covprop.FormatBytes(d.Network.PeakBytes()))
	} else if d.Err != nil {
		p.linef("memory      unknown: the model cannot be propagated as it is")
		p.linef("error       %s", oneLine(d.Err))
	}
	p.linef("\ninputs")
	p.tensors(d.Inputs)
	p.linef("\noutputs")
	p.tensors(d.Outputs)
	p.linef("\nnodes: how exact each can be, given that its input is Gaussian")
	rows := [][]string{{"node", "op", "rule", "status", "shape", "reason"}}
	for _, n := range d.Nodes {
		shape := "?"
		if n.Shape != nil {
			shape = formatShape(n.Shape)
		}
		rule := "-"
		if n.Rule != "" {
			rule = n.Rule
		}
		rows = append(rows, []string{show(n.Name), show(n.Op), rule, n.Status, shape, plain(n.Reason)})
	}
	p.table(rows, false)
	return p.Bytes()
}

func (p *page) tensors(tensors []onnx.TensorInfo) {
	var rows [][]string
	for _, t := range tensors {
		rows = append(rows, []string{show(t.Name), t.DType, formatShape(t.Shape)})
	}
	p.table(rows, false)
}
