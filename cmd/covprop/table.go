package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

const (
	// maxRows is how many elements of an output are shown as text.
	maxRows = 12
	// maxCovariance is the largest covariance matrix that is shown as text.
	maxCovariance = 8
)

// A page collects the text of a command.
type page struct{ bytes.Buffer }

func (p *page) linef(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// table writes rows of text in aligned columns. Columns are aligned to the
// right if they hold numbers.
func (p *page) table(rows [][]string, numbers bool) {
	flags := uint(0)
	if numbers {
		flags = tabwriter.AlignRight
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', flags)
	for _, r := range rows {
		fmt.Fprintln(w, "  "+strings.Join(r, "\t")+"\t")
	}
	w.Flush() // to memory: cannot fail
	for line := range strings.Lines(b.String()) {
		p.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}

// matrix writes a small matrix.
func (p *page) matrix(a blas64.General) {
	var rows [][]string
	for _, r := range rowsOf(a) {
		var row []string
		for _, x := range r {
			row = append(row, number(x))
		}
		rows = append(rows, row)
	}
	p.table(rows, true)
}

// moments writes the mean and the standard deviation of every element, and if
// se is not nil the standard error of the mean.
func (p *page) moments(mean, std, se []float64) {
	header := []string{"index", "mean", "std"}
	if se != nil {
		header = append(header, "error of mean")
	}
	rows := [][]string{header}
	shown := min(len(mean), maxRows)
	for i := range shown {
		row := []string{strconv.Itoa(i), number(mean[i]), number(std[i])}
		if se != nil {
			row = append(row, short(se[i]))
		}
		rows = append(rows, row)
	}
	p.table(rows, true)
	p.more(len(mean) - shown)
}

// more says that rows were left out.
func (p *page) more(n int) {
	if n > 0 {
		p.linef("  ... and %d more (--format json shows all)", n)
	}
}

// nodes writes the accuracy of every node.
func (p *page) nodes(nodes []covprop.NodeAccuracy) {
	rows := [][]string{{"node", "op", "rule", "status", "bound", "reason"}}
	for _, n := range nodes {
		rows = append(rows, []string{show(n.Name), show(n.Op), n.Rule, n.Status.String(), bound(n.Accuracy), plain(n.Reason)})
	}
	p.table(rows, false)
}

// accuracyLine says in one line how exact a result is, and which node is the
// worst.
func accuracyLine(res *covprop.Result) string {
	line := describe(res.Accuracy)
	if len(res.Nodes) == 0 || res.Accuracy.Status == covprop.Exact {
		return line
	}
	worst := res.Nodes[0]
	for _, n := range res.Nodes[1:] {
		if worst.Worse(n.Accuracy) != worst.Accuracy {
			worst = n
		}
	}
	if worst.Status == covprop.Exact {
		return line + "; every node is exact"
	}
	return fmt.Sprintf("%s; worst node %q (%s): %s", line, worst.Name, show(worst.Op), describe(worst.Accuracy))
}

// describe writes an accuracy as "approximate (Gaussian closure)" or
// "certified, bound 1e-10".
func describe(a covprop.Accuracy) string {
	s := a.Status.String()
	if a.Reason != "" {
		s += " (" + plain(a.Reason) + ")"
	}
	switch {
	case a.Status == covprop.Certified:
		s += ", bound " + bound(a)
	case a.Status == covprop.Approximate && finite(a.Bound) && a.Bound > 0:
		s += ", estimate " + bound(a)
	}
	return s
}

func bound(a covprop.Accuracy) string {
	if a.Status == covprop.Exact {
		return "0"
	}
	if !finite(a.Bound) {
		return "unknown"
	}
	return short(a.Bound)
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
func short(x float64) string  { return strconv.FormatFloat(x, 'g', 2, 64) }

// show returns a name from the model for a table: quoted if it is empty or
// could disturb the terminal or the columns.
func show(name string) string {
	odd := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }
	if name == "" || strings.ContainsFunc(name, odd) {
		return strconv.Quote(name)
	}
	return name
}

// plain replaces control characters, which could steer the terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
