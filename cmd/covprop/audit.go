package main

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
)

// auditJSON is what an audit adds to a result. Unknown numbers are null.
type auditJSON struct {
	Method          string            `json:"method"` // whose moments are audited
	Verdict         string            `json:"verdict"`
	Reason          string            `json:"reason"`
	Samples         int               `json:"samples"`
	Seed            uint64            `json:"seed"`
	Outputs         []auditOutputJSON `json:"outputs"`
	Constant        []elementJSON     `json:"constant"` // those with the same value in all samples
	FirstBrokenNode *string           `json:"first_broken_node"`
	Nodes           []auditNodeJSON   `json:"nodes"`
}

// auditOutputJSON compares one output, element by element.
type auditOutputJSON struct {
	Name              string     `json:"name"`
	MeanDifferenceStd []*float64 `json:"mean_difference_std"`
	MeanDifferenceSE  []*float64 `json:"mean_difference_se"`
	StdRatio          []*float64 `json:"std_ratio"`
	StdRatioLow       []*float64 `json:"std_ratio_low"`
	StdRatioHigh      []*float64 `json:"std_ratio_high"`
}

type elementJSON struct {
	Name    string `json:"name"` // of the output
	Element int    `json:"element"`
}

type auditNodeJSON struct {
	Name           string   `json:"name"`
	Op             string   `json:"op"`
	MeanDifference *float64 `json:"mean_difference"`
	StdRatio       *float64 `json:"std_ratio"`
	Skewness       *float64 `json:"skewness"`
}

// newAuditJSON returns the audit of res, nil if there is none.
func newAuditJSON(method string, res *covprop.Result) *auditJSON {
	a := res.Audit
	if a == nil {
		return nil
	}
	r := &auditJSON{
		Method: audits(method), Verdict: a.Verdict.String(), Reason: a.Reason, Samples: a.Samples, Seed: a.Seed,
		Outputs: []auditOutputJSON{}, Constant: []elementJSON{}, Nodes: []auditNodeJSON{},
	}
	for _, o := range res.Outputs {
		of := func(x []float64) []*float64 {
			part := make([]*float64, o.Len)
			for i := range part {
				part[i] = known(x[o.Offset+i])
			}
			return part
		}
		r.Outputs = append(r.Outputs, auditOutputJSON{
			o.Name, of(a.MeanDifference), of(a.MeanDifferenceSE), of(a.StdRatio), of(a.StdRatioLow), of(a.StdRatioHigh),
		})
		for _, i := range a.Constant {
			if i >= o.Offset && i < o.Offset+o.Len {
				r.Constant = append(r.Constant, elementJSON{o.Name, i - o.Offset})
			}
		}
	}
	for _, n := range a.Nodes {
		r.Nodes = append(r.Nodes, auditNodeJSON{n.Name, n.Op, known(n.MeanDifference), known(n.StdRatio), known(n.Skewness)})
	}
	if a.FirstBroken >= 0 {
		r.FirstBrokenNode = &a.Nodes[a.FirstBroken].Name
	}
	return r
}

// minAudit is the smallest number of samples of an audit.
const minAudit = 32

// audits returns the method whose moments the audit of a method's result is
// about: auto audits those that it starts from.
func audits(method string) string {
	if method == auto {
		return moment
	}
	return method
}

// auditLine says in one line what the audit of a method's result found.
func auditLine(method string, a *covprop.Audit) string {
	of := ""
	if m := audits(method); m != method {
		of = "of the method " + m + ": "
	}
	s := of + fmt.Sprintf("%v (%d samples)", a.Verdict, a.Samples)
	difference, low, high := 0.0, math.Inf(1), math.Inf(-1)
	for i, r := range a.StdRatio {
		if d := a.MeanDifference[i]; !math.IsNaN(d) && !math.IsNaN(r) {
			difference, low, high = max(difference, math.Abs(d)), min(low, r), max(high, r)
		}
	}
	if a.Verdict == covprop.Consistent && low <= high {
		s += fmt.Sprintf(": mean within %s std, std ratio %s", short(difference), ratios(low, high))
	} else {
		s += ": " + plain(a.Reason)
	}
	if n := len(a.Constant); n > 0 {
		s += fmt.Sprintf("; %d of %d elements constant", n, len(a.StdRatio))
	}
	if a.FirstBroken >= 0 {
		n := a.Nodes[a.FirstBroken]
		s += fmt.Sprintf("; first broken node %q (%s)", n.Name, show(n.Op))
	}
	return s
}

// ratios writes a range of ratios as "0.99-1.01".
func ratios(low, high float64) string {
	a, b := digits3(low), digits3(high)
	if a == b {
		return a
	}
	return a + "-" + b
}

// nodeAudits writes the discrepancies node by node.
func (p *page) nodeAudits(a *covprop.Audit) {
	rows := [][]string{{"node", "op", "mean off by", "std ratio", "skewness"}}
	for i, n := range a.Nodes {
		row := []string{show(n.Name), show(n.Op), cell(n.MeanDifference), cell(n.StdRatio), cell(n.Skewness)}
		if i == a.FirstBroken {
			row = append(row, "breaks here")
		}
		rows = append(rows, row)
	}
	p.table(rows, false)
}

func cell(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return digits3(x)
}
