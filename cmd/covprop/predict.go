package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/bayes"
	"github.com/covprop/covprop/dataset"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/modelfile"
)

// tableFlags say which examples a model is applied to.
type tableFlags struct {
	Model    string   `arg:"" help:"The model, a .cpb file."`
	Data     string   `arg:"" help:"The examples: a .csv, .tsv, .parquet or .npy file. Columns are found by their names."`
	InputStd repeated `placeholder:"NAME=S" help:"Standard deviation of a column's noise, in the column's unit; repeated. Or a table file with a column for each of those that are noisy, of one row or as many as there are examples."`
	Impute   string   `enum:"model,mean" default:"model" placeholder:"HOW" help:"Missing values: as the model was trained, or mean, that of the training examples (default: ${default})."`
	Threads  int      `default:"0" placeholder:"N" help:"Threads (default: one a processor)."`
}

// examples are those of a table, encoded.
type examples struct {
	file  *modelfile.File
	table *dataset.Table
	batch bayes.Batch // without targets
}

func (f *tableFlags) read() (*examples, error) {
	if f.Threads < 0 {
		return nil, usagef("--threads must not be negative, as %d is", f.Threads)
	}
	x := &examples{}
	var err error
	if x.file, err = readTrained(f.Model); err != nil {
		return nil, err
	}
	if x.table, err = dataset.ReadTable(f.Data); err != nil {
		return nil, err
	}
	encoder := x.file.Encoder
	encoder.Impute = encoder.Impute || f.Impute == "mean"
	if x.batch.X, err = encoder.Inputs(x.table); err != nil {
		return nil, fmt.Errorf("%s: %w%s", f.Data, err, hint(err))
	}
	if len(f.InputStd) > 0 {
		std, err := f.inputStd()
		if err != nil {
			return nil, err
		}
		if x.batch.InputVariance, err = encoder.Variances(std, x.batch.X.Rows); err != nil {
			return nil, usagef("--input-std: %w", err)
		}
	}
	return x, nil
}

// inputStd returns the table of standard deviations.
func (f *tableFlags) inputStd() (*dataset.Table, error) {
	if len(f.InputStd) == 1 && !strings.Contains(f.InputStd[0], "=") {
		t, err := dataset.ReadTable(f.InputStd[0])
		if err != nil {
			return nil, usagef("--input-std %w; or give NAME=S", err)
		}
		return t, nil
	}
	t := &dataset.Table{}
	for _, arg := range f.InputStd {
		name, value, named := strings.Cut(arg, "=")
		s, err := strconv.ParseFloat(value, 64)
		if !named || name == "" || err != nil {
			return nil, usagef("--input-std %s: must be of the form NAME=0.1", arg)
		}
		if t.Column(name) != nil {
			return nil, usagef("--input-std gives the column %q twice", name)
		}
		t.Columns = append(t.Columns, dataset.Column{Name: name, Numbers: []float64{s}})
	}
	return t, nil
}

// predictionRows is how many examples are predicted at a time.
const predictionRows = 64

// each predicts the examples, some at a time on several threads, and hands every
// prediction to use with the number of its first example.
func (x *examples) each(ctx context.Context, threads int, p *progress, use func(from int, r *bayes.Prediction) error) error {
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	rows := x.batch.X.Rows
	parts := (rows + predictionRows - 1) / predictionRows
	var done atomic.Int64
	return kernel.Parallel(ctx, threads, parts, func(k int) error {
		from := k * predictionRows
		to := min(rows, from+predictionRows)
		b := bayes.Batch{X: rowsFrom(x.batch.X, from, to)}
		if x.batch.InputVariance.Data != nil {
			b.InputVariance = rowsFrom(x.batch.InputVariance, from, to)
		}
		r, err := x.file.Predict(b)
		if err != nil {
			return fmt.Errorf("rows %d to %d: %w", from+1, to, err)
		}
		err = use(from, r)
		p.update(int(done.Add(int64(to-from))), rows)
		return err
	})
}

func rowsFrom(m blas64.General, from, to int) blas64.General {
	m.Data, m.Rows = m.Data[from*m.Stride:to*m.Stride], to-from
	return m
}

type predictCmd struct {
	tableFlags
	Interval float64    `default:"0.9" placeholder:"P" help:"Probability of the interval from lower to upper (default: ${default})."`
	Plot     outputFile `placeholder:"FILE" help:"Draw the prediction along a column, with the part of the weights, to a .svg or .png file."`
	Along    string     `placeholder:"NAME" help:"The column for --plot (default: the first one of numbers)."`
	Output   outputFile `name:"output" short:"o" placeholder:"FILE" help:"Write the predictions to a .csv or .json file."`
	Format   string     `enum:"text,csv,json" default:"text" help:"text, csv or json (default: ${default})."`
}

