package layer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/ref"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/optest"
)

func newNorm(t *testing.T, groups, n int, epsilon float64, center bool) *layer.Norm {
	t.Helper()
	r, err := layer.NewNorm(groups, n, epsilon, center)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// gridMoments returns the mean and the covariance of (y, x), y = rule(x), by the
// trapezoidal rule over the standard normal z of up to three dimensions, step
// 1/8 to 9 standard deviations. What is beyond weighs 1e-18. The error of the step
// is exp(-16 pi d) for functions analytic within d of the real axis: 1e-9 for the
// d > .42 of the cases below.
func gridMoments(rule layer.Rule, f factor) (mean []float64, cov blas64.General) {
	const steps, h = 72, 1. / 8
	m, n, rank := rule.OutputLen(), len(f.mean), f.root.Cols
	visit := func(do func(w float64, yx []float64)) {
		yx := make([]float64, m+n)
		index := make([]int, rank)
		for i := range index {
			index[i] = -steps
		}
		for {
			w, x := 1., yx[m:]
			copy(x, f.mean)
			for k, at := range index {
				z := h * float64(at)
				w *= h * math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
				for i := range x {
					x[i] += f.root.Data[i*rank+k] * z
				}
			}
			rule.Forward(yx[:m], x)
			do(w, yx)
			k := 0
			for ; k < rank; k++ {
				if index[k]++; index[k] <= steps {
					break
				}
				index[k] = -steps
			}
			if k == rank {
				return
			}
		}
	}
	mean = make([]float64, m+n)
	visit(func(w float64, yx []float64) {
		for i, v := range yx {
			mean[i] += w * v
		}
	})
	cov = blas64.General{Rows: m + n, Cols: m + n, Stride: m + n, Data: make([]float64, (m+n)*(m+n))}
	visit(func(w float64, yx []float64) {
		for i := range yx {
			for j := range yx {
				cov.Data[i*(m+n)+j] += w * (yx[i] - mean[i]) * (yx[j] - mean[j])
			}
		}
	})
	return mean, cov
}

// TestNormQuadrature compares means, covariances and, by Cov(y, x) = G Cov(x),
// gains with quadrature over x itself, which is good to 1e-9.
func TestNormQuadrature(t *testing.T) {
	const tol = 1e-9
	rng := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{2, 3} {
		for _, center := range []bool{false, true} {
			rule := newNorm(t, 1, n, .4, center)
			for _, rank := range []int{1, 2, n} {
				// d is sqrt(n epsilon) over the largest deviation of x.
				f := newFactor(rng, n, rank, .3)
				mean, cov := gridMoments(rule, f)
				sigma := f.cov()
				for _, diagonal := range []bool{false, true} {
					r, err := respond(rule, cut(f.mean, sigma, []int{n}, false), diagonal, layer.Options{})
					if err != nil {
						t.Fatal(err)
					}
					wantMoments(t, fmt.Sprintf("%s, n %d, rank %d", rule.Name(), n, rank), r, mean, cov, sigma, tol)
				}
			}
		}
	}
}

// TestNormLayers runs the conformance suite, with Monte Carlo, on single groups:
// between groups only the first term is taken.
func TestNormLayers(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7} {
		for _, center := range []bool{false, true} {
			for _, epsilon := range []float64{1e-5, .5} {
				rule := newNorm(t, 1, n, epsilon, center)
				t.Run(fmt.Sprintf("%s, n %d, epsilon %v", rule.Name(), n, epsilon), func(t *testing.T) {
					optest.TestLayer(t, rule, optest.LayerOptions{})
				})
			}
		}
	}
}

