package score

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distmv"

	"github.com/covprop/covprop"
)

func dense(t *testing.T, n int, data ...float64) *covprop.Dense {
	t.Helper()
	d, err := covprop.NewDense(n, data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// near fails unless got is want to tol relative and err is nil.
func near(t *testing.T, name string, got float64, err error, want, tol float64) {
	t.Helper()
	if err != nil || !(math.Abs(got-want) <= tol*math.Abs(want)) {
		t.Errorf("%s: %v, %v; want %v", name, got, err, want)
	}
}

// refused fails unless err mentions reason.
func refused(t *testing.T, name string, err error, reason string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("%s: the error is %v, want one that mentions %q", name, err, reason)
	}
}

func TestMeanErrors(t *testing.T) {
	truth := covprop.Gaussian{Mean: []float64{1, 2, 5}, Cov: covprop.Diagonal{4, 1e-200, 0}}
	// Errors of 1 and 2 deviations, and an exact constant: sqrt((1+4+0)/3).
	got, err := MeanErrorStd([]float64{3, 2, 5}, truth)
	near(t, "one deviation", got, err, math.Sqrt(1.0/3), 1e-15)
	truth.Mean[1] = 2e-100
	got, err = MeanErrorStd([]float64{-1, 4e-100, 5 + 1e-15}, truth)
	near(t, "tiny deviation", got, err, math.Sqrt(5.0/3), 1e-15)
	_, err = MeanErrorStd([]float64{1, 2e-100, 5.001}, truth)
	refused(t, "wrong constant", err, "element 2 is 0, but the means differ by 0.001")
	_, err = MeanErrorStd([]float64{1, 2}, truth)
	refused(t, "lengths", err, "lengths")
	_, err = MeanErrorStd([]float64{math.NaN(), 0, 5}, truth)
	refused(t, "NaN mean", err, "NaN")

	got, err = MeanErrorSE([]float64{1, 2}, []float64{1.3, 1.6}, []float64{.1, .1})
	near(t, "standard errors", got, err, math.Sqrt((9+16)/2.0), 1e-14)
	_, err = MeanErrorSE([]float64{1}, []float64{1}, []float64{math.NaN()})
	refused(t, "unknown standard error", err, "NaN")
}

func TestCovErrorFrobenius(t *testing.T) {
	truth := dense(t, 2, 4, 1, 1, 4)
	// ||truth||^2 = 34; without the off-diagonals the error is sqrt(2/34).
	got, err := CovErrorFrobenius(covprop.Diagonal{4, 4}, truth)
	near(t, "diagonal", got, err, math.Sqrt(2.0/34), 1e-15)
	got, err = CovErrorFrobenius(dense(t, 2, 8, 2, 2, 8), truth)
	near(t, "double", got, err, 1, 1e-15)
	got, err = CovErrorFrobenius(truth, truth)
	near(t, "same", got, err, 0, 0)
	got, err = CovErrorFrobenius(covprop.Diagonal{3e-200}, covprop.Diagonal{2e-200})
	near(t, "tiny", got, err, 0.5, 1e-15)
	zero := covprop.Diagonal{0, 0}
	got, err = CovErrorFrobenius(dense(t, 2, 0, 0, 0, 0), zero)
	near(t, "zero", got, err, 0, 0)
	_, err = CovErrorFrobenius(truth, zero)
	refused(t, "zero truth", err, "zero")
	_, err = CovErrorFrobenius(truth, covprop.Diagonal{1})
	refused(t, "dimensions", err, "dimensions")
}

// random returns a Gaussian of full rank whose deviations differ.
func random(rng *rand.Rand, n int) covprop.Gaussian {
	a, mean := mat.NewDense(n, 2*n, nil), make([]float64, n)
	for i := range n {
		mean[i] = rng.NormFloat64() * math.Pow(10, float64(-i))
		for j := range 2 * n {
			a.Set(i, j, rng.NormFloat64()*math.Pow(10, float64(-i)))
		}
	}
	var cov mat.Dense
	cov.Mul(a, a.T())
	return covprop.Gaussian{Mean: mean, Cov: covprop.DenseOf(cov.RawMatrix())}
}

// gonum has the same divergence for non-singular distributions.
func TestKLAgainstGonum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n := 1; n <= 6; n++ {
		p, q := random(rng, n), random(rng, n)
		dp, ok1 := p.Normal(nil)
		dq, ok2 := q.Normal(nil)
		if !ok1 || !ok2 {
			t.Fatal("singular")
		}
		got, err := KL(p, q)
		// gonum's Cholesky works on covariances with deviations of ten orders.
		near(t, "gonum", got, err, distmv.KullbackLeibler{}.DistNormal(dp, dq), 1e-9)
	}
}

// In one dimension KL = log(sq/sp) + (sp^2 + d^2)/(2 sq^2) - 1/2; with d = 0
// and sp^2 = (1+x) sq^2 it is (x - log(1+x))/2 ~ x^2/4.
func TestKLClosedForms(t *testing.T) {
	point := func(m, v float64) covprop.Gaussian {
		return covprop.Gaussian{Mean: []float64{m}, Cov: covprop.Diagonal{v}}
	}
	got, err := KL(point(1, 4), point(3, 9))
	near(t, "one dimension", got, err, math.Log(1.5)+8.0/18-0.5, 1e-14)
	got, err = KL(point(0, 1e-40), point(0, 1))
	near(t, "small p", got, err, 20*math.Log(10)-0.5, 1e-14)
	got, err = KL(point(0, 1e40), point(0, 1e-20))
	near(t, "large p", got, err, 1e60/2, 1e-14)
	const x = 0x1p-20 // 1+x is exact; x^2/4 - x^3/6 to x^4
	got, err = KL(point(0, 1+x), point(0, 1))
	near(t, "close", got, err, x*x/4-x*x*x/6, 4*0x1p-52/x) // x is known to a few eps
	if got, err = KL(point(2, 3), point(2, 3)); err != nil || got < 0 || got > 1e-30 {
		t.Errorf("same: %v, %v; want 0 to the square of rounding", got, err)
	}

	// Independent components add up, whatever their scales.
	p := covprop.Gaussian{Mean: []float64{1, 1e-9}, Cov: covprop.Diagonal{4, 1e-18}}
	q := covprop.Gaussian{Mean: []float64{3, 0}, Cov: dense(t, 2, 9, 0, 0, 1e-18)}
	got, err = KL(p, q)
	near(t, "independent", got, err, math.Log(1.5)+8.0/18-0.5+0.5, 1e-12)
}

func TestKLSingular(t *testing.T) {
	good := covprop.Gaussian{Mean: []float64{0, 0}, Cov: covprop.Diagonal{1, 1}}
	constant := covprop.Gaussian{Mean: []float64{0, 0}, Cov: covprop.Diagonal{1, 0}}
	line := covprop.Gaussian{Mean: []float64{0, 0}, Cov: dense(t, 2, 1, 2, 2, 4)}
	_, err := KL(good, constant)
	refused(t, "constant q", err, "second distribution is singular: element 1")
	_, err = KL(good, line)
	refused(t, "q on a line", err, "second distribution is singular")
	_, err = KL(constant, good)
	refused(t, "constant p", err, "first distribution is singular")
	_, err = KL(line, good)
	refused(t, "p on a line", err, "first distribution is singular")
	_, err = KL(good, covprop.Gaussian{Mean: []float64{0}, Cov: covprop.Diagonal{1}})
	refused(t, "dimensions", err, "dimensions")
	_, err = KL(covprop.Gaussian{}, covprop.Gaussian{})
	refused(t, "empty", err, "mean is empty")
}
