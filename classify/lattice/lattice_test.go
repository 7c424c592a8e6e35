package lattice

import (
	"math"
	"testing"
)

// TestIntegral: the mean of prod 2 u_k is 1, within the standard errors of 16
// shifts, and far better than the 1/sqrt(N) of Monte Carlo; the same seed
// repeats it.
func TestIntegral(t *testing.T) {
	const dim, n = 4, 4096
	estimate := func(seed uint64) (mean, se float64) {
		l := New(dim, seed)
		var sum [Shifts]float64
		for s := range sum {
			for i := range n {
				f := 1.
				for k := range dim {
					u := l.At(s, i, k)
					if !(u > 0 && u < 1) {
						t.Fatalf("coordinate %v is not inside (0, 1)", u)
					}
					f *= 2 * u
				}
				sum[s] += f / n
			}
		}
		return MeanError(&sum)
	}
	// Monte Carlo: the standard deviation of prod 2 u_k is sqrt((4/3)^4 - 1).
	monteCarlo := math.Sqrt((math.Pow(4./3, dim) - 1) / (n * Shifts))
	for seed := range uint64(5) {
		mean, se := estimate(seed)
		if math.Abs(mean-1) > 5*se || se == 0 || se > monteCarlo/3 {
			t.Errorf("seed %d: mean %v, standard error %.3g; Monte Carlo's is %.3g", seed, mean, se, monteCarlo)
		}
		if again, _ := estimate(seed); again != mean {
			t.Errorf("seed %d does not repeat", seed)
		}
	}
}

func TestPrimes(t *testing.T) {
	p := 2
	for _, want := range []int{3, 5, 7, 11, 13, 17, 19, 23, 29, 31} {
		if p = nextPrime(p); p != want {
			t.Fatalf("got the prime %d, want %d", p, want)
		}
	}
}

// TestMeanError compares with 16 values of mean 1 and sample variance 16/15.
func TestMeanError(t *testing.T) {
	var x [Shifts]float64
	for i := range x {
		x[i] = float64(2 * (i % 2))
	}
	mean, se := MeanError(&x)
	if want := math.Sqrt(16. / 15 / 16); mean != 1 || math.Abs(se/want-1) > 1e-15 {
		t.Errorf("mean %v, standard error %v, want 1 and %v", mean, se, want)
	}
}
