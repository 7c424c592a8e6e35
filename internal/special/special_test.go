package special

import (
	"encoding/csv"
	"errors"
	"math"
	"os"
	"strconv"
	"testing"
)

// records returns the rows of a CSV file without its header.
func records(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	if s == "" {
		return 0
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // overflow is +Inf
		t.Fatal(err)
	}
	return v
}

// TestValues compares every function with values recorded from mpmath.
func TestValues(t *testing.T) {
	// Errors are in units of the natural scale of each function: its value
	// for the elementary ones, the envelope for the oscillating Hermite
	// functions, the product of the standard deviations of the indicators for
	// the excess.
	worst := map[string]float64{}
	where := map[string][]string{}
	for _, r := range records(t, "testdata/values.csv") {
		x, y, z, want := number(t, r[1]), number(t, r[2]), number(t, r[3]), number(t, r[4])
		var got, scale float64
		switch r[0] {
		case "density":
			got, scale = Density(x), want
		case "cdf":
			got, scale = CDF(x), want
			if c := CDFComplement(-x); c != got {
				t.Errorf("CDFComplement(%v) = %v, CDF(%v) = %v", -x, c, x, got)
			}
		case "logcdf":
			got, scale = LogCDF(x), want
		case "mills":
			got, scale = Mills(x), want
		case "erfcx":
			got, scale = Erfcx(x), want
		case "hermite":
			dst := make([]float64, int(y)+1)
			ScaledHermite(dst, x)
			got, scale = dst[int(y)], hermiteScale(x, y, want)
		case "excess":
			got = BivariateExcess(x, y, z)
			scale = math.Sqrt(CDF(x)*CDF(-x)) * math.Sqrt(CDF(y)*CDF(-y))
		case "phi2":
			got, scale = BivariateCDF(x, y, z), 1
		case "phi2density":
			got, scale = BivariateDensity(x, y, z), want
		default:
			t.Fatalf("unknown function %q", r[0])
		}
		if got == want {
			continue // also both infinite
		}
		err := math.Abs(got-want) - 5e-324 // half a unit of the denormal numbers
		if err <= 0 {
			continue
		}
		if rel := err / math.Abs(scale); !(rel <= worst[r[0]]) {
			worst[r[0]], where[r[0]] = rel, append(r, strconv.FormatFloat(got, 'g', -1, 64))
		}
	}
	// Each limit is a few times the worst error of the rounding in the
	// function's own formula.
	limits := map[string]float64{
		"density": 5e-16, "cdf": 1e-15, "logcdf": 1e-15, "mills": 1e-15, "erfcx": 1e-15,
		"hermite": 6e-14, "excess": 5e-16, "phi2": 3e-16, "phi2density": 3e-14,
	}
	for name, limit := range limits {
		t.Logf("%s: worst error %.2g at %v", name, worst[name], where[name])
		if !(worst[name] <= limit) {
			t.Errorf("%s: error %.3g exceeds %.3g at %v", name, worst[name], limit, where[name])
		}
	}
}

// hermiteScale is |want| where the functions grow, and their envelope
// exp(-a^2/4) k^(-1/4) where they oscillate.
func hermiteScale(a, k, want float64) float64 {
	if k < a*a/4 {
		return math.Abs(want)
	}
	return max(math.Abs(want), math.Exp(-a*a/4)*math.Pow(max(k, 1), -0.25)/math.Sqrt(2*math.Pi))
}

// TestRules compares nodes and weights with values recorded from mpmath and
// integrates the highest powers the rules are exact for.
func TestRules(t *testing.T) {
	for _, r := range records(t, "testdata/rules.csv") {
		n, i := int(number(t, r[1])), int(number(t, r[2]))
		x, w := GaussLegendre(n)
		if r[0] == "hermite" {
			x, w = GaussHermite(n)
		}
		if e := math.Abs(x[i] - number(t, r[3])); e > 4e-16*max(1, x[i]) {
			t.Errorf("%s rule %d: node %d = %v, want %s", r[0], n, i, x[i], r[3])
		}
		// A weight of the normal rule has the condition number x^2.
		if e := math.Abs(w[i]/number(t, r[4]) - 1); e > 4e-15*max(1, x[i]*x[i]/8) {
			t.Errorf("%s rule %d: weight %d = %v, want %s: off by %.2g", r[0], n, i, w[i], r[4], e)
		}
		if x[0] != -x[n-1] && n > 1 {
			t.Errorf("%s rule %d is not symmetric", r[0], n)
		}
	}
}

// TestInfinite checks arguments without a recorded value.
func TestInfinite(t *testing.T) {
	inf := math.Inf(1)
	dst := []float64{1, 1, 1}
	for _, a := range []float64{inf, -inf, 60, -1e300} {
		ScaledHermite(dst, a)
		if dst[0] != 0 || dst[1] != 0 || dst[2] != 0 {
			t.Errorf("ScaledHermite(%v) = %v", a, dst)
		}
	}
	ScaledHermite(dst, math.NaN())
	if dst[2] == dst[2] {
		t.Errorf("ScaledHermite(NaN) = %v", dst)
	}
	for _, c := range []struct{ got, want float64 }{
		{CDF(-inf), 0},
		{CDF(inf), 1},
		{Density(inf), 0},
		{Mills(inf), 0},
		{Mills(-inf), inf},
		{Erfcx(-inf), inf},
		{LogCDF(inf), 0},
		{LogCDF(-inf), -inf},
		{BivariateExcess(inf, 1, .5), 0},
		{BivariateExcess(-inf, -inf, -1), 0},
		{BivariateCDF(inf, 1, .99), CDF(1)},
		{BivariateCDF(1, -inf, -.99), 0},
		{BivariateCDF(inf, inf, 0), 1},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	for _, v := range []float64{CDF(math.NaN()), Mills(math.NaN()), Erfcx(math.NaN()), BivariateExcess(1, math.NaN(), .99)} {
		if v == v {
			t.Errorf("NaN gives %v", v)
		}
	}
}
