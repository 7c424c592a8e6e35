package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// modelFlags say which model to read, and how.
type modelFlags struct {
	Model string   `arg:"" name:"model" help:"The model, an ONNX file."`
	Shape repeated `placeholder:"NAME=1x3x32x32" help:"The shape of an input with symbolic dimensions. May be repeated."`
	Fix   repeated `placeholder:"NAME=VALUE" help:"Hold an input fixed at a value, which is given as for --mean. May be repeated."`
}

// inputFlags give the mean and the covariance of the uncertain inputs.
type inputFlags struct {
	Mean  repeated `placeholder:"M" help:"Mean: a .npy, .csv or .json file, or numbers such as 0.1 or 0.1,0.2,0.3; one number stands for all elements. With several uncertain inputs, NAME=M, repeated."`
	Std   repeated `placeholder:"S" help:"Standard deviations of independent elements, given as for --mean."`
	Cov   string   `placeholder:"C" help:"Covariance of all uncertain inputs together, n x n numbers, in place of --std."`
	Input string   `placeholder:"NAME" help:"The uncertain input, where there are several; --fix holds the others fixed."`
}

// A repeated flag gathers its values as they stand: commas do not split them,
// and they may start with a minus sign, as in --mean -0.1,0.2.
type repeated []string

// Decode implements kong.MapperValue.
func (r *repeated) Decode(ctx *kong.DecodeContext) error {
	token := ctx.Scan.Pop()
	if token.IsEOL() || strings.HasPrefix(token.String(), "--") {
		return errors.New("a value is missing")
	}
	*r = append(*r, token.String())
	return nil
}

func (f *inputFlags) check() error {
	switch {
	case len(f.Mean) == 0:
		return usagef("--mean is missing: give the mean of the input")
	case len(f.Std) > 0 && f.Cov != "":
		return usagef("--std and --cov exclude each other")
	case len(f.Std) == 0 && f.Cov == "":
		return usagef("--std or --cov is missing: give the uncertainty of the input")
	}
	return nil
}

// methodFlags tune the methods.
type methodFlags struct {
	Order     *int      `placeholder:"K" help:"Fixed order of the covariance series (moment); excludes --tol."`
	Tol       *float64  `placeholder:"T" help:"Certified tolerance, relative to the standard deviations (moment, diagonal; default: 1e-9, with --precision 32 1.2e-7)."`
	Precision int       `enum:"64,32" default:"64" placeholder:"BITS" help:"Bits in which covariances are kept: 64, or 32 for half the memory (moment; default: ${default})."`
	Samples   int       `default:"10000" placeholder:"N" help:"Number of Monte Carlo samples (default: ${default})."`
	Sampler   string    `enum:"random,sobol,halton" default:"random" placeholder:"KIND" help:"How Monte Carlo draws its samples: random, or sobol or halton for randomised quasi-Monte Carlo, which needs fewer (default: ${default})."`
	RelError  *float64  `placeholder:"E" help:"Error at which to stop: of a mean in standard deviations, of a variance relative to it (mixture, hybrid, auto; default: 0.05). hybrid and auto stop at 2097152 samples in any case, and the accuracy says what was reached."`
	Budget    *budget   `placeholder:"B" help:"What to spend at most: so many times one propagation, or a time such as 2s (mixture; default: 200)."`
	Seed      uint64    `default:"1" placeholder:"S" help:"Seed of all samples (default: ${default})."`
	Threads   *int      `placeholder:"N" help:"Number of threads (default: one a processor)."`
	MaxMemory *byteSize `placeholder:"8GiB" help:"Refuse work whose matrices need more memory (default: three quarters of the machine's, where that is known)."`
}

