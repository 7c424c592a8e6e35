package activation

import (
	"math"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/special"
)

// byQuadrature returns the functions of this package that have no closed form,
// by name.
func byQuadrature() map[string]Activation {
	m := map[string]Activation{}
	for _, a := range []Activation{
		Sigmoid(), Tanh(), Softplus(), SiLU(), QuickGELU(1.702), Mish(), GELUTanh(), Softsign(), Arctan(),
		Asinh(), LogSigmoid(),
	} {
		m[a.Name()] = a
	}
	return m
}

// TestQuadratureReference compares with values from 200-digit arithmetic
// (testdata/quadrature.py) at awkward places. The error, relative to the
// standard deviation, must be within the estimate, and the estimate small: the
// one exception is the minimum of SiLU, where a sigma of 1e-6 leaves a standard
// deviation of 1e-12 whose parts are rounded at 1e-6 epsilon.
func TestQuadratureReference(t *testing.T) {
	acts := byQuadrature()
	seen, onGrids := 0, 0
	readTable(t, "testdata/quadrature.csv", 1, func(line int, names []string, x []float64) {
		seen++
		a := acts[names[0]]
		mu, sigma, shift, want := x[0], x[1], x[2], x[3]
		sd := math.Sqrt(want)
		h := make([]float64, 31)
		v, acc := Marginal(a, h, mu, sigma, 0)
		if acc.Status != covprop.Approximate || acc.Reason != quadratureReason {
			t.Errorf("line %d: accuracy %v", line, acc)
		}
		limit := 1e-11
		if names[0] == "silu" && sigma == 1e-6 {
			limit = 1e-8
		}
		if !(acc.Bound <= limit) {
			t.Errorf("line %d: %s(%g, %g): estimate %.2g", line, names[0], mu, sigma, acc.Bound)
		}
		check := func(what string, err, estimate float64) {
			t.Helper()
			// 8 epsilon: the reference's own rounding and that of this test.
			if !(err <= estimate+8*epsilon) {
				t.Errorf("line %d: %s(%g, %g): %s: error %.2g, estimate %.2g", line, names[0], mu, sigma, what, err, estimate)
			}
		}
		check("variance", math.Abs(v-want)/want/2, acc.Bound)
		f := a.(numeric).formula
		m := quadrature(f, nil, mu, sigma)
		check("shift", math.Abs(m.shift-shift)/sd, acc.Bound)
		for i, k := range []int{1, 2, 7, 30} {
			check("coefficient", math.Abs(h[k]-x[4+i])/sd, acc.Bound)
		}
		if s, ok := f.(sweeper); !ok {
			return
		} else if _, ok := onGrid(s, h, mu, sigma); ok {
			onGrids++
		}
		// Panels have to be as good where a grid stands in for them.
		p := onPanels(f, h, mu, sigma)
		if !(p.estimate <= limit) {
			t.Errorf("line %d: %s(%g, %g): estimate %.2g", line, names[0], mu, sigma, p.estimate)
		}
		check("variance on panels", math.Abs(p.variance-want)/want/2, p.estimate)
		check("shift on panels", math.Abs(p.shift-shift)/sd, p.estimate)
		for i, k := range []int{1, 2, 7, 30} {
			check("coefficient on panels", math.Abs(h[k]-x[4+i])/sd, p.estimate)
		}
	})
	if onGrids < seen/4 {
		t.Errorf("%d of %d rows on a grid", onGrids, seen)
	}
	if want := 9 * 14; seen != want {
		t.Errorf("read %d rows, want %d", seen, want)
	}
}

