package activation

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/internal/ref"
)

// piecewiseFamily returns the piecewise polynomial activations by name.
func piecewiseFamily() map[string]Activation {
	m := map[string]Activation{}
	for _, a := range []Activation{
		Identity(), Step(), Sign(), ReLU(), LeakyReLU(0.01), LeakyReLU(0.2), LeakyReLU(-0.5), ThresholdedReLU(1), Abs(),
		Clip(-1, 1), Clip(math.Inf(-1), 2), Clip(0.5, math.Inf(1)), ReLU6(), HardSigmoid(0.2, 0.5), HardSigmoid(-3, 1), HardSwish(),
		Shrink(0.5, 0.5), Shrink(1.5, 0), Shrink(-0.5, 0.2),
	} {
		m[a.Name()] = a
	}
	return m
}

// piecewiseOrders are the orders of the columns of piecewise_moments.csv after
// the mean and the variance.
var piecewiseOrders = []int{1, 2, 3, 4, 7, 16, 40, 121}

// TestPiecewiseMoments compares mean, variance and coefficients with mpmath's,
// from dead and saturated units to clips a million times narrower than sigma.
//
// The tolerances: a mean and a variance are sums of at most ten rounded terms,
// each with a relative error of some 1e-16 from the normal tail and, where the
// kink is far, a^2 roundings of a = (kink - mu)/sigma, here up to 3e-13. So the
// mean of a dead unit, where g(mu) = 0, is right relative to itself. The
// coefficients are relative to the standard deviation; the Hermite recurrence
// adds up to k roundings.
func TestPiecewiseMoments(t *testing.T) {
	checkSum(t, "testdata/", "piecewise_moments.csv")
	acts := piecewiseFamily()
	h := make([]float64, 122)
	seen := map[string]bool{}
	readTable(t, "testdata/piecewise_moments.csv", 1, func(line int, names []string, x []float64) {
		a := acts[names[0]]
		if a == nil {
			t.Fatalf("line %d: no activation %s", line, names[0])
		}
		seen[names[0]] = true
		mu, sigma, mean, variance := x[0], x[1], x[2], x[3]
		v, acc := Marginal(a, h, mu, sigma, 0)
		far := 1.0
		for _, k := range a.Kinks() {
			if z := (k - mu) / sigma; math.Abs(z) < 38 {
				far = max(far, z*z)
			}
		}
		tol := 4e-15 + 2e-16*far
		sd := math.Sqrt(variance)
		wantNear(t, h[0], mean, max(math.Abs(mean), math.Abs(a.Apply(mu))), tol, "line %d: %s(%v, %v) mean", line, names[0], mu, sigma)
		// Where phi(a)^2 is denormal or 0 so may be the variance.
		wantNear(t, v, variance, variance+1e-300, tol, "line %d: %s(%v, %v) variance", line, names[0], mu, sigma)
		for i, k := range piecewiseOrders {
			wantNear(t, h[k], x[4+i], sd+1e-150, tol+1e-15*math.Sqrt(float64(k)), "line %d: %s(%v, %v) h_%d", line, names[0], mu, sigma, k)
		}
		if acc != Exactness(a) || acc.Bound != 0 {
			t.Errorf("%s: accuracy %v", names[0], acc)
		}
		if w := a.Variance(mu, sigma); w != v {
			t.Errorf("line %d: Variance %v, Marginal %v", line, w, v)
		}
	})
	if len(seen) != len(acts)-4 { // leaky_relu_0.2 is in the golden file, shrink in unary.csv
		t.Errorf("%d of %d activations recorded", len(seen), len(acts))
	}
}

// TestPiecewiseCoefficients compares every coefficient of low order with its
// definition, and h_1 with sigma E g'(X), to which the steps add their jumps.
// 1e-13 is the accuracy of the reference.
func TestPiecewiseCoefficients(t *testing.T) {
	h := make([]float64, 24)
	for name, a := range piecewiseFamily() {
		for _, in := range [][2]float64{{0, 1}, {0.3, 0.2}, {-1.7, 0.9}, {2.5, 1.8}, {-3, 0.4}, {-0.4, 9}} {
			mu, sigma := in[0], in[1]
			a.Coefficients(h, mu, sigma)
			sd := math.Sqrt(a.Variance(mu, sigma))
			for k := range h {
				scale := sd
				if k == 0 {
					scale = max(sd, math.Abs(h[0]))
				}
				want := ref.Coefficient(a.Apply, k, mu, sigma, a.Kinks())
				wantNear(t, h[k], want, scale, 1e-13, "%s(%v, %v) h_%d", name, mu, sigma, k)
			}
			jump := 0.0
			for i, d := range a.(interface{ knots() knots }).knots().jump {
				z := (a.(interface{ knots() knots }).knots().at[i] - mu) / sigma
				jump += d[0] * math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
			}
			want := sigma*ref.Mean(a.Derivative, mu, sigma, a.Kinks()) + jump
			wantNear(t, h[1], want, sd, 1e-13, "%s(%v, %v) h_1", name, mu, sigma)
		}
	}
}

