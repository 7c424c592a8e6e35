package activation

import (
	"math"
	"testing"

	"github.com/covprop/covprop"
)

// near lists means at a distance of 1 from a singular point.
var near = []struct {
	a  Activation
	mu float64
}{
	{Sqrt(), 1},
	{Reciprocal(), 1},
	{Reciprocal(), -1},
	{Log(), 1},
	{Power(1.5), 1},
	{Power(-0.5), 1},
	{Power(-2), -1},
	{Acosh(), 2},
	{Atanh(), 0},
	{Asin(), 0},
	{Acos(), 0},
	{Tan(), 0.5*math.Pi - 1},
	{Tan(), 1 - 0.5*math.Pi},
	{Tan(), 10.5*math.Pi - 1},
}

// Within 8 standard deviations of a singular point a function is its tangent,
// in moments and in covariances with anything, at any correlation.
func TestSingularLinearized(t *testing.T) {
	partners := []Activation{Identity(), ReLU(), ELU(1), Tanh(), Exp(), GELU(), Softsign(), Log(), must(New("user", math.Sin, nil))}
	for _, c := range near {
		for _, sigma := range []float64{0.126, 0.5, 3, 1e10} {
			h := []float64{9, 9, 9, 9}
			v, acc := Marginal(c.a, h, c.mu, sigma, 1e-9)
			slope := sigma * c.a.Derivative(c.mu)
			if h[0] != c.a.Apply(c.mu) || h[1] != slope || h[2] != 0 || h[3] != 0 || v != slope*slope {
				t.Errorf("%s(%v, %v): variance %v, coefficients %v, slope %v", c.a.Name(), c.mu, sigma, v, h, slope)
			}
			if acc != covprop.ApproximatedBy(math.Inf(1), Linearized) {
				t.Errorf("%s(%v, %v): %v", c.a.Name(), c.mu, sigma, acc)
			}
			if w := c.a.Variance(c.mu, sigma); w != v {
				t.Errorf("%s(%v, %v): Variance %v, Marginal %v", c.a.Name(), c.mu, sigma, w, v)
			}
			for _, b := range partners {
				for _, rho := range []float64{1, -1, 1 - 1e-12, 0.999, -0.3} {
					p := Pair{c.mu, sigma, 1.2, 0.9, rho}
					g := make([]float64, 2)
					w, _ := Marginal(b, g, p.Mu2, p.Sigma2, 0)
					want := rho * slope * g[1]
					cov, acc := Covariance(c.a, b, p)
					swapped, accSwapped := Covariance(b, c.a, p.Swap())
					form, bound, ok := PairForm(b, c.a, p.Swap(), math.Sqrt(w), math.Abs(slope))
					// Three roundings.
					wantNear(t, cov, want, math.Abs(want), 4*epsilon, "%s, %s, %+v", c.a.Name(), b.Name(), p)
					wantNear(t, swapped, want, math.Abs(want), 4*epsilon, "%s, %s, %+v swapped", c.a.Name(), b.Name(), p)
					wantNear(t, form, want, math.Abs(want), 4*epsilon, "%s, %s, %+v pair form", c.a.Name(), b.Name(), p)
					if !ok || bound != 0 || acc.Reason != Linearized || accSwapped.Reason != Linearized {
						t.Errorf("%s, %s, %+v: %v %v, pair form %v %v", c.a.Name(), b.Name(), p, acc, accSwapped, ok, bound)
					}
				}
			}
		}
	}
}