// As sigma -> 0 the coefficients are those of the tangent, h_1 = sigma g'(mu),
// even where the variance underflows. At 1e-9 the next term is sigma^3 g”'/2.
func TestQuadratureTangent(t *testing.T) {
	for name, a := range byQuadrature() {
		for _, mu := range []float64{0, 0.4, 1.1, -0.7, -20, 20, -300, 5e7} {
			for _, sigma := range []float64{1e-9, 1e-120, 1e-200} {
				if name == "softsign" && mu == 0 && sigma == 1e-9 {
					continue // there the next term is of the order sigma^2
				}
				slope := a.Derivative(mu)
				h := make([]float64, 4)
				v, acc := Marginal(a, h, mu, sigma, 0)
				// exp(x) is rounded by x epsilon; 1e-14 covers |x| <= 40.
				tol := 1e-14 + 4*epsilon*min(math.Abs(mu), 750)
				if math.Abs(h[1]-sigma*slope) > tol*math.Abs(sigma*slope) {
					t.Errorf("%s(%g, %g): h_1 = %v, want %v", name, mu, sigma, h[1], sigma*slope)
				}
				if want := sigma * slope * (sigma * slope); want > 0x1p-1000 && math.Abs(v-want) > 2*tol*want {
					t.Errorf("%s(%g, %g): variance %v, want %v", name, mu, sigma, v, want)
				}
				if !(acc.Bound < 1e-11) {
					t.Errorf("%s(%g, %g): estimate %g", name, mu, sigma, acc.Bound)
				}
				if g := a.Apply(mu); math.Abs(h[0]-g) > epsilon*(math.Abs(g)+sigma*math.Abs(slope))+sigma*sigma {
					t.Errorf("%s(%g, %g): mean %v, want %v", name, mu, sigma, h[0], g)
				}
			}
		}
	}
}

// A kink, a jump and growth against closed forms, up to 600 coefficients and
// far from the mean: with a = mu/sigma, ReLU has h_k = sigma (-1)^k He_{k-2}(a)
// phi(a)/sqrt(k!), the step h_k = (-1)^(k-1) He_{k-1}(a) phi(a)/sqrt(k!), and
// exp(x) h_k = sigma^k e^{mu+sigma^2/2}/sqrt(k!).
func TestQuadratureClosedForms(t *testing.T) {
	ramp := must(New("ramp", func(x float64) float64 { return max(x, 0) }, nil, 0))
	step := must(New("step", func(x float64) float64 {
		if x > 0 {
			return 1
		}
		return 0
	}, nil, 0))
	growth := must(New("growth", math.Exp, math.Exp))
	const n = 600
	he := make([]float64, n)
	want := make([]float64, n)
	compare := func(a Activation, mu, sigma, v float64) {
		t.Helper()
		h := make([]float64, n)
		got, acc := Marginal(a, h, mu, sigma, 0)
		worst := math.Abs(got-v) / v / 2
		for k := 1; k < n; k++ {
			worst = max(worst, math.Abs(h[k]-want[k])/math.Sqrt(v))
		}
		// 1e-13: phi(a) in the reference is rounded by a^2/2 epsilon.
		if !(worst <= 1e-13+acc.Bound) || !(acc.Bound <= 2e-12) {
			t.Errorf("%s(%g, %g): error %.2g, estimate %.2g", a.Name(), mu, sigma, worst, acc.Bound)
		}
	}
	for _, a := range []float64{0, 0.3, 2.7, 12, -1, -5, -10, -20, -30} {
		special.ScaledHermite(he, a)
		for _, sigma := range []float64{1, 1e-3, 500} {
			mu := a * sigma
			want[1] = sigma * special.CDF(a)
			root := 1.0
			for k := 2; k < n; k++ {
				root = math.Sqrt(float64(k) * float64(k-1))
				want[k] = sigma * he[k-2] / root
				if k%2 == 1 {
					want[k] = -want[k]
				}
			}
			v := 0.0
			for _, c := range want[1:] {
				v += c * c
			}
			// The rest of the series decays slowly: take the variance from the
			// closed form where that does not cancel.
			mean := sigma * (a*special.CDF(a) + he[0])
			if a > -6 {
				second := sigma * sigma * ((1+a*a)*special.CDF(a) + a*he[0])
				v = second - mean*mean
			} else {
				v, _ = Marginal(ramp, nil, mu, sigma, 0)
			}
			compare(ramp, mu, sigma, v)

			for k := 1; k < n; k++ {
				want[k] = he[k-1] / math.Sqrt(float64(k))
				if k%2 == 0 {
					want[k] = -want[k]
				}
			}
			if a < 8 {
				// Beyond, 1 - Phi(a) is below what a value near 1 resolves,
				// and the estimate says so.
				compare(step, mu, sigma, special.CDF(a)*special.CDF(-a))
			}
		}
	}
	for _, sigma := range []float64{0.1, 1, 5, 9} {
		mu := -sigma
		c := math.Exp(mu + sigma*sigma/2)
		for k := range want {
			want[k] = c
			c *= sigma / math.Sqrt(float64(k+1))
		}
		compare(growth, mu, sigma, math.Exp(2*mu+2*sigma*sigma)*-math.Expm1(-sigma*sigma))
	}
	// The square root of e^(2 sigma^2) has its mass at z = 2 sigma, out of
	// range: the estimate has to say so.
	if _, acc := Marginal(growth, nil, 0, 20, 0); !(acc.Bound > 1e-3) {
		t.Errorf("growth(0, 20): estimate %g of a variance that is lost", acc.Bound)
	}
}

