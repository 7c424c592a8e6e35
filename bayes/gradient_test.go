package bayes

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/activation"
)

// randomBatch returns examples of standard normal numbers, with inputs as
// uncertain as kind says: "certain", "variances" or "covariances".
func randomBatch(rng *rand.Rand, rows, inputs int, l Likelihood, kind string) (b Batch) {
	fill := func(rows, cols int, f func() float64) blas64.General {
		m := matrix(make([]float64, rows*cols), rows, cols, cols)
		for i := range m.Data {
			m.Data[i] = f()
		}
		return m
	}
	b.X = fill(rows, inputs, rng.NormFloat64)
	b.Y = fill(rows, l.targets(), rng.NormFloat64)
	switch l := l.(type) {
	case Probit:
		b.Y = fill(rows, 1, func() float64 { return float64(rng.IntN(2)) })
	case Softmax:
		b.Y = fill(rows, 1, func() float64 { return float64(rng.IntN(l.Classes)) })
	}
	switch kind {
	case "variances":
		b.InputVariance = fill(rows, inputs, func() float64 { return 0.1 + 0.4*rng.Float64() })
	case "covariances":
		b.InputCovariance = matrix(make([]float64, rows*inputs*inputs), rows, inputs*inputs, inputs*inputs)
		for i := range rows {
			a, c := fill(inputs, inputs, rng.NormFloat64), row(b.InputCovariance, i)
			for j := range inputs {
				for k := range inputs {
					for m := range inputs {
						c[j*inputs+k] += 0.3 * row(a, j)[m] * row(a, k)[m] / float64(inputs)
					}
				}
				c[j*(inputs+1)] += 0.1
			}
		}
	}
	return b
}

// randomTheta returns parameters whose variances are not small, so that they
// matter, and whose means are, so that no exponential of an output is huge.
func randomTheta(rng *rand.Rand, m *Model) []float64 {
	theta := m.Init(rng.Uint64())
	for _, p := range m.Parameters() {
		for i := range p.Len {
			switch p.Role {
			case Mean:
				theta[p.Offset+i] = 0.4*theta[p.Offset+i] + 0.2*rng.NormFloat64()
			case LogVariance:
				theta[p.Offset+i] = math.Log(0.05) + 0.5*rng.NormFloat64()
			case Noise:
				theta[p.Offset+i] = 0.3 * rng.NormFloat64()
			}
		}
	}
	return theta
}

// checkGradient compares the gradient with central differences of fourth order,
//
//	f' = [8 (f(h) - f(-h)) - (f(2h) - f(-2h))]/(12 h) + O(h^4),
//
// h = 1e-3: 1e-12 of truncation times fifth derivatives of order 10 to 1000, and
// rounding of 1e-15/h. The tolerance is relative to the largest derivative; that
// of the series is far below it.
func checkGradient(t *testing.T, m *Model, o Options, b Batch, theta []float64, tol float64) {
	t.Helper()
	obj, err := m.NewObjective(o)
	if err != nil {
		t.Fatal(err)
	}
	w := Weights{Data: 50, KL: 0.7}
	grad := make([]float64, m.Size())
	if _, err := obj.Gradient(grad, theta, b, w); err != nil {
		t.Fatal(err)
	}
	scale := 0.
	for _, g := range grad {
		scale = max(scale, math.Abs(g))
	}
	if scale == 0 {
		t.Fatal("the gradient is 0")
	}
	const h = 1e-3
	at := func(i int, d float64) float64 {
		x := append([]float64(nil), theta...)
		x[i] += d
		obj.Reseed(o.Seed)
		l, err := obj.Loss(x, b, w)
		if err != nil {
			t.Fatal(err)
		}
		return l.Value
	}
	rng := rand.New(rand.NewPCG(1, 1))
	bad := 0
	checked := 25
	if testing.Short() {
		checked = 4 // the race detector, for which -short stands, is slow
	}
	for k := range checked {
		i := rng.IntN(len(theta))
		if k >= checked-m.Likelihood().noises() {
			i = len(theta) - checked + k
		}
		want := (8*(at(i, h)-at(i, -h)) - (at(i, 2*h) - at(i, -2*h))) / (12 * h)
		if e := math.Abs(grad[i] - want); !(e <= tol*scale) {
			if bad++; bad < 4 {
				t.Errorf("derivative by parameter %d (%s): %.12g, by differences %.12g, off by %.2g of the largest", i, m.nameOf(i), grad[i], want, e/scale)
			}
		}
	}
}

