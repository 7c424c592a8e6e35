package covprop

import (
	"errors"
	"math"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
)

// near fails the test unless got is want to a relative tol.
func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if d := math.Abs(got - want); !(d <= tol*math.Abs(want)) {
		t.Errorf("%s is %v, want %v (off by %.2g)", what, got, want, d/math.Abs(want))
	}
}

// mixtureTol allows for a few roundings and the 3 ulp of the special functions.
const mixtureTol = 2e-15

// pair is .25 N(-1, .5^2) + .75 N(2, 1) in element 0, and in element 1
// .25 N(0, 3^2) and .75 of a point mass at 1.
func pair() *Mixture {
	return &Mixture{
		Weights: []float64{.25, .75},
		Components: []Gaussian{
			{Mean: []float64{-1, 0}, Cov: DenseOf(blas64.General{Rows: 2, Cols: 2, Stride: 2, Data: []float64{.25, .5, .5, 9}})},
			{Mean: []float64{2, 1}, Cov: Diagonal{1, 0}},
		},
	}
}

// TestMixtureMoments: by hand, m = (1.25, .75); the variances are
// .25 (.25 + 2.25^2) + .75 (1 + .75^2) = 2.5, .25 (9 + .75^2) + .75 .25^2 =
// 2.4375 and the covariance .25 (.5 + 2.25 .75) + .75 .75 .25 = .6875. A shift
// by 2^40 changes no second moment: all numbers are dyadic.
func TestMixtureMoments(t *testing.T) {
	for _, shift := range []float64{0, 1 << 40} {
		m := pair()
		for _, g := range m.Components {
			g.Mean[0] += shift
		}
		g := m.Moments()
		if g.Mean[0] != 1.25+shift || g.Mean[1] != .75 {
			t.Errorf("means %v", g.Mean)
		}
		if g.Cov.At(0, 0) != 2.5 || g.Cov.At(1, 1) != 2.4375 || g.Cov.At(0, 1) != .6875 || g.Cov.At(1, 0) != .6875 {
			t.Errorf("shift %v: covariances %v %v %v %v", shift, g.Cov.At(0, 0), g.Cov.At(1, 1), g.Cov.At(0, 1), g.Cov.At(1, 0))
		}
	}
}

// TestMixtureProbabilities: values from mpmath at 40 digits (normal cdf and
// pdf of the two components).
func TestMixtureProbabilities(t *testing.T) {
	m := pair()
	for _, c := range []struct{ t, density, cdf, exceedance float64 }{
		{-20, 2.3807111646189467e-106, 1.0799193263588093e-107, 1.0},
		{0, 0.067488708141485065, 0.2613750659740896, 0.7386249340259104},
		{1.5, 0.26404973843298198, 0.4814030823815972, 0.5185969176184028},
		{12, 5.7709489700298145e-23, 1.0, 5.7148897681203945e-24},
		{40, 8.2291578900569472e-315, 1.0, 2.1640712700515882e-316},
	} {
		near(t, "density", m.Density(0, c.t), c.density, mixtureTol)
		near(t, "cdf", m.CDF(0, c.t), c.cdf, mixtureTol)
		near(t, "exceedance", m.Exceedance(0, c.t), c.exceedance, mixtureTol)
	}
}

// TestMixturePointMass: element 1 is .25 N(0, 9) + .75 delta(1).
func TestMixturePointMass(t *testing.T) {
	m := pair()
	below := math.Nextafter(1, 0)
	phi := .5 * math.Erfc(-1/(3*math.Sqrt2)) // Phi(1/3)
	near(t, "P(y <= 1)", m.CDF(1, 1), .25*phi+.75, mixtureTol)
	near(t, "P(y <= 1-)", m.CDF(1, below), .25*phi, mixtureTol)
	near(t, "P(y > 1)", m.Exceedance(1, 1), .25*(1-phi), mixtureTol)
	near(t, "P(y > 1-)", m.Exceedance(1, below), .25*(1-phi)+.75, mixtureTol)
	if d := m.Density(1, 1); !math.IsInf(d, 1) {
		t.Errorf("the density at the point mass is %v", d)
	}
	near(t, "density beside it", m.Density(1, below), .25*math.Exp(-1./18)/(3*math.Sqrt(2*math.Pi)), mixtureTol)
	// The CDF jumps from .157 to .907 at 1.
	for _, p := range []float64{.2, .5, .9} {
		if q := m.Quantile(1, p); q != 1 {
			t.Errorf("the %v quantile is %v, want the point mass at 1", p, q)
		}
	}
	if q := m.Quantile(1, .125); !(math.Abs(q) <= 3*mixtureTol) { // Phi(0) = .125/.25
		t.Errorf("the .125 quantile is %v, want 0", q)
	}
	masses := Mixture{Weights: []float64{.5, .5, 0}, Components: []Gaussian{
		{Mean: []float64{-1}, Cov: Diagonal{0}},
		{Mean: []float64{3}, Cov: Diagonal{0}},
		{Mean: []float64{9}, Cov: Diagonal{4}}, // of no weight
	}}
	for p, want := range map[float64]float64{0: math.Inf(-1), .1: -1, .5: -1, .75: 3, 1: 3} {
		if q := masses.Quantile(0, p); q != want {
			t.Errorf("the %v quantile of two point masses is %v, want %v", p, q, want)
		}
	}
}

