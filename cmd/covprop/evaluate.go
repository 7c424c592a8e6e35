package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/bayes"
	pictures "github.com/covprop/covprop/report"
)

type evaluateCmd struct {
	tableFlags
	Plot   outputFile `placeholder:"FILE" help:"Draw how often what has a probability comes true, to a .svg or .png file."`
	Format string     `enum:"text,json" default:"text" help:"text or json (default: ${default})."`
}

// Help is shown below the flags' summary.
func (c *evaluateCmd) Help() string {
	return `How well a model predicts examples that it was not trained with: the negative log likelihood (NLL) of an example by the full predictive density, ` +
		`the root of the mean squared error (RMSE) of the mean, the continuous ranked probability score (CRPS), all in the target's unit and less is better, ` +
		`and how many targets are within central intervals of some probabilities. Of classes: NLL, the fraction predicted rightly, the Brier score, and the calibration error in ten bins of confidence.`
}

// coverageLevels are those that are shown.
var coverageLevels = []float64{0.5, 0.8, 0.9, 0.95}

func (c *evaluateCmd) Run(e *env) error {
	if err := c.Plot.checkAs("--plot", ".svg", ".png"); err != nil {
		return err
	}
	x, err := c.read()
	if err != nil {
		return err
	}
	y, err := x.file.Encoder.Targets(x.table)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Data, err)
	}
	parts := make([]*bayes.Scores, x.batch.X.Rows)
	p := newProgress(e.stderr, "evaluate")
	err = x.each(e.ctx, c.Threads, p, func(from int, r *bayes.Prediction) (err error) {
		parts[from], err = r.Score(rowsFrom(y, from, from+r.Mean.Rows))
		return err
	})
	p.clear()
	if err != nil {
		return err
	}
	var s bayes.Scores
	for _, part := range parts {
		if part != nil {
			s.Append(part)
		}
	}
	j := newEvaluation(x, &s)
	if c.Plot != "" {
		if err := c.plot(x, &s); err != nil {
			return err
		}
	}
	if c.Format == "json" {
		return e.printJSON(j)
	}
	return e.print(j.text(x.file.Encoder.Target.Classes != nil))
}

// evaluation is what evaluate writes. Numbers that have no meaning for the target
// are null.
type evaluation struct {
	Schema      int            `json:"schema"`
	Version     string         `json:"version"`
	Target      string         `json:"target"`
	Rows        int            `json:"rows"`
	NLL         *float64       `json:"nll"`
	NLLSE       *float64       `json:"nll_se"`
	PlugInNLL   *float64       `json:"plugin_nll"`
	RMSE        *float64       `json:"rmse"`
	CRPS        *float64       `json:"crps"`
	Coverage    []coverageJSON `json:"coverage"`
	Accuracy    *float64       `json:"accuracy"`
	Brier       *float64       `json:"brier"`
	Calibration *float64       `json:"calibration_error"`
}

type coverageJSON struct {
	Level    float64  `json:"level"`
	Observed *float64 `json:"observed"`
	SE       *float64 `json:"se"` // if the level were right
}

func newEvaluation(x *examples, s *bayes.Scores) *evaluation {
	target := &x.file.Encoder.Target
	unit := 0. // log of the target's unit
	if target.Classes == nil {
		unit = math.Log(target.Std)
	}
	n := len(s.LogDensity)
	mean, std := stat.MeanStdDev(s.LogDensity, nil)
	j := &evaluation{
		Schema: 1, Version: covprop.Version, Target: target.Name, Rows: n, Coverage: []coverageJSON{},
		NLL: known(unit - mean), NLLSE: known(std / math.Sqrt(float64(n))), PlugInNLL: known(unit - stat.Mean(s.PlugIn, nil)),
	}
	if target.Classes != nil {
		j.Accuracy, j.Brier = known(s.Accuracy()), known(stat.Mean(s.Brier, nil))
		calibration := 0.
		for _, b := range reliability(s) {
			calibration += float64(b.n) / float64(n) * math.Abs(b.observed-b.confidence)
		}
		j.Calibration = known(calibration)
		return j
	}
	j.RMSE, j.CRPS = known(target.Std*s.RMSE()), known(target.Std*stat.Mean(s.CRPS, nil))
	for _, level := range coverageLevels {
		j.Coverage = append(j.Coverage, coverageJSON{level, known(s.Coverage(level)), known(math.Sqrt(level * (1 - level) / float64(n)))})
	}
	return j
}

