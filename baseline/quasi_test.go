package baseline

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/covprop/covprop"
)

// TestQuasi judges the quasi-random samplers in their own standard errors, for
// a function whose moments are known, and asks for errors far below those of
// random points.
func TestQuasi(t *testing.T) {
	// y_0 = e^(x_0), y_1 = x_0 x_1 + x_1 with x_0, x_1 standard normal.
	f := fn{2, 2, func(dst, x []float64) { dst[0], dst[1] = math.Exp(x[0]), x[0]*x[1]+x[1] }}
	in := covprop.Gaussian{Mean: []float64{0, 0}, Cov: covprop.Diagonal{1, 1}}
	e := math.E
	for _, s := range []Sampler{Sobol, Halton} {
		z2 := 0.0
		for seed := range uint64(20) {
			res := propagate(t, MonteCarlo{Func: f, Samples: 4096, Sampler: s, Seed: seed + 1}, in)
			se := res.StandardErrors
			for _, z := range []float64{
				(res.Mean[0] - math.Sqrt(e)) / se.Mean[0], res.Mean[1] / se.Mean[1],
				(res.Cov.At(1, 1) - 2) / se.Cov.At(1, 1), res.Cov.At(0, 1) / se.Cov.At(0, 1),
			} {
				z2 += z * z / 80
			}
			// Random points would have a standard error of 0.034.
			if se.Mean[0] > .02 {
				t.Errorf("%v: standard error %g", s, se.Mean[0])
			}
		}
		// Student's t with 15 degrees of freedom has a variance of 15/13; the
		// mean of 80 squares is good to .2.
		if z2 < .5 || z2 > 2 {
			t.Errorf("%v: the mean square error is %g squared standard errors", s, z2)
		}
	}
}

func TestQuasiThreads(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	in := gaussian(t, rng, 3, 3)
	f := fn{3, 1, func(dst, x []float64) { dst[0] = math.Max(0, x[0]+x[1]*x[2]) }}
	one := propagate(t, MonteCarlo{Func: f, Samples: 1000, Sampler: Sobol, Threads: 1}, in)
	two := propagate(t, MonteCarlo{Func: f, Samples: 1000, Sampler: Sobol, Threads: 3}, in)
	if one.Mean[0] != two.Mean[0] || one.Cov.At(0, 0) != two.Cov.At(0, 0) {
		t.Errorf("one thread %v, three %v", one.Mean, two.Mean)
	}
	if !strings.Contains(one.Accuracy.Reason, "1008 scrambled sobol points") {
		t.Errorf("reason %q", one.Accuracy.Reason)
	}
}

func TestQuasiRefuses(t *testing.T) {
	f := fn{1, 1, func(dst, x []float64) { dst[0] = math.Exp(1000 * x[0]) }}
	in := covprop.Gaussian{Mean: []float64{0}, Cov: covprop.Diagonal{1}}
	for what, mc := range map[string]MonteCarlo{
		"needs at least 32": {Sampler: Sobol, Samples: 31},
		"not antithetic":    {Sampler: Halton, Antithetic: true},
		"no sampler":        {Sampler: 7},
		"sample ":           {Sampler: Sobol}, // overflows
	} {
		mc.Func = f
		if _, err := mc.Propagate(t.Context(), in); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ParseSampler("sobel"); err == nil {
		t.Error("sobel is a sampler")
	}
}

// Standard errors of any scale, no variance without one, and none that is not
// finite.
func TestQuasiExtremeScales(t *testing.T) {
	for _, scale := range []float64{1e-150, 1e-85, 1, 1e85, 1e150} {
		f := fn{1, 2, func(dst, x []float64) { dst[0], dst[1] = scale*x[0]*x[0], 7 }}
		res := propagate(t, MonteCarlo{Func: f, Samples: 512, Sampler: Sobol}, standard)
		v, se := res.Cov.At(0, 0)/scale/scale, res.StandardErrors.Cov.At(0, 0)/scale/scale
		if !(math.Abs(v-2) < 5*se) || !(se < 0.5) || math.Abs(res.Mean[0]/scale-1) > 5*res.StandardErrors.Mean[0]/scale {
			t.Errorf("scale %g: variance %g +- %g, want 2", scale, v, se)
		}
		if res.Mean[1] != 7 || res.Cov.At(1, 1) != 0 || res.StandardErrors.Mean[1] != 0 || res.Cov.At(0, 1) != 0 {
			t.Errorf("scale %g: a constant is %v +- %v", scale, res.Mean[1], res.StandardErrors.Mean[1])
		}
	}
	f := fn{1, 1, func(dst, x []float64) { dst[0] = 1e200 * x[0] }}
	if _, err := (MonteCarlo{Func: f, Sampler: Sobol}).Propagate(t.Context(), standard); err == nil || !strings.Contains(err.Error(), "overflows") {
		t.Errorf("an overflowing variance: the error is %v", err)
	}
}

// The progress of a long run grows to its end.
func TestQuasiProgress(t *testing.T) {
	var done []int
	f := fn{1, 1, func(dst, x []float64) { dst[0] = x[0] }}
	propagate(t, MonteCarlo{Func: f, Sampler: Halton, Samples: 80_000, Progress: func(d, total int) {
		if total != 80_000 || len(done) > 0 && d <= done[len(done)-1] {
			t.Errorf("progress %d of %d after %v", d, total, done)
		}
		done = append(done, d)
	}}, standard)
	if len(done) == 0 || done[0] != 256 || done[len(done)-1] != 80_000 {
		t.Errorf("progress was %v", done)
	}
}