// TestMixtureQuantiles: a quantile is the smallest float64 at or beyond which
// the probability is reached, at every scale and in both tails.
func TestMixtureQuantiles(t *testing.T) {
	m := pair()
	for _, p := range []float64{1e-300, 1e-20, .1, .25, .5} {
		q, u := m.Quantile(0, p), m.UpperQuantile(0, p)
		if before := math.Nextafter(q, math.Inf(-1)); !(m.CDF(0, q) >= p && m.CDF(0, before) < p) {
			t.Errorf("the %v quantile is %v, with P = %v there and %v before", p, q, m.CDF(0, q), m.CDF(0, before))
		}
		if before := math.Nextafter(u, math.Inf(-1)); !(m.Exceedance(0, u) <= p && m.Exceedance(0, before) > p) {
			t.Errorf("the upper %v quantile is %v, with P = %v there and %v before", p, u, m.Exceedance(0, u), m.Exceedance(0, before))
		}
	}
	// One Gaussian: Phi^-1(1e-20) = -9.262340089798408 (mpmath).
	one := Mixture{Weights: []float64{1}, Components: []Gaussian{{Mean: []float64{0}, Cov: Diagonal{4}}}}
	near(t, "1e-20 quantile", one.Quantile(0, 1e-20), -2*9.262340089798408, 1e-15)
	near(t, "upper 1e-20 quantile", one.UpperQuantile(0, 1e-20), 2*9.262340089798408, 1e-15)
	if q := one.Quantile(0, 1); !math.IsInf(q, 1) {
		t.Errorf("the 1 quantile is %v", q)
	}
	if q := one.UpperQuantile(0, 1); !math.IsInf(q, -1) {
		t.Errorf("the upper 1 quantile is %v", q)
	}
	for _, p := range []float64{-.1, 1.1, math.NaN()} {
		if q, u := m.Quantile(0, p), m.UpperQuantile(0, p); !math.IsNaN(q) || !math.IsNaN(u) {
			t.Errorf("the %v quantiles are %v and %v", p, q, u)
		}
	}
}

// TestMixtureLogDensity: of independent elements it is the logarithm of the
// product of their densities, and far out, where the densities underflow, that
// of the component that is nearest: -1/2 (998^2 + 2000^2/4) + log(.75/(4 pi)).
func TestMixtureLogDensity(t *testing.T) {
	m := Mixture{Weights: []float64{.25, .75}, Components: []Gaussian{
		{Mean: []float64{-1, 0}, Cov: Diagonal{.25, 9}},
		{Mean: []float64{2, 0}, Cov: Diagonal{1, 4}},
	}}
	normal := func(x, std float64) float64 { return math.Exp(-x*x/std/std/2) / std / math.Sqrt(2*math.Pi) }
	got, err := m.LogDensity([]float64{.5, 1})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "log density", got, math.Log(.25*normal(1.5, .5)*normal(1, 3)+.75*normal(-1.5, 1)*normal(1, 2)), 1e-14)
	if got, err = m.LogDensity([]float64{1000, 2000}); err != nil {
		t.Fatal(err)
	}
	// Component 0 is 2001^2 sd off in element 0; it adds nothing.
	near(t, "far log density", got, -.5*(998*998+1000*1000)+math.Log(.75/4/math.Pi), 1e-14)
	var want *InputError
	if _, err := pair().LogDensity([]float64{0, 0}); !errors.As(err, &want) {
		t.Errorf("a point mass gives the error %v", err)
	}
	if _, err := m.LogDensity([]float64{0}); !errors.As(err, &want) {
		t.Errorf("a point of another dimension gives the error %v", err)
	}
}

func TestMixtureCheck(t *testing.T) {
	if err := pair().Check(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(m *Mixture){
		"no components":     func(m *Mixture) { m.Components, m.Weights = nil, nil },
		"a missing weight":  func(m *Mixture) { m.Weights = m.Weights[:1] },
		"a negative weight": func(m *Mixture) { m.Weights[0], m.Weights[1] = -.25, 1.25 },
		"a NaN weight":      func(m *Mixture) { m.Weights[0] = math.NaN() },
		"weights of .99":    func(m *Mixture) { m.Weights[0] = .24 },
		"a NaN mean":        func(m *Mixture) { m.Components[1].Mean[0] = math.NaN() },
		"two dimensions":    func(m *Mixture) { m.Components[1] = Gaussian{Mean: []float64{0}, Cov: Diagonal{1}} },
	} {
		m := pair()
		spoil(m)
		var want *InputError
		if err := m.Check(); !errors.As(err, &want) {
			t.Errorf("%s gives the error %v", name, err)
		}
	}
}

// TestMixtureScales: standard deviations that differ by a factor of 1e150 are no
// singularity, and what is infinitely far has the density 0.
func TestMixtureScales(t *testing.T) {
	g := Gaussian{Mean: []float64{0, 0}, Cov: Diagonal{1, 1e-300}}
	m := Mixture{Weights: []float64{1}, Components: []Gaussian{g}}
	got, err := m.LogDensity([]float64{1, 2e-150})
	want := -math.Log(2*math.Pi) + 150*math.Ln10 - .5 - 2
	if err != nil || math.Abs(got/want-1) > 1e-14 {
		t.Errorf("log density %v, %v; want %v", got, err, want)
	}
	if got, err := m.LogDensity([]float64{math.Inf(1), 0}); err != nil || !math.IsInf(got, -1) {
		t.Errorf("infinitely far: %v, %v", got, err)
	}
}

// TestMixtureUpperQuantile: near 1 it is the quantile of the other tail.
func TestMixtureUpperQuantile(t *testing.T) {
	m := Mixture{Weights: []float64{1}, Components: []Gaussian{{Mean: []float64{0}, Cov: Diagonal{1}}}}
	for _, q := range []float64{0x1p-53, 1e-14, 1e-6, .3} {
		p := 1 - q // rounded: the other tail is 1-p exactly
		if got, want := m.UpperQuantile(0, p), m.Quantile(0, 1-p); math.Abs(got-want) > 1e-15*math.Abs(want) {
			t.Errorf("UpperQuantile(%v) = %v, want %v", p, got, want)
		}
	}
}
