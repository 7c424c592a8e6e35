package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	pictures "github.com/covprop/covprop/report" // report is a function of main.go
)

// plot draws the error of every method against the time it took, both on
// logarithmic axes, one point a scale. What has no place there is named on
// standard error.
func (c *compareCmd) plot(e *env, done []comparison, partial bool) error {
	chart := pictures.Chart{
		Title:  "Error against time, " + filepath.Base(c.Model),
		XLabel: "time in seconds",
		YLabel: "error of mean or covariance",
		LogX:   true, LogY: true, Points: true,
		Caption: c.caption(done),
	}
	if partial {
		chart.Title += " (partial: interrupted)"
	}
	for _, method := range c.Methods {
		line := pictures.Line{Name: method}
		for k := range done {
			at := ""
			if len(done) > 1 {
				at = " at scale " + formatScale(done[k].scale)
			}
			x, y, why := done[k].point(method)
			if why != "" {
				fmt.Fprintf(e.stderr, "covprop: not in the plot: %s%s: %s\n", method, at, plain(why))
				continue
			}
			line.X, line.Y = append(line.X, x), append(line.Y, y)
		}
		if len(line.X) > 0 {
			chart.Lines = append(chart.Lines, line)
		}
	}
	return c.Plot.writeAs("--plot", func(w io.Writer) error {
		return chart.WriteTo(w, strings.TrimPrefix(c.Plot.ext(), "."))
	})
}

// caption says what a plot shows.
func (c *compareCmd) caption(done []comparison) string {
	s := "Error: of the mean in standard deviations, or of the covariance relative to the truth, the larger."
	if x := resolution(done); x > 0 {
		s += fmt.Sprintf(" The truth's own: %s.", digits3(x))
	}
	if len(done) > 1 {
		var scales []string
		for _, r := range done {
			scales = append(scales, formatScale(r.scale))
		}
		s += " A point for each of the scales " + strings.Join(scales, ", ") + "."
	}
	return s
}

// point returns the time in seconds and the error of a method, the largest of
// its outputs' errors of mean and covariance, or why it has no place on
// logarithmic axes.
func (r *comparison) point(method string) (x, y float64, why string) {
	t := r.of(method)
	switch {
	case r.err != nil:
		return 0, 0, oneLine(r.err)
	case t == nil:
		return 0, 0, "not reached"
	case t.err != nil:
		return 0, 0, oneLine(t.err)
	}
	for _, s := range t.scores {
		switch {
		case s.meanStd == nil:
			return 0, 0, s.meanStdWhy
		case s.cov == nil:
			return 0, 0, s.covWhy
		}
		y = max(y, *s.meanStd, *s.cov)
	}
	if y == 0 {
		return 0, 0, "its error is 0, which a logarithmic axis does not have"
	}
	return t.elapsed.Seconds(), y, ""
}

// resolution returns the truth's own error, the largest over scales, outputs
// and measures; 0 if none is known.
func resolution(done []comparison) float64 {
	worst := 0.0
	for k := range done {
		if done[k].err != nil {
			continue
		}
		for i := range done[k].truth.Outputs {
			for _, e := range []float64{meanResolution(&done[k].truth, i), covResolution(&done[k].truth, i)} {
				if finite(e) {
					worst = max(worst, e)
				}
			}
		}
	}
	return worst
}
