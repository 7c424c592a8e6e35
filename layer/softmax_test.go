package layer_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/optest"
)

func newSoftmax(t *testing.T, groups, n int, log bool) *layer.Softmax {
	t.Helper()
	s, err := layer.NewSoftmax(groups, n, log)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// planeMoments returns the mean of y = rule(x) and the covariances of (y, x)
// for x = mean + root z, z of one or two dimensions, by the trapezoidal rule in
// z with step .1 up to |z| = 12. For functions analytic in a strip of width d
// its error is exp(-2 pi d/.1).
func planeMoments(rule layer.Rule, f factor) (mean []float64, cov blas64.General) {
	const h, reach = .1, 120
	m, n, rank := rule.OutputLen(), len(f.mean), f.root.Cols
	visit := func(do func(w float64, yx []float64)) {
		yx := make([]float64, m+n)
		second := reach
		if rank == 1 {
			second = 0
		}
		for a := -reach; a <= reach; a++ {
			for b := -second; b <= second; b++ {
				z := []float64{h * float64(a), h * float64(b)}
				w := h / math.Sqrt(2*math.Pi) * math.Exp(-z[0]*z[0]/2)
				if rank == 2 {
					w *= h / math.Sqrt(2*math.Pi) * math.Exp(-z[1]*z[1]/2)
				}
				if w < 1e-25 {
					continue
				}
				for i := range n {
					yx[m+i] = f.mean[i]
					for k := range rank {
						yx[m+i] += f.root.Data[i*rank+k] * z[k]
					}
				}
				rule.Forward(yx[:m], yx[m:])
				do(w, yx)
			}
		}
	}
	base := make([]float64, m+n)
	rule.Forward(base[:m], f.mean)
	copy(base[m:], f.mean)
	mean = make([]float64, m+n)
	cov = zeros(m+n, m+n)
	visit(func(w float64, yx []float64) {
		for i, v := range yx {
			mean[i] += w * (v - base[i])
			for j := range i + 1 {
				cov.Data[i*(m+n)+j] += w * (v - base[i]) * (yx[j] - base[j])
			}
		}
	})
	for i := range mean {
		for j := range i + 1 {
			c := cov.Data[i*(m+n)+j] - mean[i]*mean[j]
			cov.Data[i*(m+n)+j], cov.Data[j*(m+n)+i] = c, c
		}
	}
	for i, b := range base {
		mean[i] += b
	}
	return mean, cov
}

// worstError returns the largest error of r in units of the standard
// deviations: of means, covariances and covariances with x.
func worstError(r *response, mean []float64, cov, xcov blas64.General) (worst float64) {
	m := len(r.Mean)
	sd := func(i int) float64 { return math.Sqrt(get(cov, i, i)) }
	for i := range m {
		worst = math.Max(worst, math.Abs(r.Mean[i]-mean[i])/sd(i))
		for j := range m {
			worst = math.Max(worst, math.Abs(get(r.Cov, i, j)-get(cov, i, j))/(sd(i)*sd(j)))
		}
		for j := range xcov.Rows {
			got := 0.
			for k := range xcov.Rows {
				got += get(r.gain, i, k) * get(xcov, k, j)
			}
			worst = math.Max(worst, math.Abs(got-get(cov, i, m+j))/(sd(i)*sd(m+j)))
		}
	}
	return worst // NaN stays
}

// TestSoftmax compares with quadrature over the plane, from the smallest
// variances, where the Taylor series serves, to the largest: the error must be
// within the estimate, and the estimate not idle. The quadrature is good to
// 1e-13 of E y^2, so that at standard deviations of 1e-6 means have 1e-9 and
// variances 1e-7.
func TestSoftmax(t *testing.T) {
	for _, log := range []bool{false, true} {
		for _, n := range []int{3, 10} {
			for _, logits := range []float64{.1, 1, 5} {
				for scale, most := range map[float64]float64{1e-6: 1e-12, 1e-3: 1e-6, .03: .02, .1: .2, 1: .5, 3: .5} {
					for rank := 1; rank <= 2; rank++ {
						f := newFactor(rand.New(rand.NewPCG(uint64(n), 7)), n, rank, scale)
						for i := range f.mean {
							f.mean[i] *= logits
						}
						rule := newSoftmax(t, 1, n, log)
						mean, cov := planeMoments(rule, f)
						c := f.cov()
						r, err := respond(rule, cut(f.mean, c, []int{n}, false), false, layer.Options{Threads: 2})
						if err != nil {
							t.Fatal(err)
						}
						what := fmt.Sprintf("log %v, n %d, logits %v, scale %v, rank %d", log, n, logits, scale, rank)
						if e := worstError(r, mean, cov, c); !(e <= r.acc.Bound+1e-13/scale) {
							t.Errorf("%s: error %.3g, accuracy %+v", what, e, r.acc)
						}
						// Rare events decide small classes of widely spread logits.
						if r.acc.Bound > most && logits < 5 || r.acc.Status != covprop.Approximate {
							t.Errorf("%s: accuracy %+v", what, r.acc)
						}
					}
				}
			}
		}
	}
}

// TestSoftmaxRare: what quasi-Monte Carlo cannot see, it says. Here E p_1^2 =
// p_1^2 e^{2v} comes from where x_1 is ten standard deviations up.
func TestSoftmaxRare(t *testing.T) {
	f := factor{mean: []float64{0, 0, -60}, root: blas64.General{Rows: 3, Cols: 2, Stride: 2, Data: []float64{.3, 0, -.3, 0, 0, 5}}}
	r, err := respond(newSoftmax(t, 1, 3, false), cut(f.mean, f.cov(), []int{3}, false), false, layer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.acc.Bound < 1 {
		t.Errorf("accuracy %+v", r.acc)
	}
}

// TestSoftmaxPeaked: with p_0 = 1 - 3e-11 its standard deviation is p_1 p_0
// times that of x_0 - x_1, small against the rounding of p_0, but accurate; the
// second order adds 1e-8.
func TestSoftmaxPeaked(t *testing.T) {
	const sigma = 1e-4
	rule := newSoftmax(t, 1, 3, false)
	c := zeros(3, 3)
	for i := range 3 {
		for j := range 3 {
			c.Data[3*i+j] = 1e-10 // shared by all
		}
		c.Data[4*i] += sigma * sigma
	}
	r, err := respond(rule, cut([]float64{25, 0, -1}, c, []int{3}, false), false, layer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := []float64{0, math.Exp(-25) / (1 + math.Exp(-25) + math.Exp(-26)), math.Exp(-26) / (1 + math.Exp(-25) + math.Exp(-26))}
	sum := p[1] + p[2]
	want := sigma * sigma * (1 - sum) * (1 - sum) * (sum*sum + p[1]*p[1] + p[2]*p[2])
	if got := r.Cov.Data[0]; math.Abs(got/want-1) > 1e-7 {
		t.Errorf("variance %v, want %v", got, want)
	}
}

// TestSoftmaxPairs compares groups of two with quadrature of the function of
// one difference, to the 1e-9 that elementwise rules promise; the covariance
// between groups included.
func TestSoftmaxPairs(t *testing.T) {
	for _, log := range []bool{false, true} {
		rule := newSoftmax(t, 2, 2, log)
		for _, scale := range []float64{1e-3, 1, 4} {
			f := newFactor(rand.New(rand.NewPCG(9, 1)), 4, 2, scale)
			mean, cov := planeMoments(rule, f)
			c := f.cov()
			r, err := respond(rule, cut(f.mean, c, []int{4}, false), false, layer.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			if e := worstError(r, mean, cov, c); !(e <= r.acc.Bound+1e-12/scale) || r.acc.Bound > 3e-9 {
				t.Errorf("log %v, scale %v: error %.3g, accuracy %+v", log, scale, e, r.acc)
			}
		}
	}
}

// TestSoftmaxGroups: several groups with the covariances between them, within
// the bound on what the first order leaves.
func TestSoftmaxGroups(t *testing.T) {
	for _, log := range []bool{false, true} {
		rule := newSoftmax(t, 3, 4, log)
		for _, scale := range []float64{.01, .3, 1} {
			f := newFactor(rand.New(rand.NewPCG(11, 1)), 12, 2, scale)
			mean, cov := planeMoments(rule, f)
			c := f.cov()
			r, err := respond(rule, cut(f.mean, c, []int{12}, false), false, layer.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			if e := worstError(r, mean, cov, c); !(e <= r.acc.Bound) || r.acc.Bound > 1 {
				t.Errorf("log %v, scale %v: error %.3g, accuracy %+v", log, scale, e, r.acc)
			}
		}
	}
}

// TestSoftmaxDiagonal: the variances of independent elements are those that
// come with all covariances; and a hundred classes agree with Monte Carlo.
func TestSoftmaxDiagonal(t *testing.T) {
	for _, n := range []int{1, 2, 3, 100} {
		for _, log := range []bool{false, true} {
			rule := newSoftmax(t, 2, n, log)
			rng := rand.New(rand.NewPCG(uint64(n), 3))
			in := &layer.Joint{Mean: [][]float64{normals(rng, 2*n)}, Cov: [][]layer.Block{{{Diag: make([]float64, 2*n)}}}}
			for i := range n { // the second group is certain
				in.Cov[0][0].Diag[i] = .5 + rng.Float64()
			}
			full, err := respond(rule, in, false, layer.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			r, err := respond(rule, in, true, layer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range r.Variance {
				// A variance by quadrature, for n = 2, need not take the same nodes.
				if math.Abs(r.Mean[i]-full.Mean[i]) > 1e-14 || math.Abs(v-get(full.Cov, i, i)) > 1e-14*v {
					t.Errorf("n %d, element %d: mean %v and %v, variance %v and %v", n, i, r.Mean[i], full.Mean[i], v, get(full.Cov, i, i))
				}
			}
			const samples = 100000
			x, y := make([]float64, 2*n), make([]float64, 2*n)
			sum, sum2, sum4 := make([]float64, n), make([]float64, n), make([]float64, n)
			for range samples {
				for i := range x {
					x[i] = in.Mean[0][i] + math.Sqrt(in.Cov[0][0].Diag[i])*rng.NormFloat64()
				}
				rule.Forward(y, x)
				for i := range n {
					d := y[i] - r.Mean[i]
					sum[i] += d / samples
					sum2[i] += d * d / samples
					sum4[i] += d * d * d * d / samples
				}
			}
			for i := range n {
				sd := math.Sqrt(r.Variance[i])
				if e := math.Abs(sum[i]); !(e <= sd*(5/math.Sqrt(samples)+r.acc.Bound)) {
					t.Errorf("n %d, mean %d is off by %.2g standard deviations, accuracy %+v", n, i, e/sd, r.acc)
				}
				se := math.Sqrt((sum4[i] - sum2[i]*sum2[i]) / samples)
				if e := math.Abs(sum2[i] - r.Variance[i]); !(e <= 5*se+r.acc.Bound*r.Variance[i]) {
					t.Errorf("n %d, variance %d is %v, Monte Carlo %v +- %.2g, accuracy %+v", n, i, r.Variance[i], sum2[i], se, r.acc)
				}
			}
		}
	}
}

// TestSoftmaxCertain: the value and the Jacobian diag(p) - p p', or I - 1 p',
// of large logits and of masked ones.
func TestSoftmaxCertain(t *testing.T) {
	for _, x := range [][]float64{{1, 2, 3}, {1e4, 1e4 + 1, -1e4}, {0, -1e30, .5}, {700, -700}, {5}} {
		for _, log := range []bool{false, true} {
			n := len(x)
			rule := newSoftmax(t, 1, n, log)
			in := &layer.Joint{Mean: [][]float64{x}, Cov: [][]layer.Block{{{Diag: make([]float64, n)}}}}
			r, err := respond(rule, in, false, layer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			y, p := make([]float64, n), make([]float64, n)
			rule.Forward(y, x)
			newSoftmax(t, 1, n, false).Forward(p, x)
			for i := range n {
				if e := math.Abs(r.Mean[i] - y[i]); !(e <= 1e-15*math.Abs(y[i])) {
					t.Errorf("%v, log %v: mean %d is %v, want %v", x, log, i, r.Mean[i], y[i])
				}
				for j := range n {
					want := -p[j]
					if !log {
						want *= p[i]
					}
					if i == j {
						want += p[i]
						if log {
							want += 1 - p[i]
						}
					}
					if e := math.Abs(get(r.gain, i, j) - want); !(e <= 1e-15) {
						t.Errorf("%v, log %v: gain (%d,%d) is %v, want %v", x, log, i, j, get(r.gain, i, j), want)
					}
				}
			}
			if r.acc.Status != covprop.Exact && n > 2 {
				t.Errorf("%v: accuracy %+v", x, r.acc)
			}
		}
	}
}

// TestSoftmaxForward: log softmax keeps its relative accuracy next to 0.
func TestSoftmaxForward(t *testing.T) {
	y := make([]float64, 3)
	newSoftmax(t, 1, 3, true).Forward(y, []float64{40, 0, -1000})
	if want := -math.Exp(-40); math.Abs(y[0]/want-1) > 1e-15 || y[1] != -40 || y[2] != -1040 {
		t.Errorf("log softmax %v", y)
	}
	newSoftmax(t, 1, 3, false).Forward(y, []float64{1e300, 0, -1e300})
	if y[0] != 1 || y[1] != 0 || y[2] != 0 {
		t.Errorf("softmax %v", y)
	}
}

func TestSoftmaxLayers(t *testing.T) {
	for _, log := range []bool{false, true} {
		for _, n := range []int{2, 3} {
			t.Run(fmt.Sprintf("n=%d log=%v", n, log), func(t *testing.T) {
				optest.TestLayer(t, newSoftmax(t, 1, n, log), optest.LayerOptions{Scale: .5})
			})
		}
	}
}

func TestSoftmaxRefuses(t *testing.T) {
	for _, c := range [][2]int{{0, 3}, {3, 0}} {
		if _, err := layer.NewSoftmax(c[0], c[1], false); err == nil {
			t.Errorf("groups and n %v are accepted", c)
		}
	}
}

// TestSoftmaxOfCopies: elements that are one and the same, up to the rounding of
// a covariance with entries of about 1, have a constant softmax: what is left is
// rounding, never an error or a negative variance.
func TestSoftmaxOfCopies(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{3, 4, 8} {
		for _, log := range []bool{false, true} {
			for range 200 {
				scale := 1 + rng.Float64()
				cov := mat.NewSymDense(n, nil)
				for i := range n {
					for j := range i + 1 {
						cov.SetSym(i, j, scale*(1+float64(rng.IntN(5)-2)*0x1p-52))
					}
				}
				in := &layer.Joint{
					Mean: [][]float64{make([]float64, n)},
					Cov:  [][]layer.Block{{{Dense: blas64.General{Rows: n, Cols: n, Stride: n, Data: mat.DenseCopyOf(cov).RawMatrix().Data}}}},
				}
				r := newSoftmax(t, 1, n, log)
				dst := &layer.Response{
					Mean: make([]float64, n), Cov: blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)},
					Gain: make([]layer.Gain, 1), Work: make([]float64, r.WorkFloats(false)),
				}
				if _, err := r.MomentsTo(context.Background(), dst, in, layer.Options{}); err != nil {
					t.Fatal(err)
				}
				want := 1 / float64(n)
				if log {
					want = math.Log(want)
				}
				for i := range n {
					v := dst.Cov.Data[i*n+i]
					if !(v >= 0 && v <= 1e-14*scale) || !(math.Abs(dst.Mean[i]-want) <= 1e-14*float64(n)) {
						t.Fatalf("n=%d log=%v: mean %d is %v, want %v, and the variance %v", n, log, i, dst.Mean[i], want, v)
					}
				}
			}
		}
	}
}
