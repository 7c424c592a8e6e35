package main

import (
	"fmt"

	"github.com/covprop/covprop/dataset"
	"github.com/covprop/covprop/internal/reproduce"
)

func (c *reproduceMNISTCmd) text(t trainedNet, r *reproduce.MNISTReport) []byte {
	var p page
	p.linef("experiment  mnist: Monte Carlo / method, average ± standard deviation over the runs")
	p.linef("network     width %d, %d parameters, %s, accuracy %.2f%%", t.net.Width, t.net.Parameters(), t.source(c), 100*t.Accuracy)
	p.linef("runs        %d, %d samples each, seed %d, %s norm of the covariance 1", c.Runs, c.Samples, c.Seed, c.Norm)
	if len(r.Images) > 0 {
		p.linef("images      %s of the test part", numbers(r.Images))
	}
	if r.Partial {
		p.linef("partial: %d of %d runs done", len(r.Images), c.Runs)
	}
	p.linef("\nall logits")
	rows := [][]string{{"method", "mean", "variance", "difference of mean", "seconds"}}
	for _, m := range r.Methods {
		rows = append(rows, []string{
			m.Title, meanStd(m.All.Mean.Mean, m.All.Mean.Std, 3), meanStd(m.All.Variance.Mean, m.All.Variance.Std, 3),
			meanStd(m.All.Difference.Mean, m.All.Difference.Std, 4), seconds(m.Time),
		})
	}
	p.table(append(rows, []string{"Monte Carlo", "", "", "", seconds(r.MonteCarlo)}), false)
	for _, m := range r.Methods {
		if m.Error != "" {
			p.linef("%s failed: %s", m.Name, plain(m.Error))
		}
	}
	p.logits(r, "mean", 3, func(l reproduce.MNISTLogit) reproduce.Stat { return l.Mean })
	p.logits(r, "variance", 3, func(l reproduce.MNISTLogit) reproduce.Stat { return l.Variance })
	p.logits(r, "difference of mean", 4, func(l reproduce.MNISTLogit) reproduce.Stat { return l.Difference })
	p.linef("\nmean, variance: the ratio of Monte Carlo's to the method's. A mean near 0 makes the former large")
	p.linef("difference of mean: Monte Carlo's less the method's, in Monte Carlo's standard deviations")
	return p.Bytes()
}

// source says where the network comes from.
func (t *trainedNet) source(c *reproduceMNISTCmd) string {
	if t.Epochs == 0 {
		return "from " + plain(c.Weights)
	}
	return fmt.Sprintf("trained for %d epochs in %.0f s", t.Epochs, t.Seconds)
}

// logits writes a table with a row for each logit and a column for each method
// that did not fail.
func (p *page) logits(r *reproduce.MNISTReport, title string, decimals int, of func(reproduce.MNISTLogit) reproduce.Stat) {
	rows := make([][]string, 1+dataset.MNISTClasses)
	rows[0] = []string{"logit"}
	for c := range rows[1:] {
		rows[1+c] = []string{fmt.Sprint(c)}
	}
	for _, m := range r.Methods {
		if m.Error != "" {
			continue
		}
		rows[0] = append(rows[0], m.Name)
		for c, l := range m.Logits {
			s := of(l)
			rows[1+c] = append(rows[1+c], meanStd(s.Mean, s.Std, decimals))
		}
	}
	p.linef("\n%s", title)
	p.table(rows, false)
}

// numbers writes integers as 1, 2, 3.
func numbers(x []int) string {
	s := fmt.Sprint(x[0])
	for _, v := range x[1:] {
		s += fmt.Sprintf(", %d", v)
	}
	return s
}

// seconds writes a time that is in milliseconds.
func seconds(s reproduce.Stat) string { return meanStd(s.Mean/1000, s.Std/1000, 2) }

// mnistJSON is what reproduce mnist writes.
type mnistJSON struct {
	Schema     int               `json:"schema"`
	Experiment string            `json:"experiment"`
	Network    mnistNetworkJSON  `json:"network"`
	Runs       int               `json:"runs"`
	Samples    int               `json:"samples"`
	Seed       uint64            `json:"seed"`
	Norm       string            `json:"norm"`
	Partial    bool              `json:"partial,omitempty"` // the work was interrupted
	Images     []int             `json:"images"`            // of the runs that are done
	Methods    []mnistMethodJSON `json:"methods"`
	MonteCarlo statJSON          `json:"montecarlo_ms"`
}

type mnistNetworkJSON struct {
	Width      int       `json:"width"`
	Parameters int       `json:"parameters"`
	Weights    string    `json:"weights,omitempty"`       // the file they were read from
	Losses     []float64 `json:"cross_entropy,omitempty"` // mean of every epoch of training
	Seconds    float64   `json:"training_seconds,omitempty"`
	Accuracy   float64   `json:"accuracy"` // on the test part
}

type mnistMethodJSON struct {
	Method string           `json:"method"`
	Title  string           `json:"title"`
	Error  string           `json:"error,omitempty"` // why the method failed
	Logits []mnistLogitJSON `json:"logits"`
	All    *mnistLogitJSON  `json:"all"`
	Time   *statJSON        `json:"elapsed_ms"`
}

type mnistLogitJSON struct {
	Mean       statJSON `json:"mean_ratio"`
	Variance   statJSON `json:"variance_ratio"`
	Difference statJSON `json:"mean_difference_std"`
}

func newMNISTLogitJSON(l reproduce.MNISTLogit) mnistLogitJSON {
	return mnistLogitJSON{newStatJSON(l.Mean), newStatJSON(l.Variance), newStatJSON(l.Difference)}
}

func (c *reproduceMNISTCmd) json(t trainedNet, r *reproduce.MNISTReport) *mnistJSON {
	j := &mnistJSON{
		Schema: 1, Experiment: "mnist", Runs: c.Runs, Samples: c.Samples, Seed: c.Seed, Norm: c.Norm, Partial: r.Partial,
		Network: mnistNetworkJSON{
			Width: t.net.Width, Parameters: t.net.Parameters(), Weights: c.Weights, Losses: t.Losses, Seconds: t.Seconds, Accuracy: t.Accuracy,
		},
		Images: append([]int{}, r.Images...), Methods: []mnistMethodJSON{}, MonteCarlo: newStatJSON(r.MonteCarlo),
	}
	for _, m := range r.Methods {
		x := mnistMethodJSON{Method: m.Name, Title: m.Title, Error: m.Error, Logits: []mnistLogitJSON{}}
		if m.Error == "" {
			for _, l := range m.Logits {
				x.Logits = append(x.Logits, newMNISTLogitJSON(l))
			}
			all, time := newMNISTLogitJSON(m.All), newStatJSON(m.Time)
			x.All, x.Time = &all, &time
		}
		j.Methods = append(j.Methods, x)
	}
	return j
}
