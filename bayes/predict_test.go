package bayes

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
)

// TestPlainNetworks compares networks without random weights with package graph,
// which has the same formulas by other code: full joint covariances, residuals by
// cross-covariances of live tensors.
func TestPlainNetworks(t *testing.T) {
	for name, layers := range gradientNets(Activation{activation.ReLU()}) {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(5, 5))
			m := mustModel(t, 3, HeteroscedasticGaussian{1}, Prior{}, layers...)
			theta := randomTheta(rng, m)
			for _, p := range m.Parameters() {
				for i := range p.Len {
					if p.Role == LogVariance {
						theta[p.Offset+i] = -700 // exp(-700) is nothing
					}
				}
			}
			net, err := m.Network().Mean(theta)
			if err != nil {
				t.Fatal(err)
			}
			b := randomBatch(rng, 3, 3, m.Likelihood(), "covariances")
			p, err := m.NewPredictor(theta, Options{Tol: 1e-12})
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Predict(b)
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.X.Rows {
				cov, err := covprop.NewDense(3, row(b.InputCovariance, i))
				if err != nil {
					t.Fatal(err)
				}
				want, err := net.Propagate(context.Background(), covprop.Gaussian{Mean: row(b.X, i), Cov: cov})
				if err != nil {
					t.Fatal(err)
				}
				for j := range 2 {
					// graph's own series has a tolerance of 1e-9 in every node.
					sd := math.Sqrt(want.Cov.At(j, j))
					if got := row(r.Outputs, i)[j]; math.Abs(got-want.Mean[j]) > 1e-8*sd {
						t.Errorf("mean %d is %v, want %v", j, got, want.Mean[j])
					}
					for k := range 2 {
						got := row(r.OutputCovariance, i)[2*j+k]
						if want := want.Cov.At(j, k); math.Abs(got-want) > 1e-7*sd*math.Sqrt(r.OutputCovariance.Data[i*4+3*k]) {
							t.Errorf("covariance (%d, %d) is %v, want %v", j, k, got, want)
						}
					}
				}
				if in := row(r.Input, i)[0]; math.Abs(in-row(r.OutputCovariance, i)[0]) > 1e-12*in || math.Abs(row(r.Weight, i)[0]) > 1e-12*in {
					t.Errorf("without random weights the input's part is %v of %v", in, row(r.OutputCovariance, i)[0])
				}
			}
		})
	}
}

// sampleMoments returns mean and covariance of the outputs over draws of weights
// and inputs, and what of the covariance comes from weights, with the standard
// errors of variances of the first output.
func sampleMoments(t *testing.T, m *Model, theta []float64, b Batch, samples int) (r *Prediction, seMean, seVariance, seWeight float64) {
	t.Helper()
	p, err := m.NewPredictor(theta, Options{Mode: MonteCarlo, Samples: samples, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if r, err = p.Predict(b); err != nil {
		t.Fatal(err)
	}
	// Variance of (x-m)^2, and of products of two draws below it.
	v, n := row(r.OutputCovariance, 0)[0], m.Network().Outputs()
	fourth := 0.
	for s := range samples {
		d := row(r.samples, 0)[s*n] - row(r.Outputs, 0)[0]
		fourth += d * d * d * d / float64(samples)
	}
	root := math.Sqrt(float64(samples))
	return r, math.Sqrt(v) / root, math.Sqrt(fourth-v*v) / root, math.Sqrt(fourth) / root
}

// TestMomentsAgainstSamples compares with draws where moments are exact: a certain
// input and one hidden layer; and, for the parts of the variance, an uncertain input
// whose weights are plain in the first layer but for the biases.
func TestMomentsAgainstSamples(t *testing.T) {
	for _, kind := range []string{"certain", "covariances"} {
		for _, a := range []activation.Activation{activation.ReLU(), activation.Tanh(), activation.Step()} {
			t.Run(kind+"/"+a.Name(), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(6, 6))
				m := mustModel(t, 2, Gaussian{1}, Prior{}, Linear{Out: 4}, Activation{a}, Linear{Out: 1})
				theta := randomTheta(rng, m)
				if kind != "certain" {
					for i := range 8 {
						theta[m.Parameters()[1].Offset+i] = -700
					}
					for i := range 4 {
						theta[m.Parameters()[3].Offset+i] = math.Log(0.5)
					}
				}
				b := randomBatch(rng, 1, 2, m.Likelihood(), kind)
				p, err := m.NewPredictor(theta, Options{})
				if err != nil {
					t.Fatal(err)
				}
				got, err := p.Predict(b)
				if err != nil {
					t.Fatal(err)
				}
				want, seMean, seVariance, seWeight := sampleMoments(t, m, theta, b, 60000)
				if d := got.Outputs.Data[0] - want.Outputs.Data[0]; math.Abs(d) > 4*seMean {
					t.Errorf("mean is off by %.2g standard errors", d/seMean)
				}
				if d := got.OutputCovariance.Data[0] - want.OutputCovariance.Data[0]; math.Abs(d) > 4*seVariance {
					t.Errorf("variance is off by %.2g standard errors", d/seVariance)
				}
				if d := got.Weight.Data[0] - want.Weight.Data[0]; math.Abs(d) > 4*seWeight {
					t.Errorf("the weights' part %v is off by %.2g standard errors", got.Weight.Data[0], d/seWeight)
				}
				if s := got.Weight.Data[0] + got.Input.Data[0] + got.Noise.Data[0]; math.Abs(s/got.Variance.Data[0]-1) > 1e-14 {
					t.Errorf("the parts sum to %v, not %v", s, got.Variance.Data[0])
				}
				if (kind == "certain") != (got.Input.Data[0] == 0) {
					t.Errorf("the input's part is %v", got.Input.Data[0])
				}
			})
		}
	}
}

