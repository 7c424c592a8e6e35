package main

import (
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

// A measure is one of the errors that a table over scales shows: of a method,
// and of the truth itself.
type measure struct {
	title  string
	method func(s *scores) (*float64, string)
	truth  func(r *covprop.Result, i int) float64 // nil if it has none
}

var measures = []measure{
	{
		"error of the mean: root mean square, in true standard deviations",
		func(s *scores) (*float64, string) { return s.meanStd, s.meanStdWhy }, meanResolution,
	},
	{
		"error of the covariance: Frobenius norm, relative to the truth",
		func(s *scores) (*float64, string) { return s.cov, s.covWhy }, covResolution,
	},
	{
		"KL(truth || method) in nats",
		func(s *scores) (*float64, string) { return s.kl, s.klWhy }, nil,
	},
}

// meanResolution returns the root mean square of the standard errors of the
// mean of output i, in standard deviations; elements that do not vary have
// none. It is NaN if there is no other element.
func meanResolution(r *covprop.Result, i int) float64 {
	sum, n := 0.0, 0
	std := r.Output(i).Std()
	for k, s := range std {
		if s > 0 {
			e := r.StandardErrors.Mean[r.Outputs[i].Offset+k] / s
			sum, n = sum+e*e, n+1
		}
	}
	return math.Sqrt(sum / float64(n))
}

// covResolution returns the Frobenius norm of the standard errors of the
// covariance of output i, relative to that of the covariance. It is NaN if
// the covariance is zero.
func covResolution(r *covprop.Result, i int) float64 {
	o := r.Outputs[i]
	cov, _ := r.Cross(i, i)
	norm := func(at func(j, k int) float64) float64 {
		row := make([]float64, o.Len)
		norms := make([]float64, o.Len)
		for j := range norms {
			for k := range row {
				row[k] = at(j, k)
			}
			norms[j] = blas64.Nrm2(blas64.Vector{N: o.Len, Inc: 1, Data: row})
		}
		return blas64.Nrm2(blas64.Vector{N: o.Len, Inc: 1, Data: norms})
	}
	return norm(func(j, k int) float64 { return r.StandardErrors.Cov.At(o.Offset+j, o.Offset+k) }) /
		norm(func(j, k int) float64 { return cov.Data[j*cov.Stride+k] })
}

// of returns a method's trial, nil if it was not reached.
func (r *comparison) of(method string) *trial {
	for i := range r.trials {
		if r.trials[i].method == method {
			return &r.trials[i]
		}
	}
	return nil
}

// scales lays out the comparisons at several scales: for every output and
// measure a table with one column a scale.
func (p *page) scales(methods []string, done []comparison) {
	for i, o := range outputsOf(done) {
		p.linef("\noutput %s (%s)", show(o.Name), formatShape(o.Shape))
		for _, m := range measures {
			p.linef("  %s", m.title)
			p.measured(m, i, methods, done)
		}
	}
	p.linef("\ntime")
	p.times(methods, done)
	p.linef("\n(truth): the truth's own standard error; errors of that size cannot be told from none")
}

// outputsOf returns the outputs; none if no scale has a result.
func outputsOf(done []comparison) []covprop.Output {
	for _, r := range done {
		if r.err == nil {
			return r.truth.Outputs
		}
	}
	return nil
}

func scaleHeader(done []comparison) []string {
	header := []string{left("scale")}
	for _, r := range done {
		header = append(header, formatScale(r.scale))
	}
	return header
}

// measured writes a measure of output i, one row a method and one for the
// truth.
func (p *page) measured(m measure, i int, methods []string, done []comparison) {
	t := scoreTable{rows: [][]string{scaleHeader(done)}}
	for _, method := range methods {
		row := []string{left(method)}
		for k := range done {
			at := " at scale " + formatScale(done[k].scale)
			r := done[k].of(method)
			switch {
			case done[k].err != nil:
				row = append(row, t.cell("truth"+at, nil, oneLine(done[k].err)))
			case r == nil:
				row = append(row, t.cell(method+at, nil, "not reached"))
			case r.err != nil:
				row = append(row, t.cell(method+at, nil, oneLine(r.err)))
			default:
				x, why := m.method(&r.scores[i])
				row = append(row, t.cell(method+at, x, why))
			}
		}
		t.rows = append(t.rows, row)
	}
	if m.truth != nil {
		row := []string{left("(truth)")}
		for k := range done {
			cell := "-"
			if done[k].err == nil {
				if x := m.truth(&done[k].truth, i); finite(x) {
					cell = digits3(x)
				}
			}
			row = append(row, cell)
		}
		t.rows = append(t.rows, row)
	}
	t.write(p)
}

// times writes the time that every method took, one row a method.
func (p *page) times(methods []string, done []comparison) {
	rows := [][]string{scaleHeader(done)}
	for _, method := range methods {
		row := []string{left(method)}
		for k := range done {
			switch r := done[k].of(method); {
			case r == nil:
				row = append(row, "-")
			case r.err != nil:
				row = append(row, "failed")
			default:
				row = append(row, formatTime(r.elapsed))
			}
		}
		rows = append(rows, row)
	}
	p.table(rows, true)
}