// The panels follow the order: coefficients do not depend on how many are asked
// for, and their squares sum up to the variance.
func TestQuadratureOrder(t *testing.T) {
	for name, a := range byQuadrature() {
		for _, sigma := range []float64{0.01, 1, 10, 100} {
			for _, mu := range []float64{0, -3 * sigma, 0.7} {
				all := make([]float64, 600)
				v, acc := Marginal(a, all, mu, sigma, 0)
				sum := 0.0
				for _, c := range all[1:] {
					sum += c * c
				}
				// The rest of the sum decays exponentially for sigma <= 1
				// except for softsign, which has a kink.
				if sum > v*(1+1e-13) || sigma <= 1 && sum < v*(1-1e-6) {
					t.Errorf("%s(%g, %g): sum of squares %v, variance %v", name, mu, sigma, sum, v)
				}
				for _, n := range []int{0, 1, 2, 33, 128} {
					h := make([]float64, n)
					w, _ := Marginal(a, h, mu, sigma, 0)
					if math.Abs(w-v) > 1e-13*v {
						t.Errorf("%s(%g, %g): variance %v with %d coefficients, %v with 600", name, mu, sigma, w, n, v)
					}
					for k, c := range h {
						if math.Abs(c-all[k]) > 1e-13*(math.Sqrt(v)+math.Abs(c)*float64(1-min(k, 1))) {
							t.Errorf("%s(%g, %g): h_%d is %v of %d, %v of 600", name, mu, sigma, k, c, n, all[k])
						}
					}
				}
				if !(acc.Bound < 1e-11) {
					t.Errorf("%s(%g, %g): estimate %g", name, mu, sigma, acc.Bound)
				}
			}
		}
	}
}

func TestQuadratureSteadyState(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, for which -short stands, empties pools")
	}
	h := make([]float64, 32)
	a := Softsign() // by panels
	Marginal(a, h, 0.3, 1, 0)
	if n := testing.AllocsPerRun(100, func() { Marginal(a, h, 0.3, 1, 0) }); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}

func TestKronrodRule(t *testing.T) {
	// The integral of x^k is 2/(k+1) for even k: exact to degree 46 and 29.
	for k := 0; k <= 46; k += 2 {
		kronrod, gauss := 0.0, 0.0
		for i, x := range kronrodX {
			p := math.Pow(x, float64(k))
			kronrod += kronrodW[i] * p
			gauss += gaussW[i] * p
		}
		want := 2 / float64(k+1)
		if math.Abs(kronrod-want) > 1e-15 {
			t.Errorf("degree %d: Kronrod %v, want %v", k, kronrod, want)
		}
		if (math.Abs(gauss-want) > 1e-15) != (k >= 30) {
			t.Errorf("degree %d: Gauss %v, want %v", k, gauss, want)
		}
	}
}

func BenchmarkQuadrature(b *testing.B) {
	h := make([]float64, 32)
	for name, a := range byQuadrature() {
		b.Run("f="+name+"/n=32", func(b *testing.B) {
			for b.Loop() {
				Marginal(a, h, 0.5, 1, 0)
			}
		})
	}
}

func must(a Activation, err error) Activation {
	if err != nil {
		panic(err)
	}
	return a
}