// TestPiecewiseApply checks values that ONNX fixes, infinities and NaN.
func TestPiecewiseApply(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		a       Activation
		x, want float64
	}{
		{Step(), 0, 0},
		{Step(), 5e-324, 1},
		{Step(), -1, 0},
		{Step(), inf, 1},
		{Sign(), 0, 0},
		{Sign(), -2, -1},
		{Sign(), 2, 1},
		{Sign(), -inf, -1},
		{ReLU(), -inf, 0},
		{ReLU(), inf, inf},
		{ReLU(), -3, 0},
		{ReLU(), 3, 3},
		{LeakyReLU(0.1), -2, -0.2},
		{LeakyReLU(0.1), 2, 2},
		{LeakyReLU(0), -inf, 0},
		{Abs(), -2, 2},
		{Identity(), -2, -2},
		{ThresholdedReLU(1), 1, 0},
		{ThresholdedReLU(1), 1.5, 1.5},
		{ThresholdedReLU(-1), -0.5, -0.5},
		{Clip(-1, 1), -2, -1},
		{Clip(-1, 1), 2, 1},
		{Clip(-1, 1), 0.5, 0.5},
		{Clip(2, 1), 0, 1},
		{Clip(2, 1), 5, 1},
		{Clip(math.Inf(-1), 1), -1e300, -1e300},
		{Clip(0, inf), 1e300, 1e300},
		{ReLU6(), 7, 6},
		{HardSigmoid(0.2, 0.5), 0, 0.5},
		{HardSigmoid(0.2, 0.5), -9, 0},
		{HardSigmoid(0.2, 0.5), 9, 1},
		{HardSigmoid(0, 0.3), inf, 0.3},
		{HardSigmoid(-1, 0.5), -9, 1},
		{HardSwish(), -3, 0},
		{HardSwish(), 3, 3},
		{HardSwish(), -1.5, -0.375},
		{HardSwish(), -inf, 0},
	} {
		if got := c.a.Apply(c.x); got != c.want {
			t.Errorf("%s(%v) = %v, want %v", c.a.Name(), c.x, got, c.want)
		}
	}
	for name, a := range piecewiseFamily() {
		if v := a.Apply(math.NaN()); v == v {
			t.Errorf("%s(NaN) = %v", name, v)
		}
	}
}

// TestPiecewiseDerivative compares the derivative with central differences,
// exact for polynomials of degree two up to the rounding of values of order 10
// over a step of 1/64, and at the kinks with the mean of both sides.
func TestPiecewiseDerivative(t *testing.T) {
	for name, a := range piecewiseFamily() {
		for x := -7.03125; x < 7; x += 0.25 {
			const d = 1. / 64
			want := (a.Apply(x+d) - a.Apply(x-d)) / (2 * d)
			wantNear(t, a.Derivative(x), want, 1, 1e-12, "%s'(%v)", name, x)
		}
		for _, k := range a.Kinks() {
			// The derivative is linear on either side: extrapolate it.
			const d = 1. / 1024
			want := a.Derivative(k-d) + a.Derivative(k+d) - (a.Derivative(k-2*d)+a.Derivative(k+2*d))/2
			wantNear(t, a.Derivative(k), want, 1, 1e-12, "%s' at the kink %v", name, k)
		}
	}
	if d := ReLU().Derivative(0); d != 0.5 {
		t.Errorf("relu'(0) = %v", d)
	}
}

// TestPiecewisePoint checks sigma = 0, also on a kink.
func TestPiecewisePoint(t *testing.T) {
	for name, a := range piecewiseFamily() {
		for _, mu := range []float64{-3, 0, 0.5, 1, 6} {
			h := []float64{7, 7, 7, 7, 7}
			v, _ := Marginal(a, h, mu, 0, 0)
			if h[0] != a.Apply(mu) || h[1] != 0 || h[4] != 0 || v != 0 || a.Variance(mu, 0) != 0 {
				t.Errorf("%s at %v: %v, variance %v", name, mu, h, v)
			}
			a.Coefficients(h, mu, 0)
			if h[0] != a.Apply(mu) || h[1] != 0 || h[4] != 0 {
				t.Errorf("%s at %v: %v", name, mu, h)
			}
		}
	}
}

