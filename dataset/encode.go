package dataset

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas64"
)

// Names returns the names of the network's inputs: those of the columns, for
// categories "column=category".
func (e *Encoder) Names() []string {
	var names []string
	for i := range e.Features {
		f := &e.Features[i]
		if f.Categories == nil {
			names = append(names, f.Name)
		}
		for _, c := range f.Categories {
			names = append(names, f.Name+"="+c)
		}
	}
	return names
}

// Typical returns the inputs of an example with the mean of every number and the most
// frequent of all categories.
func (e *Encoder) Typical() []float64 {
	var x []float64
	for i := range e.Features {
		f := &e.Features[i]
		values := make([]float64, f.width())
		if f.Categories != nil {
			values[slices.Index(f.Frequencies, slices.Max(f.Frequencies))] = 1
		}
		x = append(x, values...)
	}
	return x
}

// Inputs returns what the network takes, (rows, Width). The table may have other
// columns too, in any order.
func (e *Encoder) Inputs(t *Table) (blas64.General, error) {
	var absent []string
	for i := range e.Features {
		if t.Column(e.Features[i].Name) == nil {
			absent = append(absent, e.Features[i].Name)
		}
	}
	switch {
	case len(absent) > 0:
		return blas64.General{}, fmt.Errorf("these columns that the model needs are missing: %s", quoted(absent))
	case t.Rows() == 0:
		return blas64.General{}, errors.New("there are no rows")
	case t.Rows() > maxCells/e.Width():
		return blas64.General{}, fmt.Errorf("there are %d rows, more than the %d of which the model's %d inputs are made at a time", t.Rows(), maxCells/e.Width(), e.Width())
	}
	x, at := matrix(t.Rows(), e.Width()), 0
	for i := range e.Features {
		f := &e.Features[i]
		c := t.Column(f.Name)
		if c.Unusable != "" {
			return x, fmt.Errorf("the column %q cannot be used: %s", c.Name, c.Unusable)
		}
		for r := range x.Rows {
			if err := e.encode(f, c, r, x.Data[r*x.Stride+at:][:f.width()]); err != nil {
				return x, err
			}
		}
		at += f.width()
	}
	return x, nil
}

// encode writes element i of the column of feature f to x.
func (e *Encoder) encode(f *Feature, c *Column, i int, x []float64) error {
	switch {
	case c.missing(i) && !e.Impute:
		return missingError(c, i)
	case c.missing(i): // the mean
		copy(x, f.Frequencies)
	case f.Categories != nil:
		k := slices.Index(f.Categories, c.category(i))
		if k < 0 {
			return fmt.Errorf("the column %q has %q in row %d, which the model has not been trained with; it knows %s",
				f.Name, c.category(i), i+1, quoted(f.Categories[:min(len(f.Categories), 20)]))
		}
		x[k] = 1
	case c.Numbers == nil:
		return fmt.Errorf("the column %w", c.notNumber())
	default:
		x[0] = (c.Numbers[i] - f.Mean) / f.Std
		if math.IsNaN(x[0] - x[0]) {
			return fmt.Errorf("the column %q is %v in row %d, too large for the model", f.Name, c.Numbers[i], i+1)
		}
	}
	return nil
}

// Targets returns what the network is to predict, (rows, 1): standardised numbers,
// or the numbers of classes from 0 on.
func (e *Encoder) Targets(t *Table) (blas64.General, error) {
	c := t.Column(e.Target.Name)
	switch {
	case c == nil:
		return blas64.General{}, fmt.Errorf("the target %q is missing; there are %s", e.Target.Name, quoted(t.Names()))
	case c.Unusable != "":
		return blas64.General{}, fmt.Errorf("the target %q cannot be used: %s", c.Name, c.Unusable)
	}
	y := matrix(t.Rows(), 1)
	for i := range y.Rows {
		if c.missing(i) {
			return y, fmt.Errorf("the target %q is missing in row %d; leave the row out", c.Name, i+1)
		}
	}
	f := &Feature{Name: c.Name, Mean: e.Target.Mean, Std: e.Target.Std}
	one := &Encoder{}
	for i := range y.Rows {
		if e.Target.Classes == nil {
			if err := one.encode(f, c, i, y.Data[i:i+1]); err != nil {
				return y, err
			}
			continue
		}
		k := slices.Index(e.Target.Classes, c.category(i))
		if k < 0 {
			return y, fmt.Errorf("the target %q is %q in row %d, which is none of the model's classes %s",
				c.Name, c.category(i), i+1, quoted(e.Target.Classes[:min(len(e.Target.Classes), 20)]))
		}
		y.Data[i] = float64(k)
	}
	return y, nil
}

// Variances returns the variances of the network's inputs, (rows, Width), given
// standard deviations in the units of the columns: std has columns of the names of
// features, not necessarily all, and one row, which holds for all examples, or as
// many as there are examples. Categories cannot be uncertain in this way.
func (e *Encoder) Variances(std *Table, rows int) (blas64.General, error) {
	if std.Rows() != 1 && std.Rows() != rows {
		return blas64.General{}, fmt.Errorf("there are %d rows of standard deviations for %d examples; give 1 or %d", std.Rows(), rows, rows)
	}
	v, at := matrix(rows, e.Width()), 0
	known := 0
	for i := range e.Features {
		f := &e.Features[i]
		at += f.width()
		c := std.Column(f.Name)
		if c == nil {
			continue
		}
		known++
		if f.Categories != nil {
			return v, fmt.Errorf("%q has categories: it has no standard deviation", f.Name)
		}
		for r := range rows {
			s := math.NaN()
			if c.Numbers != nil {
				s = c.Numbers[min(r, std.Rows()-1)]
			}
			s /= f.Std
			if !(s >= 0 && s*s < math.Inf(1)) {
				return v, fmt.Errorf("the standard deviation of %q must be a number that is not negative, in row %d too", f.Name, min(r, std.Rows()-1)+1)
			}
			v.Data[r*v.Stride+at-1] = s * s
		}
	}
	if known < len(std.Columns) {
		var names []string
		for i := range e.Features {
			names = append(names, e.Features[i].Name)
		}
		for _, n := range std.Names() {
			if !slices.Contains(names, n) {
				return v, fmt.Errorf("the model has no column %q to be uncertain; it has %s", n, quoted(names))
			}
		}
	}
	return v, nil
}
