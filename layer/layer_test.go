package layer_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/ref"
	"github.com/covprop/covprop/layer"
)

// TestConstructorsRefuse: what a model can get wrong is an error, not a panic.
func TestConstructorsRefuse(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	relu := activation.ReLU()
	for name, build := range map[string]func() (layer.Rule, error){
		"weights of another size":  func() (layer.Rule, error) { return layer.NewAffine(make([]float64, 5), nil, 2, 3, 1, 1) },
		"bias of another size":     func() (layer.Rule, error) { return layer.NewAffine(make([]float64, 6), make([]float64, 3), 2, 3, 1, 1) },
		"NaN weight":               func() (layer.Rule, error) { return layer.NewAffine([]float64{nan}, nil, 1, 1, 1, 1) },
		"infinite bias":            func() (layer.Rule, error) { return layer.NewAffine([]float64{1}, []float64{inf}, 1, 1, 1, 1) },
		"no rows":                  func() (layer.Rule, error) { return layer.NewAffine(nil, nil, 0, 1, 1, 1) },
		"scale of another size":    func() (layer.Rule, error) { return layer.NewScale(make([]float64, 2), nil, 3) },
		"infinite scale":           func() (layer.Rule, error) { return layer.NewScale([]float64{inf}, nil, 3) },
		"NaN shift":                func() (layer.Rule, error) { return layer.NewScale(nil, []float64{nan}, 3) },
		"empty tensor":             func() (layer.Rule, error) { return layer.NewScale(nil, nil, 0) },
		"selection past the end":   func() (layer.Rule, error) { return layer.NewSelect([]int{3}, 3) },
		"negative selection":       func() (layer.Rule, error) { return layer.NewSelect([]int{-1}, 3) },
		"empty selection":          func() (layer.Rule, error) { return layer.NewSelect(nil, 3) },
		"sum of nothing":           func() (layer.Rule, error) { return layer.NewSum(nil, 3) },
		"NaN coefficient":          func() (layer.Rule, error) { return layer.NewSum([]float64{nan}, 3) },
		"empty reshape":            func() (layer.Rule, error) { return layer.NewReshape(0) },
		"too few activations":      func() (layer.Rule, error) { return layer.NewElementwise([]activation.Activation{relu, relu}, 3) },
		"no activation":            func() (layer.Rule, error) { return layer.NewElementwise(nil, 3) },
		"elementwise on no tensor": func() (layer.Rule, error) { return layer.NewElementwise([]activation.Activation{relu}, 0) },
	} {
		if _, err := build(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestMergeTerms(t *testing.T) {
	s, err := layer.NewSum([]float64{1, 2, -4, 8}, 3)
	if err != nil {
		t.Fatal(err)
	}
	m, in := layer.MergeTerms(s, []string{"a", "b", "a", "c"})
	if fmt.Sprint(in) != "[a b c]" {
		t.Fatalf("inputs left: %v", in)
	}
	y := make([]float64, 3)
	m.Forward(y, []float64{1, 0, 0}, []float64{0, 1, 0}, []float64{0, 0, 1})
	if fmt.Sprint(y) != "[-3 2 8]" {
		t.Errorf("coefficients %v, want [-3 2 8]", y)
	}
}

// propagate runs the rule f on the first and g on the second of two variables.
func propagate(t *testing.T, f, g activation.Activation, p activation.Pair, o layer.Options) (m *layer.Moments, cov blas64.General, acc covprop.Accuracy) {
	t.Helper()
	e, err := layer.NewElementwise([]activation.Activation{f, g}, 2)
	if err != nil {
		t.Fatal(err)
	}
	v1, v2, c := p.Sigma1*p.Sigma1, p.Sigma2*p.Sigma2, p.Rho*p.Sigma1*p.Sigma2
	m = new(layer.Moments)
	if err := e.MomentsTo(context.Background(), m, []float64{p.Mu1, p.Mu2}, []float64{v1, v2}, true, o); err != nil {
		t.Fatal(err)
	}
	cov = blas64.General{Rows: 2, Cols: 2, Stride: 2, Data: []float64{v1, c, c, v2}}
	if acc, err = layer.CovarianceTo(context.Background(), cov, cov, m, m, true, o); err != nil {
		t.Fatal(err)
	}
	return m, cov, acc
}

// TestCovariance compares with two-dimensional quadrature, good to 1e-13 of
// the two standard deviations, for correlations that take the short series,
// the pair form, the long series and the pair quadrature. The error must be
// within the tolerance and within the bound returned.
func TestCovariance(t *testing.T) {
	relu, tanh, silu, soft, elu := activation.ReLU(), activation.Tanh(), activation.SiLU(), activation.Softsign(), activation.ELU(1)
	for _, pair := range [][2]activation.Activation{{relu, relu}, {relu, tanh}, {tanh, tanh}, {silu, tanh}, {soft, relu}, {elu, elu}, {activation.HardSwish(), activation.Step()}} {
		f, g := pair[0], pair[1]
		for _, rho := range []float64{.3, -.9, .98, -.999, 1 - 1e-6, 1, -1} {
			p := activation.Pair{Mu1: .4, Sigma1: 1.3, Mu2: -.2, Sigma2: .8, Rho: rho}
			want := ref.Covariance(f.Apply, f.Kinks(), g.Apply, g.Kinks(), p.Mu1, p.Sigma1, p.Mu2, p.Sigma2, rho)
			for _, tol := range []float64{1e-4, 0, 1e-12} {
				m, cov, acc := propagate(t, f, g, p, layer.Options{Tol: tol})
				scale := math.Sqrt(m.Variance[0] * m.Variance[1])
				allowed := tol
				if tol == 0 {
					allowed = layer.DefaultTol
				}
				d := math.Abs(cov.Data[1]-want) / scale
				if d > allowed+1e-12 || d > acc.Bound+1e-12 || acc.Bound > max(allowed, 1e-11) {
					t.Errorf("%s, %s, rho %v, tolerance %g: off by %.2g, bound %.2g (%v, %s)", f.Name(), g.Name(), rho, tol, d, acc.Bound, acc.Status, acc.Reason)
				}
			}
		}
	}
}

// TestOrder: with K = 1 the covariance is c E f' E g' (Stein), and the error of
// any order is within the bound that comes with it. The variances stay exact
// unless they are truncated too, to sum_{k<=K} h_k^2.
func TestOrder(t *testing.T) {
	f, g := activation.ReLU(), activation.GELU()
	p := activation.Pair{Mu1: .2, Sigma1: 1, Mu2: -.5, Sigma2: 2, Rho: .8}
	want := ref.Covariance(f.Apply, f.Kinks(), g.Apply, nil, p.Mu1, p.Sigma1, p.Mu2, p.Sigma2, p.Rho)
	for _, k := range []int{1, 2, 5, 40, 100} {
		m, cov, acc := propagate(t, f, g, p, layer.Options{Order: k})
		if stein := .8 * 2 * m.Gain[0] * m.Gain[1]; k == 1 && math.Abs(cov.Data[1]/stein-1) > 1e-14 {
			t.Errorf("order 1: %v, want %v", cov.Data[1], stein)
		}
		scale := math.Sqrt(m.Variance[0] * m.Variance[1])
		d := math.Abs(cov.Data[1]-want) / scale
		if d > acc.Bound+1e-13 || acc.Bound == 0 {
			t.Errorf("order %d: off by %.2g, bound %.2g", k, d, acc.Bound)
		}
		if v := ref.Variance(f.Apply, p.Mu1, p.Sigma1, f.Kinks()); math.Abs(cov.Data[0]/v-1) > 1e-13 {
			t.Errorf("order %d: variance %v, want %v", k, cov.Data[0], v)
		}
		_, cov, _ = propagate(t, f, g, p, layer.Options{Order: k, TruncateDiagonal: true})
		sum := 0.
		for i := 1; i <= k; i++ {
			h := ref.Coefficient(f.Apply, i, p.Mu1, p.Sigma1, f.Kinks())
			sum += h * h
		}
		if k <= 5 && math.Abs(cov.Data[0]/sum-1) > 1e-12 {
			t.Errorf("order %d: truncated variance %v, want %v", k, cov.Data[0], sum)
		}
	}
}

// wrong is an activation whose variance does not belong to its coefficients.
type wrong struct{ activation.Activation }

func (w wrong) Variance(mu, sigma float64) float64 { return w.Activation.Variance(mu, sigma) / 2 }

// TestInconsistentActivation: coefficients that exceed the variance are
// reported, not passed on in silence.
func TestInconsistentActivation(t *testing.T) {
	a := wrong{activation.GELU()}
	m, _, _ := propagate(t, a, a, activation.Pair{Sigma1: 1, Sigma2: 1, Rho: .5}, layer.Options{})
	if m.Accuracy.Status != covprop.Approximate {
		t.Errorf("accuracy %+v", m.Accuracy)
	}
}
