package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/bayes"
	"github.com/covprop/covprop/bayes/train"
	"github.com/covprop/covprop/dataset"
	"github.com/covprop/covprop/modelfile"
)

type trainCmd struct {
	Data        string     `arg:"" help:"The examples: a .csv or .tsv file with a header, a .parquet file, or a .npy matrix, whose columns are named 0, 1 and so on."`
	Target      string     `required:"" placeholder:"NAME" help:"The column to predict."`
	Hidden      []int      `default:"50" placeholder:"N" help:"Units of the hidden layers (default: ${default})."`
	Activation  string     `default:"relu" placeholder:"NAME" help:"Of the hidden layers: relu, gelu, tanh, silu, heaviside and others (default: ${default})."`
	Likelihood  string     `enum:"gaussian,homoscedastic,student,classify" default:"gaussian" placeholder:"KIND" help:"gaussian (each example has a noise of its own), homoscedastic (all have the same), student (the same, with heavy tails) or classify (default: ${default})."`
	Members     int        `default:"5" placeholder:"N" help:"Networks, from different beginnings, whose predictions are mixed (default: ${default})."`
	Epochs      int        `default:"0" placeholder:"N" help:"Times that all examples are seen (default: as many as make 20000 steps)."`
	Batch       int        `default:"0" placeholder:"N" help:"Examples of a step (default: 64, or all if there are fewer)."`
	Rate        float64    `default:"0.01" placeholder:"R" help:"The largest learning rate (default: ${default})."`
	Prior       string     `default:"4" placeholder:"V" help:"Variance of the weights' prior, for inputs and targets of variance 1, or empirical (default: ${default})."`
	Beta        *float64   `placeholder:"B" help:"Weigh examples by their noise variance to this power, from 0 to 1 (gaussian; default: 0.5)."`
	Mode        string     `enum:"exact,series,dvi,diagonal,montecarlo" default:"exact" placeholder:"MODE" help:"How moments are computed in training: exact, series (cut off at --order), dvi (Wu et al. 2019, for relu), diagonal or montecarlo (default: ${default})."`
	Order       int        `default:"0" placeholder:"K" help:"Terms of the covariance series, for --mode series."`
	Validation  float64    `default:"0" placeholder:"F" help:"Fraction of the examples to hold out, to choose the epoch and to stop early (default: ${default})."`
	Patience    *int       `placeholder:"N" help:"With --validation: stop after so many epochs without a better one (default: 100)."`
	Impute      string     `enum:"no,mean" default:"no" placeholder:"HOW" help:"Missing values: no (refuse them) or mean (default: ${default})."`
	Categorical []string   `placeholder:"NAME" help:"Columns of numbers that stand for categories."`
	Exclude     []string   `placeholder:"NAME" help:"Columns to leave out, such as names of the examples."`
	Seed        uint64     `default:"1" placeholder:"S" help:"Seed of all that is random (default: ${default})."`
	Threads     int        `default:"0" placeholder:"N" help:"Members trained at a time (default: one a processor)."`
	Resume      bool       `help:"Continue a training that was interrupted, from the checkpoint beside the model."`
	Output      outputFile `name:"output" short:"o" required:"" placeholder:"FILE.cpb" help:"The model."`
	Format      string     `enum:"text,json" default:"text" help:"text or json (default: ${default})."`
}

// Help is shown below the flags' summary.
func (c *trainCmd) Help() string {
	return `Trains networks with Gaussian weights by deterministic variational inference: moments, with full covariance, ` +
		`instead of samples. Columns of texts become one number for every category, others are standardised; both travel inside the model. ` +
		`Missing are the values that are empty, NA, N/A, NaN, null, none or ?. ` +
		`Ctrl-C keeps what was reached in FILE.cpb.checkpoint, and so does every minute; --resume continues from there to the same result.

Then: covprop evaluate, predict, export.`
}

// defaultBeta is that of docs/decisions/0015.
const defaultBeta = 0.5

// studentDoF is the number of degrees of freedom of --likelihood student.
const studentDoF = 4

func (c *trainCmd) check() error {
	switch {
	case c.Seed == 0:
		return usagef("--seed must be at least 1")
	case c.Members < 1 || c.Members > 1000:
		return usagef("--members must be from 1 to 1000, not %d", c.Members)
	case c.Batch < 0 || c.Epochs < 0 || c.Threads < 0:
		return usagef("--batch, --epochs and --threads must not be negative, as %d, %d and %d are", c.Batch, c.Epochs, c.Threads)
	case c.Patience != nil && c.Validation == 0:
		return usagef("--patience has no meaning without --validation")
	case c.Patience != nil && *c.Patience < 1:
		return usagef("--patience must be at least 1, not %d", *c.Patience)
	case c.Mode == "series" && (c.Order < 1 || c.Order > bayes.MaxOrder):
		return usagef("--mode series needs an --order from 1 to %d, not %d", bayes.MaxOrder, c.Order)
	case c.Mode != "series" && c.Order != 0:
		return usagef("--order has no meaning for the mode %s: it is that of the mode series", c.Mode)
	case !(c.Rate > 0 && c.Rate <= 1):
		return usagef("--rate must lie above 0 and be 1 at most, not %v", c.Rate)
	case c.Beta != nil && c.Likelihood != "gaussian":
		return usagef("--beta has no meaning for the likelihood %s, whose noise is the same everywhere", c.Likelihood)
	case c.Beta != nil && !(*c.Beta >= 0 && *c.Beta <= 1):
		return usagef("--beta must be from 0 to 1, not %v", *c.Beta)
	case !(c.Validation >= 0 && c.Validation < 1):
		return usagef("--validation must be at least 0 and below 1, not %v", c.Validation)
	}
	for _, n := range c.Hidden {
		if n < 1 {
			return usagef("--hidden takes positive numbers of units, not %d", n)
		}
	}
	return c.Output.check(".cpb")
}

