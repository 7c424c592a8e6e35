package baseline

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
)

// fn is a Func without a Jacobian.
type fn struct {
	n, m int
	f    func(dst, x []float64)
}

func (f fn) InputDim() int  { return f.n }
func (f fn) OutputDim() int { return f.m }
func (f fn) EvalTo(dst, x []float64) error {
	f.f(dst, x)
	return nil
}

// smooth adds an exact Jacobian and named outputs.
type smooth struct {
	fn
	jac func(dst *mat.Dense, x []float64)
	out []covprop.Output
}

func (s smooth) JacobianTo(dst *mat.Dense, x []float64) error {
	s.jac(dst, x)
	return nil
}

func (s smooth) Outputs() []covprop.Output { return s.out }

// affine returns y = A x + b with A (m, n).
func affine(a *mat.Dense, b []float64) smooth {
	m, n := a.Dims()
	return smooth{
		fn: fn{n, m, func(dst, x []float64) {
			for i := range dst {
				dst[i] = b[i] + mat.Dot(a.RowView(i), mat.NewVecDense(n, x))
			}
		}},
		jac: func(dst *mat.Dense, _ []float64) { dst.Copy(a) },
		out: []covprop.Output{{Name: "first", Shape: []int{1}, Len: 1}, {Name: "rest", Shape: []int{m - 1}, Offset: 1, Len: m - 1}},
	}
}

func normals(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}

// gaussian returns a Gaussian of dimension n and rank r whose standard
// deviations span ten orders of magnitude.
func gaussian(t *testing.T, rng *rand.Rand, n, r int) covprop.Gaussian {
	t.Helper()
	root := mat.NewDense(n, r, normals(rng, n*r))
	var cov mat.Dense
	cov.Mul(root, root.T())
	cov.Apply(func(i, j int, v float64) float64 {
		return v * math.Pow(10, float64(i%11-5)) * math.Pow(10, float64(j%11-5))
	}, &cov)
	d, err := covprop.NewDense(n, cov.RawMatrix().Data)
	if err != nil {
		t.Fatal(err)
	}
	return covprop.Gaussian{Mean: normals(rng, n), Cov: d}
}

// affineMoments returns A mu + b and A Sigma A'.
func affineMoments(a *mat.Dense, b []float64, in covprop.Gaussian) (mean []float64, cov *mat.Dense) {
	m, n := a.Dims()
	mv := mat.NewVecDense(m, nil)
	mv.MulVec(a, mat.NewVecDense(n, in.Mean))
	mv.AddVec(mv, mat.NewVecDense(m, b))
	cov = new(mat.Dense)
	cov.Product(a, in.Cov, a.T())
	return mv.RawVector().Data, cov
}

// within fails unless the moments of got are those given, to tol relative to
// the standard deviations (and for the mean to its own rounding).
func within(t *testing.T, name string, got covprop.Result, mean []float64, cov mat.Matrix, tol float64) {
	t.Helper()
	for i, m := range mean {
		si := math.Sqrt(cov.At(i, i))
		if d := math.Abs(got.Mean[i] - m); !(d <= tol*(si+math.Abs(m))) {
			t.Errorf("%s: mean %d is %v, want %v", name, i, got.Mean[i], m)
		}
		for j := range mean {
			sj := math.Sqrt(cov.At(j, j))
			if d := math.Abs(got.Cov.At(i, j) - cov.At(i, j)); !(d <= tol*si*sj) {
				t.Errorf("%s: covariance (%d,%d) is %v, want %v", name, i, j, got.Cov.At(i, j), cov.At(i, j))
			}
		}
	}
}

func propagate(t *testing.T, p covprop.Propagator, in covprop.Gaussian) covprop.Result {
	t.Helper()
	res, err := p.Propagate(context.Background(), in)
	if err != nil {
		t.Fatalf("%T: %v", p, err)
	}
	return res
}

// deterministic lists the methods that do not sample.
func deterministic(f covprop.Func) map[string]covprop.Propagator {
	return map[string]covprop.Propagator{
		"linear":            Linear{Func: f},
		"unscented":         Unscented{Func: f},
		"unscented 1e-3":    Unscented{Func: f, Alpha: 1e-3, Beta: 2},
		"unscented kappa 2": Unscented{Func: f, Alpha: 0.5, Beta: 2, Kappa: 2},
		"cubature":          Cubature{Func: f},
	}
}

