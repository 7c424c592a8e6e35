package bayes

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/internal/special"
)

// integrate sums f over 400 panels of 16 Gauss-Legendre nodes.
func integrate(lo, hi float64, f func(x float64) float64) (sum float64) {
	x, w := special.GaussLegendre(16)
	const n = 400
	half := (hi - lo) / (2 * n)
	for k := range n {
		for i := range x {
			sum += half * w[i] * f(lo+half*(float64(2*k+1)+x[i]))
		}
	}
	return sum
}

func testDistributions() map[string]Distribution {
	var hetero, certain, student Distribution
	hetero.addHeteroscedastic(1, 0.4, -0.7, 0.3, 0.1, 0.5)
	certain.addHeteroscedastic(1, 0.4, -0.7, 0.3, 0, 0)
	student.addStudent(1, 0.4, 0.3, 0.5, 4)
	return map[string]Distribution{"heteroscedastic": hetero, "gaussian": certain, "student": student}
}

// TestDistribution checks that density, distribution function, quantiles and CRPS
// belong together.
func TestDistribution(t *testing.T) {
	for name, d := range testDistributions() {
		t.Run(name, func(t *testing.T) {
			density := func(x float64) float64 { return math.Exp(d.LogDensity(x)) }
			for _, y := range []float64{-1.3, 0.4, 2.2} {
				// The heaviest tail here has 1e-9 beyond 200.
				if got, want := d.CDF(y), integrate(-200, y, density); math.Abs(got-want) > 1e-8 {
					t.Errorf("CDF(%v) = %v, the density's integral is %v", y, got, want)
				}
				if got := d.Quantile(d.CDF(y)); math.Abs(got-y) > 1e-9 {
					t.Errorf("Quantile(CDF(%v)) = %v", y, got)
				}
				below := integrate(-200, y, func(x float64) float64 { c := d.CDF(x); return c * c })
				above := integrate(y, 200, func(x float64) float64 { c := 1 - d.CDF(x); return c * c })
				if got, want := d.CRPS(y), below+above; math.Abs(got-want) > 1e-7 {
					t.Errorf("CRPS(%v) = %v, the integral is %v", y, got, want)
				}
			}
		})
	}
	for _, p := range []float64{-1, 0, 1, math.NaN()} {
		if q := (&Distribution{Weight: []float64{1}, Mean: []float64{0}, Variance: []float64{1}}).Quantile(p); q == q {
			t.Errorf("Quantile(%v) = %v", p, q)
		}
	}
}

// TestQuantiles checks quantiles against the distribution function, for tails as heavy
// as Cauchy's and mixtures of narrow and wide parts.
func TestQuantiles(t *testing.T) {
	all := map[string]Distribution{}
	for _, dof := range []float64{1, 1.5, 2, 3, 30, 1e6} {
		var d Distribution
		d.addStudent(1, 0.3, 0.1, 0.2, dof)
		all[fmt.Sprint(dof)] = d
	}
	var mixed Distribution
	mixed.addStudent(0.5, 0.3, 0.1, 0.2, 1)
	mixed.addHeteroscedastic(0.5, -2, -6, 0.1, 0.01, 0.2)
	all["mixed"] = mixed
	for name, d := range all {
		for _, p := range []float64{1e-9, 0.05, 0.3, 0.5, 0.95, 0.999, 1 - 0x1p-52} {
			q := d.Quantile(p)
			// The quantile is good to 1e-13 of itself, the function to 1e-15.
			if got := d.CDF(q); math.Abs(got-p) > 1e-12*min(1, 1e3*p) {
				t.Errorf("%s: the quantile of %v is %v, whose probability is %v", name, p, q, got)
			}
		}
	}
	// Cauchy's, in closed form; the mixture reaches out to widths of 1e13.
	var cauchy Distribution
	cauchy.addStudent(1, 0, 0, 1, 1)
	if got, want := cauchy.Quantile(0.99), math.Tan(math.Pi*0.49); math.Abs(got/want-1) > 1e-9 {
		t.Errorf("Cauchy's quantile of 0.99 is %v, want %v", got, want)
	}
}

