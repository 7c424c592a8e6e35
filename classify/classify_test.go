package classify_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/classify"
	"github.com/covprop/covprop/internal/special"
)

// within is how many standard errors an estimate may be off. They come from 16
// shifts, so errors follow Student's t with 15 degrees of freedom, which is
// beyond 6 with probability 2.5e-5; rounding adds 1e-13.
const within = 6

func probabilities(t *testing.T, g covprop.Gaussian) classify.Result {
	t.Helper()
	r, err := classify.Probabilities(context.Background(), g, classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func check(t *testing.T, what string, r classify.Result, want []float64) {
	t.Helper()
	sum, allowed := 0., 1e-13
	for j, p := range r.P {
		se := r.StandardErrors[j]
		if !(math.Abs(p-want[j]) <= within*se+1e-13*want[j]) {
			t.Errorf("%s: class %d has %v, standard error %.3g, want %v", what, j, p, se, want[j])
		}
		// 4096 points leave less than 2% in all cases of these tests.
		if se > .02*want[j] {
			t.Errorf("%s: class %d has %v with the standard error %.3g", what, j, p, se)
		}
		if 3*se > r.Accuracy.Bound || se > 0 && r.Accuracy.Status != covprop.Approximate {
			t.Errorf("%s: standard error %v, accuracy %+v", what, se, r.Accuracy)
		}
		sum += p
		allowed += within * se
	}
	if math.Abs(sum-1) > allowed {
		t.Errorf("%s: the sum is %v", what, sum)
	}
}

func dense(n int, at func(i, j int) float64) covprop.Covariance {
	c := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
	for i := range n {
		for j := range n {
			c.Data[i*n+j] = at(i, j)
		}
	}
	return covprop.DenseOf(c)
}

// TestTwo: p_0 = Phi((mu_0 - mu_1)/theta), exact, into the tails.
func TestTwo(t *testing.T) {
	cov := dense(2, func(i, j int) float64 { return []float64{2, .7, .7, 1.5}[2*i+j] })
	theta := math.Sqrt(2 + 1.5 - 1.4)
	for _, d := range []float64{0, 1, -8, 30} {
		r := probabilities(t, covprop.Gaussian{Mean: []float64{d + 3, 3}, Cov: cov})
		want := []float64{special.CDF(d / theta), special.CDF(-d / theta)}
		for j := range want {
			// theta has a rounding error of 1e-16, which the exponent
			// (d/theta)^2/2 = 214 magnifies.
			if math.Abs(r.P[j]/want[j]-1) > 1e-13 || r.StandardErrors[j] != 0 {
				t.Errorf("difference %v: got %v, want %v", d, r.P, want)
			}
		}
		if r.Accuracy.Status != covprop.Exact {
			t.Errorf("accuracy %+v", r.Accuracy)
		}
	}
}

// TestThree: with equal means p_j = 1/4 + asin(rho)/(2 pi), rho the
// correlation of the two differences (Sheppard 1899).
func TestThree(t *testing.T) {
	s := []float64{2, .3, -.8, .3, 1, .5, -.8, .5, 3}
	at := func(i, j int) float64 { return s[3*i+j] }
	r := probabilities(t, covprop.Gaussian{Mean: []float64{1, 1, 1}, Cov: dense(3, at)})
	want := make([]float64, 3)
	for j := range want {
		a, b := (j+1)%3, (j+2)%3
		c := func(p, q int) float64 { return at(j, j) - at(j, p) - at(j, q) + at(p, q) }
		want[j] = .25 + math.Asin(c(a, b)/math.Sqrt(c(a, a)*c(b, b)))/(2*math.Pi)
	}
	check(t, "three", r, want)
}

// TestExchangeable: n equicorrelated elements have 1/n each, the independent
// ones and the nearly equal ones alike.
func TestExchangeable(t *testing.T) {
	for _, n := range []int{3, 10, 40} {
		for _, rho := range []float64{0, .5, .99} {
			cov := dense(n, func(i, j int) float64 {
				if i == j {
					return 4
				}
				return 4 * rho
			})
			want := make([]float64, n)
			for j := range want {
				want[j] = 1 / float64(n)
			}
			check(t, fmt.Sprintf("n %d, rho %v", n, rho), probabilities(t, covprop.Gaussian{Mean: make([]float64, n), Cov: cov}), want)
		}
	}
}

// independent returns int phi(z) prod_{i != j} Phi((mu_j + s_j z - mu_i)/s_i) dz
// by composite Gauss-Legendre quadrature. The integrand is positive, so the
// relative accuracy is that of its terms, about 1e-13.
func independent(mu, s []float64, j int) float64 {
	x, w := special.GaussLegendre(16)
	sum := 0.
	for lo := -38.; lo < 38; lo += .25 {
		for k := range x {
			z := lo + .125*(1+x[k])
			f := .125 * w[k] * special.Density(z)
			for i := range mu {
				if i != j {
					f *= special.CDF((mu[j] + s[j]*z - mu[i]) / s[i])
				}
			}
			sum += f
		}
	}
	return sum
}

// TestIndependent compares with one-dimensional quadrature, down to classes of
// probability 1e-10 and 1e-60, whose standard errors must be as small relative
// to them.
func TestIndependent(t *testing.T) {
	for name, c := range map[string]struct{ mu, s []float64 }{
		"spread":  {[]float64{0, .5, -1, 2, .3}, []float64{1, 2, .5, .7, 1.5}},
		"tail":    {[]float64{0, 8, 7, 7.5, 6}, []float64{1, .8, 1, .5, 1.2}},
		"far":     {[]float64{-20, 3, 2}, []float64{.8, .9, 1}},
		"unequal": {[]float64{0, .1, -.1, .05}, []float64{1e-3, 10, 1, .1}},
	} {
		v := make(covprop.Diagonal, len(c.s))
		want := make([]float64, len(c.s))
		for j := range v {
			v[j], want[j] = c.s[j]*c.s[j], independent(c.mu, c.s, j)
		}
		check(t, name, probabilities(t, covprop.Gaussian{Mean: c.mu, Cov: v}), want)
		if name == "tail" && !(want[0] < 1e-8) || name == "far" && !(want[0] < 1e-60) {
			t.Errorf("%s: %v is not a tail", name, want[0])
		}
	}
}

// TestMonteCarlo compares random covariances of full and of low rank with
// seeded Monte Carlo, in the standard errors of both.
func TestMonteCarlo(t *testing.T) {
	const samples = 200000
	for _, c := range []struct{ n, rank int }{{3, 3}, {4, 1}, {5, 2}, {10, 10}, {10, 3}, {30, 8}} {
		rng := rand.New(rand.NewPCG(uint64(c.n), uint64(c.rank)))
		root, mu := mat.NewDense(c.n, c.rank, nil), make([]float64, c.n)
		for i := range mu {
			mu[i] = rng.NormFloat64()
			for k := range c.rank {
				root.Set(i, k, rng.NormFloat64())
			}
		}
		var s mat.Dense
		s.Mul(root, root.T())
		r := probabilities(t, covprop.Gaussian{Mean: mu, Cov: covprop.DenseOf(s.RawMatrix())})
		if c.rank == 1 && r.Accuracy.Status != covprop.Exact {
			t.Errorf("rank 1: accuracy %+v", r.Accuracy)
		}
		count := make([]float64, c.n)
		z := make([]float64, c.rank)
		for range samples {
			for k := range z {
				z[k] = rng.NormFloat64()
			}
			best, largest := 0, math.Inf(-1)
			for i := range mu {
				x := mu[i]
				for k := range z {
					x += root.At(i, k) * z[k]
				}
				if x > largest {
					best, largest = i, x
				}
			}
			count[best]++
		}
		for j, p := range r.P {
			// The 1 stands for classes that no sample may fall into.
			se := math.Hypot(math.Sqrt(samples*p*(1-p)+1)/samples, r.StandardErrors[j])
			if d := math.Abs(count[j]/samples - p); !(d <= 5*se) {
				t.Errorf("n %d, rank %d: class %d has %v, Monte Carlo %v", c.n, c.rank, j, p, count[j]/samples)
			}
		}
	}
}

// TestPlane compares covariances of rank 2, in which classes share a plane, with
// the same integral over polar angles: the classes with zero means partition
// the circle into the sectors in which each is the largest, and a class has its
// share of the circle. Rounding of the covariance by 1e-16 turns a nearly
// singular pair of sides by its root at most.
func TestPlane(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	for trial := range 200 {
		n := 3 + rng.IntN(6)
		l := make([][2]float64, n)
		for i := range l {
			s := math.Exp(float64(trial%3) * rng.NormFloat64())
			l[i] = [2]float64{s * rng.NormFloat64(), s * rng.NormFloat64()}
		}
		g := covprop.Gaussian{Mean: make([]float64, n), Cov: dense(n, func(i, j int) float64 { return l[i][0]*l[j][0] + l[i][1]*l[j][1] })}
		r := probabilities(t, g)
		for j, p := range r.P {
			if want := sector(l, j); !(math.Abs(p-want) <= 1e-8) || r.StandardErrors[j] != 0 {
				t.Errorf("trial %d: class %d of %d has %v, standard error %v, want %v", trial, j, n, p, r.StandardErrors[j], want)
			}
		}
		if r.Accuracy.Status != covprop.Exact {
			t.Errorf("trial %d: accuracy %+v", trial, r.Accuracy)
		}
	}
}

// sector returns the share of the directions u in which l_j u is larger than
// l_i u for all i != j: each i leaves a half circle.
func sector(l [][2]float64, j int) float64 {
	from, width := 0., 2*math.Pi
	for i := range l {
		if i == j {
			continue
		}
		start := math.Atan2(l[j][1]-l[i][1], l[j][0]-l[i][0]) - math.Pi/2
		if width == 2*math.Pi {
			from, width = start, math.Pi
			continue
		}
		// The intersection of [0, width], width <= pi, with [d, d + pi].
		switch d := math.Mod(start-from+4*math.Pi, 2*math.Pi); {
		case d < width:
			from, width = from+d, width-d
		case d > math.Pi && d-math.Pi < width:
			width = d - math.Pi
		case d <= math.Pi:
			return 0
		}
	}
	return width / (2 * math.Pi)
}

// TestSumToOne: probabilities of random covariances of full and low rank, of
// elements of different size, add up to 1 within their errors, and so no class
// is overlooked. Six standard errors of Student's t with 15 degrees of freedom
// are beyond 2.5e-5.
func TestSumToOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 3))
	for trial := range 150 {
		n := 4 + rng.IntN(7)
		rank := 3 + rng.IntN(n-2)
		mu, l := make([]float64, n), make([]float64, n*rank)
		spread, scale := []float64{0, .3, 3}[rng.IntN(3)], float64(trial%3)
		for i := range mu {
			mu[i] = spread * rng.NormFloat64()
			f := math.Pow(10, scale*rng.NormFloat64())
			for k := range rank {
				l[i*rank+k] = f * rng.NormFloat64()
			}
		}
		r := probabilities(t, covprop.Gaussian{Mean: mu, Cov: dense(n, func(i, j int) float64 {
			return floats.Dot(l[i*rank:][:rank], l[j*rank:][:rank])
		})})
		se := floats.Norm(r.StandardErrors, 2)
		if sum := floats.Sum(r.P); !(math.Abs(sum-1) <= within*se+1e-9) {
			t.Errorf("trial %d: rank %d of %d: the sum is %v, standard error %.2g: %.3g", trial, rank, n, sum, se, r.P)
		}
	}
}

