// Command covprop pushes an uncertain input, given by its mean and its
// covariance, through a trained network and prints how uncertain the output
// is and how exact every step was:
//
//	covprop inspect MODEL.onnx
//	covprop propagate MODEL.onnx --mean M (--std S | --cov C) [flags]
//	covprop compare MODEL.onnx --mean M (--std S | --cov C) [flags]
//	covprop train DATA.csv --target NAME -o MODEL.cpb [flags]
//	covprop predict MODEL.cpb DATA.csv [flags]
//	covprop evaluate MODEL.cpb DATA.csv [flags]
//	covprop export MODEL.cpb -o MEAN.onnx
//	covprop reproduce EXPERIMENT [flags]
//	covprop bench [--json]
//	covprop version
//
// Results go to standard output, everything else to standard error. The exit
// status is 0, 1 for an error in the model, the data or the numbers, and 2 for
// an error in the command line. Output files appear whole or not at all.
//
// The command holds no mathematics: flags, files and printing only.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/covprop/covprop/internal/cpu"
)

type cli struct {
	Inspect   inspectCmd   `cmd:"" help:"Show a model's inputs, outputs and nodes, and how exactly each node can be propagated."`
	Propagate propagateCmd `cmd:"" help:"Propagate an uncertain input through a model."`
	Compare   compareCmd   `cmd:"" help:"Compare methods with Monte Carlo on one input."`
	Train     trainCmd     `cmd:"" help:"Train a network with uncertain weights on a table."`
	Predict   predictCmd   `cmd:"" help:"Predict the rows of a table with a trained model."`
	Evaluate  evaluateCmd  `cmd:"" help:"Compare a trained model's predictions with what is in a table."`
	Export    exportCmd    `cmd:"" help:"Write the network of a trained model's mean weights as ONNX."`
	Reproduce reproduceCmd `cmd:"" help:"Repeat a published experiment."`
	Bench     benchCmd     `cmd:"" help:"Measure covprop on this machine."`
	Version   versionCmd   `cmd:"" help:"Show the version."`
}

// env is what a command may touch.
type env struct {
	ctx            context.Context
	stdout, stderr io.Writer
}

// The values of exit status besides 0.
const (
	exitError = 1 // model, data or numerical error
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	helped := false
	parser := kong.Must(&c,
		kong.Name("covprop"),
		kong.Description("How uncertain is a neural network's output if its input is uncertain? "+
			"covprop pushes a mean and a full covariance through an ONNX model analytically and says how exact each step was."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { helped = true }), // kong exits after printing help only
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if len(args) == 1 && args[0] == "--version" {
		args = []string{"version"}
	}
	k, err := parser.Parse(joinNegative(args))
	if err == nil {
		err = cpu.Err()
	}
	switch {
	case helped:
		return 0
	case err != nil:
		return report(stderr, commandOf(args), usageError{err})
	}
	return report(stderr, commandOf(args), k.Run(&env{ctx: ctx, stdout: stdout, stderr: stderr}))
}

// joinNegative writes "--flag -1" as "--flag=-1", since the parser would take the
// number for a flag. There are no flags that are called by a digit.
func joinNegative(args []string) []string {
	var joined []string
	for _, a := range args {
		last := len(joined) - 1
		if len(a) > 1 && a[0] == '-' && strings.ContainsRune("0123456789.", rune(a[1])) &&
			last >= 0 && strings.HasPrefix(joined[last], "--") && !strings.Contains(joined[last], "=") {
			joined[last] += "=" + a
			continue
		}
		joined = append(joined, a)
	}
	return joined
}

// report prints err as one line and returns its exit status.
func report(stderr io.Writer, command string, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "covprop: %v (see %s --help)\n", oneLine(err), command)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "covprop: interrupted")
	default:
		fmt.Fprintf(stderr, "covprop: %v\n", oneLine(err))
	}
	return exitError
}

// commandOf returns the command whose help explains args.
func commandOf(args []string) string {
	if len(args) > 0 {
		switch args[0] {
		case "inspect", "propagate", "compare", "train", "predict", "evaluate", "export", "bench", "version":
			return "covprop " + args[0]
		case "reproduce":
			if len(args) > 1 && slices.Contains(experiments, args[1]) {
				return "covprop reproduce " + args[1]
			}
			return "covprop reproduce"
		}
	}
	return "covprop"
}

// oneLine writes an error, parts of which may come from a model, on one line
// and without control characters.
func oneLine(err error) string {
	return plain(strings.ReplaceAll(err.Error(), "\n", "; "))
}

// A usageError is an error in the command line itself.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