func mustModel(t testing.TB, inputs int, l Likelihood, p Prior, layers ...Layer) *Model {
	t.Helper()
	n, err := New(inputs, layers...)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewModel(n, l, p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGradientOfLayers covers every kind of layer, and all forms of the input.
func TestGradientOfLayers(t *testing.T) {
	for _, o := range []Options{{Tol: 1e-10}, {Mode: Series, Order: 5}, {Mode: DVI}, {Mode: Diagonal}, {Mode: MonteCarlo, Samples: 3, Seed: 4}} {
		relu := Activation{activation.ReLU()}
		if o.Mode == MonteCarlo {
			relu = Activation{activation.GELU()} // differences do not bear kinks in samples
		}
		testGradients(t, o, gradientNets(relu))
	}
}

// gradientNets are networks of three inputs and two outputs.
func gradientNets(relu Activation) map[string][]Layer {
	return map[string][]Layer{
		"one hidden":                {Linear{Out: 5}, relu, Linear{Out: 2}},
		"two hidden":                {Linear{Out: 9}, relu, Linear{Out: 5}, relu, Linear{Out: 2}},
		"deterministic":             {Linear{Out: 5, Deterministic: true}, relu, Linear{Out: 4}, relu, Linear{Out: 2, Deterministic: true}},
		"plain":                     {Linear{Out: 5, Deterministic: true}, relu, Linear{Out: 2, Deterministic: true}},
		"residual":                  {Linear{Out: 4}, Residual{[]Layer{relu, Linear{Out: 5}, relu, Linear{Out: 4}}}, relu, Linear{Out: 2}},
		"residual of input":         {Residual{[]Layer{Linear{Out: 5}, relu, Linear{Out: 3}}}, relu, Linear{Out: 2}},
		"residual of an activation": {Linear{Out: 4}, Residual{[]Layer{relu}}, Linear{Out: 2}},
		"nested": {Linear{Out: 4}, relu, Linear{Out: 3}, Residual{[]Layer{
			Linear{Out: 5}, relu, Residual{[]Layer{Linear{Out: 4}, relu, Linear{Out: 5}}}, Linear{Out: 3},
		}}, relu, Linear{Out: 2}},
	}
}

func testGradients(t *testing.T, o Options, nets map[string][]Layer) {
	for name, layers := range nets {
		for _, kind := range []string{"certain", "variances", "covariances"} {
			t.Run(fmt.Sprint(o.Mode, "/", name, "/", kind), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(7, 3))
				l := HeteroscedasticGaussian{1}
				m := mustModel(t, 3, l, Prior{Empirical: true, Alpha: 1, Beta: 10}, layers...)
				checkGradient(t, m, o, randomBatch(rng, 11, 3, l, kind), randomTheta(rng, m), 1e-8)
			})
		}
	}
}

// TestGradientOfLikelihoods covers those beside the heteroscedastic one, and fixed
// and empirical priors. By quadrature and bound they are as exact as by closed form:
// the derivatives are those of the same sums, or of a minimum.
func TestGradientOfLikelihoods(t *testing.T) {
	for _, l := range []Likelihood{HeteroscedasticGaussian{2}, Gaussian{2}, StudentT{Targets: 1, DoF: 4}, StudentT{Targets: 2, DoF: 1.5}, Probit{}, Softmax{4}} {
		for _, p := range []Prior{{}, {Variance: 0.3}, {Empirical: true, Alpha: 4.5, Beta: 1}} {
			for _, o := range []Options{{Tol: 1e-10}, {Mode: Diagonal}, {Mode: MonteCarlo, Samples: 3}} {
				for _, deterministic := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%v/%v/%v", l.Name(), p, o.Mode, deterministic), func(t *testing.T) {
						rng := rand.New(rand.NewPCG(8, 3))
						m := mustModel(t, 3, l, p, Linear{Out: 6, Deterministic: deterministic}, Activation{activation.GELU()}, Linear{Out: l.outputs(), Deterministic: deterministic})
						checkGradient(t, m, o, randomBatch(rng, 9, 3, l, "certain"), randomTheta(rng, m), 1e-8)
					})
				}
			}
		}
	}
}

// TestGradientOfActivations covers the families: one knot and two, jumps, smooth
// closed forms, quadrature, a user's function with a jump, and a polynomial.
func TestGradientOfActivations(t *testing.T) {
	user, err := activation.New("saw", func(x float64) float64 {
		if x > 0.3 {
			return x - 1
		}
		return 0.5 * x
	}, func(x float64) float64 {
		if x > 0.3 {
			return 1
		}
		return 0.5
	}, 0.3)
	if err != nil {
		t.Fatal(err)
	}
	bent, err := activation.Polynomial(0.1, 1, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []activation.Activation{
		activation.ReLU(), activation.Abs(), activation.LeakyReLU(.1), activation.Identity(), activation.Step(), activation.Sign(),
		activation.ThresholdedReLU(.4), activation.Clip(-1, .5), activation.ReLU6(), activation.HardSigmoid(.3, .5), activation.Shrink(.5, .2),
		activation.GELU(), activation.Tanh(), activation.Sigmoid(), activation.Softplus(), activation.SiLU(), activation.ELU(1),
		activation.Sin(), bent, activation.NormalCDF(), activation.HardSwish(), user,
	} {
		for _, o := range []Options{{Tol: 1e-10}, {Mode: Series, Order: 3}, {Mode: Diagonal}} {
			t.Run(a.Name()+"/"+o.Mode.String(), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(9, 3))
				l := HeteroscedasticGaussian{1}
				m := mustModel(t, 2, l, Prior{}, Linear{Out: 4}, Activation{a}, Linear{Out: 3}, Activation{a}, Linear{Out: 2})
				// Marginals by quadrature or approximants are not exact to rounding.
				checkGradient(t, m, o, randomBatch(rng, 5, 2, l, "variances"), randomTheta(rng, m), 3e-8)
			})
		}
	}
}
