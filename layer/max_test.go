package layer_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/ref"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/optest"
)

func newMax(t *testing.T, pairs [][2]int, in int) *layer.Max {
	t.Helper()
	m, err := layer.NewMax(pairs, in)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// absMoments returns the mean of y and the covariances of (y, x) for the
// maxima y_k = (s_k + |d_k|)/2, s_k = x_i + x_j, d_k = x_i - x_j: the moments
// of |d| by quadrature, those of s with |d| by E sign(d) = 2 Phi - 1 (Stein).
func absMoments(pairs [][2]int, mu []float64, c blas64.General) (mean []float64, cov blas64.General) {
	m, n := len(pairs), len(mu)
	mean = append(make([]float64, m), mu...)
	cov = zeros(m+n, m+n)
	set := func(i, j int, v float64) { cov.Data[i*cov.Stride+j], cov.Data[j*cov.Stride+i] = v, v }
	kink := []float64{0}
	abs := func(k int) (mean, sd, sign float64) {
		i, j := pairs[k][0], pairs[k][1]
		d := mu[i] - mu[j]
		sd = math.Sqrt(math.Max(0, get(c, i, i)+get(c, j, j)-2*get(c, i, j)))
		if sd > 0 {
			return d, sd, math.Erf(d / sd / math.Sqrt2)
		}
		if d != 0 {
			sign = math.Copysign(1, d)
		}
		return d, sd, sign
	}
	// bi returns Cov(x_i1 + p x_j1, x_i2 + q x_j2).
	bi := func(k int, p float64, l int, q float64) float64 {
		i, j, r, s := pairs[k][0], pairs[k][1], pairs[l][0], pairs[l][1]
		return get(c, i, r) + p*get(c, j, r) + q*get(c, i, s) + p*q*get(c, j, s)
	}
	for k, p := range pairs {
		dk, sk, gk := abs(k)
		mean[k] = (mu[p[0]] + mu[p[1]] + ref.Mean(math.Abs, dk, sk, kink)) / 2
		for j := range n {
			set(k, m+j, (get(c, p[0], j)+get(c, p[1], j)+gk*(get(c, p[0], j)-get(c, p[1], j)))/2)
		}
		for l := range k + 1 {
			dl, sl, gl := abs(l)
			both := 0.
			switch {
			case k == l:
				both = ref.Variance(math.Abs, dk, sk, kink)
			case sk > 0 && sl > 0:
				rho := math.Max(-1, math.Min(1, bi(k, -1, l, -1)/sk/sl))
				both = ref.Covariance(math.Abs, kink, math.Abs, kink, dk, sk, dl, sl, rho)
			}
			set(k, l, (bi(k, 1, l, 1)+gl*bi(k, 1, l, -1)+gk*bi(k, -1, l, 1)+both)/4)
		}
	}
	for i := range n {
		for j := range n {
			set(m+i, m+j, get(c, i, j))
		}
	}
	return mean, cov
}

// TestMax compares with quadrature of another form of the maximum, for random
// covariances of any rank, with an element compared with itself. The series is
// good to 1e-9 of the standard deviations of relu(d), which are at most twice
// those of y; the quadrature of low-rank cases, where correlations are 1 but
// for rounding, to 1e-8.
func TestMax(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	pairs := [][2]int{{0, 1}, {2, 3}, {1, 3}, {4, 4}, {5, 0}}
	rule := newMax(t, pairs, 6)
	for _, rank := range []int{6, 2, 1} {
		for _, scale := range []float64{1, .1, 1e-6} {
			f := newFactor(rng, 6, rank, scale)
			c := f.cov()
			mean, cov := absMoments(pairs, f.mean, c)
			for _, diagonal := range []bool{false, true} {
				if diagonal { // independent elements
					for i := range 6 {
						for j := range 6 {
							if i != j {
								c.Data[6*i+j] = 0
							}
						}
					}
					mean, cov = absMoments(pairs, f.mean, c)
				}
				r, err := respond(rule, cut(f.mean, c, []int{6}, false), diagonal, layer.Options{Threads: 2})
				if err != nil {
					t.Fatal(err)
				}
				if r.acc.Status == covprop.Approximate || r.acc.Bound > 1e-8 {
					t.Errorf("rank %d, scale %v: accuracy %+v", rank, scale, r.acc)
				}
				wantMoments(t, "max", r, mean[:len(pairs)], cov, c, 1e-8)
			}
		}
	}
}

// TestMaxTail: with a certain larger element b, max(s, b) - b is a relu far in
// its tail, and its variance keeps its relative accuracy: 1e-11 is that of the
// quadrature there.
func TestMaxTail(t *testing.T) {
	relu := func(x float64) float64 { return max(x, 0) }
	for _, a := range []float64{1, 5, 12, 25} {
		for _, pair := range [][2]int{{0, 1}, {1, 0}} {
			rule := newMax(t, [][2]int{pair}, 2)
			for _, diagonal := range []bool{false, true} {
				c := blas64.General{Rows: 2, Cols: 2, Stride: 2, Data: []float64{.25, 0, 0, 0}}
				r, err := respond(rule, cut([]float64{-.5 * a, 0}, c, []int{2}, false), diagonal, layer.Options{})
				if err != nil {
					t.Fatal(err)
				}
				got := r.Variance
				if !diagonal {
					got = r.Cov.Data
				}
				want := ref.Variance(relu, -.5*a, .5, []float64{0})
				if math.Abs(got[0]/want-1) > 1e-11 {
					t.Errorf("%v standard deviations below, diagonal %v: variance %v, want %v", a, diagonal, got[0], want)
				}
			}
		}
	}
}

// TestMaxDecided: where one element wins by 30 standard deviations, the
// maximum has its moments to rounding.
func TestMaxDecided(t *testing.T) {
	f := newFactor(rand.New(rand.NewPCG(5, 1)), 4, 4, 1)
	c := f.cov()
	copy(f.mean, []float64{0, 100, 300, -100})
	r, err := respond(newMax(t, [][2]int{{0, 1}, {2, 3}}, 4), cut(f.mean, c, []int{4}, false), false, layer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for k, win := range []int{1, 2} {
		for l, other := range []int{1, 2} {
			if want := get(c, win, other); math.Abs(get(r.Cov, k, l)/want-1) > 1e-15 {
				t.Errorf("covariance (%d,%d) is %v, want %v", k, l, get(r.Cov, k, l), want)
			}
		}
		if r.Mean[k] != f.mean[win] {
			t.Errorf("mean %d is %v, want %v", k, r.Mean[k], f.mean[win])
		}
	}
}

// TestMaxCertain: values and slopes without a covariance, half each at a tie;
// perfectly correlated elements with equal means count as certain.
func TestMaxCertain(t *testing.T) {
	rule := newMax(t, [][2]int{{0, 1}, {1, 2}, {2, 2}}, 3)
	for _, v := range []float64{0, 4} {
		c := blas64.General{Rows: 3, Cols: 3, Stride: 3, Data: []float64{v, v, v, v, v, v, v, v, v}}
		r, err := respond(rule, cut([]float64{1, 2, 2}, c, []int{3}, false), false, layer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		gain := []float64{0, 1, 0, 0, .5, .5, 0, 0, 1}
		for i, g := range gain {
			if r.gain.Data[i] != g || r.Cov.Data[i] != v {
				t.Errorf("variance %v: gain %v, covariance %v", v, r.gain.Data, r.Cov.Data)
				break
			}
		}
		for k, m := range r.Mean {
			if m != 2 {
				t.Errorf("variance %v: mean %d is %v", v, k, m)
			}
		}
		if r.acc.Status != covprop.Exact {
			t.Errorf("variance %v: accuracy %+v", v, r.acc)
		}
	}
}

func TestMaxLayer(t *testing.T) {
	optest.TestLayer(t, newMax(t, [][2]int{{0, 3}, {1, 2}, {2, 2}, {3, 1}}, 4), optest.LayerOptions{})
}

// TestIndefinite: a covariance that is none is reported with its size, by every
// rule of differences: -2% of the variances here, so the variance of the
// difference is taken as 0.
func TestIndefinite(t *testing.T) {
	sigma := blas64.General{Rows: 2, Cols: 2, Stride: 2, Data: []float64{1, 1.02, 1.02, 1}}
	softmax, err := layer.NewSoftmax(1, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []layer.Nonlinear{newMax(t, [][2]int{{0, 1}}, 2), softmax, newArgMax(t, 1, 2, false)} {
		for _, diagonal := range []bool{false, true} {
			r, err := respond(rule, cut([]float64{.3, .1}, sigma, []int{2}, false), diagonal, layer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if r.acc.Status != covprop.Approximate || !(r.acc.Bound >= .019) {
				t.Errorf("%s: accuracy %+v", rule.Name(), r.acc)
			}
		}
	}
}

func TestMaxRefuses(t *testing.T) {
	for name, pairs := range map[string][][2]int{"no pairs": nil, "past the end": {{0, 3}}, "negative": {{-1, 0}}} {
		if _, err := layer.NewMax(pairs, 3); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestMaxOfTwins: the maximum of two elements that are one up to rounding of
// their covariance has the mean of either; what the rounding of the variance of
// their difference may add to it, sqrt(h)/sqrt(2 pi), is stated.
func TestMaxOfTwins(t *testing.T) {
	r := newMax(t, [][2]int{{0, 1}}, 2)
	for _, below := range []float64{1, 2, 3} {
		cov := []float64{1.5, 1.5 - below*0x1p-52, 1.5 - below*0x1p-52, 1.5}
		in := &layer.Joint{
			Mean: [][]float64{{.5, .5}},
			Cov:  [][]layer.Block{{{Dense: blas64.General{Rows: 2, Cols: 2, Stride: 2, Data: cov}}}},
		}
		dst := &layer.Response{Mean: make([]float64, 1), Cov: blas64.General{Rows: 1, Cols: 1, Stride: 1, Data: make([]float64, 1)}, Work: make([]float64, r.WorkFloats(false))}
		acc, err := r.MomentsTo(context.Background(), dst, in, layer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if off := math.Abs(dst.Mean[0]-.5) / math.Sqrt(1.5); !(off <= acc.Bound && acc.Bound <= 1e-7) || acc.Status != covprop.Certified {
			t.Errorf("the mean is off by %v standard deviations, the accuracy %+v", off, acc)
		}
	}
	// Elements that differ have no such error.
	in := &layer.Joint{
		Mean: [][]float64{{.5, .5}},
		Cov:  [][]layer.Block{{{Dense: blas64.General{Rows: 2, Cols: 2, Stride: 2, Data: []float64{1, .5, .5, 1}}}}},
	}
	dst := &layer.Response{Mean: make([]float64, 1), Cov: blas64.General{Rows: 1, Cols: 1, Stride: 1, Data: make([]float64, 1)}}
	if acc, err := r.MomentsTo(context.Background(), dst, in, layer.Options{}); err != nil || acc.Bound > 1e-12 {
		t.Errorf("the accuracy is %+v (%v)", acc, err)
	}
}
