package activation

import (
	"bufio"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

// everyActivation returns every activation of the package under the name it has in the
// golden file, with the parameters used there, and a few more.
func everyActivation() map[string]Activation {
	m := byQuadrature()
	for name, a := range map[string]Activation{
		"identity":             Identity(),
		"heaviside":            Step(),
		"sign":                 Sign(),
		"relu":                 ReLU(),
		"leaky_relu_0.01":      LeakyReLU(0.01),
		"leaky_relu_0.2":       LeakyReLU(0.2),
		"thresholded_relu_1":   ThresholdedReLU(1),
		"abs":                  Abs(),
		"clip_-1_1":            Clip(-1, 1),
		"relu6":                ReLU6(),
		"hard_sigmoid_0.2_0.5": HardSigmoid(0.2, 0.5),
		"hard_swish":           HardSwish(),
		"gelu":                 GELU(),
		"erf":                  Erf(),
		"normal_cdf":           NormalCDF(),
		"elu_1":                ELU(1),
		"celu_2":               CELU(2),
		"selu":                 SELU(1.6732632423543772, 1.0507009873554805),
		"sin":                  Sin(),
		"cos":                  Cos(),
		"exp":                  Exp(),
		"sinh":                 Sinh(),
		"cosh":                 Cosh(),
		"shrink_0.5_0.5":       Shrink(0.5, 0.5),
		"shrink_1.5_0":         Shrink(1.5, 0),
		"shrink_-0.5_0.2":      Shrink(-0.5, 0.2),
		"square":               Square(),
		"cube":                 Cube(),
		"polynomial":           must(Polynomial(1, -2, 0.5, 3)),
	} {
		m[name] = a
	}
	return m
}

// TestGolden compares every row of the golden file. The scale of a mean is the
// larger of its size and the standard deviation, that of a variance itself,
// that of a covariance the product of the two standard deviations; the file is
// good to 1e-14 of those (a variance of 1e-24 excepted, whose mean it rounds).
func TestGolden(t *testing.T) {
	const dir = "../testdata/golden/"
	checkSum(t, dir, "activation_pairs.csv")
	acts := everyActivation()
	seen := 0
	f := make([]float64, 129)
	g := make([]float64, 129)
	readTable(t, dir+"activation_pairs.csv", 2, func(line int, names []string, x []float64) {
		seen++
		a, b := acts[names[0]], acts[names[1]]
		if a == nil || b == nil {
			t.Errorf("line %d: no activation %s or %s", line, names[0], names[1])
			return
		}
		p := Pair{x[0], x[1], x[2], x[3], x[4]}
		sd1, sd2 := math.Sqrt(x[6]), math.Sqrt(x[8])
		check := func(what string, got, want, tol float64) {
			t.Helper()
			if !(math.Abs(got-want) <= tol) {
				t.Errorf("line %d: %s of %v, %+v: %v, want %v, off by %.2g of the scale", line, what, names, p, got, want, math.Abs(got-want)/tol*goldenTol)
			}
		}
		v1, _ := Marginal(a, f, p.Mu1, p.Sigma1, 1e-13)
		v2, _ := Marginal(b, g, p.Mu2, p.Sigma2, 1e-13)
		check("first mean", f[0], x[5], goldenTol*max(math.Abs(x[5]), sd1))
		check("second mean", g[0], x[7], goldenTol*max(math.Abs(x[7]), sd2))
		check("first variance", v1, x[6], goldenTol*x[6])
		check("second variance", v2, x[8], goldenTol*x[8])

		cov, acc := Covariance(a, b, p)
		check("covariance", cov, x[9], goldenTol*sd1*sd2)
		// Where the mean of a saturated unit is a thousand times the standard
		// deviation, its rounding counts for that much.
		if !(acc.Bound <= 1e-11) {
			t.Errorf("line %d: covariance of %v, %+v: bound %.2g", line, names, p, acc.Bound)
		}
		// |remainder after K| <= |rho|^(K+1) sqrt(tail tail), Cauchy-Schwarz,
		// where a tail is known to the rounding of the variance.
		bound := math.Pow(math.Abs(p.Rho), float64(len(f))) * math.Sqrt(remainder(f, v1)*remainder(g, v2))
		check("series", SeriesCovariance(f, g, p.Rho), x[9], bound+goldenTol*sd1*sd2)
	})
	if seen != 919 {
		t.Errorf("read %d rows, want 919", seen)
	}
}

// goldenTol leaves a hundred times the error of the golden file: its rows at
// sigma = .001 lose three digits of that.
const goldenTol = 1e-12

// remainder returns the part of the variance beyond the coefficients h.
func remainder(h []float64, variance float64) float64 {
	rest := variance
	for _, c := range h[1:] {
		rest -= c * c
	}
	return max(rest, 0) + 1e-14*variance
}

// checkSum compares a file with its line of SHA256SUMS.
func checkSum(t *testing.T, dir, name string) {
	t.Helper()
	data, err := os.ReadFile(dir + name)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(dir + "SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if !strings.Contains(string(sums), hex.EncodeToString(sum[:])+"  "+name) {
		t.Errorf("%s does not have the hash that SHA256SUMS gives", name)
	}
}

// readTable reads a CSV file with a header: text columns, then numbers.
func readTable(t *testing.T, path string, texts int, use func(line int, names []string, x []float64)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(bufio.NewReader(f)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range records[1:] {
		x := make([]float64, len(r)-texts)
		for j := range x {
			if x[j], err = strconv.ParseFloat(r[texts+j], 64); err != nil {
				t.Fatalf("%s:%d: %v", path, i+2, err)
			}
		}
		use(i+2, r[:texts], x)
	}
}
