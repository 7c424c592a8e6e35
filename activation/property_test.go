package activation

import (
	"math"
	"testing"

	"github.com/covprop/covprop/internal/special"
)

// These tests hold every activation of the package to what follows from the
// definition of the coefficients.

// inputs are input distributions: ordinary, at and near kinks, tiny, large and
// 40 standard deviations away.
var inputs = []struct{ mu, sigma float64 }{
	{0, 1},
	{0.7, 0.3},
	{-2.2, 1.5},
	{3, 0.5},
	{1, 2},
	{-1, 0.01},
	{2.5, 1},
	{6, 2},
	{0, 1e-6},
	{1, 1e-6},
	{0.4, 1e-6},
	{40, 1},
	{-40, 1},
	{4, 0.1},
	{-4, 0.1},
	{-0.5, 12},
}

func TestPoint(t *testing.T) {
	for name, a := range everyActivation() {
		for _, mu := range append([]float64{0, 0.3, -1.7, 5, -1000}, a.Kinks()...) {
			h := []float64{1, 2, 3}
			v, acc := Marginal(a, h, mu, 0, 1e-9)
			if v != 0 || h[0] != a.Apply(mu) || h[1] != 0 || h[2] != 0 || acc.Bound != 0 {
				t.Errorf("%s(%g, 0): variance %v, coefficients %v, %v", name, mu, v, h, acc)
			}
			// A variance that underflows must not disturb the mean.
			Marginal(a, h, mu, 1e-170, 1e-9)
			lo, hi := a.Apply(math.Nextafter(mu, -2e3)), a.Apply(math.Nextafter(mu, 2e3))
			slack := 1e-15*(math.Abs(lo)+math.Abs(hi)) + 1e-169
			if h[0] < min(lo, hi)-slack || h[0] > max(lo, hi)+slack {
				t.Errorf("%s(%g, 1e-170): mean %v, value %v", name, mu, h[0], a.Apply(mu))
			}
		}
	}
}

// sum_{k>=1} h_k^2 <= Var, with equality in the limit. For functions that are
// analytic, at sigma <= 1 and within reach, 128 terms leave less than 1e-6.
func TestParseval(t *testing.T) {
	h := make([]float64, 128)
	for name, a := range everyActivation() {
		for _, x := range inputs {
			v, _ := Marginal(a, h, x.mu, x.sigma, 1e-9)
			sum := 0.0
			for k, c := range h {
				if math.IsNaN(c) || math.IsInf(c, 0) {
					t.Fatalf("%s%v: h_%d = %v", name, x, k, c)
				}
				if k > 0 {
					sum += c * c
				}
			}
			// 1e-10: where the mean is 1e4 times the standard deviation or the
			// variance is that of a curvature at 1e-6.
			if !(v >= 0) || sum > v*(1+1e-10) {
				t.Errorf("%s%v: variance %v, sum of squares %v", name, x, v, sum)
			}
			if len(a.Kinks()) == 0 && x.sigma <= 1 && math.Abs(x.mu) <= 10 && sum < v*(1-1e-6) {
				t.Errorf("%s%v: variance %v, but the sum of squares stays at %v", name, x, v, sum)
			}
			if got := a.Variance(x.mu, x.sigma); math.Abs(got-v) > 1e-12*v {
				t.Errorf("%s%v: Variance %v, Marginal %v", name, x, got, v)
			}
		}
	}
}

// h_1 = sigma E[g'(X)], and sum_i J_i phi(z_i) more where g jumps by J_i. The
// reference is a composite Gauss-Legendre rule of its own for the derivative.
func TestGain(t *testing.T) {
	for name, a := range everyActivation() {
		for _, x := range inputs {
			if grows := name == "exp" || name == "sinh" || name == "cosh"; grows && math.Abs(x.mu) == 40 || x.sigma == 1e-6 && a.Apply(x.mu) == 0 && a.Derivative(x.mu) == 0 {
				continue // e^40, its own scale; h_1 of a flat spot: 0
			}
			h := make([]float64, 2)
			v, acc := Marginal(a, h, x.mu, x.sigma, 0)
			want, size := gain(a, x.mu, x.sigma)
			// 1e-12 of the standard deviation, and the rounding of the kinks'
			// places, which a distance of 1e6 standard deviations magnifies.
			tol := (1e-12+acc.Bound)*math.Sqrt(v) + 4*epsilon*(1+math.Abs(x.mu)/x.sigma)*size
			if !(math.Abs(h[1]-want) <= tol) {
				t.Errorf("%s%v: h_1 = %v, want %v, off by %.2g deviations", name, x, h[1], want, math.Abs(h[1]-want)/math.Sqrt(v))
			}
		}
	}
}

