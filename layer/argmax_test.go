package layer_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/ref"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/optest"
)

func newArgMax(t *testing.T, groups, n int, last bool) *layer.ArgMax {
	t.Helper()
	r, err := layer.NewArgMax(groups, n, last)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestArgMaxPairs: the position in a pair is a step function of a difference,
// so that quadrature gives its moments and the covariance of two of them; the
// series is good to 1e-9.
func TestArgMaxPairs(t *testing.T) {
	rule := newArgMax(t, 2, 2, false)
	f := newFactor(rand.New(rand.NewPCG(6, 1)), 4, 4, 1)
	c := f.cov()
	r, err := respond(rule, cut(f.mean, c, []int{4}, false), false, layer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	heaviside := func(x float64) float64 {
		if x > 0 {
			return 1
		}
		return 0
	}
	kink := []float64{0}
	diff := func(k, l int) float64 {
		a, b := 2*k, 2*l
		return get(c, a+1, b+1) - get(c, a+1, b) - get(c, a, b+1) + get(c, a, b)
	}
	m := []float64{f.mean[1] - f.mean[0], f.mean[3] - f.mean[2]}
	s := []float64{math.Sqrt(diff(0, 0)), math.Sqrt(diff(1, 1))}
	for k := range 2 {
		mean, v := ref.Mean(heaviside, m[k], s[k], kink), ref.Variance(heaviside, m[k], s[k], kink)
		if math.Abs(r.Mean[k]-mean) > 1e-12 || math.Abs(get(r.Cov, k, k)-v) > 1e-12 {
			t.Errorf("position %d: %v and variance %v, want %v and %v", k, r.Mean[k], get(r.Cov, k, k), mean, v)
		}
		slope := math.Exp(-m[k]*m[k]/s[k]/s[k]/2) / s[k] / math.Sqrt(2*math.Pi) // the density of d at 0
		if math.Abs(get(r.gain, k, 2*k+1)-slope) > 1e-12 || get(r.gain, k, 2*k) != -get(r.gain, k, 2*k+1) {
			t.Errorf("gain %d is %v, want %v", k, get(r.gain, k, 2*k+1), slope)
		}
	}
	want := ref.Covariance(heaviside, kink, heaviside, kink, m[0], s[0], m[1], s[1], diff(0, 1)/s[0]/s[1])
	if got := get(r.Cov, 0, 1); math.Abs(got-want) > 1e-9 {
		t.Errorf("covariance %v, want %v", got, want)
	}
	if r.acc.Status == covprop.Approximate || r.acc.Bound > 1e-9 {
		t.Errorf("accuracy %+v", r.acc)
	}
}

// TestArgMax compares with seeded Monte Carlo: each number within five standard
// errors of it and the estimate of the rule.
func TestArgMax(t *testing.T) {
	const samples = 200000
	for _, c := range []struct{ groups, n, rank int }{{1, 3, 3}, {2, 4, 8}, {1, 10, 10}, {1, 10, 2}, {1, 5, 1}} {
		rng := rand.New(rand.NewPCG(uint64(c.n), uint64(c.rank)))
		f := newFactor(rng, c.groups*c.n, c.rank, 1)
		rule := newArgMax(t, c.groups, c.n, c.rank == 2)
		r, err := respond(rule, cut(f.mean, f.cov(), []int{len(f.mean)}, false), false, layer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, fmt.Sprintf("%+v", c), rule, f, r, rng, samples)
		// The first order of the covariance between groups may leave half of it.
		if most := .1; r.acc.Bound > most && c.groups == 1 || r.acc.Bound > 1 {
			t.Errorf("%+v: accuracy %+v", c, r.acc)
		}
	}
}

// compare checks the moments of y and the covariances of (y, x) against Monte
// Carlo, with centred products and their standard errors.
func compare(t *testing.T, what string, rule layer.Rule, f factor, r *response, rng *rand.Rand, samples int) {
	t.Helper()
	m, n := len(r.Mean), len(f.mean)
	xcov := f.cov()
	want := zeros(m+n, m+n) // of (y, x)
	for i := range m {
		copy(want.Data[i*want.Stride:], r.Cov.Data[i*r.Cov.Stride:][:m])
		for j := range n {
			for k := range n {
				want.Data[i*want.Stride+m+j] += get(r.gain, i, k) * get(xcov, k, j)
			}
		}
	}
	variance := func(j int) float64 {
		if j < m {
			return get(r.Cov, j, j)
		}
		return get(xcov, j-m, j-m)
	}
	sum, sum2 := zeros(m, m+n+1), zeros(m, m+n+1)
	yx, z := make([]float64, m+n), normals(rng, f.root.Cols)
	for range samples {
		for k := range z {
			z[k] = rng.NormFloat64()
		}
		for i := range n {
			yx[m+i] = f.mean[i]
			for k, v := range z {
				yx[m+i] += get(f.root, i, k) * v
			}
		}
		rule.Forward(yx[:m], yx[m:])
		for i := range m {
			d := yx[i] - r.Mean[i]
			for j := range m + n + 1 {
				e := 1.
				if j < m {
					e = yx[j] - r.Mean[j]
				} else if j < m+n {
					e = yx[j] - f.mean[j-m]
				}
				sum.Data[i*sum.Stride+j] += d * e / float64(samples)
				sum2.Data[i*sum.Stride+j] += d * e * d * e / float64(samples)
			}
		}
	}
	for i := range m {
		for j := range m + n + 1 {
			value, scale := 0., math.Sqrt(get(r.Cov, i, i))
			if j < m+n {
				value = get(want, i, j)
				scale *= math.Sqrt(variance(j))
			}
			got := get(sum, i, j)
			se := math.Sqrt((get(sum2, i, j) - got*got) / float64(samples))
			if d := math.Abs(got - value); !(d <= 5*se+r.acc.Bound*scale) {
				t.Errorf("%s: moment (%d,%d) is %v, Monte Carlo %v +- %.2g, accuracy %+v", what, i, j, value, got, se, r.acc)
			}
		}
	}
}

// TestArgMaxCertain: ties go to the first or the last, nothing has a slope, and
// one certain winner among uncertain elements leaves no variance.
func TestArgMaxCertain(t *testing.T) {
	for _, last := range []bool{false, true} {
		for _, c := range []struct {
			x     []float64
			first float64
			final float64
		}{{[]float64{1, 3, 3, 2}, 1, 2}, {[]float64{5, 5}, 0, 1}, {[]float64{7}, 0, 0}, {[]float64{0, 1}, 1, 1}} {
			rule := newArgMax(t, 1, len(c.x), last)
			in := &layer.Joint{Mean: [][]float64{c.x}, Cov: [][]layer.Block{{{Diag: make([]float64, len(c.x))}}}}
			want := c.first
			if last {
				want = c.final
			}
			y := []float64{-1}
			rule.Forward(y, c.x)
			for _, diagonal := range []bool{false, true} {
				r, err := respond(rule, in, diagonal, layer.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if r.Mean[0] != want || y[0] != want || r.acc.Status != covprop.Exact {
					t.Errorf("%v, last %v: mean %v, forward %v, want %v, accuracy %+v", c.x, last, r.Mean[0], y[0], want, r.acc)
				}
				for _, g := range r.gain.Data {
					if g != 0 {
						t.Errorf("%v: gain %v", c.x, r.gain.Data)
					}
				}
			}
		}
	}
}

// TestArgMaxRare: a position that the points of the gain never meet is
// reported, its probability is right.
func TestArgMaxRare(t *testing.T) {
	c := blas64.General{Rows: 3, Cols: 3, Stride: 3, Data: []float64{1, 0, 0, 0, 1, 0, 0, 0, 1e-4}}
	r, err := respond(newArgMax(t, 1, 3, false), cut([]float64{20, 7, 0}, c, []int{3}, false), false, layer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := .5 * math.Erfc(13/math.Sqrt2/math.Sqrt2)
	if math.Abs(r.Mean[0]/p-1) > 1e-3 || r.acc.Bound < 1 {
		t.Errorf("mean %v, want %v, accuracy %+v", r.Mean[0], p, r.acc)
	}
}

func TestArgMaxLayer(t *testing.T) {
	for _, n := range []int{2, 3} {
		t.Run(fmt.Sprintf("n=%d", n), func(t *testing.T) { optest.TestLayer(t, newArgMax(t, 1, n, false), optest.LayerOptions{}) })
	}
}

func TestArgMaxRefuses(t *testing.T) {
	for _, c := range [][2]int{{0, 3}, {3, 0}} {
		if _, err := layer.NewArgMax(c[0], c[1], false); err == nil {
			t.Errorf("groups and n %v are accepted", c)
		}
	}
}
