package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestClassify counts which of the Gaussian logits is the largest in samples
// from their moments.
func TestClassify(t *testing.T) {
	r := attributedJSON(t, digits, "--mean", "0.3", "--std", "0.3", "--classify")
	c, o := r.Classify, r.Outputs[0]
	if c.Output != "output" || len(c.Probabilities) != 10 || len(c.StandardErrors) != 10 {
		t.Fatalf("classify is %+v", c)
	}
	cov := mat.NewSymDense(10, slices.Concat(o.Cov...))
	var eig mat.EigenSym
	if !eig.Factorize(cov, true) {
		t.Fatal("no eigenvalues")
	}
	var l mat.Dense // l l' is the covariance, which may be singular
	eig.VectorsTo(&l)
	w := eig.Values(nil)
	l.Apply(func(_, k int, v float64) float64 { return v * math.Sqrt(max(w[k], 0)) }, &l)
	const samples = 200000
	rng := rand.New(rand.NewPCG(5, 6))
	count := make([]float64, 10)
	z, x := mat.NewVecDense(10, nil), mat.NewVecDense(10, nil)
	for range samples {
		for i := range 10 {
			z.SetVec(i, rng.NormFloat64())
		}
		x.MulVec(&l, z)
		best := 0
		for i := range 10 {
			if o.Mean[i]+x.AtVec(i) > o.Mean[best]+x.AtVec(best) {
				best = i
			}
		}
		count[best]++
	}
	likely, change := 0, 0.
	for i, p := range c.Probabilities {
		// Five binomial standard errors, and one count for those that are 0.
		if se := math.Sqrt(p * (1 - p) / samples); math.Abs(count[i]/samples-p) > 5*(se+c.StandardErrors[i])+1./samples {
			t.Errorf("class %d has the probability %v, but %v of the samples", i, p, count[i]/samples)
		}
		if p > 0.01 {
			likely++
		}
		if i != c.Predicted {
			change += p
		}
	}
	if likely < 2 {
		t.Errorf("the test has %d likely classes; it needs two", likely)
	}
	at := propagateJSON(t, digits, "--mean", "0.3", "--std", "0").Outputs[0].Mean
	if at[c.Predicted] != slices.Max(at) {
		t.Errorf("predicted %d, but the logits at the mean are %v", c.Predicted, at)
	}
	if math.Abs(c.ChangeProbability-change) > 1e-15 || c.Accuracy.Status != "approximate" || c.Accuracy.Reason != "quasi-Monte Carlo" {
		t.Errorf("classify is %+v", c)
	}
}

// TestClassifyCertain: without uncertainty the predicted class has probability
// one, and that is exact. Methods without covariances do it, too.
func TestClassifyCertain(t *testing.T) {
	c := attributedJSON(t, digits, "--mean", "0.3", "--std", "0", "--classify").Classify
	if c.Probabilities[c.Predicted] != 1 || c.ChangeProbability != 0 || c.Accuracy.Status != "exact" || *c.Accuracy.Bound != 0 {
		t.Errorf("classify is %+v", c)
	}
	for _, method := range allMethods {
		cheap := []string{"--audit", "0"}
		switch method {
		case hybrid, auto:
			cheap = []string{"--rel-error", "0.3"}
		case mixture:
			cheap = append(cheap, "--budget", "3")
		}
		p := attributedJSON(t, append([]string{digits, "--mean", "0.3", "--std", "0.1", "--classify", "--method", method, "--samples", "1000"}, cheap...)...).Classify.Probabilities
		if sum := sumOf(p); math.Abs(sum-1) > 1e-2 {
			t.Errorf("%s: the probabilities sum to %v", method, sum)
		}
	}
	text := mustExecute(t, "propagate", digits, "--mean", "0.3", "--std", "0.1", "--classify", "--audit", "0")
	for _, want := range []string{"classes by the logits output, if they are Gaussian: ", "class  probability", "; it changes with probability "} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}

func sumOf(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

// TestFlagsThatDoNotApply: a flag that a method or a model cannot honour is an
// error, not ignored.
func TestFlagsThatDoNotApply(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"propagate " + acas + " --method linear --tol 0.1", 2, "--tol has no meaning for the method linear"},
		{"propagate " + acas + " --method montecarlo --order 2", 2, "--order has no meaning for the method montecarlo"},
		{"propagate " + acas + " --method diagonal --order 2", 2, "--order has no meaning for the method diagonal"},
		{"propagate " + acas + " --method unscented --strict", 2, "--strict has no meaning for the method unscented"},
		{"propagate " + acas + " --method diagonal --keep-input", 2, "--keep-input needs --method moment"},
		{"propagate " + acas + " --method montecarlo --attribution", 2, "--attribution needs --method moment"},
		{"compare " + acas + " --methods linear,unscented --tol 0.1", 2, "--tol has no meaning for the method linear, unscented"},
		{"propagate " + acas + " --method linear --precision 32", 2, "--precision has no meaning for the method linear"},
		{"propagate " + acas + " --precision 16", 2, "--precision must be one of"},
		{"compare " + acas + " --methods diagonal,linear --order 3", 2, "--order has no meaning for the method diagonal, linear"},
		{"propagate " + power + " --classify", 1, `power_gelu.onnx: --classify needs an output that is one vector of at least two logits`},
		{"propagate " + mandal + " --fix input_1=0 --classify", 1, `this one has 3: "output_1", "output_2", "output_3"`},
	} {
		stdout, stderr, status := execute(append(strings.Fields(c.args), "--mean", "0", "--std", "0.1")...)
		if status != c.status || !strings.Contains(stderr, c.want) || stdout != "" {
			t.Errorf("covprop %s: status %d, %swant %d, %s", c.args, status, stderr, c.status, c.want)
		}
	}
	// Where they apply they work.
	mustExecute(t, "propagate", acas, "--mean", "0", "--std", "0.1", "--method", "diagonal", "--tol", "1e-6", "--audit", "0")
	mustExecute(t, "compare", acas, "--mean", "0", "--std", "0.1", "--methods", "moment,linear", "--order", "3", "--samples", "100")
}