// All methods are exact for an affine function, Monte Carlo within its own
// errors, whatever the rank of Sigma.
func TestAffineIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	a, b := mat.NewDense(4, 6, normals(rng, 24)), normals(rng, 4)
	diag := covprop.Diagonal{1, 0, 4, 1e-6, 0, 2}
	inputs := map[string]covprop.Gaussian{
		"full rank": gaussian(t, rng, 6, 6),
		"rank 2":    gaussian(t, rng, 6, 2),
		"diagonal":  {Mean: normals(rng, 6), Cov: diag},
	}
	f := affine(a, b)
	for name, in := range inputs {
		mean, cov := affineMoments(a, b, in)
		// Rounding: unit roundoff times the number of terms, and for the small
		// sigma points the loss of 1/alpha in f(mu+dx)-f(mu), divided by the
		// spread of the inputs' scales.
		for method, p := range deterministic(f) {
			tol := 1e-12
			if method == "unscented 1e-3" {
				tol = 1e-9
			}
			within(t, method+", "+name, propagate(t, p, in), mean, cov, tol)
		}
		// The differences are exact up to rounding over the step: eps^(2/3),
		// times f's size over the output's spread.
		within(t, "differences, "+name, propagate(t, Linear{Func: f.fn}, in), mean, cov, 1e-8)

		res := propagate(t, MonteCarlo{Func: f, Samples: 20000}, in)
		withinErrors(t, name, res, mean, cov, 5)
		res = propagate(t, MonteCarlo{Func: f, Samples: 2000, Antithetic: true}, in)
		withinErrors(t, "antithetic, "+name, covprop.Result{
			// Without an error of the mean, its standard error is rounding.
			Gaussian:       covprop.Gaussian{Mean: mean, Cov: res.Cov},
			StandardErrors: res.StandardErrors,
		}, mean, cov, 5)
		for i, m := range mean {
			s := math.Sqrt(cov.At(i, i))
			if d := math.Abs(res.Mean[i] - m); d > 1e-13*(s+math.Abs(m)) || res.StandardErrors.Mean[i] > 1e-13*(s+math.Abs(m)) {
				t.Errorf("%s: antithetic mean %d is off by %g, s.e. %g", name, i, d, res.StandardErrors.Mean[i])
			}
		}
	}
}

// withinErrors fails unless got is within k of its standard errors.
func withinErrors(t *testing.T, name string, got covprop.Result, mean []float64, cov mat.Matrix, k float64) {
	t.Helper()
	se := got.StandardErrors
	for i, m := range mean {
		if d := math.Abs(got.Mean[i] - m); !(d <= k*se.Mean[i]) {
			t.Errorf("%s: mean %d is %v, want %v, s.e. %g", name, i, got.Mean[i], m, se.Mean[i])
		}
		for j := range mean {
			if d := math.Abs(got.Cov.At(i, j) - cov.At(i, j)); !(d <= k*se.Cov.At(i, j)) {
				t.Errorf("%s: covariance (%d,%d) is %v, want %v, s.e. %g", name, i, j, got.Cov.At(i, j), cov.At(i, j), se.Cov.At(i, j))
			}
		}
	}
}

// Misuse is an error, not a panic, and of the promised type.
func TestInvalidInput(t *testing.T) {
	f := fn{2, 1, func(dst, x []float64) { dst[0] = x[0] + x[1] }}
	inputs := map[string]covprop.Gaussian{
		"empty":             {},
		"wrong length":      {Mean: []float64{1, 2, 3}, Cov: covprop.Diagonal{1, 1, 1}},
		"NaN mean":          {Mean: []float64{1, math.NaN()}, Cov: covprop.Diagonal{1, 1}},
		"no covariance":     {Mean: []float64{1, 2}},
		"negative variance": {Mean: []float64{1, 2}, Cov: covprop.Diagonal{1, -1}},
	}
	ps := deterministic(f)
	ps["monte carlo"] = MonteCarlo{Func: f}
	for method, p := range ps {
		for name, in := range inputs {
			var ie *covprop.InputError
			if _, err := p.Propagate(context.Background(), in); !errors.As(err, &ie) {
				t.Errorf("%s, %s: the error is %v, want an *InputError", method, name, err)
			}
		}
	}
	for _, p := range []covprop.Propagator{Linear{}, Unscented{}, Cubature{}, MonteCarlo{}} {
		if _, err := p.Propagate(context.Background(), inputs["wrong length"]); err == nil {
			t.Errorf("%T without a function: no error", p)
		}
	}
}

// The message of a failed evaluation says where it happened.
func TestBadValues(t *testing.T) {
	in := covprop.Gaussian{Mean: []float64{0}, Cov: covprop.Diagonal{1}}
	f := fn{1, 2, func(dst, x []float64) { dst[0], dst[1] = 0, 1/max(0, x[0]) }}
	for method, p := range deterministic(f) {
		if _, err := p.Propagate(context.Background(), in); err == nil || !strings.Contains(err.Error(), "element 1") {
			t.Errorf("%s: the error is %v", method, err)
		}
	}
}

func TestOutputs(t *testing.T) {
	a := mat.NewDense(2, 1, []float64{1, 2})
	in := covprop.Gaussian{Mean: []float64{0}, Cov: covprop.Diagonal{1}}
	f := affine(a, []float64{0, 0})
	ps := deterministic(f)
	ps["monte carlo"] = MonteCarlo{Func: f}
	for method, p := range ps {
		res := propagate(t, p, in)
		if len(res.Outputs) != 2 || res.Outputs[1].Name != "rest" {
			t.Errorf("%s: outputs are %v", method, res.Outputs)
		}
		if res.Accuracy.Status != covprop.Approximate || res.Accuracy.Reason == "" {
			t.Errorf("%s: accuracy is %v", method, res.Accuracy)
		}
	}
	if res := propagate(t, Linear{Func: f.fn}, in); len(res.Outputs) != 1 || res.Outputs[0].Name != "output" || res.Outputs[0].Len != 2 {
		t.Errorf("outputs of an unnamed function are %v", res.Outputs)
	}
	f.out = f.out[:1]
	if _, err := (Linear{Func: f}).Propagate(context.Background(), in); err == nil {
		t.Error("outputs that do not cover the vector: no error")
	}
}
