package bayes

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/activation"
)

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestBadNetworks(t *testing.T) {
	relu := Activation{activation.ReLU()}
	deep := Layer(relu)
	for range maxDepth + 1 {
		deep = Residual{[]Layer{deep}}
	}
	for _, c := range []struct {
		inputs int
		layers []Layer
		words  string
	}{
		{0, []Layer{relu}, "inputs"},
		{1 << 20, []Layer{relu}, "inputs"},
		{3, nil, "no layers"},
		{3, []Layer{nil}, "layer 0"},
		{3, []Layer{relu, Linear{}}, "layer 1"},
		{3, []Layer{Linear{Out: -1}}, "not -1"},
		{3, []Layer{Activation{}}, "nil"},
		{3, []Layer{Residual{}}, "no layers"},
		{3, []Layer{Residual{[]Layer{Linear{Out: 4}}}}, "4 elements of 3"},
		{3, []Layer{deep}, "deep"},
	} {
		_, err := New(c.inputs, c.layers...)
		wantError(t, err, "bayes", c.words)
	}
}

func TestBadModels(t *testing.T) {
	net, err := New(3, Linear{Out: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		l     Likelihood
		p     Prior
		words string
	}{
		{nil, Prior{}, "likelihood"},
		{Gaussian{1}, Prior{}, "2 outputs"},
		{Gaussian{0}, Prior{}, "targets"},
		{Softmax{1}, Prior{}, "classes"},
		{StudentT{2, 0.5}, Prior{}, "degrees of freedom"},
		{Gaussian{2}, Prior{Variance: -1}, "variance"},
		{Gaussian{2}, Prior{Variance: math.NaN()}, "variance"},
		{Gaussian{2}, Prior{Empirical: true, Alpha: 1}, "beta"},
	} {
		_, err := NewModel(net, c.l, c.p)
		wantError(t, err, "bayes", c.words)
	}
	m := mustModel(t, 3, Gaussian{2}, Prior{}, Linear{Out: 4}, Activation{activation.Tanh()}, Linear{Out: 2})
	for words, o := range map[string]Options{
		"mode": {Mode: 9}, "order": {Mode: Series}, "series": {Order: 3}, "samples": {Samples: -1}, "tolerance": {Tol: math.NaN()}, "tanh": {Mode: DVI},
	} {
		_, err := m.NewObjective(o)
		wantError(t, err, "bayes", words)
		_, err = m.NewPredictor(m.Init(1), o)
		wantError(t, err, "bayes", words)
	}
	if _, err := ParseMode("fast"); err == nil {
		t.Error("there is a mode fast")
	}
	for i := range modeNames {
		if m, err := ParseMode(Mode(i).String()); err != nil || m != Mode(i) {
			t.Errorf("mode %d: %v, %v", i, m, err)
		}
	}
}

// TestJumps: samples of a step have no derivative, and are refused; predicting with
// them is not.
func TestJumps(t *testing.T) {
	for _, a := range []activation.Activation{activation.Step(), activation.Sign(), activation.ThresholdedReLU(1)} {
		m := mustModel(t, 3, Gaussian{1}, Prior{}, Linear{Out: 4}, Activation{a}, Linear{Out: 1})
		_, err := m.NewObjective(Options{Mode: MonteCarlo})
		wantError(t, err, "bayes", a.Name()+" jumps")
		if _, err := m.NewPredictor(m.Init(1), Options{Mode: MonteCarlo}); err != nil {
			t.Error(err)
		}
	}
	m := mustModel(t, 3, Gaussian{1}, Prior{}, Linear{Out: 4}, Activation{activation.ReLU6()}, Linear{Out: 1})
	if _, err := m.NewObjective(Options{Mode: MonteCarlo}); err != nil {
		t.Error(err)
	}
}

// TestIndefinite: correlations of which no three variables can be.
func TestIndefinite(t *testing.T) {
	m := mustModel(t, 3, Gaussian{1}, Prior{}, Linear{Out: 1})
	c := []float64{1, .99, .99, .99, 1, -.99, .99, -.99, 1}
	b := Batch{X: matrix(make([]float64, 6), 2, 3, 3), InputCovariance: matrix(append(make([]float64, 9), c...), 2, 9, 9), Y: matrix(make([]float64, 2), 2, 1, 1)}
	wantError(t, m.Check(b), "row 1 of InputCovariance", "not positive semidefinite")
	for i := range c { // singular ones are
		c[i] = 1
	}
	copy(b.InputCovariance.Data[9:], c)
	if err := m.Check(b); err != nil {
		t.Error(err)
	}
}

func TestBadBatches(t *testing.T) {
	m := mustModel(t, 2, Probit{}, Prior{}, Linear{Out: 1})
	good := func() Batch { return randomBatch(rand.New(rand.NewPCG(1, 1)), 4, 2, Probit{}, "certain") }
	numbers := func(rows, cols int, x ...float64) blas64.General { return matrix(x, rows, cols, cols) }
	for words, change := range map[string]func(b *Batch){
		"empty":            func(b *Batch) { b.X.Rows = 0 },
		"X is 4 x 1":       func(b *Batch) { b.X.Cols = 1 },
		"too few":          func(b *Batch) { b.X.Data = b.X.Data[:7] },
		"NaN":              func(b *Batch) { b.X.Data[3] = math.NaN() },
		"Y has +Inf":       func(b *Batch) { b.Y.Data[1] = math.Inf(1) },
		"0 or 1":           func(b *Batch) { b.Y.Data[2] = 0.5 },
		"Y is 3 x 1":       func(b *Batch) { b.Y.Rows = 3 },
		"InputVariance":    func(b *Batch) { b.InputVariance = numbers(4, 2, 0, 0, 1, -1, 0, 0, 0, 0) },
		"InputCovariance":  func(b *Batch) { b.InputCovariance = numbers(4, 2, make([]float64, 8)...) },
		"covariances (1, ": func(b *Batch) { b.InputCovariance = numbers(4, 4, 1, 2, 2, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1) },
		"not both": func(b *Batch) {
			b.InputVariance, b.InputCovariance = numbers(4, 2, make([]float64, 8)...), numbers(4, 4, make([]float64, 16)...)
		},
	} {
		b := good()
		change(&b)
		o, err := m.NewObjective(Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.Gradient(make([]float64, m.Size()), m.Init(1), b, Weights{Data: 4, KL: 1})
		wantError(t, err, "bayes", words)
	}
	o, err := m.NewObjective(Options{})
	if err != nil {
		t.Fatal(err)
	}
	theta, grad := m.Init(1), make([]float64, m.Size())
	_, err = o.Gradient(grad[1:], theta, good(), Weights{Data: 4, KL: 1})
	wantError(t, err, "parameters")
	_, err = o.Loss(theta[1:], good(), Weights{Data: 4, KL: 1})
	wantError(t, err, "parameters")
	_, err = o.Loss(theta, good(), Weights{})
	wantError(t, err, "data set")
	theta[1] = math.NaN()
	_, err = o.Loss(theta, good(), Weights{Data: 4})
	wantError(t, err, "0.weight.mean")
	_, err = m.NewPredictor(theta, Options{})
	wantError(t, err, "0.weight.mean")
	theta[1] = 0
	theta[m.Parameters()[1].Offset] = 1000 // exp(1000) is not finite
	_, err = o.Loss(theta, good(), Weights{Data: 4})
	wantError(t, err, "loss")
}

// TestLayout checks names, shapes and that theta has no gaps.
func TestLayout(t *testing.T) {
	m := mustModel(t, 3, Gaussian{2}, Prior{}, Linear{Out: 4, Deterministic: true}, Residual{[]Layer{Activation{activation.ReLU()}, Linear{Out: 4}}}, Linear{Out: 2})
	want := []string{
		"0.weight", "0.bias", "1.1.weight.mean", "1.1.weight.logvar", "1.1.bias.mean", "1.1.bias.logvar",
		"2.weight.mean", "2.weight.logvar", "2.bias.mean", "2.bias.logvar", "likelihood.logvar",
	}
	next := 0
	for i, p := range m.Parameters() {
		size := 1
		for _, d := range p.Shape {
			size *= d
		}
		if p.Name != want[i] || p.Offset != next || p.Len != size {
			t.Errorf("parameter %d is %+v, want %s from %d", i, p, want[i], next)
		}
		next += p.Len
	}
	if next != m.Size() || len(m.Parameters()) != len(want) || len(m.Init(1)) != next {
		t.Errorf("%d parameters of %d tensors, but Size is %d", next, len(m.Parameters()), m.Size())
	}
}
