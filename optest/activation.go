package optest

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/ref"
)

// TestActivation checks that a is what package activation promises, against
// adaptive quadrature of Apply, for inputs N(mu, sigma^2) with the kinks at,
// near and far from the mean:
//
//   - it has a name, is comparable, its kinks are in order, and its
//     derivative is that of Apply, at a kink the mean of the one-sided limits;
//   - mean, variance and Hermite coefficients are the integrals they stand
//     for, to DefaultTol, and h_1 = sigma E g'(X), jumps of g included;
//   - the coefficients do not depend on how many are asked for, their squares
//     sum to no more than the variance, and their series and
//     activation.Covariance give the covariance of a pair;
//   - sigma = 0 is the point and sigma -> 0 its linearisation;
//   - in the tails, and a thousand away, nothing is NaN, infinite without need,
//     or negative;
//   - concurrent calls agree.
func TestActivation(t *testing.T, a activation.Activation) {
	t.Helper()
	runAll(t, activationChecks(a))
}

func activationChecks(a activation.Activation) []check {
	s := activationSuite{a, make(map[input][2]float64)}
	return []check{
		{"name", s.name},
		{"kinks", s.kinks},
		{"derivative", s.derivative},
		{"mean", s.mean},
		{"variance", s.variance},
		{"coefficients", s.coefficients},
		{"gain", s.gain},
		{"prefix", s.prefix},
		{"parseval", s.parseval},
		{"pair", s.pair},
		{"point", s.point},
		{"small sigma", s.smallSigma},
		{"tails", s.tails},
		{"far", s.far},
		{"concurrent", s.concurrent},
	}
}

// An input is N(mu, sigma^2).
type input struct{ mu, sigma float64 }

func (in input) String() string { return fmt.Sprintf("mu %v, sigma %v", in.mu, in.sigma) }

type activationSuite struct {
	activation.Activation
	known map[input][2]float64 // reference mean and variance
}

// centres returns the kinks and zero.
func (s activationSuite) centres() []float64 {
	c := append([]float64{0}, s.Kinks()...)
	slices.Sort(c)
	return slices.Compact(c)
}

// inputs have the centres at the mean, one and a few deviations away.
func (s activationSuite) inputs() []input {
	var ins []input
	for _, centre := range s.centres() {
		for _, sigma := range []float64{0.05, 0.6, 2} {
			for _, a := range []float64{-4, -1, 0, 0.3, 2} {
				ins = append(ins, input{centre + a*sigma, sigma})
			}
		}
	}
	return ins
}

// each runs f for every input and names the input in its error.
func (s activationSuite) each(f func(in input) error) error {
	for _, in := range s.inputs() {
		if err := f(in); err != nil {
			return fmt.Errorf("%s: %w", in, err)
		}
	}
	return nil
}

func (s activationSuite) name() error {
	if s.Name() == "" {
		return errors.New("the name is empty")
	}
	if !reflect.TypeOf(s.Activation).Comparable() {
		return fmt.Errorf("%T is not comparable with ==", s.Activation)
	}
	return nil
}

func (s activationSuite) kinks() error {
	k := s.Kinks()
	for i, x := range k {
		if math.IsNaN(x) || math.IsInf(x, 0) || i > 0 && x <= k[i-1] {
			return fmt.Errorf("the kinks %v are not finite and in increasing order", k)
		}
		h := 1e-9 * math.Max(1, math.Abs(x))
		want := s.Derivative(x-h)/2 + s.Derivative(x+h)/2
		// The one-sided derivatives vary by the second derivative times h.
		if err := closeTo(fmt.Sprintf("the derivative at the kink %v", x), s.Derivative(x), want, 1e-6*math.Max(1, math.Abs(want))); err != nil {
			return err
		}
	}
	return nil
}

// derivative compares with central differences where no kink is within them:
// their error is h^2/6 times the third derivative and eps/h.
func (s activationSuite) derivative() error {
	const h = 1e-5
	return s.each(func(in input) error {
		for _, k := range s.Kinks() {
			if math.Abs(in.mu-k) <= 2*h {
				return nil
			}
		}
		hi, lo := in.mu+h, in.mu-h
		want := (s.Apply(hi) - s.Apply(lo)) / (hi - lo)
		scale := math.Max(1, math.Max(math.Abs(want), math.Abs(s.Apply(in.mu))))
		return closeTo("the derivative at mu", s.Derivative(in.mu), want, 1e-8*scale)
	})
}

// moments returns the reference mean and variance.
func (s activationSuite) moments(in input) (mean, variance float64) {
	m, ok := s.known[in]
	if !ok {
		m[0] = ref.Mean(s.Apply, in.mu, in.sigma, s.Kinks())
		m[1] = ref.Variance(s.Apply, in.mu, in.sigma, s.Kinks())
		s.known[in] = m
	}
	return m[0], m[1]
}

