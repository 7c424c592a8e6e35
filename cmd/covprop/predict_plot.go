package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/covprop/covprop/bayes"
	"github.com/covprop/covprop/dataset"
	pictures "github.com/covprop/covprop/report"
)

const (
	bandPoints = 121
	bandMargin = 0.2 // beyond the examples, relative to their range
)

// feature returns the feature to draw the prediction along, and which input it is; nil
// if there is none.
func (c *predictCmd) feature(e *dataset.Encoder) (f *dataset.Feature, at int) {
	for i := range e.Features {
		f := &e.Features[i]
		if f.Categories == nil && (c.Along == "" || c.Along == f.Name) {
			return f, at
		}
		at += max(1, len(f.Categories))
	}
	return nil, 0
}

// plotAlong draws the prediction along a column of numbers, from below the least
// value in the table to above the largest, with other numbers at the means of the
// training examples and categories at the most frequent ones; and the table's targets,
// if it has them.
func (c *predictCmd) plotAlong(x *examples) error {
	encoder := x.file.Encoder
	if encoder.Target.Classes != nil {
		return usagef("--plot has no meaning for classes")
	}
	along, at := c.feature(encoder)
	if along == nil {
		return usagef("--along %s: the model has no such column of numbers; its inputs are %s", c.Along, quoteList(encoder.Names()))
	}
	column := x.table.Column(along.Name)
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range column.Numbers {
		if !math.IsNaN(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	if !(lo < hi) {
		return usagef("--along %s: its values in %s do not vary", along.Name, c.Data)
	}
	lo, hi = lo-bandMargin*(hi-lo), hi+bandMargin*(hi-lo)
	typical := encoder.Typical()
	band := blas64.General{Rows: bandPoints, Cols: len(typical), Stride: len(typical), Data: slices.Repeat(typical, bandPoints)}
	values := make([]float64, bandPoints)
	for i := range values {
		values[i] = lo + (hi-lo)*float64(i)/(bandPoints-1)
		band.Data[i*band.Stride+at] = (values[i] - along.Mean) / along.Std
	}
	r, err := x.file.Predict(bayes.Batch{X: band})
	if err != nil {
		return err
	}
	target := &encoder.Target
	interval := pictures.Line{Name: fmt.Sprintf("%g%% of the probability", 100*c.Interval), X: values}
	weights := pictures.Line{Name: "if only the weights were uncertain", X: values}
	z := distuv.UnitNormal.Quantile(0.5 + 0.5*c.Interval)
	for i := range values {
		d := r.Distribution(i, 0)
		mean := target.Mean + target.Std*r.Mean.Data[i*r.Mean.Stride]
		half := z * target.Std * math.Sqrt(r.Weight.Data[i*r.Weight.Stride])
		interval.Y, weights.Y = append(interval.Y, mean), append(weights.Y, mean)
		interval.Low = append(interval.Low, target.Mean+target.Std*d.Quantile(0.5-0.5*c.Interval))
		interval.High = append(interval.High, target.Mean+target.Std*d.Quantile(0.5+0.5*c.Interval))
		weights.Low, weights.High = append(weights.Low, mean-half), append(weights.High, mean+half)
	}
	chart := pictures.Chart{
		Title:  target.Name + " along " + along.Name + ", " + filepath.Base(c.Model),
		XLabel: along.Name, YLabel: target.Name, Lines: []pictures.Line{interval, weights},
	}
	if len(encoder.Features) > 1 {
		chart.Caption = "Other numbers are at their means, categories at the most frequent ones."
	}
	if y := x.table.Column(target.Name); y != nil && y.Numbers != nil {
		chart.Lines = append(chart.Lines, pictures.Line{Name: filepath.Base(c.Data), X: column.Numbers, Y: y.Numbers, Points: true})
	}
	return c.Plot.writeAs("--plot", func(w io.Writer) error {
		return chart.WriteTo(w, strings.TrimPrefix(c.Plot.ext(), "."))
	})
}
