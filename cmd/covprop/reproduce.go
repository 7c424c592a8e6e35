package main

import "fmt"

// reproduceCmd holds the experiments, each a command of its own.
type reproduceCmd struct {
	Tightness  reproduceTightnessCmd  `cmd:"" help:"How close analytic moments of random networks come to Monte Carlo (Wright et al. 2024, section 4.2)."`
	Covariance reproduceCovarianceCmd `cmd:"" help:"The covariance of two ReLUs, and the errors of its approximations (Wright et al. 2024, figure 2)."`
	MNIST      reproduceMNISTCmd      `cmd:"" name:"mnist" help:"How close analytic moments of the logits of a network trained on MNIST come to Monte Carlo (Wright et al. 2024)."`
	UCI        reproduceUCICmd        `cmd:"" name:"uci" help:"Test log likelihoods of Bayesian networks on UCI tables (Wu et al. 2019)."`
	ACAS       reproduceAcasCmd       `cmd:"" name:"acasxu" help:"What the audit notices and method auto reaches on the networks ACAS Xu 1_1 to 1_9."`
}

// experiments are the names of those commands.
var experiments = []string{"tightness", "covariance", "mnist", "uci", "acasxu"}

// Help is shown below the flags' summary.
func (c *reproduceCmd) Help() string {
	return `Repeats published experiments. docs/reproduction.md has the results beside the published ones.`
}

// experimentFlags are common to the experiments.
type experimentFlags struct {
	Seed   uint64 `default:"1" placeholder:"S" help:"Seed of all that is random (default: ${default})."`
	Format string `enum:"text,json" default:"text" help:"text or json (default: ${default})."`
}

func (f *experimentFlags) check() error {
	if f.Seed == 0 {
		return usagef("--seed must be at least 1")
	}
	return nil
}

// meanStd writes an average and the standard deviation beside it, the latter
// unknown if there is one run.
func meanStd(mean, std float64, decimals int) string {
	switch {
	case !finite(mean):
		return "-"
	case !finite(std):
		return fmt.Sprintf("%.*f", decimals, mean)
	}
	return fmt.Sprintf("%.*f ± %.*f", decimals, mean, decimals, std)
}
