package baseline

import (
	"context"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
)

// textbook is the scaled unscented transform as published, weight by weight,
// for Sigma = diag(v): an independent, less accurate form.
func textbook(f fn, mu, v []float64, alpha, beta, kappa float64) (mean []float64, cov *mat.Dense) {
	n := float64(f.n)
	lambda := alpha*alpha*(n+kappa) - n
	points, wm, wc := [][]float64{mu}, []float64{lambda / (n + lambda)}, []float64{lambda/(n+lambda) + 1 - alpha*alpha + beta}
	for i := range f.n {
		for _, sign := range []float64{1, -1} {
			x := append([]float64(nil), mu...)
			x[i] += sign * math.Sqrt((n+lambda)*v[i])
			points, wm, wc = append(points, x), append(wm, 1/(2*(n+lambda))), append(wc, 1/(2*(n+lambda)))
		}
	}
	ys := make([][]float64, len(points))
	mean, cov = make([]float64, f.m), mat.NewDense(f.m, f.m, nil)
	for p, x := range points {
		ys[p] = make([]float64, f.m)
		f.f(ys[p], x)
		for i, y := range ys[p] {
			mean[i] += wm[p] * y
		}
	}
	for p, y := range ys {
		for i := range y {
			for j := range y {
				cov.Set(i, j, cov.At(i, j)+wc[p]*(y[i]-mean[i])*(y[j]-mean[j]))
			}
		}
	}
	return mean, cov
}

func TestUnscentedIsTheTextbookTransform(t *testing.T) {
	f := fn{3, 2, func(dst, x []float64) {
		dst[0] = math.Tanh(x[0]) * x[1]
		dst[1] = math.Exp(x[2]/3) + max(0, x[0])
	}}
	mu, v := []float64{.3, -1, .2}, []float64{1, .25, 2}
	in := covprop.Gaussian{Mean: mu, Cov: covprop.Diagonal(v)}
	for _, p := range []Unscented{{Alpha: 1, Beta: 2}, {Alpha: .5, Beta: 2, Kappa: 1}, {Alpha: 1, Kappa: -1}, {Alpha: .1, Beta: 0, Kappa: 0}} {
		mean, cov := textbook(f, mu, v, p.Alpha, p.Beta, p.Kappa)
		p.Func = f
		// The textbook form loses a factor 1/alpha^2 to cancellation.
		within(t, "textbook", propagate(t, p, in), mean, cov, 1e-12)
	}
	mean, cov := textbook(f, mu, v, 1, 2, 0)
	within(t, "default", propagate(t, Unscented{Func: f}, in), mean, cov, 1e-12)
	mean, cov = textbook(f, mu, v, 1, 0, 0)
	within(t, "cubature", propagate(t, Cubature{Func: f}, in), mean, cov, 1e-12)
}

// Closed forms for f = x^2, X ~ N(mu, v), where E f = mu^2 + v and
// Var f = 4 mu^2 v + 2 v^2: one dimension with Kappa 0 gives both exactly if
// Beta is 2 (Julier 2002), the cubature rule the mean only.
func TestUnscentedOnSquare(t *testing.T) {
	const mu, v = 1.5, 0.7
	f := fn{1, 1, func(dst, x []float64) { dst[0] = x[0] * x[0] }}
	in := covprop.Gaussian{Mean: []float64{mu}, Cov: covprop.Diagonal{v}}
	want := mat.NewDense(1, 1, []float64{4*mu*mu*v + 2*v*v})
	for _, alpha := range []float64{1, 0.3, 1e-3} {
		// Second differences over a step alpha lose 1/alpha^2 of the digits.
		within(t, "square", propagate(t, Unscented{Func: f, Alpha: alpha, Beta: 2}, in), []float64{mu*mu + v}, want, 1e-15/alpha/alpha*20)
	}
	want.Set(0, 0, 4*mu*mu*v)
	within(t, "cubature", propagate(t, Cubature{Func: f}, in), []float64{mu*mu + v}, want, 1e-14)
	within(t, "linear", propagate(t, Linear{Func: f}, in), []float64{mu * mu}, want, 1e-9)
}

// A sum of squares of n standard normals has mean n and variance 2n. With
// s = alpha^2 (n+kappa) the transform's variance is n s + (beta - alpha^2) n^2
// (each f(x_k) = s, f(x_0) = 0, m = n).
func TestUnscentedOnSumOfSquares(t *testing.T) {
	const n = 6
	f := fn{n, 1, func(dst, x []float64) {
		dst[0] = 0
		for _, v := range x {
			dst[0] += v * v
		}
	}}
	in := covprop.Gaussian{Mean: make([]float64, n), Cov: covprop.Diagonal{1, 1, 1, 1, 1, 1}}
	for _, u := range []Unscented{{Func: f, Alpha: 1, Beta: 2}, {Func: f, Alpha: .5, Beta: 1, Kappa: 2}, {Func: f, Alpha: 1, Kappa: 3 - n}} {
		res := propagate(t, u, in)
		s := u.Alpha * u.Alpha * (n + u.Kappa)
		want := n*s + (u.Beta-u.Alpha*u.Alpha)*n*n
		if math.Abs(res.Mean[0]-n) > 1e-14*n || math.Abs(res.Cov.At(0, 0)-want) > 1e-13*n*n {
			t.Errorf("%+v: mean %v, variance %v, want %v", u, res.Mean[0], res.Cov.At(0, 0), want)
		}
		// The last one has 18 - 36 < 0 for a variance.
		if said := strings.Contains(res.Accuracy.Reason, "not positive semidefinite"); said != (want < 0) {
			t.Errorf("%+v: variance %v, reason %q", u, want, res.Accuracy.Reason)
		}
	}
}

func TestUnscentedParameters(t *testing.T) {
	f := fn{2, 1, func(dst, x []float64) { dst[0] = x[0] }}
	in := covprop.Gaussian{Mean: []float64{0, 0}, Cov: covprop.Diagonal{1, 1}}
	for _, u := range []Unscented{
		{Func: f, Beta: 1},
		{Func: f, Kappa: 1},
		{Func: f, Alpha: -1},
		{Func: f, Alpha: math.NaN()},
		{Func: f, Alpha: 1, Kappa: -2},
		{Func: f, Alpha: 1, Beta: math.Inf(1)},
		{Func: f, Alpha: 1e200},
	} {
		if _, err := u.Propagate(context.Background(), in); err == nil {
			t.Errorf("%+v: no error", u)
		}
	}
}

// Without uncertainty every method is the function itself.
func TestPointMass(t *testing.T) {
	f := fn{2, 2, func(dst, x []float64) { dst[0], dst[1] = math.Sin(x[0]), x[0]*x[1] }}
	zero, err := covprop.NewDense(2, make([]float64, 4))
	if err != nil {
		t.Fatal(err)
	}
	ps := deterministic(f)
	ps["monte carlo"] = MonteCarlo{Func: f, Samples: 1000}
	ps["antithetic"] = MonteCarlo{Func: f, Samples: 1000, Antithetic: true}
	for method, p := range ps {
		for _, cov := range []covprop.Covariance{zero, covprop.Diagonal{0, 0}} {
			res := propagate(t, p, covprop.Gaussian{Mean: []float64{1, 2}, Cov: cov})
			if res.Mean[0] != math.Sin(1) || res.Mean[1] != 2 || res.Cov.At(0, 0) != 0 || res.Cov.At(0, 1) != 0 || res.Cov.At(1, 1) != 0 {
				t.Errorf("%s: %v, %v", method, res.Mean, res.Cov)
			}
		}
	}
}
