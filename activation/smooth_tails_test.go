package activation

import (
	"math"
	"testing"
)

// Values in 60-digit arithmetic; testdata/smooth_tails.py writes them. The
// variances go down to 1e-300: exponents near 700, of which a few roundings are
// 3e-13; half of that for means and coefficients, relative to the larger of
// size and standard deviation or to the latter.
func TestSmoothTails(t *testing.T) {
	checkSum(t, "testdata/", "smooth_tails.csv")
	checkSum(t, "testdata/", "smooth_tails.py")
	orders := []int{1, 2, 3, 5, 10, 30, 100, 300}
	families := smoothFamilies(t)
	least := math.Inf(1)
	count := 0
	readTable(t, "testdata/smooth_tails.csv", 1, func(line int, names []string, x []float64) {
		g := families[names[0]]
		if g == nil {
			t.Fatalf("line %d: no activation %q", line, names[0])
		}
		mu, sigma, mean, v := x[0], x[1], x[2], x[3]
		count++
		least = min(least, v)
		sd := math.Sqrt(v)
		h := make([]float64, 601)
		g.Coefficients(h, mu, sigma)
		wantNear(t, h[0], mean, max(math.Abs(mean), sd), 1e-13, "line %d: %s(%v, %v) mean", line, names[0], mu, sigma)
		wantNear(t, g.Variance(mu, sigma), v, v, 6e-13, "line %d: %s(%v, %v) variance", line, names[0], mu, sigma)
		for i, k := range orders {
			wantNear(t, h[k], x[4+i], sd, 3e-13, "line %d: %s(%v, %v) h_%d", line, names[0], mu, sigma, k)
		}
		for k, hk := range h {
			if math.IsNaN(hk) || math.IsInf(hk, 0) {
				t.Fatalf("line %d: %s(%v, %v) h_%d = %v", line, names[0], mu, sigma, k, hk)
			}
		}
	})
	if least > 1e-290 || count < 120 {
		t.Errorf("%d rows, the smallest variance %v", count, least)
	}
}

// Covariances in 60-digit arithmetic, also in joint tails and at rho = 1, -1
// and 1 - 1e-12, relative to the product of the standard deviations.
func TestSmoothPairs(t *testing.T) {
	checkSum(t, "testdata/", "smooth_pairs.csv")
	families := smoothFamilies(t)
	count := 0
	readTable(t, "testdata/smooth_pairs.csv", 2, func(line int, names []string, x []float64) {
		a, b := families[names[0]], families[names[1]]
		p := Pair{x[0], x[1], x[2], x[3], x[4]}
		scale := math.Sqrt(x[5]) * math.Sqrt(x[6])
		cov, ok := exactPair(a, b, p)
		if !ok {
			t.Errorf("line %d: no exact form", line)
			return
		}
		count++
		wantNear(t, cov, x[7], scale, 2e-13, "line %d: %s, %s %+v", line, names[0], names[1], p)
	})
	if count < 300 {
		t.Errorf("%d pairs", count)
	}
}
