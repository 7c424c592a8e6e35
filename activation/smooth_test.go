package activation

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/internal/special"
)

// The families of closed forms, by name.
func smoothFamilies(t testing.TB) map[string]Activation {
	t.Helper()
	p, err := Polynomial(1, -2, 0.5, 3)
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]Activation{}
	for _, a := range []Activation{
		NormalCDF(), Erf(), GELU(), ELU(1), ELU(-0.5), CELU(2), CELU(0.1), SELU(1.6732632423543772, 1.0507009873554805),
		Sin(), Cos(), Sinh(), Cosh(), Exp(), Square(), Cube(), p,
	} {
		families[a.Name()] = a
	}
	return families
}

// wantNear reports an error of got beyond tol times scale.
func wantNear(t *testing.T, got, want, scale, tol float64, format string, args ...any) {
	t.Helper()
	if e := math.Abs(got - want); !(e <= tol*scale) {
		t.Errorf(format+": got %v, want %v, error %.2g of the scale", append(args, got, want, e/scale)...)
	}
}

// exactPair returns the covariance by the exact pair form of a with b.
func exactPair(a, b Activation, p Pair) (cov float64, ok bool) {
	f, ok := a.(pairer)
	if !ok {
		return 0, false
	}
	cov, bound, ok := f.pairCovariance(b, p, math.Sqrt(a.Variance(p.Mu1, p.Sigma1)), math.Sqrt(b.Variance(p.Mu2, p.Sigma2)))
	return cov, ok && bound == 0
}

// panelMean is E[f(mu + sigma Z)] by Gauss-Legendre panels of width at most 1/4
// over |z| <= 22, cut at the kinks: plain and slow.
func panelMean(f func(z float64) float64, kinks []float64, mu, sigma float64) float64 {
	x, w := special.GaussLegendre(20)
	edges := []float64{-22}
	for _, k := range kinks {
		if z := (k - mu) / sigma; math.Abs(z) < 22 {
			edges = append(edges, z)
		}
	}
	edges = append(edges, 22)
	sum := 0.0
	for i, lo := range edges[:len(edges)-1] {
		n := math.Ceil(4 * (edges[i+1] - lo))
		step := (edges[i+1] - lo) / n
		for j := range int(n) {
			for k := range x {
				z := lo + step*(float64(j)+0.5*(1+x[k]))
				sum += 0.5 * step * w[k] * special.Density(z) * f(z)
			}
		}
	}
	return sum
}

var smoothInputs = []struct{ mu, sigma float64 }{{0, 1}, {0.3, 0.2}, {-1.7, 0.9}, {2.5, 1.8}, {-0.4, 3.9}, {1.1, 2.2}, {0, 0.5}}

// The definition of every coefficient, and h_1 = sigma E g'(X), which ties
// Derivative to Coefficients. 1e-13 of the standard deviation is what the plain
// quadrature is good for: |He_k| phi/sqrt(k!) < 0.44, some 180 panels.
func TestSmoothCoefficients(t *testing.T) {
	for name, g := range smoothFamilies(t) {
		for _, in := range smoothInputs {
			mu, sigma := in.mu, in.sigma
			sd := math.Sqrt(g.Variance(mu, sigma))
			h := make([]float64, 121)
			g.Coefficients(h, mu, sigma)
			value := func(z float64) float64 { return g.Apply(mu + sigma*z) }
			for _, k := range []int{0, 1, 2, 3, 4, 5, 8, 13, 21, 60, 119, 120} {
				he := make([]float64, k+1)
				want := panelMean(func(z float64) float64 {
					special.ScaledHermite(he, z)
					return (value(z) - value(0)) * he[k] / special.Density(z)
				}, g.Kinks(), mu, sigma)
				if k == 0 {
					want += value(0)
				}
				wantNear(t, h[k], want, max(sd, math.Abs(want)), 1e-13, "%s(%v, %v) h_%d", name, mu, sigma, k)
			}
			slope := panelMean(func(z float64) float64 { return g.Derivative(mu + sigma*z) }, g.Kinks(), mu, sigma)
			wantNear(t, h[1], sigma*slope, sd, 1e-13, "%s(%v, %v) sigma E g'", name, mu, sigma)
			for n := range 4 { // any length will do
				short := make([]float64, n)
				g.Coefficients(short, mu, sigma)
				for k := range short {
					wantNear(t, short[k], h[k], sd, 1e-15, "%s(%v, %v) h_%d of %d", name, mu, sigma, k, n)
				}
			}
		}
	}
}

