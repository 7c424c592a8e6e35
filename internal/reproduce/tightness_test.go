package reproduce

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func runTightness(t *testing.T, work Tightness) *TightnessReport {
	t.Helper()
	r, err := work.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// forget removes the times.
func forget(r *TightnessReport) *TightnessReport {
	for i := range r.Nets {
		r.Nets[i].MonteCarlo = Stat{}
		for j := range r.Nets[i].Methods {
			r.Nets[i].Methods[j].Time = Stat{}
		}
	}
	return r
}

func TestTightness(t *testing.T) {
	const runs, samples = 8, 4000
	work := Tightness{Nets: []string{"fc3"}, Runs: runs, Samples: samples, Seed: 3}
	done := 0
	work.Progress = func(d, total int) {
		if done++; d != done || total != runs {
			t.Errorf("progress %d of %d, want %d of %d", d, total, done, runs)
		}
	}
	r := runTightness(t, work)
	if done != runs || r.Partial || len(r.Nets) != 1 || r.Nets[0].Runs != runs || r.Nets[0].Name != "fc3" {
		t.Fatalf("got %+v after %d runs", r, done)
	}
	methods := map[string]TightnessMethod{}
	for _, m := range r.Nets[0].Methods {
		methods[m.Name] = m
		if !(m.Time.Mean > 0) {
			t.Errorf("%s took %v", m.Name, m.Time)
		}
	}
	exact := methods["exact"]
	// Monte Carlo's variance has a relative standard error of sqrt(2/samples),
	// averaged over the runs; the closure's own bias and scatter, about 0.02 a
	// run on these networks, add to it. Five standard errors.
	if tol := 5 * math.Hypot(math.Sqrt(2.0/samples), 0.02) / math.Sqrt(runs); math.Abs(exact.Variance.Mean-1) > tol {
		t.Errorf("exact: the variance ratio is %v, not 1 within %.3g", exact.Variance, tol)
	}
	if tol := 5 * math.Hypot(1/math.Sqrt(samples), 0.01) / math.Sqrt(runs); math.Abs(exact.Difference.Mean) > tol {
		t.Errorf("exact: the mean is off by %v standard deviations, not 0 within %.3g", exact.Difference, tol)
	}
	// The truncated diagonal drops variance in every ReLU, 1.4% of it at mean
	// 0, on the same samples; linearisation sees one side of a ReLU only.
	if k4 := methods["k4"]; !(k4.Variance.Mean > exact.Variance.Mean+0.002 && k4.Variance.Mean < exact.Variance.Mean+0.06) {
		t.Errorf("K = 4: the variance ratio is %v, beside %v of the exact moments", k4.Variance, exact.Variance)
	}
	if l := methods["linear"]; math.Abs(l.Variance.Mean-1) < 5*math.Abs(exact.Variance.Mean-1) {
		t.Errorf("linearisation: the variance ratio is %v, beside %v of the exact moments", l.Variance, exact.Variance)
	}
	if a, b := methods["pldnn"], methods["pldnn0"]; a.Mean != b.Mean || a.Variance == b.Variance {
		t.Errorf("PL-DNN and its variance for zero mean: %v %v and %v %v", a.Mean, a.Variance, b.Mean, b.Variance)
	}
}

// A run depends on the seed, its design and its index only.
func TestTightnessRepeats(t *testing.T) {
	work := Tightness{Nets: []string{"fc7", "fc3"}, Runs: 2, Samples: 50, Seed: 9, Threads: 1}
	both := forget(runTightness(t, work))
	work.Nets, work.Threads = []string{"fc3"}, 2
	if one := forget(runTightness(t, work)); !reflect.DeepEqual(one.Nets[0], both.Nets[1]) {
		t.Errorf("alone: %+v\nwith another network: %+v", one.Nets[0], both.Nets[1])
	}
	work.Seed = 10
	if other := forget(runTightness(t, work)); reflect.DeepEqual(other.Nets[0], both.Nets[1]) {
		t.Error("two seeds give the same")
	}
	work.Norm = Frobenius
	if other := forget(runTightness(t, work)); reflect.DeepEqual(other.Nets[0], both.Nets[1]) {
		t.Error("two norms give the same")
	}
}

func TestTightnessPartial(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	work := Tightness{Nets: []string{"fc3", "fc7"}, Runs: 5, Samples: 50, Seed: 1, Progress: func(done, _ int) {
		if done == 2 {
			cancel()
		}
	}}
	r, err := work.Run(ctx)
	if !errors.Is(err, context.Canceled) || r == nil || !r.Partial || len(r.Nets) != 1 || r.Nets[0].Runs != 2 {
		t.Fatalf("interrupted after two runs: %+v, %v", r, err)
	}
	if s := r.Nets[0].Methods[0].Variance; math.IsNaN(s.Mean) || math.IsNaN(s.Std) {
		t.Errorf("the partial result is %v", s)
	}
}

// An interruption after the last run takes nothing away.
func TestTightnessLateInterruption(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	work := Tightness{Nets: []string{"fc3"}, Runs: 1, Samples: 50, Seed: 1, Progress: func(int, int) { cancel() }}
	if r, err := work.Run(ctx); err != nil || r.Partial || r.Nets[0].Runs != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestTightnessErrors(t *testing.T) {
	fc := []string{"fc3"}
	for want, work := range map[string]Tightness{
		"at least 1, not 0":     {Nets: fc, Samples: 2},
		"at least 2, not 1":     {Nets: fc, Runs: 1, Samples: 1},
		"is empty":              {Runs: 1, Samples: 2},
		"listed twice":          {Nets: []string{"fc3", "fc3"}, Runs: 1, Samples: 2},
		`"fc9" is not one of`:   {Nets: []string{"fc9"}, Runs: 1, Samples: 2},
		`norm "one" is neither`: {Nets: fc, Runs: 1, Samples: 2, Norm: "one"},
	} {
		if _, err := work.Run(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want %q", err, want)
		}
	}
}

// TestDesigns checks the sizes of the networks, one convolution of the larger
// ones by plain loops.
func TestDesigns(t *testing.T) {
	for name, want := range map[string]struct{ steps, inputs, before int }{
		"fc3": {7, 100, 100}, "fc7": {15, 100, 100}, "conv3": {7, 400, 4000}, "conv7": {15, 400, 4000},
	} {
		for _, d := range designs {
			if d.name != name {
				continue
			}
			s, err := d.draw(rand.New(rand.NewPCG(1, 1)))
			if err != nil {
				t.Fatal(err)
			}
			if got := len(s.whole.Nodes()); got != want.steps || s.whole.InputDim() != want.inputs || d.inputs != want.inputs ||
				s.before.OutputDim() != want.before || s.whole.OutputDim() != 1 {
				t.Errorf("%s: %d steps, %d inputs, %d in the middle, %d outputs", name, got, s.whole.InputDim(), s.before.OutputDim(), s.whole.OutputDim())
			}
		}
	}
}

func TestConvolution(t *testing.T) {
	const side, channels = 4, 2
	rules, err := convolutions(rand.New(rand.NewPCG(3, 4)), side, 1, channels)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4)) // the same numbers again
	w, b := uniform(rng, channels*9, 9), uniform(rng, channels, 9)
	x := testInput(side * side).Mean
	got := make([]float64, channels*side*side)
	rules[0].Forward(got, x)
	for o := range channels {
		for y := range side {
			for z := range side {
				want := b[o]
				for dy := range 3 {
					for dz := range 3 {
						if u, v := y+dy-1, z+dz-1; u >= 0 && u < side && v >= 0 && v < side {
							want += w[o*9+dy*3+dz] * x[u*side+v]
						}
					}
				}
				near(t, "pixel", got[(o*side+y)*side+z], want, 1e-12) // sums of ten terms of like size
			}
		}
	}
}
