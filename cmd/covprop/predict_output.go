package main

import (
	"encoding/csv"
	"io"
	"strconv"

	"github.com/covprop/covprop"
)

// finish joins the accuracies of the examples.
func (t *predictions) finish() {
	for i := range t.parts {
		t.accuracy, t.density = t.accuracy.And(t.parts[i][0]), t.density.And(t.parts[i][1])
	}
	t.Accuracy, t.Density = newAccuracyJSON(t.accuracy), newAccuracyJSON(t.density)
}

func newAccuracyJSON(a covprop.Accuracy) accuracyJSON {
	return accuracyJSON{Status: a.Status.String(), Reason: a.Reason, Bound: known(a.Bound), Nodes: []nodeJSON{}}
}

// writeCSV writes a header and a row for every example; what is not known is empty.
func (t *predictions) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	header := t.Columns
	if t.Class != nil {
		header = append([]string{t.Target}, header...)
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for i, row := range t.Rows {
		var fields []string
		if t.Class != nil {
			fields = append(fields, t.Class[i])
		}
		for _, x := range row {
			field := ""
			if x != nil {
				field = strconv.FormatFloat(*x, 'g', -1, 64)
			}
			fields = append(fields, field)
		}
		if err := out.Write(fields); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// text shows the first rows, or where they were written.
func (t *predictions) text(file string) []byte {
	var p page
	p.linef("%s, %d rows", show(t.Target), len(t.Rows))
	p.linef("moments of the network's outputs: %s; distribution: %s", describe(t.accuracy), describe(t.density))
	if t.Class == nil {
		p.linef("lower to upper: %g%% of the probability; std² = noise² + weights² + input²", 100*t.Interval)
	}
	header := append([]string{"row"}, t.Columns...)
	if t.Class != nil {
		header = append([]string{"row", "class"}, t.Columns[:min(len(t.Columns), maxCovariance)]...)
	}
	for i := range header {
		header[i] = plain(header[i])
	}
	rows := [][]string{header}
	shown := min(len(t.Rows), maxRows)
	for i := range shown {
		row := []string{strconv.Itoa(i + 1)}
		if t.Class != nil {
			row = append(row, plain(t.Class[i]))
		}
		for _, x := range t.Rows[i][:len(header)-len(row)] {
			field := "unknown"
			if x != nil {
				field = number(*x)
			}
			row = append(row, field)
		}
		rows = append(rows, row)
	}
	p.table(rows, true)
	switch {
	case file != "":
		p.linef("all are in %s", plain(file))
	case len(t.Rows) > shown:
		p.linef("  ... and %d more (--format csv shows all)", len(t.Rows)-shown)
	}
	return p.Bytes()
}
