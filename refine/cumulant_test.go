package refine

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
)

// TestContract compares the third cumulants behind an affine map with the
// plain sums, for maps that widen and narrow.
func TestContract(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range [][2]int{{1, 1}, {5, 3}, {3, 7}, {17, 17}} {
		m, n := c[0], c[1]
		a, k := randomMatrix(rng, m, n), packed{n: n, data: make([]float64, n*pairs(n))}
		for i := range n {
			for j := range i + 1 {
				for l := range j + 1 {
					k.slab(i)[pair(j, l)] = rng.NormFloat64()
				}
			}
		}
		if err := k.symmetrize(t.Context()); err != nil {
			t.Fatal(err)
		}
		plain := func(x, y, z []float64) (s, size float64) {
			for i := range n {
				for j := range n {
					for l := range n {
						p := []int{i, j, l}
						sortDown(p)
						v := x[i] * y[j] * z[l] * k.at(p[0], p[1], p[2])
						s, size = s+v, size+math.Abs(v)
					}
				}
			}
			return s, size
		}
		type entry struct{ want, size float64 }
		want := make(map[[3]int]entry)
		for x := range m {
			for y := range m {
				for z := range m {
					s, size := plain(row(a, x), row(a, y), row(a, z))
					want[[3]int{x, y, z}] = entry{s, size}
				}
			}
		}
		got, err := (&cumulantRun{ctx: t.Context(), threads: 2}).contract(a, k)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			// Rounding of n^3 terms, generously.
			if d := math.Abs(got.at(i[0], i[1], i[2]) - w.want); d > 1e-14*w.size {
				t.Errorf("%d x %d: entry %v is %v, want %v", m, n, i, got.at(i[0], i[1], i[2]), w.want)
			}
		}
	}
}

func randomMatrix(rng *rand.Rand, r, c int) blas64.General {
	a := newGeneral(r, c)
	for i := range a.Data {
		a.Data[i] = rng.NormFloat64()
	}
	return a
}

// sortDown sorts three numbers.
func sortDown(p []int) {
	for _, s := range [][2]int{{0, 1}, {1, 2}, {0, 1}} {
		if p[s[0]] < p[s[1]] {
			p[s[0]], p[s[1]] = p[s[1]], p[s[0]]
		}
	}
}

// TestAffineFourth compares with the sum over all four indices, from a tensor
// with kappa_iijj and kappa_iiii alone: the fourth cumulants of single units,
// and of pairs the terms that pair a with a.
func TestAffineFourth(t *testing.T) {
	const m, n = 3, 5
	rng := rand.New(rand.NewPCG(3, 4))
	a, k := randomMatrix(rng, m, n), newGeneral(n, n)
	for i := range n {
		for j := range i + 1 {
			v := rng.NormFloat64()
			row(k, i)[j], row(k, j)[i] = v, v
		}
	}
	got, err := (&cumulantRun{ctx: t.Context(), threads: 1}).affineFourth(a, k)
	if err != nil {
		t.Fatal(err)
	}
	for x := range m {
		for y := range m {
			u, w, want := row(a, x), row(a, y), 0.
			for i := range n {
				for j := range n {
					want += u[i] * u[i] * w[j] * w[j] * row(k, i)[j]
					if x == y && i != j { // the two other ways to pair i, i, j, j
						want += 2 * u[i] * u[j] * u[i] * u[j] * row(k, i)[j]
					}
				}
			}
			if d := math.Abs(row(got, x)[y] - want); d > 1e-12*math.Abs(want) {
				t.Errorf("entry (%d,%d) is %v, want %v", x, y, row(got, x)[y], want)
			}
		}
	}
}

