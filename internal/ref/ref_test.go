package ref

import (
	"math"
	"testing"
)

// near fails unless got is within tol of want, absolutely.
func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// TestClosedForms compares with textbook moments. 1e-13 is some hundred
// roundings of values of order 1.
func TestClosedForms(t *testing.T) {
	relu := func(x float64) float64 { return max(x, 0) }
	step := func(x float64) float64 {
		if x > 0 {
			return 1
		}
		return 0
	}
	kink := []float64{0}
	phi1, cdf1 := math.Exp(-.5)/math.Sqrt(2*math.Pi), math.Erfc(-1/math.Sqrt2)/2
	near(t, "E relu", Mean(relu, 2, 2, kink), 2*(cdf1+phi1), 1e-13)
	second := 4 * (2*cdf1 + phi1)
	near(t, "Var relu", Variance(relu, 2, 2, kink), second-4*(cdf1+phi1)*(cdf1+phi1), 1e-13)
	near(t, "Var exp", Variance(math.Exp, -1, 1, nil), 1-math.Exp(-1), 1e-13)
	near(t, "h_1 relu", Coefficient(relu, 1, 2, 2, kink), 2*cdf1, 1e-13)
	near(t, "h_2 relu", Coefficient(relu, 2, 2, 2, kink), 2*phi1/math.Sqrt2, 1e-13)
	// exp: h_k = sigma^k exp(mu + sigma^2/2)/sqrt(k!)
	near(t, "h_5 exp", Coefficient(math.Exp, 5, -.5, 1, nil), 1/math.Sqrt(120), 1e-13)
	for _, r := range []float64{-1, -.9999, -.5, 0, .3, .99, 1} {
		near(t, "Cov step", Covariance(step, kink, step, kink, 0, 1, 0, 2, r), math.Asin(r)/(2*math.Pi), 1e-13)
		near(t, "Cov exp", Covariance(math.Exp, nil, math.Exp, nil, -.5, 1, -.5, 1, r), math.Expm1(r), 1e-12)
		// Arc-cosine kernel of Cho & Saul (2009), less the product of means.
		th := math.Acos(r)
		near(t, "Cov relu", Covariance(relu, kink, relu, kink, 0, 1, 0, 1, r), (math.Sin(th)+(math.Pi-th)*r-1)/(2*math.Pi), 1e-13)
	}
	near(t, "sigma = 0", Mean(relu, 3, 0, kink)+Variance(relu, 3, 0, kink)+Coefficient(relu, 1, 3, 0, kink), 3, 0)
}