// TestUnlikely: classes that lose by 300 standard deviations are as good as
// impossible, and known to be.
func TestUnlikely(t *testing.T) {
	n := 6
	g := covprop.Gaussian{Mean: make([]float64, n), Cov: dense(n, func(i, j int) float64 { return math.Exp(-math.Abs(float64(i - j))) })}
	for i := range g.Mean {
		g.Mean[i] = 300 * float64(i)
	}
	r := probabilities(t, g)
	for j, p := range r.P {
		if want := float64(j / (n - 1)); math.Abs(p-want) > 1e-15 || j < n-1 && r.StandardErrors[j] != 0 {
			t.Errorf("class %d has %v, standard error %v", j, p, r.StandardErrors[j])
		}
	}
}

// TestCertain: ties count for the first, perfect correlation is no obstacle.
func TestCertain(t *testing.T) {
	zero := covprop.Diagonal{0, 0, 0}
	ones := func(i, j int) float64 { return 1 }
	// X_1 = X_2 and X_0 independent of them.
	twins := func(i, j int) float64 {
		if (i == 0) != (j == 0) {
			return 0
		}
		return 1
	}
	for name, c := range map[string]struct {
		mean []float64
		cov  covprop.Covariance
		want []float64
	}{
		"zero covariance":   {[]float64{1, 3, 2}, zero, []float64{0, 1, 0}},
		"tie":               {[]float64{1, 3, 3}, zero, []float64{0, 1, 0}},
		"perfect":           {[]float64{1, 3, 2}, dense(3, ones), []float64{0, 1, 0}},
		"perfect tie":       {[]float64{2, 2, 2}, dense(3, ones), []float64{1, 0, 0}},
		"twins":             {[]float64{.5, 0, 0}, dense(3, twins), []float64{special.CDF(.5 / math.Sqrt2), special.CDF(-.5 / math.Sqrt2), 0}},
		"one certain":       {[]float64{0, 1, .5}, covprop.Diagonal{0, 1, 0}, []float64{0, special.CDF(.5), special.CDF(-.5)}},
		"one class":         {[]float64{7}, covprop.Diagonal{2}, []float64{1}},
		"variances of 1e16": {[]float64{0, 0}, covprop.Diagonal{1e16, 1}, []float64{.5, .5}},
	} {
		r := probabilities(t, covprop.Gaussian{Mean: c.mean, Cov: c.cov})
		for j, p := range r.P {
			if math.Abs(p-c.want[j]) > 1e-15 {
				t.Errorf("%s: %v, want %v", name, r.P, c.want)
				break
			}
		}
		if r.Accuracy.Status != covprop.Exact {
			t.Errorf("%s: accuracy %+v", name, r.Accuracy)
		}
	}
}

