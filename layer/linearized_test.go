package layer_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
)

// twist is (a0 b0, sin(a1) + b1, e^{a0 + b0}) with its Jacobian.
func twist(dst []float64, x ...[]float64) {
	a, b := x[0], x[1]
	dst[0], dst[1], dst[2] = a[0]*b[0], math.Sin(a[1])+b[1], math.Exp(a[0]+b[0])
}

func twistJacobian(a, b []float64) blas64.General {
	e := math.Exp(a[0] + b[0])
	return blas64.General{Rows: 3, Cols: 4, Stride: 4, Data: []float64{
		b[0], 0, a[0], 0,
		0, math.Cos(a[1]), 0, 1,
		e, 0, e, 0,
	}}
}

func newTwist(t *testing.T) *layer.Linearized {
	t.Helper()
	rule, err := layer.NewLinearized("twist", twist, 3, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// TestLinearized compares with J Sigma J'. Central differences with the step
// eps^(1/3) are good to 1e-10 of derivatives of order one; with a step as small
// as the standard deviation of 1e-8, rounding leaves 1e-7.
func TestLinearized(t *testing.T) {
	rule := newTwist(t)
	for scale, tol := range map[float64]float64{1: 1e-9, 1e-3: 1e-9, 1e-8: 1e-6} {
		f := newFactor(rand.New(rand.NewPCG(4, 4)), 4, 3, scale)
		c := f.cov()
		jac := twistJacobian(f.mean[:2], f.mean[2:])
		for _, flip := range []bool{false, true} {
			r, err := respond(rule, cut(f.mean, c, []int{2, 2}, flip), false, layer.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			mean, cov := make([]float64, 7), zeros(7, 7)
			twist(mean[:3], f.mean[:2], f.mean[2:])
			copy(mean[3:], f.mean)
			full := append(append([]float64(nil), jac.Data...), identity(4).Data...) // (y, x) to first order
			for i := range 7 {
				for j := range 7 {
					for k := range 4 {
						for l := range 4 {
							cov.Data[7*i+j] += full[4*i+k] * get(c, k, l) * full[4*j+l]
						}
					}
				}
			}
			wantMoments(t, "linearised", r, mean, cov, c, tol)
			if r.acc.Status != covprop.Approximate || !math.IsInf(r.acc.Bound, 1) || r.acc.Reason != activation.Linearized {
				t.Errorf("accuracy %+v", r.acc)
			}
		}
	}
}

// TestLinearizedDiagonal: independent elements, one of them certain, and an
// input that is used twice.
func TestLinearizedDiagonal(t *testing.T) {
	rule := newTwist(t)
	a, b, v, w := []float64{.5, .2}, []float64{-.3, 1}, []float64{.1, 0}, []float64{.3, .7}
	in := &layer.Joint{Mean: [][]float64{a, b}, Cov: [][]layer.Block{{{Diag: v}}, {{}, {Diag: w}}}}
	both := &layer.Joint{Mean: [][]float64{a, a}, Cov: [][]layer.Block{{{Diag: v}}, {{Diag: v}, {Diag: v}}}}
	for _, c := range []struct {
		in   *layer.Joint
		want []float64
	}{
		{in, []float64{.3*.3*.1 + .5*.5*.3, .7, math.Exp(.4) * (.1 + .3)}},
		{both, []float64{4 * .5 * .5 * .1, 0, 4 * math.Exp(2) * .1}},
	} {
		for _, diagonal := range []bool{false, true} {
			r, err := respond(rule, c.in, diagonal, layer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range c.want {
				got := 0.
				if diagonal {
					got = r.Variance[i]
				} else {
					got = get(r.Cov, i, i)
				}
				if math.Abs(got-want) > 1e-9*want { // the differences', as above
					t.Errorf("diagonal %v: variance %d is %v, want %v", diagonal, i, got, want)
				}
			}
		}
	}
}

// TestLinearizedCertain: without a covariance the value is exact, the gain is
// the Jacobian, and strictness has no reason to complain.
func TestLinearizedCertain(t *testing.T) {
	rule := newTwist(t)
	a, b := []float64{.5, 1e5}, []float64{0, 1e-9}
	in := &layer.Joint{Mean: [][]float64{a, b}, Cov: [][]layer.Block{{{}}, {}}}
	in.Cov[1] = make([]layer.Block, 2)
	r, err := respond(rule, in, false, layer.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range twistJacobian(a, b).Data {
		// The step for 1e5 is .6, over which the sine is not smooth.
		if i != 5 && math.Abs(r.gain.Data[i]-want) > 1e-9 {
			t.Errorf("derivative %d is %v, want %v", i, r.gain.Data[i], want)
		}
	}
	if r.acc.Status != covprop.Exact {
		t.Errorf("accuracy %+v", r.acc)
	}
}

// TestStrict: linearisation is an error that names what has no rule.
func TestStrict(t *testing.T) {
	f := newFactor(rand.New(rand.NewPCG(4, 4)), 4, 3, 1)
	in := cut(f.mean, f.cov(), []int{2, 2}, false)
	_, err := respond(newTwist(t), in, false, layer.Options{Strict: true})
	if err == nil || !strings.Contains(err.Error(), "twist") || !strings.Contains(err.Error(), "--strict") {
		t.Errorf("got %v", err)
	}
	e, err := layer.NewElementwise([]activation.Activation{activation.Reciprocal()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	var m layer.Moments
	for _, strict := range []bool{false, true} {
		err := e.MomentsTo(t.Context(), &m, []float64{1.5}, []float64{4}, false, layer.Options{Strict: strict})
		if strict != (err != nil) {
			t.Errorf("strict %v: got %v", strict, err)
		}
		if err != nil && !(strings.Contains(err.Error(), "reciprocal") && strings.Contains(err.Error(), "1.5") && strings.Contains(err.Error(), "--strict")) {
			t.Errorf("got %v", err)
		}
	}
}

func TestLinearizedRefuses(t *testing.T) {
	if _, err := layer.NewLinearized("f", twist, 0, 1); err == nil {
		t.Error("no output is accepted")
	}
	if _, err := layer.NewLinearized("f", twist, 1); err == nil {
		t.Error("no input is accepted")
	}
	if _, err := layer.NewLinearized("f", twist, 1, 0); err == nil {
		t.Error("an empty input is accepted")
	}
	pole, err := layer.NewLinearized("pole", func(dst []float64, x ...[]float64) { dst[0] = math.Log(x[0][0]) }, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	in := &layer.Joint{Mean: [][]float64{{0}}, Cov: [][]layer.Block{{{Diag: []float64{1}}}}}
	if _, err := respond(pole, in, false, layer.Options{}); err == nil || !strings.Contains(err.Error(), "pole") {
		t.Errorf("a derivative that is not finite: got %v", err)
	}
}
