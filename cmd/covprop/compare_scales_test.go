package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/covprop/covprop"
)

// TestCompareScales: at every scale the results are those of a comparison
// with the standard deviation multiplied by hand. The scales are powers of
// two, so that this product is exact.
func TestCompareScales(t *testing.T) {
	base := []string{power, "--mean", "0.1", "--samples", "50", "--truth-samples", "200", "--seed", "3"}
	r := compareJSONOf(t, append(base, "--std", "0.01", "--scales", "0.5,1,8")...)
	if len(r.Methods) != 0 || len(r.Scales) != 3 || r.Truth.truthHead != (truthHead{"montecarlo", "random", 200, 3, false}) || r.Partial {
		t.Fatalf("got %+v", r)
	}
	for i, std := range []string{"0.005", "0.01", "0.08"} {
		got := r.Scales[i]
		if want := []float64{0.5, 1, 8}[i]; got.Scale != want || got.Truth.truthHead != r.Truth.truthHead {
			t.Errorf("scale %d is %v with the truth %+v", i, got.Scale, got.Truth)
		}
		// The truth is there to be compared with: power has one output element.
		truth, m := got.Truth.Outputs[0], got.Methods[0].Outputs[0]
		if want := math.Abs(m.Mean[0]-truth.Mean[0]) / truth.Std[0]; math.Abs(*m.MeanErrorStd-want) > 1e-12*want || *truth.MeanSE[0] <= 0 {
			t.Errorf("scale %d: the mean is off by %v standard deviations of the truth, not %v", i, want, *m.MeanErrorStd)
		}
		want := compareJSONOf(t, append(base, "--std", std)...)
		for k := range want.Methods {
			got.Methods[k].ElapsedMS, want.Methods[k].ElapsedMS = 0, 0
		}
		if !reflect.DeepEqual(got.Methods, want.Methods) {
			t.Errorf("at scale %v the methods are %+v, want %+v", got.Scale, got.Methods, want.Methods)
		}
	}
}

func TestScaled(t *testing.T) {
	mean := []float64{1, 2}
	dense, err := covprop.NewDense(2, []float64{4, -1, -1, 9})
	if err != nil {
		t.Fatal(err)
	}
	for _, cov := range []covprop.Covariance{covprop.Diagonal{4, 9}, dense} {
		in := covprop.Gaussian{Mean: mean, Cov: cov}
		out, err := scaled(in, 3)
		if err != nil || !reflect.DeepEqual(out.Mean, mean) || reflect.TypeOf(out.Cov) != reflect.TypeOf(cov) {
			t.Fatalf("got %v, %v", out, err)
		}
		for i := range 2 {
			for j := range 2 {
				if got, want := out.Cov.At(i, j), 9*cov.At(i, j); got != want { // whole numbers: exact
					t.Errorf("%T: entry (%d,%d) is %v, want %v", cov, i, j, got, want)
				}
			}
		}
		if cov.At(0, 0) != 4 {
			t.Errorf("%T: the input has changed", cov)
		}
	}
	// Scales whose square is out of range, with a product that is not.
	for _, c := range []struct{ v, s, want float64 }{{1e-200, 1e180, 1e160}, {1e200, 1e-180, 1e-160}, {0, 1e300, 0}, {0, 1e-300, 0}} {
		out, err := scaled(covprop.Gaussian{Mean: []float64{0}, Cov: covprop.Diagonal{c.v}}, c.s)
		if err != nil {
			t.Errorf("%v times %v squared: %v", c.v, c.s, err)
		} else if got := out.Cov.At(0, 0); math.Abs(got-c.want) > 1e-14*c.want { // two products of rounded numbers
			t.Errorf("%v times %v squared is %v", c.v, c.s, got)
		}
	}
}