func (c *trainCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	f, data, err := c.prepare(e)
	if err != nil {
		return err
	}
	checkpoint := &checkpoint{path: string(c.Output) + ".checkpoint", file: f, last: time.Now()}
	if err := checkpoint.open(c.Resume); err != nil {
		return err
	}
	start, config := time.Now(), f.Training.Config
	p := newProgress(e.stderr, "train")
	var last train.Progress
	done := make([]int, c.Members)
	run := train.Ensemble{
		Model: f.Model, Data: data, Config: config, Members: c.Members, Threads: c.threads(),
		From: checkpoint.from, Save: checkpoint.save, SaveEvery: 1,
		Progress: func(member int, now train.Progress) {
			last = now
			done[member] = now.Epoch
			sum := 0
			for _, n := range done {
				sum += n
			}
			p.update(sum, now.Epochs*c.Members)
		},
	}
	states, err := run.Train(e.ctx)
	p.clear()
	if err != nil {
		return checkpoint.keep(e, states, err)
	}
	for _, s := range states {
		f.Members = append(f.Members, s.Chosen())
	}
	if err := writeTrained(c.Output, f); err != nil {
		return err
	}
	if err := checkpoint.remove(); err != nil {
		return err
	}
	return c.print(e, f, states, last, time.Since(start))
}

// prepare reads the examples and makes what a model file has before training.
func (c *trainCmd) prepare(e *env) (*modelfile.File, bayes.Batch, error) {
	var data bayes.Batch
	act, err := activation.Parse(c.Activation)
	if err != nil {
		return nil, data, usagef("--activation: %w", err)
	}
	prior, err := parsePrior(c.Prior)
	if err != nil {
		return nil, data, err
	}
	table, err := dataset.ReadTable(c.Data)
	if err != nil {
		return nil, data, err
	}
	encoder, err := dataset.NewEncoder(table, dataset.EncoderOptions{
		Target: c.Target, Classes: c.Likelihood == "classify", Impute: c.Impute == "mean", Categorical: c.Categorical, Exclude: c.Exclude,
	})
	if err == nil {
		data.X, err = encoder.Inputs(table)
	}
	if err == nil {
		data.Y, err = encoder.Targets(table)
	}
	if err != nil {
		return nil, data, fmt.Errorf("%s: %w%s", c.Data, err, hint(err))
	}
	if len(encoder.Constant) > 0 {
		fmt.Fprintf(e.stderr, "covprop: left out, because they do not vary: the columns %s\n", plain(quoteList(encoder.Constant)))
	}
	model, err := c.model(encoder, act, prior)
	if err != nil {
		return nil, data, err
	}
	config := c.config(model, data.X.Rows)
	if config.Batch > data.X.Rows {
		return nil, data, usagef("--batch %d: %s has only %d rows", config.Batch, c.Data, data.X.Rows)
	}
	f := &modelfile.File{Model: model, Encoder: encoder, Training: modelfile.Training{
		Program: "covprop " + covprop.Version, Config: config, Members: c.Members, Rows: data.X.Rows, Data: modelfile.Digest(data),
	}}
	return f, data, c.checkMemory(model)
}

// hint names the flag that avoids an error.
func hint(err error) string {
	switch {
	case errors.Is(err, dataset.ErrMissing):
		return " (--impute mean)"
	case errors.Is(err, dataset.ErrNotNumber):
		return " (--likelihood classify)"
	case errors.Is(err, dataset.ErrUnusable):
		return " (--exclude)"
	}
	return ""
}

func (c *trainCmd) model(encoder *dataset.Encoder, act activation.Activation, prior bayes.Prior) (*bayes.Model, error) {
	var (
		l       bayes.Likelihood
		outputs = 1
	)
	switch classes := len(encoder.Target.Classes); {
	case c.Likelihood == "homoscedastic":
		l = bayes.Gaussian{Targets: 1}
	case c.Likelihood == "student":
		l = bayes.StudentT{Targets: 1, DoF: studentDoF}
	case classes == 2:
		l = bayes.Probit{}
	case classes > 2:
		l, outputs = bayes.Softmax{Classes: classes}, classes
	default:
		l, outputs = bayes.HeteroscedasticGaussian{Targets: 1}, 2
	}
	var layers []bayes.Layer
	for _, n := range c.Hidden {
		layers = append(layers, bayes.Linear{Out: n}, bayes.Activation{Activation: act})
	}
	network, err := bayes.New(encoder.Width(), append(layers, bayes.Linear{Out: outputs})...)
	if err != nil {
		return nil, err
	}
	return bayes.NewModel(network, l, prior)
}

