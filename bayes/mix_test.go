package bayes

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/activation"
)

// TestMix checks the moments of a mixture against integrals over its density, and
// probabilities against the members'.
func TestMix(t *testing.T) {
	for name, l := range map[string]Likelihood{
		"heteroscedastic": HeteroscedasticGaussian{1}, "gaussian": Gaussian{1}, "probit": Probit{}, "softmax": Softmax{3},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 1))
			m := mustModel(t, 2, l, Prior{}, Linear{Out: 4}, Activation{activation.ReLU()}, Linear{Out: l.outputs()})
			b := randomBatch(rng, 2, 2, l, "variances")
			var members []*Prediction
			for range 3 {
				p, err := m.NewPredictor(randomTheta(rng, m), Options{})
				if err != nil {
					t.Fatal(err)
				}
				r, err := p.Predict(b)
				if err != nil {
					t.Fatal(err)
				}
				members = append(members, r)
			}
			r, err := Mix(members...)
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.X.Rows {
				if p := r.Probabilities(i); p != nil {
					checkMixedClasses(t, r, members, i)
					continue
				}
				checkMixedDensity(t, r, i)
				y := row(b.Y, i)
				var density, plugIn float64
				for _, m := range members {
					density += math.Exp(m.LogDensity(i, y)) / 3
					plugIn += math.Exp(m.PlugIn(i, y)) / 3
				}
				// Sums of three positive numbers.
				if got := math.Exp(r.LogDensity(i, y)); math.Abs(got-density) > 1e-14*density {
					t.Errorf("density %v, the members' mean is %v", got, density)
				}
				if got := math.Exp(r.PlugIn(i, y)); math.Abs(got-plugIn) > 1e-14*plugIn {
					t.Errorf("plug-in density %v, the members' mean is %v", got, plugIn)
				}
			}
		})
	}
}

// checkMixedDensity integrates by the trapezoidal rule, which is exact to rounding
// for sums of Gaussians at this spacing, over twelve standard deviations of the
// widest part. The log variance's own quadrature leaves 1e-9.
func checkMixedDensity(t *testing.T, r *Prediction, i int) {
	t.Helper()
	d := r.Distribution(i, 0)
	lo, hi, narrow := math.Inf(1), math.Inf(-1), math.Inf(1)
	for k := range d.Weight {
		s := math.Sqrt(d.Variance[k])
		lo, hi, narrow = min(lo, d.Mean[k]-12*s), max(hi, d.Mean[k]+12*s), min(narrow, s)
	}
	n := int((hi-lo)/narrow*2) + 1
	if n > 1e6 {
		t.Fatalf("the narrowest of %d parts has the standard deviation %v between %v and %v", len(d.Weight), narrow, lo, hi)
	}
	var total, mean, square float64
	h := (hi - lo) / float64(n)
	for k := range n + 1 {
		y := lo + float64(k)*h
		p := h * math.Exp(d.LogDensity(y))
		total += p
		mean += p * y
		square += p * (y - row(r.Mean, i)[0]) * (y - row(r.Mean, i)[0])
	}
	v := row(r.Variance, i)[0]
	if math.Abs(total-1) > 1e-8 || math.Abs(mean-row(r.Mean, i)[0]) > 1e-8*math.Sqrt(v) || math.Abs(square/v-1) > 1e-6 {
		t.Errorf("the density integrates to %v with mean %v and variance %v; want %v and %v", total, mean, square, row(r.Mean, i)[0], v)
	}
	parts := row(r.Noise, i)[0] + row(r.Input, i)[0] + row(r.Weight, i)[0]
	if math.Abs(parts/v-1) > 1e-14 {
		t.Errorf("the parts of the variance %v sum to %v", v, parts)
	}
}

func checkMixedClasses(t *testing.T, r *Prediction, members []*Prediction, i int) {
	t.Helper()
	p := r.Probabilities(i)
	sum := 0.
	for c := range p {
		sum += p[c]
		want := 0.
		for _, m := range members {
			want += m.Probabilities(i)[c] / 3
		}
		if math.Abs(p[c]-want) > 1e-15 {
			t.Errorf("class %d has probability %v, the members' mean is %v", c, p[c], want)
		}
	}
	if math.Abs(sum-1) > 1e-14 {
		t.Errorf("the probabilities sum to %v", sum)
	}
	for j, mean := range row(r.Mean, i) { // an indicator has the variance p(1-p)
		if v := row(r.Variance, i)[j]; math.Abs(v-mean*(1-mean)) > 1e-14 {
			t.Errorf("the variance of an indicator is %v, want %v", v, mean*(1-mean))
		}
	}
}