// TestPiecewiseDegenerate checks parameters at the edge: constants, and a hard
// sigmoid so steep that its two kinks are one number.
func TestPiecewiseDegenerate(t *testing.T) {
	for _, c := range []struct {
		a              Activation
		mu, sigma      float64
		mean, variance float64
	}{
		{Clip(2, 1), 0, 3, 1, 0},
		{Clip(1, 1), 0, 3, 1, 0},
		{HardSigmoid(0, 0.25), 1, 2, 0.25, 0},
		{HardSigmoid(0, 3), 1, 2, 1, 0},
		{HardSigmoid(1e-310, 0.5), 1, 2, 0.5, 0},
		{HardSigmoid(1e20, 0), 0, 1, 0.5, 0.25},
		{HardSigmoid(-1e20, 1e20), 1, 1, 0.5, 0.25},
		{Clip(math.Inf(-1), math.Inf(1)), 1, 2, 1, 4},
		{LeakyReLU(1), 1, 2, 1, 4},
		{ReLU(), 0, 5e-324, 0, 0},
		{ReLU(), 1, 5e-324, 1, 0},
		{HardSwish(), 1e300, 1, 1e300, 1},
	} {
		h := make([]float64, 5)
		v, _ := Marginal(c.a, h, c.mu, c.sigma, 0)
		if math.Abs(h[0]-c.mean) > 1e-15*math.Abs(c.mean) || math.Abs(v-c.variance) > 1e-15*c.variance {
			t.Errorf("%s(%v, %v): mean %v, variance %v, want %v, %v", c.a.Name(), c.mu, c.sigma, h[0], v, c.mean, c.variance)
		}
		if cov, _, ok := c.a.(pairer).pairCovariance(ReLU(), Pair{c.mu, c.sigma, 1, 1, 0.5}, math.Sqrt(v), 1); ok && math.IsNaN(cov) {
			t.Errorf("%s: covariance %v", c.a.Name(), cov)
		}
	}
	if ReLU() != ReLU() || LeakyReLU(0.1) == LeakyReLU(0.2) || Clip(0, 6) == ReLU6() || Activation(Step()) == Activation(Sign()) {
		t.Error("equality of activations is not that of functions and names")
	}
	if d, ok := Degree(Identity()); !ok || d != 1 {
		t.Errorf("Degree(Identity()) = %v, %v", d, ok)
	}
	if _, ok := Degree(ReLU()); ok {
		t.Error("ReLU is not a polynomial")
	}
}

// TestPiecewiseNaN checks that NaN comes out where it goes in.
func TestPiecewiseNaN(t *testing.T) {
	h := make([]float64, 4)
	nan := math.NaN()
	for name, a := range piecewiseFamily() {
		for _, in := range [][2]float64{{nan, 1}, {1, nan}, {nan, nan}} {
			a.Coefficients(h, in[0], in[1])
			v := a.Variance(in[0], in[1])
			p := Pair{in[0], in[1], 0, 1, 0.9}
			cov, _, ok := a.(pairer).pairCovariance(a, p, math.Sqrt(v), 1)
			if h[0] == h[0] || v == v || ok && cov == cov {
				t.Errorf("%s%v: mean %v, variance %v, covariance %v", name, in, h[0], v, cov)
			}
		}
	}
}

// TestPiecewisePairs compares the exact pair form with the golden file and
// with mpmath's values near |rho| = 1 and in the tails. Relative to the
// standard deviations the form promises 1e-12 or declines; where parts do not
// cancel, as here, the error is a hundred roundings near |rho| = 1, and in the
// tails, up to thirty deviations, the a^2 roundings of a = (kink - mu)/sigma.
func TestPiecewisePairs(t *testing.T) {
	checkSum(t, "testdata/", "piecewise_pairs.csv")
	acts := piecewiseFamily()
	declined, used := 0, 0
	check := func(line int, names []string, p Pair, v1, v2, want, tol float64) {
		t.Helper()
		a, b := acts[names[0]], acts[names[1]]
		sd1, sd2 := math.Sqrt(v1), math.Sqrt(v2)
		got, bound, ok := a.(pairer).pairCovariance(b, p, sd1, sd2)
		swapped, _, _ := b.(pairer).pairCovariance(a, p.Swap(), sd2, sd1)
		used++
		if !ok {
			declined++
			return
		}
		if bound != 0 {
			t.Errorf("line %d: bound %v", line, bound)
		}
		wantNear(t, got, want, sd1*sd2, tol, "line %d: cov of %v, %+v", line, names, p)
		wantNear(t, swapped, got, sd1*sd2, tol, "line %d: cov of %v, %+v swapped", line, names, p)
	}
	readTable(t, "testdata/piecewise_pairs.csv", 2, func(line int, names []string, x []float64) {
		check(line, names, Pair{x[0], x[1], x[2], x[3], x[4]}, x[5], x[6], x[7], 1e-13)
	})
	readTable(t, "../testdata/golden/activation_pairs.csv", 2, func(line int, names []string, x []float64) {
		if acts[names[0]] != nil && acts[names[1]] != nil {
			check(line, names, Pair{x[0], x[1], x[2], x[3], x[4]}, x[6], x[8], x[9], 5e-14)
		}
	})
	// None of these needs to be declined; 447 and 321 rows are there.
	if used != 768 || declined > 0 {
		t.Errorf("declined %d of %d pairs", declined, used)
	}
}

