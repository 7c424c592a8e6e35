package bayes

import (
	"math"
	"strings"
	"testing"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/special"
)

// oneWeight is the model of f = slope relu(w x), w ~ N(0, 1), and its parameters.
func oneWeight(t *testing.T, l Likelihood, slope float64) (*Model, []float64) {
	t.Helper()
	m := mustModel(t, 1, l, Prior{}, Linear{Out: 1}, Activation{activation.ReLU()}, Linear{Out: 1, Deterministic: true})
	theta := make([]float64, m.Size())
	for _, p := range m.Parameters() {
		switch p.Name {
		case "0.bias.logvar":
			theta[p.Offset] = -700 // certain
		case "2.weight":
			theta[p.Offset] = slope
		}
	}
	return m, theta
}

// TestSampledClasses compares probabilities by samples with an integral over the
// weight: they are those of the network itself, not of Gaussian outputs.
func TestSampledClasses(t *testing.T) {
	m, theta := oneWeight(t, Probit{}, -3)
	const samples = 20000
	p, err := m.NewPredictor(theta, Options{Mode: MonteCarlo, Samples: samples, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Predict(Batch{X: matrix([]float64{1}, 1, 1, 1)})
	if err != nil {
		t.Fatal(err)
	}
	of := func(w float64) float64 { return special.CDF(-3 * max(0, w)) }
	mean := integrate(-9, 9, func(w float64) float64 { return special.Density(w) * of(w) })
	square := integrate(-9, 9, func(w float64) float64 { return special.Density(w) * of(w) * of(w) })
	v := square - mean*mean
	se := math.Sqrt(v / samples)
	if got := r.Mean.Data[0]; math.Abs(got-mean) > 4*se {
		t.Errorf("P = %v, want %v +- %v", got, mean, se)
	}
	// The standard error of a variance of numbers within an interval of length 1/2 is at
	// most that of their squares about the middle, 1/16.
	if got := r.Weight.Data[0]; math.Abs(got-v) > 4.0/16/math.Sqrt(samples) || r.Input.Data[0] != 0 {
		t.Errorf("the variance of the probability is %v, want %v; that of the input %v", got, v, r.Input.Data[0])
	}
	if q := r.Probabilities(0); math.Abs(q[0]+q[1]-1) > 1e-12 || math.Abs(q[1]-r.Mean.Data[0]) > 1e-12 {
		t.Errorf("probabilities %v, mean %v", q, r.Mean.Data[0])
	}
}

// TestSampledVariance: estimates from few samples are right on average, in four
// standard errors; the parts of the input too.
func TestSampledVariance(t *testing.T) {
	m := mustModel(t, 1, Gaussian{1}, Prior{}, Linear{Out: 1})
	theta := make([]float64, m.Size()) // w, b ~ N(0, 1)
	const seeds = 4000
	var weight, input, weightSquares, inputSquares float64
	for seed := range uint64(seeds) {
		p, err := m.NewPredictor(theta, Options{Mode: MonteCarlo, Samples: 3, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Predict(Batch{X: matrix([]float64{1}, 1, 1, 1), InputVariance: matrix([]float64{0.5}, 1, 1, 1)})
		if err != nil {
			t.Fatal(err)
		}
		weight += r.Weight.Data[0] / seeds
		weightSquares += r.Weight.Data[0] * r.Weight.Data[0] / seeds
		input += r.Input.Data[0] / seeds
		inputSquares += r.Input.Data[0] * r.Input.Data[0] / seeds
		if r.Input.Data[0] < 0 {
			t.Fatalf("the input's part is %v", r.Input.Data[0])
		}
	}
	// Var E[f | w, b] = Var(w + b) = 2, E Var(f | w, b) = E w^2/2 = 1/2.
	for what, c := range map[string]struct{ got, squares, want float64 }{"weights": {weight, weightSquares, 2}, "input": {input, inputSquares, 0.5}} {
		if se := math.Sqrt((c.squares - c.got*c.got) / seeds); math.Abs(c.got-c.want) > 4*se {
			t.Errorf("%s: %v +- %v, want %v", what, c.got, se, c.want)
		}
	}
	p, err := m.NewPredictor(theta, Options{Mode: MonteCarlo, Samples: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Predict(Batch{X: matrix([]float64{1}, 1, 1, 1)}); err == nil || !strings.Contains(err.Error(), "at least 2 samples") {
		t.Errorf("one sample has no variance: %v", err)
	}
}

// TestProbitTails: the probability of what is nearly impossible keeps its digits.
func TestProbitTails(t *testing.T) {
	m := mustModel(t, 1, Probit{}, Prior{}, Linear{Out: 1, Deterministic: true})
	p, err := m.NewPredictor([]float64{1, 0}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Predict(Batch{X: matrix([]float64{9, -9}, 2, 1, 1)})
	if err != nil {
		t.Fatal(err)
	}
	const phi = 1.1285884059538405e-19 // Phi(-9), by mpmath
	for i, y := range []float64{0, 1} {
		if got, want := r.LogDensity(i, []float64{y}), math.Log(phi); math.Abs(got/want-1) > 1e-14 {
			t.Errorf("log P = %v, want %v", got, want)
		}
		if got := r.Probabilities(i)[int(y)]; math.Abs(got/phi-1) > 1e-13 {
			t.Errorf("P = %v, want %v", got, phi)
		}
		if got := r.Noise.Data[i]; math.Abs(got/phi-1) > 1e-13 { // p (1 - p)
			t.Errorf("the indicator's variance is %v, want %v", got, phi)
		}
	}
	if got := r.LogDensity(0, []float64{0.5}); !math.IsNaN(got) {
		t.Errorf("half a class has the log density %v", got)
	}
	if got := r.PlugIn(0, []float64{7}); !math.IsNaN(got) {
		t.Errorf("a class that is not there has the log density %v", got)
	}
	if _, err := p.Predict(Batch{X: matrix([]float64{1}, 1, 1, 1), InputVariance: matrix([]float64{1e308}, 1, 1, 1)}); err != nil {
		t.Error(err) // large, but finite
	}
	q, err := m.NewPredictor([]float64{10, 0}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := q.Predict(Batch{X: matrix([]float64{1, 1e308}, 2, 1, 1)}); err == nil || !strings.Contains(err.Error(), "row 1: output 0 overflows") {
		t.Errorf("an output that overflows: %v, %v", r, err)
	}
}
