package modelfile

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/bayes"
	"github.com/covprop/covprop/dataset"
)

// TestMean compares with the members' networks of means, fed with what the encoder
// makes of a row, and their outputs taken back to the target's units.
func TestMean(t *testing.T) {
	f := example(t, bayes.HeteroscedasticGaussian{Targets: 1}, 2, number("y"))
	rng := rand.New(rand.NewPCG(4, 5))
	for _, theta := range f.Members {
		for i := range theta {
			theta[i] = rng.NormFloat64()
		}
	}
	net, err := f.Mean()
	if err != nil {
		t.Fatal(err)
	}
	y := make([]float64, 2)
	if err := net.EvalTo(y, []float64{3, -1, 4, 0, 1}); err != nil {
		t.Fatal(err)
	}
	table, err := dataset.ParseCSV(strings.NewReader("d,c,b,a\nv,4,-1,3\n"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := f.Encoder.Inputs(table)
	if err != nil {
		t.Fatal(err)
	}
	var want [2]float64
	for _, theta := range f.Members {
		m, err := f.Model.Network().Mean(theta)
		if err != nil {
			t.Fatal(err)
		}
		z := make([]float64, 2)
		if err := m.EvalTo(z, x.Data); err != nil {
			t.Fatal(err)
		}
		want[0] += (5 + 0.1*z[0]) / 2
		want[1] += (2*math.Log(0.1) + z[1]) / 2
	}
	for k := range want { // some dozen roundings of numbers near 1
		if math.Abs(y[k]-want[k]) > 1e-13*math.Abs(want[k]) {
			t.Errorf("output %d is %v, want %v", k, y[k], want[k])
		}
	}

	n, err := bayes.New(5, bayes.Activation{Activation: activation.ReLU()}, bayes.Linear{Out: 2})
	if err != nil {
		t.Fatal(err)
	}
	if f.Model, err = bayes.NewModel(n, f.Model.Likelihood(), bayes.Prior{}); err != nil {
		t.Fatal(err)
	}
	f.Members = [][]float64{f.Model.Init(1)}
	if _, err := f.Mean(); err == nil || !strings.Contains(err.Error(), "must be linear") {
		t.Errorf("a network that does not begin with a linear layer: %v", err)
	}
}