// TestPiecewisePairIdentities checks the pair form at random against what it
// must satisfy exactly: at rho = 1 and equal inputs it is the variance, with
// the identity it is rho sigma_2 h_1 (Stein), and |Cov| <= sd1 sd2. The
// tolerance is that of the form.
func TestPiecewisePairIdentities(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	acts := piecewiseFamily()
	h := make([]float64, 2)
	for range 200 {
		p := Pair{3 * rng.NormFloat64(), math.Exp(rng.NormFloat64()), 3 * rng.NormFloat64(), math.Exp(rng.NormFloat64()), 2*rng.Float64() - 1}
		if rng.IntN(2) == 0 {
			p.Rho = math.Copysign(1-math.Exp(-30*rng.Float64()), p.Rho)
		}
		for name, a := range acts {
			f := a.(pairer)
			v := a.Variance(p.Mu1, p.Sigma1)
			sd := math.Sqrt(v)
			if cov, _, ok := f.pairCovariance(a, Pair{p.Mu1, p.Sigma1, p.Mu1, p.Sigma1, 1}, sd, sd); ok {
				wantNear(t, cov, v, v, 1e-12, "%s%v: Cov at rho = 1", name, p)
			}
			a.Coefficients(h, p.Mu1, p.Sigma1)
			if cov, _, ok := f.pairCovariance(Identity(), p, sd, p.Sigma2); ok {
				wantNear(t, cov, p.Rho*p.Sigma2*h[1], sd*p.Sigma2, 1e-12, "%s%v: Cov with the identity", name, p)
			}
			sd2 := math.Sqrt(a.Variance(p.Mu2, p.Sigma2))
			if cov, _, ok := f.pairCovariance(a, p, sd, sd2); ok && math.Abs(cov) > sd*sd2*(1+1e-12) {
				t.Errorf("%s%v: correlation %v", name, p, cov/(sd*sd2))
			}
		}
	}
}

// TestPiecewiseAllocations: no method allocates, except Kinks.
func TestPiecewiseAllocations(t *testing.T) {
	h := make([]float64, 64)
	p := Pair{0.2, 1.5, -0.1, 1.1, 0.99}
	for name, a := range piecewiseFamily() {
		f := a.(pairer)
		n := testing.AllocsPerRun(20, func() {
			Marginal(a, h, p.Mu1, p.Sigma1, 0)
			a.Coefficients(h, p.Mu1, p.Sigma1)
			a.Variance(p.Mu1, p.Sigma1)
			a.Derivative(0)
			f.pairCovariance(a, p, 1, 1)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkPairCovariance(b *testing.B) {
	for _, a := range []Activation{ReLU(), Step(), HardSwish()} {
		b.Run(a.Name(), func(b *testing.B) {
			p := Pair{0.2, 1.5, -0.1, 1.1, 0.99}
			sd1, sd2 := math.Sqrt(a.Variance(p.Mu1, p.Sigma1)), math.Sqrt(a.Variance(p.Mu2, p.Sigma2))
			for b.Loop() {
				a.(pairer).pairCovariance(a, p, sd1, sd2)
			}
		})
	}
}

// TestPiecewisePairDeclines: tails of size sigma cannot represent a clip ten
// thousand times narrower to 1e-12 of its deviation, about 1, against another
// such clip, nor a hard sigmoid as steep as a step.
func TestPiecewisePairDeclines(t *testing.T) {
	narrow := Pair{0.3, 1e4, -0.2, 1e4, 0.9}
	steep := HardSigmoid(1e20, 0)
	for _, c := range []struct {
		a, b Activation
		p    Pair
		ok   bool
	}{
		{Clip(-1, 1), Clip(-1, 1), narrow, false},
		{steep, Step(), Pair{0, 1, 0, 1, 0.9}, false},
		{Clip(-1, 1), Clip(-1, 1), Pair{0.3, 10, -0.2, 10, 0.9}, true},
	} {
		sd1, sd2 := math.Sqrt(c.a.Variance(c.p.Mu1, c.p.Sigma1)), math.Sqrt(c.b.Variance(c.p.Mu2, c.p.Sigma2))
		if _, _, ok := c.a.(pairer).pairCovariance(c.b, c.p, sd1, sd2); ok != c.ok {
			t.Errorf("%s with %s, %+v: ok = %v", c.a.Name(), c.b.Name(), c.p, ok)
		}
	}
}