// From 8 standard deviations on the moments are integrals, except where a pole
// at just this distance makes them depend on where they end: then the tangent.
// What is left out is in the estimate, and vanishes with the distance.
func TestSingularThreshold(t *testing.T) {
	for _, c := range near {
		for _, r := range []float64{8.5, 9, 12, 80, 1e6} {
			if c.a == Power(-2) && r == 8.5 {
				continue // 3e-8 of the variance are left out
			}
			sigma := 1 / r
			h := make([]float64, 3)
			v, acc := Marginal(c.a, h, c.mu, sigma, 1e-9)
			slope := sigma * c.a.Derivative(c.mu)
			if acc.Status != covprop.Approximate || acc.Reason == Linearized || !(acc.Bound < 1e-10) {
				t.Errorf("%s(%v, 1/%v): %v", c.a.Name(), c.mu, r, acc)
			}
			if wantLeft := r < 12; wantLeft != (acc.Reason == leftOutReason) && r != 12 {
				t.Errorf("%s(%v, 1/%v): %v", c.a.Name(), c.mu, r, acc)
			}
			// The second order is of the size 1/r.
			if e := math.Abs(h[1]/slope - 1); e > 20/(r*r) || e == 0 && r < 1e4 {
				t.Errorf("%s(%v, 1/%v): slope off by %v", c.a.Name(), c.mu, r, e)
			}
			if !(v >= h[1]*h[1]+h[2]*h[2]*(1-1e-12)) && r < 1e4 {
				t.Errorf("%s(%v, 1/%v): variance %v below its parts %v", c.a.Name(), c.mu, r, v, h)
			}
		}
		if _, acc := Marginal(c.a, nil, c.mu, 1/7.999, 1e-9); acc.Reason != Linearized {
			t.Errorf("%s: %v at 7.999 deviations", c.a.Name(), acc)
		}
	}
	for _, a := range []Activation{Reciprocal(), Power(-3)} {
		for _, r := range []float64{8 + 1e-14, 8 + 1e-9, 8.00001} {
			if _, acc := Marginal(a, nil, 1, 1/r, 1e-9); acc.Reason != Linearized {
				t.Errorf("%s at %v deviations: %v", a.Name(), r, acc)
			}
		}
	}
	// A root has no such trouble.
	for _, a := range []Activation{Sqrt(), Log(), Power(0.1)} {
		if _, acc := Marginal(a, nil, 1, 1/8.00001, 1e-9); acc.Reason != leftOutReason || !(acc.Bound < 1e-11) {
			t.Errorf("%s at 8.00001 deviations: %v", a.Name(), acc)
		}
	}
}

// At a singular point and outside the domain there are no moments: the
// coefficients are not all finite, the variance is not a number, and nor is a
// covariance. At sigma = 0 there is the value.
func TestSingularNone(t *testing.T) {
	for _, c := range []struct {
		a  Activation
		mu float64
	}{
		{Sqrt(), 0},
		{Sqrt(), -1},
		{Reciprocal(), 0},
		{Log(), 0},
		{Log(), -4},
		{Power(1.5), 0},
		{Power(2.5), 0},
		{Power(1.5), -1},
		{Power(-3), 0},
		{Acosh(), 1},
		{Acosh(), 0.5},
		{Atanh(), 1},
		{Atanh(), -1},
		{Atanh(), 2},
		{Asin(), 1},
		{Asin(), -1.5},
		{Acos(), -1},
		{Acos(), 7},
		{Sqrt(), math.NaN()},
		{Tan(), math.Inf(1)},
	} {
		for _, sigma := range []float64{1e-300, 1e-3, 1, math.Inf(1)} {
			h := make([]float64, 2)
			v, acc := Marginal(c.a, h, c.mu, sigma, 1e-9)
			finite := math.Abs(h[0]) < math.Inf(1) && math.Abs(h[1]) < math.Inf(1)
			if finite || v == v || !math.IsInf(acc.Bound, 1) {
				t.Errorf("%s(%v, %v): variance %v, coefficients %v, %v", c.a.Name(), c.mu, sigma, v, h, acc)
			}
			if h[0] != c.a.Apply(c.mu) && h[0] == h[0] {
				t.Errorf("%s(%v, %v): mean %v, value %v", c.a.Name(), c.mu, sigma, h[0], c.a.Apply(c.mu))
			}
			for _, b := range []Activation{c.a, ReLU(), Tanh()} {
				if cov, acc := Covariance(c.a, b, Pair{c.mu, sigma, 2, 0.1, 0.9}); cov == cov || acc.Status != covprop.Approximate {
					t.Errorf("%s, %s: covariance %v, %v", c.a.Name(), b.Name(), cov, acc)
				}
			}
		}
		h := []float64{9, 9}
		v, acc := Marginal(c.a, h, c.mu, 0, 1e-9)
		if y := c.a.Apply(c.mu); h[0] != y && y == y || h[1] != 0 || v != 0 || acc != (covprop.Accuracy{}) {
			t.Errorf("%s(%v, 0): variance %v, coefficients %v, %v", c.a.Name(), c.mu, v, h, acc)
		}
	}
}