// The series sums to the variance (Parseval), and by |rho| = 1 to the pair form
// of equal inputs.
func TestSmoothParseval(t *testing.T) {
	for name, g := range smoothFamilies(t) {
		for _, in := range smoothInputs {
			v := g.Variance(in.mu, in.sigma)
			p := Pair{in.mu, in.sigma, in.mu, in.sigma, 1}
			if cov, ok := exactPair(g, g, p); ok {
				wantNear(t, cov, v, v, 1e-14, "%s %+v covariance at rho = 1", name, p)
			}
			if len(g.Kinks()) > 0 || in.sigma > 2 {
				continue // the series is too slow
			}
			h := make([]float64, 400)
			g.Coefficients(h, in.mu, in.sigma)
			sum := 0.0
			for k := len(h) - 1; k > 0; k-- {
				sum += h[k] * h[k]
			}
			wantNear(t, sum, v, v, 1e-14, "%s(%v, %v) sum of squares", name, in.mu, in.sigma)
		}
	}
}

// Bessel's inequality, sum h_k^2 <= Var, from the middle to the far tails and
// up to standard deviations of 90: coefficients that a recurrence has blown up
// break it. 3e-13 as in TestSmoothTails.
func TestSmoothBessel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	h := make([]float64, 301)
	for _, g := range []Activation{ELU(1), CELU(0.1), ELU(-0.5), NormalCDF(), Erf(), GELU()} {
		tested := 0
		for range 800 {
			sigma := math.Exp(6*r.Float64() - 1.5)
			mu := sigma * (50*r.Float64() - 38)
			v := g.Variance(mu, sigma)
			if !(v < math.MaxFloat64) {
				t.Errorf("%s(%v, %v) variance %v", g.Name(), mu, sigma, v)
			}
			if v < 1e-290 {
				continue // h_k^2 underflows
			}
			tested++
			g.Coefficients(h, mu, sigma)
			sum := SeriesCovariance(h, h, 1) / v
			if !(sum <= 1+3e-13) {
				t.Errorf("%s(%v, %v): coefficients sum to %v of the variance", g.Name(), mu, sigma, sum)
			}
		}
		if tested < 200 {
			t.Errorf("%s: %d inputs", g.Name(), tested)
		}
	}
}

// Far from the kink a unit is linear or saturated, however steep its
// exponential is.
func TestELUFar(t *testing.T) {
	h := make([]float64, 3)
	for _, g := range []Activation{ELU(1), ELU(-2), CELU(1), CELU(0.01), CELU(1e-10), SELU(2, 1)} {
		for _, mu := range []float64{20, 1e4, 1e8} {
			for _, sigma := range []float64{1e-3, 0.1, 0.5} {
				g.Coefficients(h, mu, sigma)
				v := g.Variance(mu, sigma)
				if e := math.Abs(v/(sigma*sigma) - 1); h[0] != mu || h[1] != sigma || h[2] != 0 || !(e <= 1e-14) {
					t.Errorf("%s(%v, %v): coefficients %v, variance %v", g.Name(), mu, sigma, h, v)
				}
			}
		}
	}
	for _, alpha := range []float64{1, 0.01, 1e-10} {
		for _, sigma := range []float64{1e-3, 0.1, 100} {
			g := CELU(alpha)
			g.Coefficients(h, -1e8, sigma)
			if v := g.Variance(-1e8, sigma); h[0] != -alpha || h[1] != 0 || h[2] != 0 || v != 0 {
				t.Errorf("%s(-1e8, %v): coefficients %v, variance %v", g.Name(), sigma, h, v)
			}
		}
	}
	// With beta = -1 the variance is about e^{-2 mu + 2 sigma^2}; at sigma = 25
	// it comes from where phi underflows, and is not a number rather than wrong.
	if v, want := CELU(-1).Variance(-100, 8), math.Exp(200+128); !(math.Abs(v/want-1) <= 1e-12) {
		t.Errorf("celu_-1(-100, 8): variance %v, want %v", v, want)
	}
	if v := CELU(-1).Variance(500, 25); !math.IsNaN(v) {
		t.Errorf("celu_-1(500, 25): variance %v", v)
	}
}