// gain returns sigma E[g'(X)] plus the jumps' part, and the size of its terms.
func gain(a Activation, mu, sigma float64) (sum, size float64) {
	edges := []float64{-13}
	for _, k := range append([]float64{}, a.Kinks()...) {
		if z := (k - mu) / sigma; math.Abs(z) < 13 {
			edges = append(edges, z)
			g := a.Apply(math.Nextafter(k, math.Inf(1))) - a.Apply(math.Nextafter(k, math.Inf(-1)))
			if math.Abs(g) > 1e-12 {
				sum += g * special.Density(z)
			}
		}
	}
	edges = append(edges, 13)
	size = math.Abs(sum)
	nodes, weights := special.GaussLegendre(32)
	for i, hi := range edges[1:] {
		lo := edges[i]
		panels := math.Ceil((hi - lo) * 4 * max(1, sigma))
		w := (hi - lo) / panels / 2
		for j := range int(panels) {
			mid := lo + w*(2*float64(j)+1)
			for n, x := range nodes {
				z := mid + w*x
				t := w * weights[n] * special.Density(z) * sigma * a.Derivative(mu+sigma*z)
				sum += t
				size += math.Abs(t)
			}
		}
	}
	return sum, size
}

// Whatever comes in, something comes out.
func TestNotFinite(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	h := make([]float64, 8)
	for name, a := range everyActivation() {
		for _, x := range []struct{ mu, sigma float64 }{
			{nan, 1}, {inf, 1}, {-inf, 1}, {0, nan}, {0, inf}, {nan, 0}, {1e300, 1e300}, {1e308, 1}, {0, 1e-320},
		} {
			Marginal(a, h, x.mu, x.sigma, 1e-9)
			a.Variance(x.mu, x.sigma)
			if math.IsNaN(x.mu) && !math.IsNaN(h[0]) && a.Apply(nan) != a.Apply(0) && math.IsNaN(a.Apply(nan)) {
				t.Errorf("%s%v: mean %v", name, x, h[0])
			}
		}
		for _, x := range []float64{nan, inf, -inf, 1e308, -1e308, 5e-324} {
			a.Apply(x)
			a.Derivative(x)
		}
	}
}

// Values in the tails and limits at infinity; the exponentials are to 4e-16.
func TestApplyTails(t *testing.T) {
	inf := math.Inf(1)
	near := func(a Activation, x, want float64) {
		t.Helper()
		got := a.Apply(x)
		if math.Signbit(got) != math.Signbit(want) || got != want && !(math.Abs(got-want) <= 1e-15*math.Abs(want)) {
			t.Errorf("%s(%g) = %v, want %v", a.Name(), x, got, want)
		}
	}
	zero := math.Copysign(0, -1)
	near(Sigmoid(), -700, math.Exp(-700))
	near(Sigmoid(), inf, 1)
	near(Softplus(), -40, math.Exp(-40)) // the next term is e^-80/2
	near(Softplus(), 1000, 1000)
	near(Softplus(), -inf, 0)
	for _, a := range []Activation{SiLU(), QuickGELU(1.702), Mish(), GELUTanh()} {
		near(a, -1000, zero)
		near(a, -inf, zero)
		near(a, inf, inf)
		near(a, 1000, 1000)
		if d0, d1 := a.Derivative(-inf), a.Derivative(inf); d0 != 0 || d1 != 1 {
			t.Errorf("%s: slopes %v and %v at infinity", a.Name(), d0, d1)
		}
	}
	near(SiLU(), -50, -50*math.Exp(-50))
	near(Mish(), -50, -50*math.Exp(-50))
	near(Softsign(), -inf, -1)
	near(Arctan(), inf, math.Pi/2)
	near(Tanh(), 1e-20, 1e-20)
}