// TestCumulantCoefficients compares with sums of 2^16 equidistant terms, whose
// error at a kink is of the order of their step's square, 8e-8.
func TestCumulantCoefficients(t *testing.T) {
	acts := []activation.Activation{activation.ReLU(), activation.GELU(), activation.Tanh(), activation.ReLU()}
	mu, s := []float64{.3, -.4, 1.2, -2}, []float64{1.5, .7, .1, 0}
	rule, err := layer.NewElementwise(acts, len(acts))
	if err != nil {
		t.Fatal(err)
	}
	mean := make([]float64, len(acts))
	for i, g := range acts {
		mean[i] = expectation(g.Apply, mu[i], s[i], 0)
	}
	c, err := newCoefficients(t.Context(), 2, &link{n: len(acts), activation: rule}, mu, s, mean)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range acts {
		for p, f := range [][][]float64{c.a[:], c.q[:], c.b[:], c.d[:]} {
			power := func(x float64) float64 { return math.Pow(g.Apply(x)-mean[i], float64(p+1)) }
			if p == 0 {
				power = g.Apply
			}
			scale := math.Abs(expectation(func(x float64) float64 { return math.Abs(power(x)) }, mu[i], s[i], 0))
			for k := range f {
				want := expectation(power, mu[i], s[i], k)
				// He_k is of the size of the root of k!, at most 27.
				if d := math.Abs(f[k][i] - want); !(d <= 3e-6*scale) {
					t.Errorf("%s^%d: coefficient %d is %v, want %v", g.Name(), p+1, k, f[k][i], want)
				}
			}
		}
	}
}

// expectation returns E[f(mu + s Z) He_k(Z)] by the trapezoidal rule.
func expectation(f func(float64) float64, mu, s float64, k int) (e float64) {
	const steps, reach = 1 << 16, 11.
	for i := range steps + 1 {
		z := reach * (2*float64(i)/steps - 1)
		before, he := 0., 1.
		for j := range k {
			before, he = he, z*he-float64(j)*before
		}
		e += f(mu+s*z) * he * math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) * 2 * reach / steps
	}
	return e
}

// correlatedTriple is a Gaussian of three elements with correlations r, -r/2
// and 3r/4.
func correlatedTriple(r float64) covprop.Gaussian {
	s := []float64{1.1, .8, 1.3}
	rho := [][]float64{{1, r, -r / 2}, {r, 1, .75 * r}, {-r / 2, .75 * r, 1}}
	c := newGeneral(3, 3)
	for i := range 3 {
		for j := range 3 {
			row(c, i)[j] = rho[i][j] * s[i] * s[j]
		}
	}
	return covprop.Gaussian{Mean: []float64{.5, -.3, .4}, Cov: covprop.DenseOf(c)}
}

// outputCumulants runs one activation on a Gaussian.
func outputCumulants(t *testing.T, in covprop.Gaussian, act activation.Activation) *cumulants {
	t.Helper()
	rule, err := layer.NewElementwise([]activation.Activation{act}, in.Dim())
	if err != nil {
		t.Fatal(err)
	}
	r := &cumulantRun{ctx: t.Context(), threads: 1, state: newCumulants(in)}
	if err := r.step(&link{n: in.Dim(), activation: rule}); err != nil {
		t.Fatal(err)
	}
	return r.state
}

// TestCumulantsOfActivations compares the cumulants of tanh(X) for three
// Gaussians with quadrature over all three. Those of single units and pairs
// are exact, but for what the quadrature misses; those of three different
// units lack terms of the third order in the correlations, of which those of
// the second are an eighth if the correlations are halved.
func TestCumulantsOfActivations(t *testing.T) {
	gap := func(r float64) float64 {
		in := correlatedTriple(r)
		got, want := outputCumulants(t, in, activation.Tanh()), newPointCumulants(3, in, math.Tanh)
		for i := range 3 {
			for j := range 3 {
				if d := math.Abs(got.third.at(i, i, j) - want.third(i, i, j)); d > 1e-9 {
					t.Errorf("r = %v: kappa_%d%d%d is %v, want %v", r, i, i, j, got.third.at(i, i, j), want.third(i, i, j))
				}
				if d := math.Abs(row(got.fourth, i)[j] - want.fourth(i, j)); d > 1e-9 {
					t.Errorf("r = %v: kappa_%d%d%d%d is %v, want %v", r, i, i, j, j, row(got.fourth, i)[j], want.fourth(i, j))
				}
			}
		}
		return math.Abs(got.third.at(2, 1, 0) - want.third(2, 1, 0))
	}
	large, small := gap(.4), gap(.2)
	if ratio := large / small; !(ratio > 6) || ratio > 10 {
		t.Errorf("kappa_012 is off by %.3g, with half the correlations by %.3g: %.2g, want 8", large, small, ratio)
	}
}

// A pointCumulants holds weighted points of a distribution, with mean 0.
type pointCumulants struct {
	w []float64
	y [][]float64
}