// A phase that is uniform leaves the variance 1/2, also where sigma^2 overflows.
func TestHarmonicWide(t *testing.T) {
	for _, g := range []Activation{Sin(), Cos()} {
		for _, sigma := range []float64{40, 1e100, 1e200} {
			if v := g.Variance(0.3, sigma); v != 0.5 {
				t.Errorf("%s(0.3, %v): variance %v", g.Name(), sigma, v)
			}
		}
	}
}

// Within (-1, 1) the pair form is the Mehler series.
func TestSmoothPairSeries(t *testing.T) {
	families := smoothFamilies(t)
	pairs, elus := 0, 0
	for _, f := range families {
		for _, g := range families {
			for _, rho := range []float64{-0.9, -0.3, 0, 0.6} {
				p := Pair{0.4, 1.3, -0.8, 0.7, rho}
				cov, ok := exactPair(f, g, p)
				if !ok {
					continue
				}
				if len(f.Kinks()) > 0 {
					elus++
				} else {
					pairs++
				}
				hf, hg := make([]float64, 200), make([]float64, 200)
				f.Coefficients(hf, p.Mu1, p.Sigma1)
				g.Coefficients(hg, p.Mu2, p.Sigma2)
				want, power := 0.0, 1.0
				for k := 1; k < len(hf); k++ {
					power *= rho
					want += power * hf[k] * hg[k]
				}
				scale := math.Sqrt(f.Variance(p.Mu1, p.Sigma1) * g.Variance(p.Mu2, p.Sigma2))
				wantNear(t, cov, want, scale, 1e-14, "%s, %s, rho = %v", f.Name(), g.Name(), rho)
			}
		}
	}
	// 2 probits, GELU, 2 harmonics, 2 hyperbolic, exp, 3 polynomials, at 4 correlations.
	if want := 4 * (2*2 + 1 + 2*2 + 2*2 + 1 + 3*3); pairs != want {
		t.Errorf("%d exact pairs, want %d", pairs, want)
	}
	// 4 ELUs at 4 correlations, and at 0 one that is too steep elsewhere.
	if want := 4*4*4 + 2*4 + 1; elus != want {
		t.Errorf("%d exact pairs of ELUs, want %d", elus, want)
	}
}

// A point mass: the value, and nothing else.
func TestSmoothPoint(t *testing.T) {
	for name, g := range smoothFamilies(t) {
		for _, mu := range []float64{-45, -0.3, 0, 2} {
			h := []float64{9, 9, 9, 9, 9}
			g.Coefficients(h, mu, 0)
			want := g.Apply(mu)
			wantNear(t, h[0], want, math.Abs(want), 2e-16, "%s(%v) h_0", name, mu)
			for k, hk := range h[1:] {
				if hk != 0 {
					t.Errorf("%s(%v) h_%d = %v", name, mu, k+1, hk)
				}
			}
			if v := g.Variance(mu, 0); v != 0 {
				t.Errorf("%s(%v) variance %v", name, mu, v)
			}
			if cov, ok := exactPair(g, g, Pair{mu, 0, 1, 1, 0.5}); ok && cov != 0 {
				t.Errorf("%s(%v) covariance %v of a constant", name, mu, cov)
			}
		}
	}
}