func (s activationSuite) mean() error {
	return s.each(func(in input) error {
		want, v := s.moments(in)
		h := make([]float64, 1)
		s.Coefficients(h, in.mu, in.sigma)
		return closeTo("the mean h_0", h[0], want, DefaultTol*math.Max(math.Sqrt(v), math.Abs(want)))
	})
}

func (s activationSuite) variance() error {
	return s.each(func(in input) error {
		_, want := s.moments(in)
		return closeTo("the variance", s.Variance(in.mu, in.sigma), want, DefaultTol*want+unresolved)
	})
}

// unresolved is the variance below which quadrature in float64 is noise.
const unresolved = 1e-24

func (s activationSuite) coefficients() error {
	return s.each(func(in input) error {
		mean, v := s.moments(in)
		h := make([]float64, 9)
		s.Coefficients(h, in.mu, in.sigma)
		for k := 1; k < len(h); k++ {
			want := ref.Coefficient(s.Apply, k, in.mu, in.sigma, s.Kinks())
			if err := closeTo(fmt.Sprintf("h_%d", k), h[k], want, DefaultTol*math.Sqrt(v)+1e-14*math.Abs(mean)); err != nil {
				return err
			}
		}
		return nil
	})
}

// gain uses E g'(X) = E[g(X) Z]/sigma (Stein 1981); at a jump of g the
// derivative has a point mass there of the jump's height.
func (s activationSuite) gain() error {
	return s.each(func(in input) error {
		want := in.sigma * ref.Mean(s.Derivative, in.mu, in.sigma, s.Kinks())
		for _, k := range s.Kinks() {
			h := 1e-9 * math.Max(1, math.Abs(k))
			jump := s.Apply(k+h) - s.Apply(k-h)
			if slope := 2 * h * (1 + math.Abs(s.Derivative(k-h)) + math.Abs(s.Derivative(k+h))); math.Abs(jump) > 2*slope {
				z := (k - in.mu) / in.sigma
				want += jump * math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
			}
		}
		mean, v := s.moments(in)
		h := make([]float64, 2)
		s.Coefficients(h, in.mu, in.sigma)
		// A jump is known to the step of its difference, 1e-9.
		return closeTo("h_1 = sigma E g'", h[1], want, 10*DefaultTol*math.Sqrt(v)+1e-14*math.Abs(mean))
	})
}

