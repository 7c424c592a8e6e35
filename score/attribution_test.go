package score_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/score"
)

// dense returns the covariance with the given entries, row by row.
func dense(t *testing.T, n int, entries ...float64) *covprop.Dense {
	t.Helper()
	d, err := covprop.NewDense(n, entries)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// attribute returns the attribution of one output.
func attribute(t *testing.T, sigma covprop.Covariance, cross []float64, variance float64) score.Attribution {
	t.Helper()
	a, err := score.Attribute(sigma, mat.NewDense(1, len(cross), cross), []float64{variance})
	if err != nil {
		t.Fatal(err)
	}
	return a[0]
}

// near compares to 1e-12, for numbers of size 1 from a few operations and
// well-conditioned matrices.
func near(t *testing.T, what string, got score.Attribution, rest float64, shares ...float64) {
	t.Helper()
	if len(got.Shares) != len(shares) {
		t.Fatalf("%s: %d shares, want %d", what, len(got.Shares), len(shares))
	}
	for j, s := range shares {
		if !(math.Abs(got.Shares[j]-s) <= 1e-12) {
			t.Errorf("%s: share %d is %v, want %v", what, j, got.Shares[j], s)
		}
	}
	if !(math.Abs(got.Rest-rest) <= 1e-12) {
		t.Errorf("%s: the rest is %v, want %v", what, got.Rest, rest)
	}
}

// TestAttribute has functions whose moments are worked out by hand.
func TestAttribute(t *testing.T) {
	// y = 2 x0 - 3 x1 with variances 1 and 4: Var y = 4 + 36.
	near(t, "linear", attribute(t, covprop.Diagonal{1, 4}, []float64{2, -12}, 40), 0, 0.1, 0.9)
	// y = x0 + x1^2, standard normal: Cov(x1, y) = 0, Var y = 1 + 2.
	near(t, "square", attribute(t, covprop.Diagonal{1, 1}, []float64{1, 0}, 3), 2./3, 1./3, 0)
	// y = x0 x1 with means 1 and 0, variances 1: Cov(x1, y) = 1, Var y = 2.
	near(t, "product", attribute(t, covprop.Diagonal{1, 1}, []float64{0, 1}, 2), 0.5, 0, 0.5)
	// A fixed input has no share.
	near(t, "fixed", attribute(t, covprop.Diagonal{0, 4}, []float64{0, 4}, 4), 0, 0, 1)
	// y = x0 + x1, variances 1, correlation 1/2: each has the share 1/2.
	near(t, "correlated", attribute(t, dense(t, 2, 1, .5, .5, 1), []float64{1.5, 1.5}, 3), 0, .5, .5)
	// y = x0 - 0.4 x1, the same input: Cov = (.8, .1), Var y = 1 - .4 + .16.
	near(t, "offsetting", attribute(t, dense(t, 2, 1, .5, .5, 1), []float64{.8, .1}, .76), 0, .8/.76, -.04/.76)
	// y = x0, x1 the same variable: the pseudoinverse divides it.
	near(t, "singular", attribute(t, dense(t, 2, 1, 1, 1, 1), []float64{1, 1}, 1), 0, .5, .5)
	// No correlation, but stored as dense.
	near(t, "dense", attribute(t, dense(t, 3, 1, 0, 0, 0, 4, 0, 0, 0, 0), []float64{2, -12, 0}, 40), 0, 0.1, 0.9, 0)
	// No variance.
	if a := attribute(t, covprop.Diagonal{1, 1}, []float64{0, 0}, 0); a.Shares != nil || a.Rest != 0 {
		t.Errorf("without variance: %v", a)
	}
	if _, err := score.Attribute(covprop.Diagonal{1}, mat.NewDense(1, 2, nil), []float64{1}); err == nil {
		t.Error("shapes that do not fit are no error")
	}
}

// TestAttributeSum: for y = a'x + noise with a random covariance of rank 5 of
// 8 inputs the shares sum to R^2 = a' Sigma a / (a' Sigma a + noise).
func TestAttributeSum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n, rank = 8, 5
	f := mat.NewDense(n, rank, nil)
	f.Apply(func(i, _ int, _ float64) float64 { return rng.NormFloat64() * float64(1+i) }, f)
	var sigma mat.Dense
	sigma.Mul(f, f.T())
	a, c := mat.NewVecDense(n, nil), mat.NewVecDense(n, nil)
	for j := range n {
		a.SetVec(j, rng.NormFloat64())
	}
	c.MulVec(&sigma, a)
	explained := mat.Dot(a, c)
	in := covprop.DenseOf(blas64.General{Rows: n, Cols: n, Stride: n, Data: sigma.RawMatrix().Data})
	got := attribute(t, in, c.RawVector().Data, 1.5*explained)
	// The condition number of the nonzero part is below 1e4: 1e-10.
	if !(math.Abs(got.Rest-1./3) <= 1e-10) {
		t.Errorf("the rest is %v, want 1/3", got.Rest)
	}
}
