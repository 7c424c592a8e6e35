package activation

import (
	"math"
	"testing"

	"github.com/covprop/covprop/internal/special"
)

// singularFamily returns the functions with singular points, by name.
func singularFamily() map[string]Activation {
	m := map[string]Activation{}
	for _, a := range []Activation{
		Sqrt(), Reciprocal(), Log(), Power(1.5), Power(-2.5), Power(-3), Power(20), Acosh(), Atanh(), Tan(), Asin(), Acos(),
	} {
		m[a.Name()] = a
	}
	return m
}

// leftOutProbability is that of the part of the line which the reference has and
// clamping has not, or the reverse, where a singular point is within 20
// standard deviations: it begins at 8.
var leftOutProbability = 2 * special.CDF(-8)

// TestUnary compares with values from 50-digit arithmetic (testdata/unary.py).
// Means and variances must be within the stated estimate, which has to be
// small: 2e-10 for 1/x^3 at ten deviations from 0 and for log-sigmoid around
// -1e6, whose parts are so large; closed forms within 1e-14: some forty roundings, and twice the square
// of the distance to the kinks in deviations, here up to 30, for the exponent
// of the density. h_k may differ by what is left out, by Cauchy-Schwarz the
// root of its part of the variance, though covariances do not: as rare as it is,
// it counts there by its part of the variance.
func TestUnary(t *testing.T) {
	checkSum(t, "testdata/", "unary.csv")
	checkSum(t, "testdata/", "unary.py")
	acts := everyActivation()
	for name, a := range singularFamily() {
		acts[name] = a
	}
	seen := map[string]int{}
	rows := 0
	h := make([]float64, 31)
	readTable(t, "testdata/unary.csv", 1, func(line int, names []string, x []float64) {
		rows++
		a, mu, sigma, shift, want := acts[names[0]], x[0], x[1], x[2], x[3]
		if a == nil {
			t.Fatalf("line %d: no activation %s", line, names[0])
		}
		seen[names[0]]++
		if want == 0 { // 200 deviations within a dead zone
			if v, _ := Marginal(a, h, mu, sigma, 0); v != 0 || h[0] != 0 || h[1] != 0 {
				t.Errorf("line %d: variance %v, coefficients %v", line, v, h[:2])
			}
			return
		}
		sd := math.Sqrt(want)
		v, acc := Marginal(a, h, mu, sigma, 0)
		tol, tolCoefficient := acc.Bound+8*epsilon, acc.Bound+8*epsilon
		switch acc.Reason {
		case "":
			tol, tolCoefficient = 1e-14, 1e-14
			for _, k := range a.Kinks() {
				z := min(math.Abs(k-mu)/sigma, 38)
				tol += 2 * z * z * epsilon
				tolCoefficient += 2 * z * z * epsilon
			}
		case leftOutReason:
			tolCoefficient += math.Sqrt(leftOutProbability * 100)
		case quadratureReason:
		default:
			t.Fatalf("line %d: %s(%g, %g): %v", line, names[0], mu, sigma, acc)
		}
		if !(acc.Bound <= 2e-10) {
			t.Errorf("line %d: %s(%g, %g): estimate %.2g", line, names[0], mu, sigma, acc.Bound)
		}
		check := func(what string, err, tol float64) {
			t.Helper()
			if !(err <= tol) {
				t.Errorf("line %d: %s(%g, %g): %s: error %.2g of the scale, tolerance %.2g", line, names[0], mu, sigma, what, err, tol)
			}
		}
		g := a.Apply(mu)
		check("mean", math.Abs(h[0]-(g+shift))/max(sd, math.Abs(g), math.Abs(shift)), tol)
		check("variance", math.Abs(v-want)/want, 2*tol)
		for i, k := range []int{1, 2, 7, 30} {
			check("coefficient", math.Abs(h[k]-x[4+i])/sd, tolCoefficient)
		}
		if w := a.Variance(mu, sigma); math.Abs(w-v) > 1e-14*v {
			t.Errorf("line %d: Variance %v, Marginal %v", line, w, v)
		}
	})
	if len(seen) != 12+4+3 || rows != 167 {
		t.Errorf("%d functions, %d rows", len(seen), rows)
	}
	for _, name := range []string{"asinh", "log_sigmoid", "sinh", "cosh"} {
		if seen[name] == 0 {
			t.Errorf("no rows of %s", name)
		}
	}
}

// TestUnaryPairs compares with values from 25-digit arithmetic, relative to the
// product of the standard deviations, whatever way Covariance takes, and the
// series with its bound.
func TestUnaryPairs(t *testing.T) {
	checkSum(t, "testdata/", "unary_pairs.csv")
	acts := everyActivation()
	for name, a := range singularFamily() {
		acts[name] = a
	}
	rows := 0
	f, g := make([]float64, 200), make([]float64, 200)
	readTable(t, "testdata/unary_pairs.csv", 2, func(line int, names []string, x []float64) {
		rows++
		a, b := acts[names[0]], acts[names[1]]
		p := Pair{x[0], x[1], x[2], x[3], x[4]}
		scale := math.Sqrt(x[5]) * math.Sqrt(x[6])
		cov, acc := Covariance(a, b, p)
		// 1e-14: rounding of closed forms.
		wantNear(t, cov, x[7], scale, acc.Bound+1e-14, "line %d: covariance of %v, %+v", line, names, p)
		if !(acc.Bound <= 1e-11) {
			t.Errorf("line %d: estimate %.2g", line, acc.Bound)
		}
		v1, a1 := Marginal(a, f, p.Mu1, p.Sigma1, 0)
		v2, a2 := Marginal(b, g, p.Mu2, p.Sigma2, 0)
		bound := math.Pow(math.Abs(p.Rho), float64(len(f))) * math.Sqrt(remainder(f, v1)*remainder(g, v2))
		wantNear(t, SeriesCovariance(f, g, p.Rho), x[7], scale, bound/scale+a1.Bound+a2.Bound+1e-12, "line %d: series of %v, %+v", line, names, p)
	})
	if rows != 95 {
		t.Errorf("%d rows", rows)
	}
}