// TestDensities compares the mixtures with integrals over the output.
func TestDensities(t *testing.T) {
	for _, c := range []struct{ m, l, smm, sml, sll float64 }{
		{0.4, -0.7, 0.3, 0.1, 0.5}, {-1, 1, 0.01, -0.05, 1}, {2, -4, 2, 0.1, 0.02},
	} {
		var d Distribution
		d.addHeteroscedastic(1, c.m, c.l, c.smm, c.sml, c.sll)
		for _, y := range []float64{-3, 0, 2.5} {
			// Over m first and l given it: the other order than the code's.
			rest := c.sll - c.sml*c.sml/c.smm
			want := math.Log(integrate(-9, 9, func(z float64) float64 {
				m := c.m + math.Sqrt(c.smm)*z
				return special.Density(z) * integrate12(func(u float64) float64 {
					v := math.Exp(c.l + c.sml/c.smm*(m-c.m) + math.Sqrt(rest)*u)
					return special.Density(u) * special.Density((y-m)/math.Sqrt(v)) / math.Sqrt(v)
				})
			}))
			if got := d.LogDensity(y); math.Abs(got-want) > 2e-5 { // as stated
				t.Errorf("%+v: log density at %v is %v, want %v", c, y, got, want)
			}
		}
	}
	for _, dof := range []float64{1, 3, 30, 1000, 1e6} {
		var d Distribution
		d.addStudent(1, 0.4, 0.3, 0.5, dof)
		c, s := StudentT{1, dof}.constant(), math.Sqrt(0.5)
		for _, y := range []float64{-3, 0, 12} {
			want := math.Log(integrate(-9, 9, func(z float64) float64 {
				r := (y - 0.4 - math.Sqrt(0.3)*z) / s
				return special.Density(z) * math.Exp(c-0.5*(dof+1)*math.Log1p(r*r/dof)) / s
			}))
			if got := d.LogDensity(y); math.Abs(got-want) > 1e-9 && want > -40 {
				t.Errorf("Student, %v degrees of freedom: log density at %v is %v, want %v", dof, y, got, want)
			}
		}
	}
}

// TestNoiseNodes compares densities of random moments, within five standard
// deviations of the mean, with those of a rule with 1025 nodes.
func TestNoiseNodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 9))
	worst := 0.
	for range 20000 {
		m, l, sll := rng.NormFloat64(), 2*rng.NormFloat64()-1, math.Exp(2*rng.NormFloat64()-2)
		smm := math.Exp(2*rng.NormFloat64() - 2)
		sml := (2*rng.Float64() - 1) * math.Sqrt(smm*sll)
		var d Distribution
		d.addHeteroscedastic(1, m, l, smm, sml, sll)
		y := m + 10*(rng.Float64()-0.5)*math.Sqrt(smm+math.Exp(l))
		want := 0.
		for k := -8 * 64; k <= 8*64; k++ {
			z := float64(k) / 64
			slope := sml / math.Sqrt(sll)
			v := smm - slope*slope + math.Exp(l+math.Sqrt(sll)*z)
			want += special.Density(z) / 64 * special.Density((y-m-slope*z)/math.Sqrt(v)) / math.Sqrt(v)
		}
		worst = max(worst, math.Abs(d.LogDensity(y)-math.Log(want)))
	}
	if worst > 2e-5 { // as stated
		t.Errorf("log densities are off by up to %v", worst)
	}
}

// integrate12 is over [-12, 12] by the trapezoidal rule, for what decays as phi.
func integrate12(f func(x float64) float64) (sum float64) {
	for k := -240; k <= 240; k++ {
		sum += 0.05 * f(0.05*float64(k))
	}
	return sum
}