func TestCompareScalesText(t *testing.T) {
	out := mustExecute(t, "compare", power, "--mean", "0.1", "--std", "0.01", "--scales", "0.5,4", "--methods", "moment,montecarlo", "--samples", "30", "--truth-samples", "40")
	for _, want := range []string{"40 samples, seed 1", "scale", "0.5", "  4\n", "error of the mean", "error of the covariance", "KL(", "(truth)", "time", "30 samples and seed 2"} {
		if !strings.Contains(out, want) {
			t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "partial") {
		t.Errorf("a whole comparison calls itself partial:\n%s", out)
	}
}

// TestResolution has standard errors and covariances whose quotients can be
// worked out by hand.
func TestResolution(t *testing.T) {
	dense := func(data ...float64) *covprop.Dense {
		n := int(math.Sqrt(float64(len(data))))
		d, err := covprop.NewDense(n, data)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	r := covprop.Result{
		Gaussian: covprop.Gaussian{Mean: make([]float64, 4), Cov: dense(1, 0, 0, 0, 0, 4, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0)},
		Outputs:  []covprop.Output{{Len: 1}, {Offset: 1, Len: 2}, {Offset: 3, Len: 1}},
		StandardErrors: &covprop.StandardErrors{
			Mean: []float64{0.5, 0.2, 0.6, 0}, Cov: dense(0.25, 0, 0, 0, 0, 0.3, 0, 0, 0, 0, 0.4, 0, 0, 0, 0, 0),
		},
	}
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"mean of output 0", meanResolution(&r, 0), 0.5},
		{"mean of output 1", meanResolution(&r, 1), math.Sqrt((0.01 + 0.04) / 2)},
		{"mean of a constant", meanResolution(&r, 2), math.NaN()},
		{"covariance of output 0", covResolution(&r, 0), 0.25},
		{"covariance of output 1", covResolution(&r, 1), 0.5 / math.Sqrt(16+81)},
		{"covariance of a constant", covResolution(&r, 2), math.NaN()},
		{"worst", resolution([]comparison{{truth: r}}), 0.5},
	} {
		if !(math.Abs(c.got-c.want) <= 1e-15) && !(math.IsNaN(c.got) && math.IsNaN(c.want)) { // a few roundings
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

// TestComparePlot draws every method as a line, or says why it is not there.
func TestComparePlot(t *testing.T) {
	args := []string{"compare", power, "--mean", "0.1", "--std", "0.01", "--samples", "40", "--methods", "moment,montecarlo"}
	dir := t.TempDir()
	for name, magic := range map[string]string{"p.svg": "<svg", "p.png": "\x89PNG"} {
		path := filepath.Join(dir, name)
		out := mustExecute(t, append(args, "--plot", path, "--scales", "1,2")...)
		if !strings.Contains(out, "plot   "+path) {
			t.Errorf("the text does not name the plot:\n%s", out)
		}
		picture, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(picture[:min(len(picture), 500)], []byte(magic)) {
			t.Errorf("%s begins with %q", name, picture[:min(len(picture), 20)])
		}
		for _, label := range []string{"moment", "montecarlo", "time in seconds"} {
			if name == "p.svg" && !bytes.Contains(picture, []byte(label)) {
				t.Errorf("the picture lacks %q", label)
			}
		}
	}
	wantFiles(t, dir, "p.png", "p.svg")

	// Without uncertainty there is no error to draw.
	stdout, stderr, status := execute("compare", power, "--mean", "0.1", "--std", "0", "--samples", "4", "--methods", "moment", "--plot", filepath.Join(dir, "q.svg"))
	if status != 0 || stdout == "" || !strings.Contains(stderr, "not in the plot: moment: ") {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
}

// interrupted runs args, which would take days, and cancels them once: after
// a delay that grows until something was finished by then.
func interrupted(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	for delay := 50 * time.Millisecond; delay < 10*time.Second; delay *= 2 {
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(delay, cancel)
		var out, errs bytes.Buffer
		status := run(ctx, args, &out, &errs)
		timer.Stop()
		cancel()
		if status != 1 {
			t.Fatalf("status %d, stderr %s", status, &errs)
		}
		if out.Len() > 0 {
			return out.String(), errs.String()
		}
		if errs.String() != "covprop: interrupted before anything was finished\n" {
			t.Fatalf("stderr %s", &errs)
		}
	}
	t.Fatal("nothing is ever finished")
	return "", ""
}

// TestComparePartial interrupts the method montecarlo: the others are shown,
// in text, in JSON and in the file, and all say that this is not everything.
func TestComparePartial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.json")
	args := []string{"compare", power, "--mean", "0.1", "--std", "0.01", "--truth-samples", "10", "--samples", "1000000000000", "--methods", "montecarlo,linear,moment", "-o", path}
	stdout, stderr := interrupted(t, args...)
	if stderr != "covprop: interrupted\n" || !strings.Contains(stdout, "partial: interrupted after linear, moment\n") {
		t.Errorf("stderr %q, stdout\n%s", stderr, stdout)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r wantCompare
	if decodeStrictly(t, string(text), &r); !r.Partial || len(r.Methods) != 2 || r.Methods[0].Method != "linear" || r.Methods[1].Method != "moment" {
		t.Errorf("got %+v", r)
	}
	stdout, _ = interrupted(t, append(args, "--scales", "2,4")...)
	if !strings.Contains(stdout, "partial: interrupted after linear, moment at scale 2, which is number 1 of 2\n") || !strings.Contains(stdout, "montecarlo at scale 2: not reached") {
		t.Errorf("stdout\n%s", stdout)
	}
}

// TestCompareInterruptedTruth interrupts the truth itself: the methods are
// judged by the samples that it had.
func TestCompareInterruptedTruth(t *testing.T) {
	for _, sampler := range []string{"random", "sobol"} {
		path := filepath.Join(t.TempDir(), "c.json")
		stdout, stderr := interrupted(t, "compare", power, "--mean", "0.1", "--std", "0.01", "--sampler", sampler, "--samples", "32",
			"--truth-samples", "1000000000000", "--methods", "montecarlo,linear", "-o", path)
		if stderr != "covprop: interrupted\n" || !strings.Contains(stdout, "partial: interrupted after linear, ") || !strings.Contains(stdout, " of 1000000000000 samples of the truth\n") {
			t.Errorf("%s: stderr %q, stdout\n%s", sampler, stderr, stdout)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var r wantCompare
		decodeStrictly(t, string(text), &r)
		if !r.Partial || !r.Truth.Partial || r.Truth.Samples < 2 || r.Truth.Samples > 1e10 || len(r.Methods) != 1 || r.Methods[0].Method != "linear" {
			t.Fatalf("%s: got %+v", sampler, r)
		}
		// The network is nearly linear over 0.01: the mean is right to a few
		// standard errors of a good many samples.
		if e := r.Methods[0].Outputs[0].MeanErrorStd; e == nil || *e > 0.5 {
			t.Errorf("%s: with %d samples the mean is off by %v standard deviations", sampler, r.Truth.Samples, e)
		}
	}
}

// TestCompareSampler: quasi-random samples make a truth of smaller error, which
// the comparison shows.
func TestCompareSampler(t *testing.T) {
	resolution := func(sampler string) float64 {
		r := compareJSONOf(t, power, "--mean", "0.1", "--std", "0.1", "--sampler", sampler, "--methods", "montecarlo", "--samples", "4090")
		samples := map[string]int{"random": 4090, "sobol": 4096, "halton": 4096}[sampler] // of 16 randomisations
		if r.Truth.truthHead != (truthHead{"montecarlo", sampler, samples, 1, false}) {
			t.Errorf("got %+v", r.Truth)
		}
		return *r.Methods[0].Outputs[0].MeanErrorStd
	}
	random := resolution("random")
	for _, sampler := range []string{"sobol", "halton"} {
		// The points are known to be better by far more for a smooth function
		// of four variables; random ones are within a factor of 10 of their
		// standard error 9 times out of 10, whatever the seed.
		if e := resolution(sampler); !(e > 0 && e < random/5) {
			t.Errorf("two runs of %s differ by %v standard deviations, two random ones by %v", sampler, e, random)
		}
	}
}
