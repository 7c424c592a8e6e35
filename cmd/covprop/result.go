package main

import (
	"time"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

// resultJSON is what propagate writes. Unknown numbers are null.
type resultJSON struct {
	Schema    int          `json:"schema"`
	Version   string       `json:"version"`
	Model     string       `json:"model"`
	Method    string       `json:"method"`
	Seed      *uint64      `json:"seed"`
	Samples   int          `json:"samples,omitempty"` // of sampling methods
	Outputs   []outputJSON `json:"outputs"`
	Cross     []crossJSON  `json:"cross"`
	Accuracy  accuracyJSON `json:"accuracy"`
	ElapsedMS float64      `json:"elapsed_ms"`

	Audit       *auditJSON        `json:"audit,omitempty"`       // unless --audit 0
	Mixture     *mixtureJSON      `json:"mixture,omitempty"`     // of the method mixture
	InputCross  []inputCrossJSON  `json:"input_cross,omitempty"` // with --keep-input
	Attribution []attributionJSON `json:"attribution,omitempty"` // with --attribution
	Classify    *classifyJSON     `json:"classify,omitempty"`    // with --classify
}

type outputJSON struct {
	Name  string      `json:"name"`
	Shape []int       `json:"shape"`
	Mean  []float64   `json:"mean"`
	Std   []float64   `json:"std"`
	Cov   [][]float64 `json:"cov,omitempty"` // absent if the method has no covariances
	// Standard errors, of sampling methods; null where unknown.
	MeanSE []*float64 `json:"mean_se,omitempty"`
	StdSE  []*float64 `json:"std_se,omitempty"`
}

// crossJSON is the covariance between two outputs, rows for a.
type crossJSON struct {
	A   string      `json:"a"`
	B   string      `json:"b"`
	Cov [][]float64 `json:"cov"`
}

type accuracyJSON struct {
	Status string     `json:"status"`
	Reason string     `json:"reason"`
	Bound  *float64   `json:"bound"`
	Nodes  []nodeJSON `json:"nodes"`
}

type nodeJSON struct {
	Name   string   `json:"name"`
	Op     string   `json:"op"`
	Rule   string   `json:"rule"`
	Status string   `json:"status"`
	Bound  *float64 `json:"bound"`
	Reason string   `json:"reason"`
}

func newResultJSON(model, method string, seed *uint64, res *covprop.Result, elapsed time.Duration) *resultJSON {
	r := &resultJSON{
		Schema: 1, Version: covprop.Version, Model: model, Method: method, Seed: seed,
		Cross: []crossJSON{}, ElapsedMS: milliseconds(elapsed),
		Accuracy: accuracyJSON{
			Status: res.Accuracy.Status.String(), Reason: res.Accuracy.Reason,
			Bound: known(res.Accuracy.Bound), Nodes: []nodeJSON{},
		},
	}
	r.Audit = newAuditJSON(method, res)
	r.Outputs = newOutputsJSON(res, true)
	if se := res.StandardErrors; se != nil {
		r.Samples = se.Samples
	}
	for i, o := range res.Outputs {
		for j := i + 1; j < len(res.Outputs); j++ {
			if cov, ok := res.Cross(i, j); ok {
				r.Cross = append(r.Cross, crossJSON{A: o.Name, B: res.Outputs[j].Name, Cov: rowsOf(cov)})
			}
		}
	}
	for _, n := range res.Nodes {
		r.Accuracy.Nodes = append(r.Accuracy.Nodes, nodeJSON{
			Name: n.Name, Op: n.Op, Rule: n.Rule,
			Status: n.Status.String(), Bound: known(n.Bound), Reason: n.Reason,
		})
	}
	return r
}

// newOutputsJSON has the moments of all outputs, with covariances if those are asked
// for.
func newOutputsJSON(res *covprop.Result, covariances bool) []outputJSON {
	outputs := []outputJSON{}
	for i, o := range res.Outputs {
		g := res.Output(i)
		out := outputJSON{Name: o.Name, Shape: nonNil(o.Shape), Mean: g.Mean, Std: g.Std()}
		if cov, ok := res.Cross(i, i); ok && covariances {
			out.Cov = rowsOf(cov)
		}
		if se := res.StandardErrors; se != nil {
			for k, s := range out.Std {
				out.MeanSE = append(out.MeanSE, known(se.Mean[o.Offset+k]))
				out.StdSE = append(out.StdSE, known(stdError(se.Cov.At(o.Offset+k, o.Offset+k), s)))
			}
		}
		outputs = append(outputs, out)
	}
	return outputs
}

// summaryJSON is what propagate prints if the result went to a file.
type summaryJSON struct {
	Schema    int                 `json:"schema"`
	Version   string              `json:"version"`
	Model     string              `json:"model"`
	Method    string              `json:"method"`
	Seed      *uint64             `json:"seed"`
	File      string              `json:"file"`
	Outputs   []summaryOutputJSON `json:"outputs"`
	Accuracy  summaryAccuracyJSON `json:"accuracy"`
	Audit     *auditJSON          `json:"audit,omitempty"`
	ElapsedMS float64             `json:"elapsed_ms"`
}

type summaryOutputJSON struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

type summaryAccuracyJSON struct {
	Status string   `json:"status"`
	Reason string   `json:"reason"`
	Bound  *float64 `json:"bound"`
}

func (r *resultJSON) summary(file string) *summaryJSON {
	s := &summaryJSON{
		Schema: r.Schema, Version: r.Version, Model: r.Model, Method: r.Method, Seed: r.Seed,
		File: file, Outputs: []summaryOutputJSON{}, ElapsedMS: r.ElapsedMS,
		Accuracy: summaryAccuracyJSON{Status: r.Accuracy.Status, Reason: r.Accuracy.Reason, Bound: r.Accuracy.Bound},
		Audit:    r.Audit,
	}
	for _, o := range r.Outputs {
		s.Outputs = append(s.Outputs, summaryOutputJSON{Name: o.Name, Shape: o.Shape})
	}
	return s
}

// stdError returns the standard error of a standard deviation from that of its
// square.
func stdError(variance, std float64) float64 {
	if variance == 0 {
		return 0
	}
	return variance / (2 * std)
}

// known returns x for JSON: nil, which is null there, if it is not finite.
func known(x float64) *float64 {
	if !finite(x) {
		return nil
	}
	return &x
}

// nonNil returns shape so that a scalar's is [] in JSON, not null.
func nonNil(shape []int) []int {
	if shape == nil {
		return []int{}
	}
	return shape
}

// rowsOf returns the rows of a, which share its memory.
func rowsOf(a blas64.General) [][]float64 {
	rows := make([][]float64, a.Rows)
	for i := range rows {
		rows[i] = a.Data[i*a.Stride:][:a.Cols]
	}
	return rows
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
