package bayes

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/covprop/covprop/activation"
)

// TestBeta checks the gradient against that of single examples, weighed by the
// variance of their noise to the power beta,
//
//	sum_i v_i^beta g_i / sum_i v_i^beta + KL's,   v = exp of the mean log variance,
//
// for the mode exact and, with weights that are certain, for samples. Value has no
// weights.
func TestBeta(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	l := HeteroscedasticGaussian{2}
	for _, mode := range []Mode{Exact, MonteCarlo} {
		m := mustModel(t, 3, l, Prior{}, Linear{Out: 5}, Activation{activation.ReLU()}, Linear{Out: 4, Deterministic: mode == MonteCarlo})
		theta := randomTheta(rng, m)
		if mode == MonteCarlo {
			for _, p := range m.Parameters() {
				for i := range p.Len {
					if p.Role == LogVariance {
						theta[p.Offset+i] = -700
					}
				}
			}
		}
		const beta, rows = 0.7, 40 // more examples than go through at once
		b := randomBatch(rng, rows, 3, l, "certain")
		gradient := func(o Options, b Batch, kl float64) (grad []float64, loss Loss) {
			obj, err := m.NewObjective(o)
			if err != nil {
				t.Fatal(err)
			}
			grad = make([]float64, m.Size())
			if loss, err = obj.Gradient(grad, theta, b, Weights{Data: 9, KL: kl}); err != nil {
				t.Fatal(err)
			}
			return grad, loss
		}
		got, loss := gradient(Options{Mode: mode, Beta: beta}, b, 1)
		_, plain := gradient(Options{Mode: mode}, b, 1)
		if loss != plain {
			t.Errorf("%v: the loss is %v with weights and %v without", mode, loss, plain)
		}
		want, _ := gradient(Options{Mode: mode}, Batch{X: matrix(b.X.Data[:3], 1, 3, 3), Y: matrix(b.Y.Data[:2], 1, 2, 2)}, 1)
		first, _ := gradient(Options{Mode: mode}, Batch{X: matrix(b.X.Data[:3], 1, 3, 3), Y: matrix(b.Y.Data[:2], 1, 2, 2)}, 0)
		for i := range want {
			want[i] -= first[i] // what is left is that of the divergence
		}
		predictor, err := m.NewPredictor(theta, Options{Tol: 1e-12})
		if err != nil {
			t.Fatal(err)
		}
		r, err := predictor.Predict(b)
		if err != nil {
			t.Fatal(err)
		}
		weights, sum := make([]float64, rows), 0.
		for i := range weights {
			f := row(r.Outputs, i)
			weights[i] = math.Pow(math.Sqrt(math.Exp(f[2])*math.Exp(f[3])), beta)
			sum += weights[i]
		}
		for i, w := range weights {
			one, _ := gradient(Options{Mode: mode}, Batch{X: matrix(b.X.Data[3*i:3*i+3], 1, 3, 3), Y: matrix(b.Y.Data[2*i:2*i+2], 1, 2, 2)}, 0)
			for j := range one {
				want[j] += w / sum * one[j]
			}
		}
		scale := 0.
		for _, x := range want {
			scale = max(scale, math.Abs(x))
		}
		for i := range want { // the series' tolerance is 1e-6
			if math.Abs(got[i]-want[i]) > 1e-6*scale {
				t.Errorf("%v: derivative %d is %v, want %v", mode, i, got[i], want[i])
			}
		}
	}
	m := mustModel(t, 3, Gaussian{1}, Prior{}, Linear{Out: 1})
	if _, err := m.NewObjective(Options{Beta: .5}); err == nil || !strings.Contains(err.Error(), "beta") {
		t.Errorf("a likelihood with one noise for all: %v", err)
	}
	if _, err := m.NewObjective(Options{Beta: 2}); err == nil || !strings.Contains(err.Error(), "beta") {
		t.Errorf("beta 2: %v", err)
	}
}