// TestMeanNetwork compares the exported network with plain sums.
func TestMeanNetwork(t *testing.T) {
	for name, layers := range gradientNets(Activation{activation.Tanh()}) {
		rng := rand.New(rand.NewPCG(5, 5))
		m := mustModel(t, 3, HeteroscedasticGaussian{1}, Prior{}, layers...)
		theta := randomTheta(rng, m)
		net, err := m.Network().Mean(theta)
		if err != nil {
			t.Fatal(err)
		}
		x := []float64{0.3, -1.2, 0.7}
		got := make([]float64, 2)
		net.EvalTo(got, x)
		o := 0
		want := evaluate(layers, x, theta, m.Parameters(), &o)
		for j := range got {
			if math.Abs(got[j]-want[j]) > 1e-13*(1+math.Abs(want[j])) {
				t.Errorf("%s: output %d is %v, want %v", name, j, got[j], want[j])
			}
		}
	}
}

// evaluate applies the layers with the means of their weights; tensor next of the
// parameters is that of the next linear layer.
func evaluate(layers []Layer, x, theta []float64, p []Parameter, next *int) []float64 {
	for _, l := range layers {
		switch l := l.(type) {
		case Linear:
			step := 2
			if l.Deterministic {
				step = 1
			}
			w, b := theta[p[*next].Offset:], theta[p[*next+step].Offset:]
			*next += 2 * step
			y := make([]float64, l.Out)
			for i := range y {
				y[i] = b[i]
				for j, v := range x {
					y[i] += w[i*len(x)+j] * v
				}
			}
			x = y
		case Activation:
			y := make([]float64, len(x))
			for i, v := range x {
				y[i] = l.Apply(v)
			}
			x = y
		case Residual:
			y := evaluate(l.Layers, x, theta, p, next)
			for i, v := range x {
				y[i] += v
			}
			x = y
		}
	}
	return x
}

// TestSplitSeries: with a fixed order the weights' part is cut off like the whole, so
// that the input's is no less than nothing where the input is all but certain.
func TestSplitSeries(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 3))
	m := mustModel(t, 3, Gaussian{1}, Prior{}, Linear{Out: 6}, Activation{activation.ReLU()}, Linear{Out: 1})
	p, err := m.NewPredictor(randomTheta(rng, m), Options{Mode: Series, Order: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := randomBatch(rng, 40, 3, m.Likelihood(), "variances")
	for i := range b.InputVariance.Data {
		b.InputVariance.Data[i] = 1e-6
	}
	r, err := p.Predict(b)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range r.Input.Data {
		if v < 0 || v > 1e-3*r.Weight.Data[i] {
			t.Errorf("row %d: the input's part is %v, the weights' %v", i, v, r.Weight.Data[i])
		}
	}
}
