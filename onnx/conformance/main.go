// Command conformance runs the ONNX backend tests through moment propagation.
//
//	go run ./onnx/conformance [-v] DIR...
//
// It looks in the folders DIR, two levels deep, for cases: a folder with model.onnx and, in
// test_data_set_*, the tensors input_*.pb and output_*.pb. All inputs of these
// models are graph inputs, weights included. The first real input that need not
// be constant for the model to be read, and on which an output depends, is
// uncertain; the other inputs become initializers before the model is read. Then
// the case is propagated twice.
//
//   - With a zero covariance. The mean must equal the stored outputs within
//     1e-5 of the largest element of each: they were computed in float32,
//     whose unit is 6e-8, by sums of up to a thousand products. (The backend
//     tests allow 1e-3 of each element, or 1e-7.) For float16 it is 2e-3, for
//     bfloat16 2e-2: four units, as some cases round intermediate results.
//     Outputs that were written down to four decimals, as their inputs were,
//     are good to a unit of the last.
//   - With the covariance eps^2 I. Where the function is smooth, the
//     covariance of the outputs must equal eps^2 J J', and that with the
//     inputs eps^2 J, J by central finite differences of the forward pass,
//     within 1e-4 of the product of the two standard deviations. An output
//     counts as smooth if its one-sided differences over 10 eps agree, and its
//     central ones over eps and 10 eps, along each input and along random
//     directions: then no kink or jump is within the input's reach, and the
//     second derivative is too small to matter. Elements of the input that are
//     at the end of the function's domain, such as 0 for a root, are held
//     certain. Where the covariances need more than 4 GiB the diagonal method
//     runs and the variances are compared alone, those due to 200 elements if
//     the input is large.
//
// So a model that is folded to a constant does not pass, with one exception:
// a model of operators that make constants of shapes and constants by their
// definition (Shape, Size, Constant, ConstantOfShape) has all inputs bound and
// its outputs compared.
//
// A model that is refused is skipped; the reason is the importer's error,
// which names operator or attribute. Also skipped are cases without a real
// output or without an uncertain input, and empty or non-finite tensors. A
// panic is a failure.
//
// Failures are always printed, every case with -v. The last line is
//
//	N passed, M failed, K skipped
//
// and the exit status is 1 if a case failed.
//
// With -coverage FILE it also writes, in Markdown, what became of the cases of
// each operator. With -all the other real inputs are uncertain as well, as far
// as the model can then be read: this tests rules with several inputs. With
// -light the folders hold the light models instead: see light.go.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the command; it returns its exit status.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	verbose := flags.Bool("v", false, "print a line for every case")
	light := flags.Bool("light", false, "the folders hold models NAME.onnx with NAME_output_0.pb")
	all := flags.Bool("all", false, "make all inputs uncertain that can be, not only the first")
	coverage := flags.String("coverage", "", "write the table of operators to this `file`")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: conformance [-v] [-all] [-light] [-coverage FILE] DIR...")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return 2
	}
	r := report{out: stdout, verbose: *verbose, all: *all}
	walk := walkCases
	if *light {
		walk = walkLight
	}
	for _, dir := range flags.Args() {
		if err := walk(dir, &r); err != nil {
			fmt.Fprintln(stderr, "conformance:", err)
			return 2
		}
	}
	if *coverage != "" {
		if err := writeCoverage(*coverage, r.results); err != nil {
			fmt.Fprintln(stderr, "conformance:", err)
			return 2
		}
	}
	if r.summary() > 0 {
		return 1
	}
	return 0
}

// walkCases runs the cases in dir: itself, its folders, and theirs. Symbolic
// links are followed.
func walkCases(dir string, r *report) error {
	var models []string
	for _, depth := range []string{"", "*", "*/*"} {
		found, err := filepath.Glob(filepath.Join(quoteGlob(dir), depth, "model.onnx"))
		if err != nil {
			return err
		}
		models = append(models, found...)
	}
	if len(models) == 0 {
		return fmt.Errorf("%s holds no case: no model.onnx in it, its folders or theirs", dir)
	}
	slices.Sort(models)
	for _, model := range models {
		dir := filepath.Dir(model)
		r.add(guard(filepath.Base(dir), func(res *result) {
			res.all = r.all
			runCase(dir, res)
		}))
	}
	return nil
}

// quoteGlob escapes what has a meaning in a pattern of filepath.Glob.
func quoteGlob(path string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(path)
}

// A status is what became of a case.
type status int

const (
	passed status = iota
	failed
	skipped
)

func (s status) String() string { return [...]string{"pass", "FAIL", "skip"}[s] }

// A result is what became of a case, and why.
type result struct {
	name   string
	all    bool // all inputs that can be are to be uncertain
	status status
	note   string
	ops    []string  // of the model
	nodes  []nodeUse // of the network, if one was built
}

func (r *result) fail(format string, args ...any) {
	r.status, r.note = failed, fmt.Sprintf(format, args...)
}

func (r *result) skip(format string, args ...any) {
	r.status, r.note = skipped, fmt.Sprintf(format, args...)
}

// guard runs a case and makes a panic a failure.
func guard(name string, run func(*result)) (res result) {
	res.name = name
	defer func() {
		if p := recover(); p != nil {
			res.fail("panic: %v", p)
		}
	}()
	run(&res)
	return res
}

// A report collects results and prints them.
type report struct {
	out     io.Writer
	verbose bool
	all     bool
	results []result
}

func (r *report) add(res result) {
	r.results = append(r.results, res)
	if !r.verbose && res.status != failed {
		return
	}
	fmt.Fprintf(r.out, "%v %s", res.status, res.name)
	if res.note != "" {
		fmt.Fprintf(r.out, ": %s", res.note)
	}
	fmt.Fprintln(r.out)
}

// summary prints the last line and returns the number of failures.
func (r *report) summary() int {
	var n [3]int
	for _, res := range r.results {
		n[res.status]++
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", n[passed], n[failed], n[skipped])
	return n[failed]
}

// glob is filepath.Glob in numerical order: input_2.pb before input_10.pb.
func glob(dir, pattern string) []string {
	files, _ := filepath.Glob(filepath.Join(quoteGlob(dir), pattern))
	sort.SliceStable(files, func(i, j int) bool {
		a, b := files[i], files[j]
		return len(a) < len(b) || len(a) == len(b) && a < b
	})
	return files
}
