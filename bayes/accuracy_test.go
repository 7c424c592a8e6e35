package bayes

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
)

// TestAccuracy checks what is said to be exact: the moments where every activation has
// a Gaussian input, densities where the outputs are Gaussian.
func TestAccuracy(t *testing.T) {
	relu := Activation{activation.ReLU()}
	plain := func(n int) Linear { return Linear{Out: n, Deterministic: true} }
	one := []Layer{Linear{Out: 3}, relu, Linear{Out: 2}}
	for _, c := range []struct {
		name             string
		layers           []Layer
		input            string
		mode             Mode
		moments, density string // parts of reasons, "" for exact or certified
	}{
		{"linear", []Layer{Linear{Out: 2}}, "certain", Exact, "", ""},
		{"product of weights and input", []Layer{Linear{Out: 2}}, "variances", Exact, "", "outputs taken as Gaussian"},
		{"plain linear", []Layer{plain(2)}, "covariances", Exact, "", ""},
		{"two linear", []Layer{Linear{Out: 3}, Linear{Out: 2}}, "certain", Exact, "", "outputs taken as Gaussian"},
		{"one hidden", one, "certain", Exact, "", "outputs taken as Gaussian"},
		{"one hidden, uncertain input", one, "variances", Exact, "Gaussian closure", "Gaussian"},
		{"plain hidden, uncertain input", []Layer{plain(3), relu, Linear{Out: 2}}, "variances", Exact, "", "outputs taken as Gaussian"},
		{"activation first", []Layer{relu, Linear{Out: 2}}, "covariances", Exact, "", "outputs taken as Gaussian"},
		{"plain throughout", []Layer{plain(3), relu, plain(3), relu, plain(2)}, "certain", Exact, "", ""},
		{"two hidden", []Layer{plain(3), relu, Linear{Out: 3}, relu, Linear{Out: 2}}, "certain", Exact, "", "outputs taken as Gaussian"},
		{"two random hidden", []Layer{Linear{Out: 3}, relu, Linear{Out: 3}, relu, Linear{Out: 2}}, "certain", Exact, "Gaussian closure", "Gaussian"},
		{"diagonal", one, "certain", Diagonal, "covariances ignored", "covariances ignored"},
		{"diagonal, one layer", []Layer{Linear{Out: 2}}, "certain", Diagonal, "", ""},
		{"diagonal, correlated input", []Layer{plain(1), plain(2)}, "covariances", Diagonal, "covariances ignored", "covariances ignored"},
		{"diagonal residual", []Layer{Linear{Out: 1}, Residual{[]Layer{relu}}, plain(2)}, "certain", Diagonal, "covariances ignored", ""},
		{"samples", one, "certain", MonteCarlo, "Monte Carlo", "Monte Carlo"},
	} {
		rng := rand.New(rand.NewPCG(7, 7))
		check := func(what string, a covprop.Accuracy, want string) {
			t.Helper()
			if approximate := a.Status == covprop.Approximate; approximate != (want != "") || !strings.Contains(a.Reason, want) {
				t.Errorf("%s: %s are %v (%s), want %q", c.name, what, a.Status, a.Reason, want)
			}
		}
		m := mustModel(t, 2, HeteroscedasticGaussian{1}, Prior{}, c.layers...)
		b := randomBatch(rng, 3, 2, m.Likelihood(), c.input)
		theta := randomTheta(rng, m)
		p, err := m.NewPredictor(theta, Options{Mode: c.mode})
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Predict(b)
		if err != nil {
			t.Fatal(err)
		}
		check("moments", r.Accuracy, c.moments)
		if c.density != "" || c.moments == "" {
			check("densities", r.Density, c.density)
		}
		o, err := m.NewObjective(Options{Mode: c.mode})
		if err != nil {
			t.Fatal(err)
		}
		l, err := o.Loss(theta, b, Weights{Data: 3, KL: 1})
		if err != nil {
			t.Fatal(err)
		}
		if c.density != "" || c.moments == "" {
			check("losses", l.Accuracy, c.density)
		}
	}
}