// TestLarge: 100 classes, and the same numbers from the same seed.
func TestLarge(t *testing.T) {
	const n = 100
	mu, s := make([]float64, n), make([]float64, n)
	v := make(covprop.Diagonal, n)
	for i := range mu {
		mu[i], s[i] = math.Sin(float64(i)), 1+.5*math.Cos(float64(3*i))
		v[i] = s[i] * s[i]
	}
	g := covprop.Gaussian{Mean: mu, Cov: v}
	r := probabilities(t, g)
	for _, j := range []int{0, 2, 50, 99} {
		want := independent(mu, s, j)
		if d := math.Abs(r.P[j] - want); !(d <= within*r.StandardErrors[j]) || r.StandardErrors[j] > .02*want {
			t.Errorf("class %d has %v, standard error %.3g, want %v", j, r.P[j], r.StandardErrors[j], want)
		}
	}
	again := probabilities(t, g)
	for j, p := range again.P {
		if p != r.P[j] {
			t.Fatalf("class %d does not repeat: %v and %v", j, p, r.P[j])
		}
	}
}

func TestRefuses(t *testing.T) {
	good := covprop.Gaussian{Mean: []float64{0, 1, 2}, Cov: covprop.Diagonal{1, 1, 1}}
	indefinite := dense(3, func(i, j int) float64 { return []float64{1, .9, -.9, .9, 1, .9, -.9, .9, 1}[3*i+j] })
	for name, c := range map[string]struct {
		g covprop.Gaussian
		o classify.Options
	}{
		"no mean":          {covprop.Gaussian{}, classify.Options{}},
		"NaN":              {covprop.Gaussian{Mean: []float64{math.NaN()}, Cov: covprop.Diagonal{1}}, classify.Options{}},
		"negative samples": {good, classify.Options{Samples: -1}},
		"indefinite":       {covprop.Gaussian{Mean: []float64{0, 0, 0}, Cov: indefinite}, classify.Options{}},
	} {
		_, err := classify.Probabilities(context.Background(), c.g, c.o)
		var input *covprop.InputError
		if !errors.As(err, &input) {
			t.Errorf("%s: got %v, want an InputError", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := classify.Probabilities(ctx, good, classify.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func BenchmarkProbabilities(b *testing.B) {
	for _, n := range []int{3, 10, 100, 1000} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			mu, v := make([]float64, n), make(covprop.Diagonal, n)
			for i := range mu {
				mu[i], v[i] = 2*math.Sin(float64(i)), 1
			}
			for b.Loop() {
				if _, err := classify.Probabilities(context.Background(), covprop.Gaussian{Mean: mu, Cov: v}, classify.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