// check checks the flags for the methods that are to run.
func (f *methodFlags) check(methods ...string) error {
	given := func(of ...string) bool {
		return slices.ContainsFunc(methods, func(m string) bool { return slices.Contains(of, m) })
	}
	series := given(moment, mixture, hybrid, auto)
	switch {
	case f.Order != nil && f.Tol != nil:
		return usagef("--order and --tol exclude each other")
	case f.Order != nil && *f.Order < 1:
		return usagef("--order must be at least 1, not %d", *f.Order)
	case f.Tol != nil && !(*f.Tol > 0 && *f.Tol < 1):
		return usagef("--tol must lie between 0 and 1, not at %v", *f.Tol)
	case f.Order != nil && !series:
		return usagef("--order has no meaning for the method %s: it is the order of the covariance series of the method moment", strings.Join(methods, ", "))
	case f.Tol != nil && !series && !given(diagonal):
		return usagef("--tol has no meaning for the method %s: it is the tolerance of the methods moment and diagonal", strings.Join(methods, ", "))
	case f.Precision != 64 && !series:
		return usagef("--precision has no meaning for the method %s: it is that of the covariances of the method moment", strings.Join(methods, ", "))
	case f.RelError != nil && !given(mixture, hybrid, auto):
		return usagef("--rel-error has no meaning for the method %s: it is where the methods mixture, hybrid and auto stop", strings.Join(methods, ", "))
	case f.RelError != nil && !(*f.RelError > 0 && *f.RelError < 1):
		return usagef("--rel-error must lie between 0 and 1, not at %v", *f.RelError)
	case f.Budget != nil && !given(mixture):
		return usagef("--budget has no meaning for the method %s: it is that of the method mixture", strings.Join(methods, ", "))
	case f.Seed == 0:
		return usagef("--seed must be at least 1")
	case f.Threads != nil && *f.Threads < 1:
		return usagef("--threads must be at least 1, not %d", *f.Threads)
	}
	return checkSamples("--samples", f.Samples, f.Sampler)
}

// minQuasi is the smallest number of quasi-random samples.
const minQuasi = 32

// checkSamples checks a number of samples of Monte Carlo, which flag gave.
func checkSamples(flag string, n int, sampler string) error {
	switch {
	case n < 2:
		return usagef("%s must be at least 2, not %d", flag, n)
	case sampler != "random" && n < minQuasi:
		return usagef("%s must be at least %d for --sampler %s, not %d", flag, minQuasi, sampler, n)
	}
	return nil
}

// relError returns the error at which to stop, 0 for the default.
func (f *methodFlags) relError() float64 {
	if f.RelError == nil {
		return 0
	}
	return *f.RelError
}

// threads returns the number of threads, 0 for the default.
func (f *methodFlags) threads() int {
	if f.Threads == nil {
		return 0
	}
	return *f.Threads
}

// maxBytes returns the memory limit, 0 for none.
func (f *methodFlags) maxBytes() int64 {
	if f.MaxMemory == nil {
		return machineMemory() / 4 * 3
	}
	return int64(*f.MaxMemory)
}

// A byteSize is an amount of memory such as 8GiB, 1.5GB or 1000.
type byteSize int64

var byteUnits = map[string]float64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// UnmarshalText parses a byteSize.
func (b *byteSize) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	digits := strings.TrimRight(s, "BGIKMTbgikmt ")
	unit, ok := byteUnits[strings.ToLower(strings.TrimSpace(s[len(digits):]))]
	n, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil {
		return fmt.Errorf("%q is not an amount of memory such as 8GiB, 500MB or 1000000", s)
	}
	if n *= unit; !(n >= 1 && n < math.MaxInt64) {
		return errors.New("the limit must be at least one byte and less than 8 EiB")
	}
	*b = byteSize(n)
	return nil
}

// splitNamed splits NAME=VALUE at its first equals sign. An argument that is
// the name of an existing file is a value without a name, even if it contains
// an equals sign.
func splitNamed(arg string) (name, value string, named bool) {
	if decoder(arg) != nil && exists(arg) {
		return "", arg, false
	}
	name, value, named = strings.Cut(arg, "=")
	if !named {
		return "", arg, false
	}
	return name, value, true
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// maxShape bounds the number of elements that --shape may ask for.
const maxShape = 1 << 28

// parseShape parses 1x3x32x32.
func parseShape(s string) ([]int, error) {
	shape, n := []int(nil), 1
	for field := range strings.SplitSeq(s, "x") {
		d, err := strconv.Atoi(field)
		if err != nil || d < 1 || d > maxShape/n {
			return nil, fmt.Errorf("%q is not a shape such as 1x3x32x32", s)
		}
		n *= d
		shape = append(shape, d)
	}
	return shape, nil
}
