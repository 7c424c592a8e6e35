package activation

import (
	"math"
	"testing"
)

// Near the largest float64, where a factor may overflow before the product
// does. The values are from 40-digit arithmetic.
func TestExponentialNearOverflow(t *testing.T) {
	a := Exp()
	var h [1]float64
	a.Coefficients(h[:], 709.25, math.Sqrt(.5))
	check := func(what string, got, want float64) {
		t.Helper()
		// 1e-12: the exponent, 709, is rounded by up to 2e-13.
		if !(math.Abs(got-want) <= 1e-12*want) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	check("e^709.5", a.Apply(709.5), 1.3549863193146328309e308)
	check("the slope of e^x at 709.75", a.Derivative(709.75), 1.7398368732641605577e308)
	check("the mean", h[0], 1.3549863193146328309e308)
	check("the slope of CELU at -709.5", CELU(-1).Derivative(-709.5), 1.3549863193146328309e308)
	check("the variance", a.Variance(354.75, .25), 9.3025222838156980759e306)
	// e^{2(mu + sigma^2)} overflows.
	check("the variance", a.Variance(355.25, .125), 5.8915913118668139018e306)
	for rho, want := range map[float64]float64{.5: 2.8489874001883910877e306, -.5: -2.8048179445587726351e306} {
		cov, acc := Covariance(a, a, Pair{355.25, .125, 354.5, .25, rho})
		if !(math.Abs(cov-want) <= 1e-12*math.Abs(want)) || math.IsNaN(acc.Bound) {
			t.Errorf("covariance %v, want %v (%v)", cov, want, acc)
		}
	}
	if v := a.Apply(709.8); !math.IsInf(v, 1) {
		t.Errorf("e^709.8 is %v", v)
	}
	if v := a.Apply(math.Inf(-1)); v != 0 {
		t.Errorf("e^-Inf is %v", v)
	}
}