func TestSmoothApply(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		g                    Activation
		x, value, derivative float64
	}{
		// x Phi(x) and Phi(x) + x phi(x) in 40-digit arithmetic
		{GELU(), -30, -1.4720141781444561179e-196, -4.4160316907084943701e-195},
		{GELU(), -8.5, -8.057604598872820601e-17, -6.84650493869708435e-16},
		{GELU(), -1.25, -0.13206221708356907211, -0.12266158306942212355},
		{GELU(), 2.5, 2.4844758366855596621, 1.0376110859081452082},
		{GELU(), -inf, 0, 0},
		{GELU(), inf, inf, 1},
		{NormalCDF(), -36, 4.1826240657972833317e-284, math.Exp(-648) / math.Sqrt(2*math.Pi)},
		{NormalCDF(), -inf, 0, 0},
		{Erf(), -inf, -1, 0},
		{ELU(2), -1e-9, 2 * (-1e-9 + 0.5e-18), 2 * (1 - 1e-9)},
		{ELU(2), 0, 0, 1.5},
		{ELU(2), -inf, -2, 0},
		{CELU(2), 0, 0, 1},
		{CELU(2), -2, 2 * (1/math.E - 1), 1 / math.E},
		{CELU(0), -3, 0, 0},
		{SELU(2, 3), -1, 6 * (1/math.E - 1), 6 / math.E},
		{SELU(2, 3), 5, 15, 3},
		{Cos(), 1, math.Cos(1), -math.Sin(1)},
		{Cube(), -2, -8, 12},
	} {
		if y := c.g.Apply(c.x); !(math.Abs(y-c.value) <= 1e-15*math.Abs(c.value)) && y != c.value {
			t.Errorf("%s(%v) = %v, want %v", c.g.Name(), c.x, y, c.value)
		}
		// 2e-13: the exponent 648 of the tail rows
		if y := c.g.Derivative(c.x); !(math.Abs(y-c.derivative) <= 2e-13*math.Abs(c.derivative)) && y != c.derivative {
			t.Errorf("%s'(%v) = %v, want %v", c.g.Name(), c.x, y, c.derivative)
		}
	}
}

func TestSmoothNames(t *testing.T) {
	for _, c := range []struct {
		g    Activation
		name string
	}{
		{ELU(0.25), "elu_0.25"},
		{CELU(2), "celu_2"},
		{SELU(1.6732632423543772, 1.0507009873554805), "selu"},
		{SELU(1.67326319217681884765625, 1.05070102214813232421875), "selu"}, // the defaults of ONNX
		{SELU(1.5, 1.05), "selu_1.5_1.05"},
	} {
		if c.g.Name() != c.name {
			t.Errorf("name %q, want %q", c.g.Name(), c.name)
		}
	}
	if ELU(1) != ELU(1) || ELU(1) == ELU(2) || Sin() == Cos() {
		t.Error("activations compare wrongly")
	}
}

// Nothing hangs, and nothing that is not a number looks like one.
func TestSmoothNotFinite(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	h := make([]float64, 20)
	for name, g := range smoothFamilies(t) {
		for _, in := range [][2]float64{{nan, 1}, {0, nan}, {nan, nan}, {0, inf}, {inf, 1}, {-inf, inf}, {1, 1e300}, {1e300, 1e-300}, {1, 5e-324}} {
			g.Coefficients(h, in[0], in[1])
			v := g.Variance(in[0], in[1])
			if math.IsNaN(in[0]+in[1]) && !math.IsNaN(v) && !math.IsInf(v, 1) {
				t.Errorf("%s(%v, %v) variance %v", name, in[0], in[1], v)
			}
			if f, ok := g.(pairer); ok {
				f.pairCovariance(g, Pair{in[0], in[1], in[0], in[1], 1}, 1, 1)
			}
		}
	}
}

// The smooth families allocate nothing.
func TestSmoothAllocations(t *testing.T) {
	h := make([]float64, 64)
	p := Pair{0.2, 5, -0.1, 4, 0.99}
	for name, g := range smoothFamilies(t) {
		n := testing.AllocsPerRun(20, func() {
			g.Coefficients(h, p.Mu1, p.Sigma1)
			g.Variance(p.Mu1, p.Sigma1)
			if f, ok := g.(pairer); ok {
				f.pairCovariance(g, p, 1, 1)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
