package reproduce

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/covprop/covprop/internal/special"
	"github.com/covprop/covprop/report"
)

func runCovariance(t *testing.T, work Covariance) *CovarianceReport {
	t.Helper()
	r, err := work.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCovarianceValues compares with values of mpmath at 30 digits: of the
// covariance by adaptive quadrature, and of Wu's approximation from its
// definition, log R differentiated numerically at the origin.
func TestCovarianceValues(t *testing.T) {
	for _, v := range []struct{ mu1, mu2, cov, wu float64 }{
		{0, 0, 0.145343947430219343, 0.14534394743},
		{1, -1, 0.0727832979937017231, 0.072672059383},
		{-3, 2, 0.000671704912230242389, 0.000666983683721},
		{-4, -4, 4.9469643328509986e-8, 2.08377839942e-8},
		{5, 5, 0.499999713407432459, 0.499999713357},
		{0.7, -1.3, 0.0422714015976452843, 0.0421759128002},
	} {
		// Both ways are good to about 1e-15 of the standard deviations, which
		// are up to 1.
		for name, got := range map[string]float64{
			"exact":      reluCovariance(v.mu1, v.mu2, figureRho),
			"quadrature": reluQuadrature(v.mu1, v.mu2, figureRho),
		} {
			if math.Abs(got-v.cov) > 1e-14 {
				t.Errorf("%s at %g, %g: got %.17g, want %.17g", name, v.mu1, v.mu2, got, v.cov)
			}
		}
		near(t, "Wu et al.", wu(v.mu1, v.mu2, figureRho), v.wu, 1e-11) // twelve digits are known
	}
}

// TestReLUSeries writes the first terms out.
func TestReLUSeries(t *testing.T) {
	phi, cdf := special.Density, special.CDF
	for _, mu := range [][2]float64{{0.3, -0.8}, {-2, 1.5}, {0, 0}} {
		a, b := mu[0], mu[1]
		const rho = figureRho
		want := rho * cdf(a) * cdf(b)
		near(t, "K = 1", reluSeries(1, a, b, rho), want, 1e-14)
		want += rho * rho / 2 * phi(a) * phi(b)
		near(t, "K = 2", reluSeries(2, a, b, rho), want, 1e-14)
		want += rho*rho*rho/6*a*phi(a)*b*phi(b) + rho*rho*rho*rho/24*(a*a-1)*phi(a)*(b*b-1)*phi(b)
		near(t, "K = 4", reluSeries(4, a, b, rho), want, 1e-14)
	}
}

func TestCovariance(t *testing.T) {
	r := runCovariance(t, Covariance{Points: 21, Runs: 20, Seed: 1})
	if len(r.Mu) != 21 || r.Mu[0] != -5 || r.Mu[20] != 5 || r.Mu[10] != 0 || len(r.Exact) != 21*21 {
		t.Fatalf("the grid is %v", r.Mu)
	}
	if r.Check > 1e-14 || r.Check == 0 { // as above; never the same to the last bit at all points
		t.Errorf("the exact covariance and quadrature differ by %g", r.Check)
	}
	errs := map[string]CovarianceApproximation{}
	for _, a := range r.Approximations {
		errs[a.Name] = a
	}
	// K = 1 leaves the most at the origin: (q - 1 + rho asin rho)/(2 pi).
	q := math.Sqrt(1 - figureRho*figureRho)
	near(t, "error of K = 1", errs["k1"].MaxError, (q-1+figureRho*math.Asin(figureRho))/(2*math.Pi), 1e-12)
	if errs["k1"].At != [2]float64{} {
		t.Errorf("the largest error of K = 1 is at %v", errs["k1"].At)
	}
	if !(errs["k1"].MaxError > 10*errs["k2"].MaxError && errs["k2"].MaxError > 10*errs["k4"].MaxError && errs["k4"].MaxError > 0) {
		t.Errorf("the errors do not fall: %g, %g, %g", errs["k1"].MaxError, errs["k2"].MaxError, errs["k4"].MaxError)
	}
	for _, a := range r.Approximations {
		largest := 0.0
		for i, v := range a.Values {
			largest = math.Max(largest, math.Abs(v-r.Exact[i]))
		}
		if largest != a.MaxError {
			t.Errorf("%s: the largest error is %g, not %g", a.Name, largest, a.MaxError)
		}
	}
}

// R is the same at (-mu1, -mu2), so log R has no terms of third order: the
// approximation is exact at the origin, and halving the distance from there
// divides its error by 2^4.
func TestWuOrder(t *testing.T) {
	errorAt := func(h float64) float64 {
		return wu(h, 0.5*h, figureRho) - reluCovariance(h, 0.5*h, figureRho)
	}
	if e := errorAt(0); math.Abs(e) > 1e-15 {
		t.Errorf("the error at the origin is %g", e)
	}
	if ratio := errorAt(0.2) / errorAt(0.1); math.Abs(ratio-16) > 1 {
		t.Errorf("the error falls by %g when the distance is halved, not by 16", ratio)
	}
}

func TestCovarianceMaps(t *testing.T) {
	var b bytes.Buffer
	if err := report.WriteMaps(&b, "svg", runCovariance(t, Covariance{Points: 5}).Maps()...); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"exact", "K = 4", "Wu et al. 2019", "mean μ1", "|error|"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the picture does not say %q", want)
		}
	}
}

func TestCovarianceErrors(t *testing.T) {
	for want, work := range map[string]Covariance{
		"from 2 to 2001, not 1": {Points: 1},
		"must not be negative":  {Points: 2, Runs: -1},
	} {
		if _, err := work.Run(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := (&Covariance{Points: 2}).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
