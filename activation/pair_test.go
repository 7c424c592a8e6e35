package activation

import (
	"math"
	"testing"

	"github.com/covprop/covprop"
)

// pairSample is a sample of activations of every kind.
func pairSample() []Activation {
	user := must(New("user", func(x float64) float64 { return max(x, 0.2*x) + math.Sin(x) }, nil, 0))
	return []Activation{Tanh(), SiLU(), Softsign(), user, ReLU(), Step(), ELU(1), GELU(), Cube()}
}

// For moderate correlations the series converges and is the reference: with
// 300 terms the Cauchy-Schwarz bound at .9 is below 1e-13.
func TestCovarianceSeries(t *testing.T) {
	f, g := make([]float64, 300), make([]float64, 300)
	acts := pairSample()
	for i, a := range acts {
		for j, b := range acts {
			for _, p := range []Pair{{0.3, 1, -0.5, 0.7, 0.9}, {-3, 0.8, -2, 1.1, -0.6}, {1, 5, -2, 0.1, 0.4}} {
				if testing.Short() && (i+j)%3 > 0 {
					continue
				}
				v1, _ := Marginal(a, f, p.Mu1, p.Sigma1, 0)
				v2, _ := Marginal(b, g, p.Mu2, p.Sigma2, 0)
				scale := math.Sqrt(v1 * v2)
				got, acc := Covariance(a, b, p)
				want := SeriesCovariance(f, g, p.Rho)
				if e := math.Abs(got-want) / scale; !(e <= 1e-12+acc.Bound) || !(acc.Bound <= 1e-11) {
					t.Errorf("%s, %s, %+v: %v, want %v, off by %.2g, bound %.2g", a.Name(), b.Name(), p, got, want, e, acc.Bound)
				}
			}
		}
	}
}

// At rho = 1 with the same input the covariance is the variance, and near it it
// tends to that; at -1 an odd function changes its sign.
func TestCovarianceLimit(t *testing.T) {
	for _, a := range pairSample() {
		for _, x := range []struct{ mu, sigma float64 }{{0.2, 1}, {-4, 1}, {0.5, 1e-3}, {-1, 30}} {
			v := a.Variance(x.mu, x.sigma)
			got, acc := Covariance(a, a, Pair{x.mu, x.sigma, x.mu, x.sigma, 1})
			if math.Abs(got-v) > (1e-12+acc.Bound)*v || !(acc.Bound <= 1e-10) {
				t.Errorf("%s(%g, %g): covariance %v with itself, variance %v, bound %.2g", a.Name(), x.mu, x.sigma, got, v, acc.Bound)
			}
			// 1 - rho = 1e-10 moves it by less than 1e-4 even at a jump, where
			// it is of the order sqrt(1-rho).
			got, acc = Covariance(a, a, Pair{x.mu, x.sigma, x.mu, x.sigma, 1 - 1e-10})
			if math.Abs(got-v) > 1e-4*v || got > v*(1+1e-12+acc.Bound) {
				t.Errorf("%s(%g, %g): covariance %v near rho = 1, variance %v", a.Name(), x.mu, x.sigma, got, v)
			}
		}
	}
	for _, a := range []Activation{Tanh(), Softsign(), Arctan(), Cube(), Sign()} {
		v := a.Variance(0.3, 0.9)
		got, _ := Covariance(a, a, Pair{0.3, 0.9, -0.3, 0.9, -1})
		if math.Abs(got+v) > 1e-12*v {
			t.Errorf("%s: covariance %v at rho = -1, variance %v", a.Name(), got, v)
		}
	}
}

// The trapezoidal rule in the plane and the nested rule have nothing in common
// but the functions. The nested rule's estimate counts the rounding of a
// conditional mean against its whole size, which is much in far tails.
func TestCovarianceRules(t *testing.T) {
	for _, p := range []Pair{{0.5, 1, -0.2, 0.8, 0.99}, {-2, 0.3, 1, 0.5, -0.999}, {-30, 1, -28, 1.5, 0.9}, {3, 2, -1, 3, 0.2}, {20, 1, 18, 1, 0.97}} {
		for _, acts := range [][2]Activation{{Tanh(), Tanh()}, {SiLU(), Mish()}, {Softplus(), Sigmoid()}, {GELUTanh(), Arctan()}} {
			f, g := centre(acts[0], p.Mu1, p.Sigma1), centre(acts[1], p.Mu2, p.Sigma2)
			hu, hv, _ := planeSteps(f, g, p)
			x, ex := plane(f, g, p, hu, hv)
			y, ey := conditional(f, g, p)
			if e := math.Abs(x-y) / (f.sd * g.sd); !(e <= 1e-12+ex+ey) || !(ex < 1e-11) || !(ey < 1e-8) {
				t.Errorf("%s, %s, %+v: %v and %v, off by %.2g, estimates %.2g %.2g", f.Name(), g.Name(), p, x, y, e, ex, ey)
			}
		}
	}
}

func TestCovarianceTrivial(t *testing.T) {
	for _, p := range []Pair{{1, 0, 2, 1, 0.5}, {1, 1, 2, 0, 0.5}, {1, 1, 2, 3, 0}} {
		if c, acc := Covariance(Tanh(), ReLU(), p); c != 0 || acc != (covprop.Accuracy{}) {
			t.Errorf("%+v: %v, %v", p, c, acc)
		}
	}
	nan, inf := math.NaN(), math.Inf(1)
	for _, p := range []Pair{{nan, 1, 2, 1, 0.5}, {1, inf, 2, 1, 0.5}, {1, 1, inf, 1, 0.5}, {1, 1, 2, nan, 0.5}, {1, 1, 2, 1, nan}, {1, 1, 2, 1, 1.5}, {1, -1, 2, 1, 0.5}} {
		for _, a := range []Activation{Tanh(), ReLU(), Softsign()} {
			if c, acc := Covariance(a, SiLU(), p); !math.IsNaN(c) || !math.IsInf(acc.Bound, 1) {
				t.Errorf("%s, %+v: %v, %v", a.Name(), p, c, acc)
			}
		}
	}
	if s := SeriesCovariance([]float64{9, 2, 3, 5}, []float64{7, 1, 4}, 0.5); s != 0.5*2*1+0.25*3*4 {
		t.Errorf("series %v", s)
	}
	if s := SeriesCovariance(nil, []float64{7, 1, 4}, 0.5); s != 0 {
		t.Errorf("empty series %v", s)
	}
}

func BenchmarkCovariance(b *testing.B) {
	for _, a := range []Activation{Tanh(), SiLU(), Softsign(), ELU(1), ReLU()} {
		b.Run("f="+a.Name(), func(b *testing.B) {
			for b.Loop() {
				Covariance(a, a, Pair{0.5, 1, -0.2, 0.8, 0.99})
			}
		})
	}
}