// Help is shown below the flags' summary.
func (c *predictCmd) Help() string {
	return `For every row the mean and the standard deviation of the target, the ends of an interval that has it with the given probability, ` +
		`and the parts of the standard deviation: noise (no data would help), weights (more data would) and input (--input-std); their squares add up. ` +
		`For classes: the most probable one, and the probabilities of all.`
}

func (c *predictCmd) Run(e *env) error {
	if !(c.Interval > 0 && c.Interval < 1) {
		return usagef("--interval must lie between 0 and 1, not at %v", c.Interval)
	}
	if err := c.Output.check(".csv", ".json"); err != nil {
		return err
	}
	if err := c.Plot.checkAs("--plot", ".svg", ".png"); err != nil {
		return err
	}
	if c.Along != "" && c.Plot == "" {
		return usagef("--along has no meaning without --plot")
	}
	x, err := c.read()
	if err != nil {
		return err
	}
	t := newPredictions(x, c.Interval)
	p := newProgress(e.stderr, "predict")
	err = x.each(e.ctx, c.Threads, p, t.fill)
	p.clear()
	if err != nil {
		return err
	}
	t.finish()
	if c.Plot != "" {
		if err := c.plotAlong(x); err != nil {
			return err
		}
	}
	switch {
	case c.Output.ext() == ".json":
		err = c.Output.writeJSON(t)
	case c.Output != "":
		err = c.Output.writeWith(t.writeCSV)
	}
	if err != nil {
		return err
	}
	switch c.Format {
	case "json":
		return e.printJSON(t)
	case "csv":
		var b bytes.Buffer
		if err := t.writeCSV(&b); err != nil {
			return err
		}
		return e.print(b.Bytes())
	}
	return e.print(t.text(string(c.Output)))
}

// predictions are a table: a column of numbers for each of Columns and, of classes,
// the most probable one.
type predictions struct {
	Schema   int          `json:"schema"`
	Version  string       `json:"version"`
	Target   string       `json:"target"`
	Interval float64      `json:"interval,omitempty"`
	Accuracy accuracyJSON `json:"accuracy"` // of the moments of the network's outputs
	Density  accuracyJSON `json:"density"`  // of the distribution
	Columns  []string     `json:"columns"`
	Rows     [][]*float64 `json:"rows"`
	Class    []string     `json:"class,omitempty"`

	encoder           *dataset.Encoder
	accuracy, density covprop.Accuracy
	parts             [][2]covprop.Accuracy // of the examples
}

func newPredictions(x *examples, interval float64) *predictions {
	t := &predictions{
		Schema: 1, Version: covprop.Version, Target: x.file.Encoder.Target.Name, encoder: x.file.Encoder,
		Rows: make([][]*float64, x.batch.X.Rows), parts: make([][2]covprop.Accuracy, x.batch.X.Rows),
	}
	if classes := t.encoder.Target.Classes; classes != nil {
		t.Class = make([]string, len(t.Rows))
		for _, c := range classes {
			t.Columns = append(t.Columns, "p("+c+")")
		}
		return t
	}
	t.Interval = interval
	t.Columns = []string{"mean", "std", "lower", "upper", "std_noise", "std_weights", "std_input"}
	return t
}

// partStd returns the standard deviation of a part of a variance. A part that is
// nothing may be negative by rounding; one that is more negative is not known.
func partStd(part, whole float64) float64 {
	if part < 0 && -part <= 1e-9*whole {
		return 0
	}
	return math.Sqrt(part)
}

// fill takes the prediction of the examples from the given one on.
func (t *predictions) fill(from int, r *bayes.Prediction) error {
	target := &t.encoder.Target
	for i := range r.Mean.Rows {
		t.parts[from+i] = [2]covprop.Accuracy{r.Accuracy, r.Density}
		if t.Class != nil {
			best, p := 0, r.Probabilities(i)
			for k := range p {
				if p[k] > p[best] {
					best = k
				}
				t.Rows[from+i] = append(t.Rows[from+i], known(p[k]))
			}
			t.Class[from+i] = target.Classes[best]
			continue
		}
		d := r.Distribution(i, 0)
		at := func(m blas64.General) float64 { return m.Data[i*m.Stride] }
		for _, z := range []float64{at(r.Mean), d.Quantile(0.5 - 0.5*t.Interval), d.Quantile(0.5 + 0.5*t.Interval)} {
			t.Rows[from+i] = append(t.Rows[from+i], known(target.Mean+target.Std*z))
		}
		var parts []*float64
		for _, v := range []float64{at(r.Variance), at(r.Noise), at(r.Weight), at(r.Input)} {
			parts = append(parts, known(target.Std*partStd(v, at(r.Variance))))
		}
		row := t.Rows[from+i]
		t.Rows[from+i] = []*float64{row[0], parts[0], row[1], row[2], parts[1], parts[2], parts[3]}
	}
	return nil
}