// newPointCumulants takes f element by element at the points of a product of
// trapezoidal rules for the Gaussian in, which converge geometrically for
// analytic functions.
func newPointCumulants(n int, in covprop.Gaussian, f func(float64) float64) *pointCumulants {
	const steps, reach = 80, 8.
	l := cholesky(in)
	p := &pointCumulants{y: make([][]float64, n)}
	z, at := make([]float64, n), make([]int, n)
	for {
		w := 1.
		for i := range z {
			z[i] = reach * (2*float64(at[i])/steps - 1)
			w *= math.Exp(-z[i]*z[i]/2) / math.Sqrt(2*math.Pi) * 2 * reach / steps
		}
		p.w = append(p.w, w)
		for i := range n {
			x := in.Mean[i]
			for j := range i + 1 {
				x += row(l, i)[j] * z[j]
			}
			p.y[i] = append(p.y[i], f(x))
		}
		k := 0
		for ; k < n; k++ {
			if at[k]++; at[k] <= steps {
				break
			}
			at[k] = 0
		}
		if k == n {
			break
		}
	}
	p.centre()
	return p
}

// centre takes the mean off.
func (p *pointCumulants) centre() {
	for _, y := range p.y {
		mean := 0.
		for k, w := range p.w {
			mean += w * y[k]
		}
		for k := range y {
			y[k] -= mean
		}
	}
}

// cholesky returns the lower factor of the covariance.
func cholesky(in covprop.Gaussian) blas64.General {
	n := in.Dim()
	l := newGeneral(n, n)
	for i := range n {
		for j := range i + 1 {
			s := in.Cov.At(i, j)
			for k := range j {
				s -= row(l, i)[k] * row(l, j)[k]
			}
			if i == j {
				row(l, i)[i] = math.Sqrt(s)
			} else {
				row(l, i)[j] = s / row(l, j)[j]
			}
		}
	}
	return l
}

// expect returns E y_i y_j ...
func (p *pointCumulants) expect(index ...int) (e float64) {
	for k, w := range p.w {
		for _, i := range index {
			w *= p.y[i][k]
		}
		e += w
	}
	return e
}

func (p *pointCumulants) third(i, j, k int) float64 { return p.expect(i, j, k) }

// fourth is kappa_iijj.
func (p *pointCumulants) fourth(i, j int) float64 {
	c := p.expect(i, j)
	return p.expect(i, i, j, j) - p.expect(i, i)*p.expect(j, j) - 2*c*c
}

// TestReLUCumulants compares the cumulants of max(0, X) for three Gaussians
// with a million samples, in standard errors. For three different units what
// the formula lacks is of the third order in the correlations, 1e-4 here, and
// the standard error 5e-4.
func TestReLUCumulants(t *testing.T) {
	in := correlatedTriple(.1)
	got := outputCumulants(t, in, activation.ReLU())
	rng := rand.New(rand.NewPCG(5, 6))
	l, relu := cholesky(in), activation.ReLU()
	const samples, batches = 1 << 20, 64
	z, y := make([]float64, 3), newGeneral(3, samples/batches)
	var est [3][3][3][2]float64 // sums of the batches' estimates and their squares
	for range batches {
		for b := range y.Cols {
			for i := range z {
				z[i] = rng.NormFloat64()
			}
			for i := range 3 {
				x := in.Mean[i]
				for j := range i + 1 {
					x += row(l, i)[j] * z[j]
				}
				row(y, i)[b] = relu.Apply(x) - got.mean[i] // the means are exact
			}
		}
		for i := range 3 {
			for j := range i + 1 {
				for k := range j + 1 {
					s := 0.
					for b := range y.Cols {
						s += row(y, i)[b] * row(y, j)[b] * row(y, k)[b]
					}
					s /= float64(y.Cols)
					est[i][j][k][0] += s
					est[i][j][k][1] += s * s
				}
			}
		}
	}
	for i := range 3 {
		for j := range i + 1 {
			for k := range j + 1 {
				m := est[i][j][k][0] / batches
				se := math.Sqrt((est[i][j][k][1]/batches - m*m) / (batches - 1))
				if v := got.third.at(i, j, k); math.Abs(v-m) > 4*se {
					t.Errorf("kappa_%d%d%d is %v, sampled %v +- %.2g", i, j, k, v, m, se)
				}
			}
		}
	}
}