// TestNormBetweenGroups: groups of one element are functions of it alone,
// y = x/sqrt(x^2 + epsilon), so quadrature over pairs gives the covariances. What
// the first term leaves out must be within the bound, and the bound within ten
// times of that.
func TestNormBetweenGroups(t *testing.T) {
	const epsilon, rho = .3, .8
	rule := newNorm(t, 2, 1, epsilon, false)
	for _, sd := range []float64{.01, .1, 1} {
		mean, cov := []float64{.2, .5}, sd*sd*rho
		y := func(x float64) float64 { return x / math.Sqrt(x*x+epsilon) }
		want := ref.Covariance(y, nil, y, nil, mean[0], sd, mean[1], sd, rho)
		scale := math.Sqrt(ref.Variance(y, mean[0], sd, nil) * ref.Variance(y, mean[1], sd, nil))
		sigma := blas64.General{Rows: 2, Cols: 2, Stride: 2, Data: []float64{sd * sd, cov, cov, sd * sd}}
		r, err := respond(rule, cut(mean, sigma, []int{2}, false), false, layer.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		d := math.Abs(get(r.Cov, 0, 1)-want) / scale
		if !(d <= r.acc.Bound && r.acc.Bound <= 10*d) {
			t.Errorf("sd %v: off by %.3g, accuracy %+v", sd, d, r.acc)
		}
		if r.acc.Status != covprop.Certified {
			t.Errorf("sd %v: accuracy %+v", sd, r.acc)
		}
	}
}

// TestNormTwins: two groups that are the same have the covariance of one between
// them, which the integrals give to rounding. What the first term leaves out of
// it must be within the bound, although rounding makes the moments of the
// groups themselves, of elements of very different size, approximate.
func TestNormTwins(t *testing.T) {
	rule := newNorm(t, 2, 3, 1e-5, false)
	f := factor{
		mean: []float64{-.0013, .0019, .0003, -.0013, .0019, .0003},
		root: blas64.General{Rows: 6, Cols: 2, Stride: 2, Data: []float64{-2368, 995, -.21, .66, 2301, 425, -2368, 995, -.21, .66, 2301, 425}},
	}
	r, err := respond(rule, cut(f.mean, f.cov(), []int{6}, false), false, layer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.acc.Status != covprop.Approximate {
		t.Errorf("no rounding is left: %+v", r.acc)
	}
	worst := 0.
	for i := range 3 {
		for j := range 3 {
			scale := math.Sqrt(get(r.Cov, i, i) * get(r.Cov, j, j))
			worst = math.Max(worst, math.Abs(get(r.Cov, i, 3+j)-get(r.Cov, i, j))/scale)
		}
	}
	if !(worst > .1 && worst <= r.acc.Bound) {
		t.Errorf("off by %.3g, accuracy %+v", worst, r.acc)
	}
}

// TestNormIndependent: beside x_1 ~ N(.3, 1), the variance of a small independent
// x_2 ~ N(0, v) becomes v E[2/(x_1^2 + 2 epsilon)] to first order in v, however
// small that is: the next term is of the order v/epsilon = 1e-9.
func TestNormIndependent(t *testing.T) {
	const epsilon = 1e-3
	rule := newNorm(t, 1, 2, epsilon, false)
	want := ref.Mean(func(x float64) float64 { return 2 / (x*x + 2*epsilon) }, .3, 1, []float64{0})
	for _, v := range []float64{1e-12, 1e-20, 1e-100} {
		in := &layer.Joint{Mean: [][]float64{{.3, 0}}, Cov: [][]layer.Block{{{Diag: []float64{1, v}}}}}
		r, err := respond(rule, in, true, layer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(r.Variance[1]/v/want - 1); !(d <= 1e-8) || r.acc.Status != covprop.Certified {
			t.Errorf("v %v: variance %v, off by %.3g, accuracy %+v", v, r.Variance[1], d, r.acc)
		}
	}
}

// TestNormGroups: several independent groups, more than are worked on at once,
// give bit by bit what each gives alone; a diagonal covariance and threads make
// no difference.
func TestNormGroups(t *testing.T) {
	const groups, n = 11, 3
	rng := rand.New(rand.NewPCG(7, 8))
	rule, single := newNorm(t, groups, n, 1e-3, true), newNorm(t, 1, n, 1e-3, true)
	mean, v := make([]float64, groups*n), make([]float64, groups*n)
	for i := range mean {
		mean[i], v[i] = rng.NormFloat64(), rng.Float64()
	}
	in := &layer.Joint{Mean: [][]float64{mean}, Cov: [][]layer.Block{{{Diag: v}}}}
	all, err := respond(rule, in, false, layer.Options{Threads: 3})
	if err != nil {
		t.Fatal(err)
	}
	variances, err := respond(rule, in, true, layer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for g := range groups {
		dense := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
		for i := range n {
			dense.Data[i*n+i] = v[g*n+i]
		}
		one, err := respond(single, cut(mean[g*n:][:n], dense, []int{n}, false), false, layer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(one.Mean, all.Mean[g*n:][:n]) {
			t.Errorf("group %d: means differ", g)
		}
		for i := range n {
			r := g*n + i
			if get(one.Cov, i, i) != variances.Variance[r] {
				t.Errorf("variance %d differs", r)
			}
			for c := range groups * n {
				var cov, gain float64
				if c/n == g {
					cov, gain = get(one.Cov, i, c%n), get(one.gain, i, c%n)
				}
				if get(all.Cov, r, c) != cov || get(all.gain, r, c) != gain {
					t.Errorf("covariance or gain (%d,%d) differs", r, c)
				}
			}
		}
	}
}

// TestSign: a group of one element with epsilon 0 is the sign of it: P = P(x > 0),
// E y = 2 P - 1, Var y = 4 P (1 - P), E dy/dx twice the density at 0.
func TestSign(t *testing.T) {
	rule := newNorm(t, 1, 1, 0, false)
	for _, mu := range []float64{0, .5, -2, -9, -40} {
		const sd = 1.5
		in := &layer.Joint{Mean: [][]float64{{mu}}, Cov: [][]layer.Block{{{Diag: []float64{sd * sd}}}}}
		r, err := respond(rule, in, false, layer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, q := math.Erfc(-mu/sd/math.Sqrt2)/2, math.Erfc(mu/sd/math.Sqrt2)/2
		density := math.Exp(-mu*mu/(2*sd*sd)) / sd / math.Sqrt(2*math.Pi)
		for what, x := range map[string][2]float64{
			"mean":     {r.Mean[0], p - q},
			"variance": {get(r.Cov, 0, 0), 4 * p * q},
			"gain":     {get(r.gain, 0, 0), 2 * density},
		} {
			// Sums of a thousand terms; those of a mean are of order one.
			scale := math.Abs(x[1])
			if what == "mean" {
				scale = 1
			}
			if !(math.Abs(x[0]-x[1]) <= 1e-13*scale) {
				t.Errorf("mean %v: %s %v, want %v", mu, what, x[0], x[1])
			}
		}
	}
}

// TestNormRefuses: what cannot be is an error that says why, and a cancelled
// context ends a run.
func TestNormRefuses(t *testing.T) {
	for _, c := range []struct {
		groups, n int
		epsilon   float64
		center    bool
	}{{0, 2, 0, false}, {1, 0, 0, false}, {1, 2, -1, false}, {1, 2, math.NaN(), false}, {1, 2, math.Inf(1), false}, {1, 1, 0, true}} {
		if _, err := layer.NewNorm(c.groups, c.n, c.epsilon, c.center); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	at := func(x float64) *layer.Joint {
		return &layer.Joint{Mean: [][]float64{{1, 2, x, x}}, Cov: [][]layer.Block{{{Diag: make([]float64, 4)}}}}
	}
	if _, err := respond(newNorm(t, 2, 2, 0, true), at(1), false, layer.Options{}); err == nil {
		t.Error("a constant centred group with epsilon 0 is accepted")
	}
	if r, err := respond(newNorm(t, 2, 2, 1e-5, true), at(1), false, layer.Options{}); err != nil || r.Mean[2] != 0 {
		t.Errorf("a constant centred group with epsilon 1e-5: %v", err)
	}
	if _, err := respond(newNorm(t, 2, 2, 0, false), at(1e200), false, layer.Options{}); err == nil {
		t.Error("an overflow is accepted")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	rule := newNorm(t, 2, 2, 1, false)
	r := layer.Response{Mean: make([]float64, 4), Variance: make([]float64, 4), Work: make([]float64, rule.WorkFloats(true))}
	if _, err := rule.MomentsTo(ctx, &r, at(1), layer.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gives %v", err)
	}
}

// TestNormFloor: the chance that a vector is shorter than the floor is stated,
// and is at least the true one, which for n = 2 and equal variances is
// 1 - exp(-f^2/2v) at a zero mean.
func TestNormFloor(t *testing.T) {
	norm, err := layer.NewNorm(1, 2, 1e-40, false)
	if err != nil {
		t.Fatal(err)
	}
	r := norm.WithGuard(1e-3, 0)
	moments := func(m, v float64) covprop.Accuracy {
		in := &layer.Joint{Mean: [][]float64{{m, 0}}, Cov: [][]layer.Block{{{Diag: []float64{v, v}}}}}
		dst := &layer.Response{Mean: make([]float64, 2), Variance: make([]float64, 2), Work: make([]float64, r.WorkFloats(true))}
		acc, err := r.MomentsTo(context.Background(), dst, in, layer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return acc
	}
	f2 := 2e-6 // the floor is one of the root mean square
	if acc, p := moments(0, 1e-4), -math.Expm1(-f2/2e-4); acc.Status != covprop.Approximate || acc.Bound < p {
		t.Errorf("the accuracy is %+v, but the chance is %v", acc, p)
	}
	if acc := moments(1, 1e-4); acc.Status == covprop.Approximate {
		t.Errorf("a vector that is never short has the accuracy %+v", acc)
	}
	if acc := moments(0, 0); acc.Status == covprop.Approximate {
		t.Errorf("zero has the accuracy %+v", acc)
	}
}

// TestNormAdded: where the function adds a number to the root the error is
// stated, and is at least the true one, which linearly is that of the value at
// the mean.
func TestNormAdded(t *testing.T) {
	const added, v = 1e-6, 1e-4
	for _, center := range []bool{false, true} {
		norm, err := layer.NewNorm(1, 3, added*added, center)
		if err != nil {
			t.Fatal(err)
		}
		r, mean := norm.WithGuard(0, added), []float64{1, -2, .5}
		in := &layer.Joint{Mean: [][]float64{mean}, Cov: [][]layer.Block{{{Diag: []float64{v, v, v}}}}}
		dst := &layer.Response{Mean: make([]float64, 3), Variance: make([]float64, 3), Work: make([]float64, r.WorkFloats(true))}
		acc, err := r.MomentsTo(context.Background(), dst, in, layer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		y, sum, square := make([]float64, 3), 0., 0.
		r.Forward(y, mean)
		for _, x := range mean {
			sum += x / 3
			square += x * x / 3
		}
		if center {
			square -= sum * sum
		}
		for i := range y {
			e := math.Abs(y[i]) * added / math.Sqrt(square) / math.Sqrt(dst.Variance[i])
			if acc.Status != covprop.Approximate || acc.Bound < .99*e || acc.Bound > 1e-2 {
				t.Errorf("center %v: the accuracy is %+v, the error of element %d %v", center, acc, i, e)
			}
		}
	}
}

// TestNormFloorCentred: the floor counts for centred groups, too.
func TestNormFloorCentred(t *testing.T) {
	norm, err := layer.NewNorm(1, 3, 1e-40, true)
	if err != nil {
		t.Fatal(err)
	}
	r := norm.WithGuard(1e-3, 0)
	in := &layer.Joint{Mean: [][]float64{{5, 5, 5}}, Cov: [][]layer.Block{{{Diag: []float64{1e-6, 1e-6, 1e-6}}}}}
	dst := &layer.Response{Mean: make([]float64, 3), Variance: make([]float64, 3), Work: make([]float64, r.WorkFloats(true))}
	acc, err := r.MomentsTo(context.Background(), dst, in, layer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if acc.Status != covprop.Approximate || acc.Bound < .1 {
		t.Errorf("a group that hardly varies has the accuracy %+v", acc)
	}
}