// As sigma -> 0 the coefficients are those of the tangent, h_1 = sigma g'(mu),
// and h_2 = sigma^2 g”/sqrt(2), which is taken from differences of Derivative.
func TestSingularTangent(t *testing.T) {
	for name, a := range singularFamily() {
		for _, mu := range []float64{0.4, -0.7, 3, 1.0001, 20, 1e6, 0.999, -0.9999, 1e-8} {
			below, above := a.(guarded).room(mu)
			if !(min(below, above) > 0) {
				continue
			}
			room := min(below, above, math.Abs(mu))
			slope := a.Derivative(mu)
			for _, r := range []float64{1e-9, 1e-40} {
				sigma := r * room
				h := make([]float64, 3)
				v, acc := Marginal(a, h, mu, sigma, 0)
				// A power is rounded p times, here up to 20; the next term is
				// of the order p^2 r^2.
				if e := math.Abs(h[1]/(sigma*slope) - 1); !(e <= 1e-14) {
					t.Errorf("%s(%g, %g): h_1 = %v, want %v, off by %.2g", name, mu, sigma, h[1], sigma*slope, e)
				}
				if e := math.Abs(v/(sigma*slope*sigma*slope) - 1); sigma*slope > 1e-150 && !(e <= 3e-14) {
					t.Errorf("%s(%g, %g): variance off by %.2g", name, mu, sigma, e)
				}
				if !(acc.Bound < 1e-13) {
					t.Errorf("%s(%g, %g): %v", name, mu, sigma, acc)
				}
			}
			// At 1e-4 of the room the second coefficient is visible.
			sigma, d := 1e-4*room, 1e-4*room
			curvature := (a.Derivative(mu+d) - a.Derivative(mu-d)) / (2 * d)
			h := make([]float64, 3)
			Marginal(a, h, mu, sigma, 0)
			// Both are off by terms of relative order 1e-8, times 20^3 for a
			// power of 20, and by the rounding of mu + d.
			scale := sigma*sigma*math.Abs(curvature) + 1e-4*sigma*math.Abs(slope)
			wantNear(t, h[2]*math.Sqrt2, sigma*sigma*curvature, scale, 2e-5+epsilon*math.Abs(mu)/d*1e4, "%s(%g, %g): h_2", name, mu, sigma)
		}
	}
}

// Power's whole exponents are polynomials, and -1 and 1/2 have names.
func TestPower(t *testing.T) {
	for p := range MaxDegree + 1 {
		a := Power(float64(p))
		if n, ok := Degree(a); !ok || n != p {
			t.Errorf("power %d: %s of degree %d, %v", p, a.Name(), n, ok)
		}
		for _, x := range []float64{-1.5, 0, 2} {
			if got, want := a.Apply(x), math.Pow(x, float64(p)); math.Abs(got-want) > 1e-14*math.Abs(want) {
				t.Errorf("power %d: %v at %v, want %v", p, got, x, want)
			}
		}
	}
	for p, want := range map[float64]Activation{1: Identity(), 2: Square(), 3: Cube(), -1: Reciprocal(), 0.5: Sqrt()} {
		if Power(p) != want {
			t.Errorf("power %v is %s, want %s", p, Power(p).Name(), want.Name())
		}
	}
	if _, ok := Degree(Power(16)); ok {
		t.Error("power 16 has a degree, but no finite series here")
	}
	for _, p := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		h := make([]float64, 3)
		Marginal(Power(p), h, 1.5, 0.1, 1e-9)
		if x := h[0] + h[1] + h[2]; x == x && !math.IsInf(x, 0) {
			t.Errorf("power %v: coefficients %v", p, h)
		}
	}
	// E X^16 = 15!! = 2027025 and E X^32 = 31!!.
	h := make([]float64, 1)
	v, _ := Marginal(Power(16), h, 0, 1, 0)
	m, m2 := 1.0, 1.0
	for k := 1.0; k <= 31; k += 2 {
		m2 *= k
		if k <= 15 {
			m *= k
		}
	}
	wantNear(t, h[0], m, m, 1e-13, "E X^16")
	wantNear(t, v, m2-m*m, m2, 1e-13, "Var X^16")
}

// Extreme inputs end, and what is finite has no NaN beside it.
func TestSingularExtreme(t *testing.T) {
	h := make([]float64, 33)
	for name, a := range singularFamily() {
		for _, sigma := range []float64{1e-320, 1e-300, 1e-20, 1, 1e20, 1e150, 1e300, math.Inf(1), math.NaN()} {
			for _, mu := range []float64{0, -0.5, 0.5, 1e-320, 1e-160, 1e3, -1e3, 1e150, 1e300, math.MaxFloat64, math.Inf(1), math.NaN()} {
				v, _ := Marginal(a, h, mu, sigma, 1e-9)
				if v < 0 || v >= 0 && v < math.Inf(1) && math.IsNaN(h[1]) {
					t.Errorf("%s(%g, %g): variance %v, slope %v", name, mu, sigma, v, h[1])
				}
				if sigma < 1 {
					Covariance(a, Tanh(), Pair{mu, sigma, 0, 1, 0.99})
				}
			}
		}
	}
}