// TestExpectations compares E log p with the mean of log p over Gaussian outputs,
// in its standard errors; for the softmax it is a lower bound.
func TestExpectations(t *testing.T) {
	const samples = 200000
	for _, c := range []struct {
		l     Likelihood
		y     []float64
		noise []float64
	}{
		{HeteroscedasticGaussian{1}, []float64{0.7}, nil},
		{HeteroscedasticGaussian{2}, []float64{0.7, -1}, nil},
		{Gaussian{2}, []float64{0.7, -2}, []float64{-1, 0.5}},
		{StudentT{2, 3}, []float64{0.7, -9}, []float64{-1, 0.5}},
		{StudentT{1, 1}, []float64{0.7}, []float64{-9}},
		{Probit{}, []float64{1}, nil},
		{Probit{}, []float64{0}, nil},
		{Softmax{5}, []float64{2}, nil},
	} {
		rng := rand.New(rand.NewPCG(2, 4))
		n := c.l.outputs()
		out := randomMoments(rng, n, 0.6)
		out.gradNoise = make([]float64, len(c.noise))
		got, _ := c.l.expected(out, c.y, c.noise, 1)
		factor := make([]float64, n*n)
		choleskyTo(factor, out.cov, n)
		sum, squares := 0., 0.
		f, g := make([]float64, n), make([]float64, n)
		for range samples {
			copy(f, out.mean)
			for j := range n {
				z := rng.NormFloat64()
				for i := j; i < n; i++ {
					f[i] += factor[i*n+j] * z
				}
			}
			v := c.l.pointwise(g, out.gradNoise, f, c.y, c.noise, 0)
			sum += v
			squares += v * v
		}
		mean := sum / samples
		se := math.Sqrt((squares/samples - mean*mean) / samples)
		slack := 0.
		if _, ok := c.l.(Softmax); ok {
			slack = 0.03 // of the bound
		}
		if d := got - mean; d > 4*se || d < -4*se-slack {
			t.Errorf("%s%v: E log p = %v, but %v +- %v by samples", c.l.Name(), c.y, got, mean, se)
		}
	}
}

// randomMoments returns outputs with means N(0, 1) and covariances A A' scale^2, A
// with rows of length 1.
func randomMoments(rng *rand.Rand, n int, scale float64) *moments {
	m := &moments{n: n, ld: n, dense: true, mean: make([]float64, n), cov: make([]float64, n*n), gradMean: make([]float64, n), gradCov: make([]float64, n*n)}
	a := make([]float64, n*n)
	for i := range n {
		m.mean[i] = rng.NormFloat64()
		sum := 0.
		for j := range n {
			a[i*n+j] = rng.NormFloat64()
			sum += a[i*n+j] * a[i*n+j]
		}
		for j := range n {
			a[i*n+j] *= scale / math.Sqrt(sum)
		}
	}
	for i := range n {
		for j := range n {
			for k := range n {
				m.cov[i*n+j] += a[i*n+k] * a[j*n+k]
			}
		}
	}
	return m
}

// TestSoftmaxBound measures by how much the bound exceeds E log sum exp: never
// negative, and about what the documentation of expected says.
func TestSoftmaxBound(t *testing.T) {
	const n, samples = 10, 40000
	for _, c := range []struct{ scale, most float64 }{{0.5, 0.004}, {1, 0.05}, {3, 1.6}} {
		rng := rand.New(rand.NewPCG(3, 1))
		total, seTotal := 0., 0.
		const cases = 4
		for range cases {
			out := randomMoments(rng, n, c.scale)
			bound, p, missing := softmaxBound(out)
			if missing > softmaxTol {
				t.Errorf("scale %v: the minimum is missed by %v", c.scale, missing)
			}
			factor := make([]float64, n*n)
			choleskyTo(factor, out.cov, n)
			// log sum exp less its tangent at the minimum has a smaller variance, and
			// E p'f is p'm.
			sum, squares := 0., 0.
			f, q := make([]float64, n), make([]float64, n)
			for range samples {
				copy(f, out.mean)
				for j := range n {
					z := rng.NormFloat64()
					for i := j; i < n; i++ {
						f[i] += factor[i*n+j] * z
					}
				}
				v := -Softmax{n}.pointwise(q, nil, f, []float64{0}, nil, 0) + f[0]
				for k := range f {
					v -= p[k] * (f[k] - out.mean[k])
				}
				sum += v
				squares += v * v
			}
			mean := sum / samples
			total += bound - mean
			seTotal += (squares/samples - mean*mean) / samples
		}
		gap, se := total/cases, math.Sqrt(seTotal)/cases
		t.Logf("scale %v: the bound exceeds E log sum exp by %.2g +- %.1g", c.scale, gap, se)
		if gap < -4*se || gap > c.most+4*se {
			t.Errorf("scale %v: the bound exceeds E log sum exp by %v +- %v", c.scale, gap, se)
		}
	}
}
