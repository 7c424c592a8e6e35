package main

import (
	"errors"

	"github.com/covprop/covprop/internal/reproduce"
)

// reproduceTightnessCmd compares analytic moments with Monte Carlo.
type reproduceTightnessCmd struct {
	Nets    []string   `default:"fc3,fc7,conv3,conv7" placeholder:"LIST" help:"The networks, separated by commas (default: ${default})."`
	Runs    int        `default:"200" placeholder:"N" help:"Random networks and inputs of each kind (default: ${default})."`
	Samples int        `default:"75000" placeholder:"N" help:"Samples of Monte Carlo for each (default: ${default})."`
	Norm    string     `enum:"spectral,frobenius" default:"spectral" help:"The norm of the input's covariance that is one: spectral or frobenius (default: ${default})."`
	Threads int        `default:"0" placeholder:"N" help:"Number of threads (default: one a processor)."`
	Output  outputFile `name:"output" short:"o" placeholder:"FILE" help:"Write the result to a .json file, too."`
	experimentFlags
}

// Help is shown below the flags' summary.
func (c *reproduceTightnessCmd) Help() string {
	return `Networks: fc3 and fc7 are 100-100x3-1 and 100-100x7-1; conv3 and conv7 see an image of 1 x 20 x 20 and have three and ` +
		`seven convolutions of 3 x 3 taps to 10 channels. All have ReLU and PyTorch's default initialisation. ` +
		`The input has a mean N(0, I) and a random covariance, whose eigenvalues are uniform and whose norm is one: ` +
		`the paper asks for the spectral norm, its program takes that of Frobenius. ` +
		`On two cores the fully connected networks take minutes, the convolutional ones an hour; an interruption shows what is done.`
}

func (c *reproduceTightnessCmd) Run(e *env) error {
	work := reproduce.Tightness{
		Nets: c.Nets, Runs: c.Runs, Samples: c.Samples, Seed: c.Seed, Norm: reproduce.Norm(c.Norm), Threads: c.Threads,
	}
	if err := errors.Join(c.check(), work.Check()); err != nil {
		return usageError{err}
	}
	if err := c.Output.check(".json"); err != nil {
		return err
	}
	p := newProgress(e.stderr, "tightness")
	work.Progress = p.update
	r, err := work.Run(e.ctx)
	p.clear()
	if r == nil {
		return err
	}
	full := c.json(r)
	if c.Output != "" {
		err = errors.Join(err, c.Output.writeJSON(full))
	}
	if c.Format == "json" {
		return errors.Join(err, e.printJSON(full))
	}
	return errors.Join(err, e.print(c.text(r)))
}

func (c *reproduceTightnessCmd) text(r *reproduce.TightnessReport) []byte {
	var p page
	p.linef("experiment  tightness: Monte Carlo / method, average ± standard deviation over the runs")
	p.linef("runs        %d a network, %d samples each, seed %d, %s norm of the covariance 1", c.Runs, c.Samples, c.Seed, c.Norm)
	for _, n := range r.Nets {
		p.linef("\n%s  %s", n.Name, n.Title)
		if n.Runs < c.Runs {
			p.linef("partial: %d of %d runs done", n.Runs, c.Runs)
		}
		rows := [][]string{{"method", "mean", "variance", "difference of mean", "milliseconds"}}
		for _, m := range n.Methods {
			rows = append(rows, []string{
				m.Title, meanStd(m.Mean.Mean, m.Mean.Std, 3), meanStd(m.Variance.Mean, m.Variance.Std, 3),
				meanStd(m.Difference.Mean, m.Difference.Std, 4), meanStd(m.Time.Mean, m.Time.Std, 2),
			})
		}
		p.table(append(rows, []string{"Monte Carlo", "", "", "", meanStd(n.MonteCarlo.Mean, n.MonteCarlo.Std, 2)}), false)
	}
	for _, name := range c.Nets[len(r.Nets):] {
		p.linef("\n%s\npartial: not reached", name)
	}
	p.linef("\nmean, variance: the ratio of Monte Carlo's to the method's. A mean near 0 makes the former large")
	p.linef("difference of mean: Monte Carlo's less the method's, in Monte Carlo's standard deviations")
	return p.Bytes()
}

// tightnessJSON is what reproduce tightness writes.
type tightnessJSON struct {
	Schema     int                `json:"schema"`
	Experiment string             `json:"experiment"`
	Runs       int                `json:"runs"`
	Samples    int                `json:"samples"`
	Seed       uint64             `json:"seed"`
	Norm       string             `json:"norm"`
	Partial    bool               `json:"partial,omitempty"` // the work was interrupted
	Nets       []tightnessNetJSON `json:"nets"`
}

type tightnessNetJSON struct {
	Name       string                `json:"name"`
	Title      string                `json:"title"`
	Runs       int                   `json:"runs_done"`
	Methods    []tightnessMethodJSON `json:"methods"`
	MonteCarlo statJSON              `json:"montecarlo_ms"`
}

type tightnessMethodJSON struct {
	Method     string   `json:"method"`
	Title      string   `json:"title"`
	Mean       statJSON `json:"mean_ratio"`
	Variance   statJSON `json:"variance_ratio"`
	Difference statJSON `json:"mean_difference_std"`
	Time       statJSON `json:"elapsed_ms"`
}

// statJSON is an average over runs; null is unknown.
type statJSON struct {
	Mean *float64 `json:"mean"`
	Std  *float64 `json:"std"`
}

func newStatJSON(s reproduce.Stat) statJSON { return statJSON{known(s.Mean), known(s.Std)} }

func (c *reproduceTightnessCmd) json(r *reproduce.TightnessReport) *tightnessJSON {
	t := &tightnessJSON{
		Schema: 1, Experiment: "tightness", Runs: c.Runs, Samples: c.Samples, Seed: c.Seed, Norm: c.Norm,
		Partial: r.Partial, Nets: []tightnessNetJSON{},
	}
	for _, n := range r.Nets {
		j := tightnessNetJSON{Name: n.Name, Title: n.Title, Runs: n.Runs, Methods: []tightnessMethodJSON{}, MonteCarlo: newStatJSON(n.MonteCarlo)}
		for _, m := range n.Methods {
			j.Methods = append(j.Methods, tightnessMethodJSON{
				Method: m.Name, Title: m.Title, Mean: newStatJSON(m.Mean), Variance: newStatJSON(m.Variance),
				Difference: newStatJSON(m.Difference), Time: newStatJSON(m.Time),
			})
		}
		t.Nets = append(t.Nets, j)
	}
	return t
}