func (s activationSuite) prefix() error {
	return s.each(func(in input) error {
		all := make([]float64, 40)
		s.Coefficients(all, in.mu, in.sigma)
		std := math.Sqrt(s.Variance(in.mu, in.sigma))
		for _, n := range []int{1, 2, 3, 10} {
			h := make([]float64, n)
			s.Coefficients(h, in.mu, in.sigma)
			for k := range h {
				if err := closeTo(fmt.Sprintf("h_%d of %d", k, n), h[k], all[k], 1e-12*math.Max(std, math.Abs(all[k]))); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (s activationSuite) parseval() error {
	return s.each(func(in input) error {
		h := make([]float64, 64)
		s.Coefficients(h, in.mu, in.sigma)
		v, sum := s.Variance(in.mu, in.sigma), 0.0
		for _, x := range h[1:] {
			sum += x * x
		}
		if !(sum <= v*(1+2*DefaultTol)+unresolved) {
			return fmt.Errorf("the squares of the coefficients sum to %v, more than the variance %v", sum, v)
		}
		return nil
	})
}

// pair sums the series for the covariance of two inputs of correlation 1/2,
// where 48 terms leave at most 2^-48 of the variances (Cauchy-Schwarz), and
// asks for the same of activation.Covariance there and near -1.
func (s activationSuite) pair() error {
	for _, centre := range s.centres() {
		a, b := input{centre + 0.2, 0.6}, input{centre - 1, 2}
		_, v1 := s.moments(a)
		_, v2 := s.moments(b)
		tol := 2*DefaultTol*math.Sqrt(v1*v2) + unresolved
		for _, rho := range []float64{0.5, -0.99} {
			want := ref.Covariance(s.Apply, s.Kinks(), s.Apply, s.Kinks(), a.mu, a.sigma, b.mu, b.sigma, rho)
			got, _ := activation.Covariance(s.Activation, s.Activation, activation.Pair{Mu1: a.mu, Sigma1: a.sigma, Mu2: b.mu, Sigma2: b.sigma, Rho: rho})
			err := closeTo("the covariance", got, want, tol)
			if rho == 0.5 {
				err = errors.Join(err, closeTo("the covariance by the series", s.series(a, b, rho), want, tol))
			}
			if err != nil {
				return fmt.Errorf("%s and %s, rho %v: %w", a, b, rho, err)
			}
		}
	}
	return nil
}

// series returns the sum of rho^k h_k h_k over 1 <= k <= 48.
func (s activationSuite) series(a, b input, rho float64) float64 {
	h1, h2 := make([]float64, 49), make([]float64, 49)
	s.Coefficients(h1, a.mu, a.sigma)
	s.Coefficients(h2, b.mu, b.sigma)
	return activation.SeriesCovariance(h1, h2, rho)
}

func (s activationSuite) point() error {
	return s.each(func(in input) error {
		h := make([]float64, 5)
		s.Coefficients(h, in.mu, 0)
		if !slices.Equal(h, []float64{s.Apply(in.mu), 0, 0, 0, 0}) {
			return fmt.Errorf("at sigma 0 the coefficients are %v, want g(mu) = %v and zeros", h, s.Apply(in.mu))
		}
		if v := s.Variance(in.mu, 0); v != 0 {
			return fmt.Errorf("at sigma 0 the variance is %v", v)
		}
		return nil
	})
}

// smallSigma asks for the linearisation, g(mu), sigma g' and sigma^2 g'^2,
// whose error is sigma times the curvature.
func (s activationSuite) smallSigma() error {
	const sigma, tol = 1e-6, 1e-4
	return s.each(func(in input) error {
		for _, k := range s.Kinks() {
			if math.Abs(in.mu-k) < 100*sigma {
				return nil
			}
		}
		g, d := s.Apply(in.mu), s.Derivative(in.mu)
		slope := sigma * math.Max(1, math.Max(math.Abs(g), math.Abs(d)))
		h := make([]float64, 3)
		s.Coefficients(h, in.mu, sigma)
		return errors.Join(
			closeTo("h_0 for small sigma", h[0], g, tol*slope),
			closeTo("h_1 for small sigma", h[1], sigma*d, tol*slope),
			closeTo("h_2 for small sigma", h[2], 0, tol*slope),
			closeTo("the deviation for small sigma", math.Sqrt(s.Variance(in.mu, sigma)), sigma*math.Abs(d), tol*slope),
		)
	})
}

// tails go to 40 deviations from the kinks. What is exact there is either
// tiny, which quadrature resolves only in part, or smooth.
func (s activationSuite) tails() error {
	for _, centre := range s.centres() {
		for _, sigma := range []float64{0.01, 1} {
			for _, a := range []float64{-40, -38, -20, -9, 9, 20, 38, 40} {
				in := input{centre + a*sigma, sigma}
				if err := s.tail(in); err != nil {
					return fmt.Errorf("%s: %w", in, err)
				}
			}
		}
	}
	return nil
}

func (s activationSuite) tail(in input) error {
	if err := s.finite(in); err != nil {
		return err
	}
	var h [1]float64
	s.Coefficients(h[:], in.mu, in.sigma)
	mean, variance := s.moments(in)
	return errors.Join(
		closeTo("the mean h_0", h[0], mean, DefaultTol*math.Max(math.Sqrt(variance), math.Abs(mean))+math.Sqrt(unresolved)),
		closeTo("the variance", s.Variance(in.mu, in.sigma), variance, DefaultTol*variance+unresolved),
	)
}

// finite refuses coefficients that are not finite and variances that are not,
// or are negative.
func (s activationSuite) finite(in input) error {
	h := make([]float64, 32)
	s.Coefficients(h, in.mu, in.sigma)
	for k, x := range h {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("h_%d is %v", k, x)
		}
	}
	if v := s.Variance(in.mu, in.sigma); !(v >= 0) || math.IsInf(v, 1) {
		return fmt.Errorf("the variance is %v", v)
	}
	return nil
}

// far goes where an exponential overflows, unless the function itself is huge
// there.
func (s activationSuite) far() error {
	for _, mu := range []float64{-1000, 1000} {
		if !(math.Abs(s.Apply(mu)) < 1e100) {
			continue
		}
		for _, sigma := range []float64{0.01, 1, 3} {
			in := input{mu, sigma}
			if err := s.finite(in); err != nil {
				return fmt.Errorf("%s: %w", in, err)
			}
		}
	}
	return nil
}

func (s activationSuite) concurrent() error {
	in := input{0.3, 0.8}
	const calls = 8
	var wg sync.WaitGroup
	var results [calls][21]float64
	for i := range calls {
		wg.Go(func() {
			s.Coefficients(results[i][1:], in.mu, in.sigma)
			results[i][0] = s.Variance(in.mu, in.sigma)
		})
	}
	wg.Wait()
	for _, r := range results[1:] {
		if r != results[0] {
			return errors.New("concurrent calls give different results")
		}
	}
	return nil
}
