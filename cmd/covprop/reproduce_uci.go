package main

import (
	"errors"
	"fmt"

	"github.com/covprop/covprop/internal/reproduce"
)

// reproduceUCICmd trains Bayesian networks on UCI tables.
type reproduceUCICmd struct {
	Data    string   `required:"" type:"existingdir" placeholder:"DIR" help:"The directory with a folder for each set, of data.txt and splits_test.txt."`
	Sets    []string `placeholder:"LIST" help:"The sets, separated by commas (default: all that are known)."`
	Modes   []string `default:"exact,dvi,mcvi,diagonal" placeholder:"LIST" help:"How to train: exact, dvi (Wu et al. 2019), mcvi (Monte Carlo, ten samples), diagonal (default: ${default})."`
	Runs    int      `name:"splits" aliases:"runs" default:"20" placeholder:"N" help:"Splits into training and test examples (default: ${default})."`
	Steps   int      `default:"0" placeholder:"N" help:"Steps of training (default: those of the rule in docs/reproduction-uci.md)."`
	Members int      `default:"1" placeholder:"N" help:"Networks, from different beginnings, whose predictions are mixed (default: ${default})."`
	Threads int      `default:"0" placeholder:"N" help:"Splits at a time, one thread each (default: one a processor)."`
	experimentFlags
}

// Help is shown below the flags' summary.
func (c *reproduceUCICmd) Help() string {
	return `Networks with one layer of 50 uncertain ReLUs, a mean and a log variance, trained by one rule on all sets, and the ` +
		`mean log likelihood of the test examples. Splits run side by side.`
}

func (c *reproduceUCICmd) Run(e *env) error {
	if err := c.experimentFlags.check(); err != nil {
		return err
	}
	u := reproduce.UCI{Dir: c.Data, Sets: c.Sets, Modes: c.Modes, Splits: c.Runs, Seed: c.Seed, Steps: c.Steps, Members: c.Members, Threads: c.Threads}
	if c.Members < 1 {
		return usagef("--members must be at least 1, not %d", c.Members)
	}
	if len(u.Sets) == 0 {
		u.Sets = reproduce.UCISets
	}
	if err := u.Check(); err != nil {
		return usagef("%w", err)
	}
	p := newProgress(e.stderr, "uci")
	u.Progress = p.update
	results, err := u.Run(e.ctx)
	p.clear()
	if err != nil && (e.ctx.Err() == nil || len(results) == 0) {
		return err
	}
	partial := err != nil
	if c.Format == "json" {
		return errors.Join(err, e.printJSON(newUCIJSON(results, partial)))
	}
	return errors.Join(err, e.print(uciText(results, partial)))
}

// uciPublished are mean test log likelihoods of networks with one layer of 50
// ReLUs: of DVI (Wu et al. 2019, table 1).
var uciPublished = map[string]float64{
	"boston": -2.41, "concrete": -3.06, "energy": -1.01, "power": -2.80, "wine-red": -0.91, "yacht": -0.47,
}

// uciText lays the results out as a table.
func uciText(results []reproduce.UCIResult, partial bool) []byte {
	var p page
	if partial {
		p.linef("partial: interrupted; what is complete\n")
	}
	rows := [][]string{{"set", "mode", "splits", "test log likelihood", "published, DVI", "plug-in", "RMSE", "in 90% intervals", "seconds"}}
	for _, r := range results {
		rows = append(rows, []string{
			r.Set, r.Mode, fmt.Sprint(r.Splits), meanStd(r.LogDensity, r.LogDensitySE, 3), fmt.Sprintf("%.2f", uciPublished[r.Set]),
			fmt.Sprintf("%.3f", r.PlugIn), meanStd(r.RMSE, r.RMSESE, 3), fmt.Sprintf("%.1f%%", 100*r.Coverage), fmt.Sprintf("%.1f", r.Seconds),
		})
	}
	p.table(rows, true)
	p.linef("\ntest log likelihood: of an example, in units of the target, by the full predictive density, ± standard error over")
	p.linef("  splits; plug-in: without the uncertainty of the network's outputs. seconds: of all splits together, each on one thread")
	return p.Bytes()
}

type uciJSON struct {
	Partial bool            `json:"partial,omitempty"`
	Results []uciResultJSON `json:"results"`
}

type uciResultJSON struct {
	Set        string   `json:"set"`
	Mode       string   `json:"mode"`
	Splits     int      `json:"splits"`
	TestLL     *float64 `json:"test_ll"`
	TestLLSE   *float64 `json:"test_ll_se"` // null for one split
	PlugInLL   *float64 `json:"plugin_ll"`
	RMSE       *float64 `json:"rmse"`
	Coverage90 *float64 `json:"coverage90"`
	Seconds    *float64 `json:"seconds"`
}

func newUCIJSON(results []reproduce.UCIResult, partial bool) *uciJSON {
	j := &uciJSON{Partial: partial, Results: []uciResultJSON{}}
	for _, r := range results {
		j.Results = append(j.Results, uciResultJSON{
			Set: r.Set, Mode: r.Mode, Splits: r.Splits, TestLL: known(r.LogDensity), TestLLSE: known(r.LogDensitySE),
			PlugInLL: known(r.PlugIn), RMSE: known(r.RMSE), Coverage90: known(r.Coverage), Seconds: known(r.Seconds),
		})
	}
	return j
}