func (c *trainCmd) config(model *bayes.Model, rows int) train.Config {
	mode, err := bayes.ParseMode(c.Mode)
	if err != nil {
		panic(err) // kong has checked it
	}
	config := train.Config{
		Objective: bayes.Options{Mode: mode, Order: c.Order}, Batch: c.Batch, Epochs: c.Epochs, Rate: c.Rate,
		Validation: c.Validation, Seed: c.Seed,
	}
	if c.Patience != nil {
		config.Patience = *c.Patience
	}
	if _, ok := model.Likelihood().(bayes.HeteroscedasticGaussian); ok {
		config.Objective.Beta = defaultBeta
		if c.Beta != nil {
			config.Objective.Beta = *c.Beta
		}
	}
	if config.Batch == 0 {
		config.Batch = min(train.DefaultBatch, rows-int(c.Validation*float64(rows)))
	}
	return config.WithDefaults()
}

func (c *trainCmd) threads() int {
	if c.Threads > 0 {
		return c.Threads
	}
	return runtime.GOMAXPROCS(0)
}

// checkMemory refuses a network whose parameters, with what training keeps for each,
// do not fit.
func (c *trainCmd) checkMemory(m *bayes.Model) error {
	const vectors = 9 // of a member: theta, two means, gradient, and copies
	need := 8 * vectors * float64(m.Size()) * float64(c.Members)
	if limit := float64(machineMemory() / 4 * 3); limit > 0 && need > limit {
		return fmt.Errorf("--hidden: %d networks of %d parameters need about %.0f GB to be trained, more than the %.0f GB of this machine that are used at most", c.Members, m.Size(), need/1e9, limit/1e9)
	}
	return nil
}

func parsePrior(text string) (bayes.Prior, error) {
	if text == "empirical" { // Wu et al. 2019
		return bayes.Prior{Empirical: true, Alpha: 4.4798, Beta: 10}, nil
	}
	v, err := readValues("--prior", text, 1)
	if err != nil || len(v.data) != 1 || !(v.data[0] > 0) {
		return bayes.Prior{}, usagef("--prior %s: must be a positive number or empirical", text)
	}
	return bayes.Prior{Variance: v.data[0]}, nil
}

type trainJSON struct {
	Schema     int      `json:"schema"`
	Version    string   `json:"version"`
	Model      string   `json:"model"`
	Rows       int      `json:"rows"`
	Inputs     int      `json:"inputs"`
	Constant   []string `json:"constant"`
	Likelihood string   `json:"likelihood"`
	Parameters int      `json:"parameters"` // of a member
	Members    int      `json:"members"`
	Epochs     []int    `json:"epochs"` // of the members
	Loss       *float64 `json:"loss"`
	Validation *float64 `json:"validation"` // expected log likelihood; null without
	Seconds    float64  `json:"seconds"`
}

func (c *trainCmd) print(e *env, f *modelfile.File, states []*train.State, last train.Progress, elapsed time.Duration) error {
	j := trainJSON{
		Schema: 1, Version: covprop.Version, Model: string(c.Output), Rows: f.Training.Rows, Inputs: f.Encoder.Width(),
		Constant: append([]string{}, f.Encoder.Constant...), Likelihood: f.Model.Likelihood().Name(), Parameters: f.Model.Size(),
		Members: c.Members, Loss: known(last.Loss), Seconds: elapsed.Seconds(),
	}
	if c.Validation > 0 {
		score := 0.
		for _, s := range states {
			score += s.BestScore / float64(len(states))
		}
		j.Validation = known(score)
	}
	for _, s := range states {
		j.Epochs = append(j.Epochs, s.Epoch)
	}
	if c.Format == "json" {
		return e.printJSON(j)
	}
	var p page
	p.linef("%s: %d rows, %d columns, %d inputs; target %s", plain(c.Data), j.Rows, len(f.Encoder.Features), j.Inputs, show(c.Target))
	networks := "networks"
	if c.Members == 1 {
		networks = "network"
	}
	p.linef("%s: %d %s of %d parameters, likelihood %s", plain(string(c.Output)), c.Members, networks, j.Parameters, j.Likelihood)
	p.linef("%d epochs in %s, loss of the last %s", last.Epoch, elapsed.Round(time.Millisecond), number(last.Loss))
	if j.Validation != nil {
		p.linef("expected log likelihood of an example held out: %s", number(*j.Validation))
	}
	p.linef("next: covprop evaluate %s TEST.csv", plain(string(c.Output)))
	return e.print(p.Bytes())
}
