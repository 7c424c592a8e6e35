package onnx_test

import (
	"context"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/onnx"
)

// TestQuadraticForm has x'x for x ~ N(mu, Sigma) in all the ways to say it.
// Its mean is mu'mu + tr Sigma, its variance 2 tr Sigma^2 + 4 mu'Sigma mu and
// its covariance with x 2 Sigma mu, exactly (Searle 1971, chapter 2): 1e-13 is
// rounding.
func TestQuadraticForm(t *testing.T) {
	const n = 3
	mu := []float64{0.5, -1, 2}
	sigma, err := covprop.NewDense(n, []float64{1, 0.6, -0.3, 0.6, 2, 0.5, -0.3, 0.5, 0.7})
	if err != nil {
		t.Fatal(err)
	}
	mean, variance, cross := mat.Trace(sigma), 0., make([]float64, n)
	for i := range n {
		mean += mu[i] * mu[i]
		for j := range n {
			variance += 2*sigma.At(i, j)*sigma.At(i, j) + 4*mu[i]*sigma.At(i, j)*mu[j]
			cross[i] += 2 * sigma.At(i, j) * mu[j]
		}
	}
	row := dims{1, n}
	for _, c := range []struct {
		name  string
		shape dims
		nodes string
		as    attrs
	}{
		{"sum of squares", row, "y = ReduceSumSquare x", attrs{"keepdims": 0}},
		{"squares and sum", row, "q = Mul x x; y = ReduceSum q", attrs{"keepdims": 0}},
		{"product of copies", row, "a = Neg x; b = Neg a; q = Mul x b; y = ReduceSum q", attrs{"keepdims": 0}},
		{"vectors", dims{n}, "y = MatMul x x", nil},
		{"matrices", row, "u = Transpose x; y = MatMul x u", nil},
		{"Gemm", row, "y = Gemm x x", attrs{"transB": 1}},
		{"Einsum", dims{n}, "y = Einsum x x", attrs{"equation": "i,i->"}},
		{"Einsum of matrices", row, "y = Einsum x x", attrs{"equation": "ij,ij->i"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := one(13, c.shape, nil, parse(c.nodes)...)
			last := m.nodes[len(m.nodes)-1]
			for name, v := range c.as {
				last.Attribute = append(last.Attribute, attribute(name, v))
			}
			m.out = []string{"y", "x"}
			net, err := m.read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			in, err := covprop.NewGaussian(mu, sigma)
			if err != nil {
				t.Fatal(err)
			}
			got, err := net.Propagate(context.Background(), in)
			if err != nil {
				t.Fatal(err)
			}
			check := func(what string, got, want float64) {
				t.Helper()
				if !(math.Abs(got-want) <= 1e-13*math.Abs(want)) {
					t.Errorf("%s %v, want %v", what, got, want)
				}
			}
			check("mean", got.Mean[0], mean)
			check("variance", got.Cov.At(0, 0), variance)
			for i := range n {
				check("cross-covariance", got.Cov.At(0, 1+i), cross[i])
			}
		})
	}
}

// TestRepeatedInput: a tensor that is joined to itself, or to its own maximum
// with itself, is fully correlated.
func TestRepeatedInput(t *testing.T) {
	m := one(13, dims{1, 2}, inits{floats("c", []int64{1, 1}, 7)}, nd("Max", "x x", "m"), nd("Concat", "m c m", "y", attrs{"axis": 1}))
	net := m.check(t, []float64{1, 2}, []float64{1, 2, 7, 1, 2})
	cov, err := covprop.NewDense(2, []float64{4, 1, 1, 9})
	if err != nil {
		t.Fatal(err)
	}
	in, err := covprop.NewGaussian([]float64{1, 2}, cov)
	if err != nil {
		t.Fatal(err)
	}
	got, err := net.Propagate(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := mat.NewDense(5, 5, []float64{4, 1, 0, 4, 1, 1, 9, 0, 1, 9, 0, 0, 0, 0, 0, 4, 1, 0, 4, 1, 1, 9, 0, 1, 9})
	if !mat.Equal(got.Cov, want) {
		t.Errorf("the covariance is %v", mat.Formatted(got.Cov))
	}
}
