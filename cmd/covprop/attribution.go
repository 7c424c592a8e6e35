package main

import (
	"fmt"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
)

// inputCrossJSON is the covariance between an output and an input, rows for
// the output.
type inputCrossJSON struct {
	Output string      `json:"output"`
	Input  string      `json:"input"`
	Cov    [][]float64 `json:"cov"`
}

// attributionJSON has the shares of the variance of an output, a row for each
// of its elements; null for an element that has no variance.
type attributionJSON struct {
	Output string           `json:"output"`
	Inputs []inputShareJSON `json:"inputs"`
	Rest   []*float64       `json:"rest"` // interactions and nonlinearity
}

type inputShareJSON struct {
	Input  string      `json:"input"`
	Shares [][]float64 `json:"shares"` // (output, input)
	Total  []*float64  `json:"total"`  // the sum over the input's elements
}

// between returns the covariance between an output and an input.
func (r *findings) between(o covprop.Output, in graph.TensorInfo) blas64.General {
	return r.res.InputCov.Slice(o.Offset, o.Offset+o.Len, in.Offset, in.Offset+in.Len).(*mat.Dense).RawMatrix()
}

func (r *findings) inputCross() []inputCrossJSON {
	var cross []inputCrossJSON
	for _, o := range r.res.Outputs {
		for _, in := range r.inputs {
			cross = append(cross, inputCrossJSON{o.Name, in.Name, rowsOf(r.between(o, in))})
		}
	}
	return cross
}

// attribution returns the shares for JSON, or nil if there are none.
func (r *findings) attribution() []attributionJSON {
	if r.shares == nil {
		return nil
	}
	var all []attributionJSON
	for _, o := range r.res.Outputs {
		a := attributionJSON{Output: o.Name, Rest: make([]*float64, o.Len)}
		for _, in := range r.inputs {
			s := inputShareJSON{Input: in.Name, Shares: make([][]float64, o.Len), Total: make([]*float64, o.Len)}
			for k := range o.Len {
				if e := r.shares[o.Offset+k]; e.Shares != nil {
					s.Shares[k] = e.Shares[in.Offset:][:in.Len]
					s.Total[k], a.Rest[k] = known(floats.Sum(s.Shares[k])), known(e.Rest)
				}
			}
			a.Inputs = append(a.Inputs, s)
		}
		all = append(all, a)
	}
	return all
}

// maxShares is how many of the largest shares of an element are shown as text.
const maxShares = 5

// attributionText writes the largest shares of every output element and, where
// there are several inputs, those of the inputs as a whole.
func (r *findings) attributionText(p *page) {
	if r.shares == nil {
		return
	}
	for _, o := range r.res.Outputs {
		p.linef("\nshares of the variance of output %s", show(o.Name))
		header := []string{"index"}
		if len(r.inputs) > 1 {
			for _, in := range r.inputs {
				header = append(header, "all of "+show(in.Name))
			}
		}
		rows := [][]string{append(header, "interactions and nonlinear", "largest")}
		for k := range min(o.Len, maxRows) {
			rows = append(rows, r.shareRow(k, o.Offset+k))
		}
		p.table(rows, false)
		p.more(o.Len - maxRows)
	}
}

// shareRow has the shares of output element i, the k-th of its output.
func (r *findings) shareRow(k, i int) []string {
	row, a := []string{strconv.Itoa(k)}, r.shares[i]
	if a.Shares == nil {
		return append(row, "no variance")
	}
	if len(r.inputs) > 1 {
		for _, in := range r.inputs {
			row = append(row, share(floats.Sum(a.Shares[in.Offset:][:in.Len])))
		}
	}
	return append(append(row, share(a.Rest)), r.largest(a.Shares)...)
}

// largest names the elements of the inputs that have the largest shares.
func (r *findings) largest(shares []float64) []string {
	type element struct {
		name  string
		share float64
	}
	var all []element
	for _, in := range r.inputs {
		for k, s := range shares[in.Offset:][:in.Len] {
			all = append(all, element{fmt.Sprintf("%s[%d]", show(in.Name), k), s})
		}
	}
	slices.SortStableFunc(all, func(a, b element) int {
		switch {
		case a.share > b.share:
			return -1
		case a.share < b.share:
			return 1
		}
		return 0
	})
	var cells []string
	for _, e := range all[:min(len(all), maxShares)] {
		cells = append(cells, e.name+" "+share(e.share))
	}
	return cells
}

func share(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) + "%" }

// writeInputs writes input_cross/0_1, the covariance between output 0 and
// input 1, if it was asked for; and with --attribution attribution/0_1, its
// shares of the variance, and rest/0. Elements without variance have zeros
// there.
func (r *findings) writeInputs(z npzWriter, keepInput bool) error {
	for i, o := range r.res.Outputs {
		for j, in := range r.inputs {
			if keepInput {
				if err := z.matrix(fmt.Sprintf("input_cross/%d_%d", i, j), r.between(o, in)); err != nil {
					return err
				}
			}
			if r.shares == nil {
				continue
			}
			s := blas64.General{Rows: o.Len, Cols: in.Len, Stride: in.Len, Data: make([]float64, o.Len*in.Len)}
			for k := range o.Len {
				if a := r.shares[o.Offset+k]; a.Shares != nil {
					copy(s.Data[k*in.Len:], a.Shares[in.Offset:][:in.Len])
				}
			}
			if err := z.matrix(fmt.Sprintf("attribution/%d_%d", i, j), s); err != nil {
				return err
			}
		}
		if r.shares == nil {
			continue
		}
		rest := make([]float64, o.Len)
		for k := range rest {
			rest[k] = r.shares[o.Offset+k].Rest
		}
		if err := z.vector(fmt.Sprintf("rest/%d", i), rest); err != nil {
			return err
		}
	}
	return nil
}