func (j *evaluation) text(classes bool) []byte {
	var p page
	show := func(x *float64) string {
		if x == nil {
			return "unknown"
		}
		return number(*x)
	}
	nll := show(j.NLL)
	if j.NLLSE != nil {
		nll += " ± " + short(*j.NLLSE)
	}
	rows := [][]string{{"NLL", nll, "by the full predictive density; without the network's uncertainty " + show(j.PlugInNLL)}}
	if classes {
		rows = append(rows, []string{"accuracy", show(j.Accuracy), "the most probable class is right"},
			[]string{"Brier", show(j.Brier), "sum over the classes of (probability - truth)²"},
			[]string{"calibration error", show(j.Calibration), "confidence against accuracy, ten bins"})
	} else {
		rows = append(rows, []string{"RMSE", show(j.RMSE), "of the mean"}, []string{"CRPS", show(j.CRPS), "of the distribution"})
	}
	p.linef("%s, %d rows", plain(j.Target), j.Rows)
	p.table(rows, false)
	if len(j.Coverage) > 0 {
		p.linef("targets within central intervals:")
		rows = [][]string{{"probability", "observed", "standard error"}}
		for _, c := range j.Coverage {
			rows = append(rows, []string{fmt.Sprintf("%g%%", 100*c.Level), percent(c.Observed), percent(c.SE)})
		}
		p.table(rows, true)
	}
	return p.Bytes()
}

func percent(x *float64) string {
	if x == nil {
		return "unknown"
	}
	return fmt.Sprintf("%.1f%%", 100**x)
}

// A bin holds examples of like confidence.
type bin struct {
	n                    int
	confidence, observed float64 // means
}

// reliability returns the bins of confidence that are not empty, of ten.
func reliability(s *bayes.Scores) []bin {
	var all [10]bin
	for i, p := range s.Confidence {
		b := &all[min(9, int(10*p))]
		b.n++
		b.confidence += p
		if s.Correct[i] {
			b.observed++
		}
	}
	var bins []bin
	for _, b := range all {
		if b.n > 0 {
			b.confidence /= float64(b.n)
			b.observed /= float64(b.n)
			bins = append(bins, b)
		}
	}
	return bins
}

// plot draws the observed against the predicted probability.
func (c *evaluateCmd) plot(x *examples, s *bayes.Scores) error {
	const points = 100
	n := float64(len(s.LogDensity))
	ideal := pictures.Line{Name: "ideal, ± 2 standard errors"}
	for k := range points + 1 {
		p := float64(k) / points
		se := math.Sqrt(p * (1 - p) / n)
		ideal.X, ideal.Y = append(ideal.X, p), append(ideal.Y, p)
		ideal.Low, ideal.High = append(ideal.Low, max(0, p-2*se)), append(ideal.High, min(1, p+2*se))
	}
	chart := pictures.Chart{Title: "Calibration, " + filepath.Base(c.Model) + " on " + filepath.Base(c.Data), Lines: []pictures.Line{ideal}}
	model := pictures.Line{Name: "model"}
	if x.file.Encoder.Target.Classes != nil {
		chart.XLabel, chart.YLabel = "probability of the predicted class", "fraction that is right"
		chart.Lines[0].Low, chart.Lines[0].High, chart.Lines[0].Name = nil, nil, "ideal"
		for _, b := range reliability(s) {
			se := math.Sqrt(b.observed * (1 - b.observed) / float64(b.n))
			model.X, model.Y = append(model.X, b.confidence), append(model.Y, b.observed)
			model.Low, model.High = append(model.Low, max(0, b.observed-2*se)), append(model.High, min(1, b.observed+2*se))
		}
	} else {
		chart.XLabel, chart.YLabel = "probability that the target is less", "fraction of targets that are"
		for k := range points + 1 {
			p, below := float64(k)/points, 0
			for _, u := range s.PIT {
				if u <= p {
					below++
				}
			}
			model.X, model.Y = append(model.X, p), append(model.Y, float64(below)/n)
		}
	}
	chart.Lines = append(chart.Lines, model)
	return c.Plot.writeAs("--plot", func(w io.Writer) error {
		return chart.WriteTo(w, strings.TrimPrefix(c.Plot.ext(), "."))
	})
}
