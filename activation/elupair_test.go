package activation

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The closed form against the nested quadrature, at random, also in the tails
// and with 1 - |rho| down to 1e-11. Where it does not decline it promises 1e-12,
// besides the estimate of the quadrature. At sigma from .3 to 2.5 and within
// three deviations of the kinks it may not decline.
func TestELUPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	acts := []elu{ELU(1).(elu), ELU(0.3).(elu), CELU(2).(elu), SELU(1.6732632423543772, 1.0507009873554805).(elu)}
	used := 0
	for i := range 400 {
		e, g := acts[i%4], acts[rng.IntN(4)]
		s1, s2 := math.Exp(2*rng.NormFloat64()), math.Exp(2*rng.NormFloat64())
		p := Pair{2 * s1 * rng.NormFloat64(), s1, 2 * s2 * rng.NormFloat64(), s2, 2*rng.Float64() - 1}
		if i%2 == 0 {
			p.Rho = math.Copysign(1-math.Exp(-25*rng.Float64()), p.Rho)
		}
		a, b := centre(e, p.Mu1, p.Sigma1), centre(g, p.Mu2, p.Sigma2)
		cov, bound, ok := e.pairCovariance(g, p, a.sd, b.sd)
		if easy := min(s1, s2) > 0.3 && max(s1, s2) < 2.5 && math.Abs(p.Mu1) < 3*s1 && math.Abs(p.Mu2) < 3*s2; easy && !ok {
			t.Errorf("%s, %s, %+v: declined", e.Name(), g.Name(), p)
		}
		if !ok {
			continue
		}
		used++
		want, estimate := conditional(a, b, p)
		if !(estimate <= 1e-10) {
			t.Errorf("%s, %s, %+v: the reference is good to %.2g", e.Name(), g.Name(), p, estimate)
		}
		wantNear(t, cov, want, a.sd*b.sd, 1e-12+estimate, "%s, %s, %+v", e.Name(), g.Name(), p)
		if bound != 0 {
			t.Errorf("bound %v", bound)
		}
	}
	if used < 200 {
		t.Errorf("declined %d of 400", 400-used)
	}
}

// At rho = 1 and equal inputs the covariance is the variance.
func TestELUPairVariance(t *testing.T) {
	for _, sigma := range []float64{0.2, 1, 2.5, 5} {
		for _, mu := range []float64{-6, -1, 0, 0.5, 4} {
			v := ELU(1).Variance(mu, sigma)
			cov, _, ok := ELU(1).(elu).pairCovariance(ELU(1), Pair{mu, sigma, mu, sigma, 1}, math.Sqrt(v), math.Sqrt(v))
			if ok {
				wantNear(t, cov, v, v, 1e-12, "elu_1(%v, %v)", mu, sigma)
			} else if sigma >= 1 {
				t.Errorf("elu_1(%v, %v): declined", mu, sigma)
			}
		}
	}
}

func BenchmarkELUPair(b *testing.B) {
	p := Pair{0.5, 1, -0.2, 0.8, 0.99}
	e := ELU(1).(elu)
	sd1, sd2 := math.Sqrt(e.Variance(p.Mu1, p.Sigma1)), math.Sqrt(e.Variance(p.Mu2, p.Sigma2))
	for b.Loop() {
		e.pairCovariance(e, p, sd1, sd2)
	}
}
