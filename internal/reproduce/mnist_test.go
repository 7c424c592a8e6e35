package reproduce

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// affineLeNet returns a network whose ReLUs are always on, for any input that
// there could be, so that it is affine and all moments are known.
func affineLeNet(t *testing.T) *LeNet {
	t.Helper()
	n := mustLeNet(t, 1)
	for i := range n.stages {
		if s := &n.stages[i]; s.relu {
			for k := range s.b {
				s.b[k] = 1000
			}
		}
	}
	return n
}

func TestMNISTOfAnAffineNetwork(t *testing.T) {
	const samples = 2000
	m := MNIST{Net: affineLeNet(t), Test: stripes(9, 1), Runs: 1, Samples: samples, Seed: 4}
	r, err := m.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Images) != 1 || r.Partial || !(r.MonteCarlo.Mean > 0) {
		t.Errorf("images %v, partial %v, time of Monte Carlo %v", r.Images, r.Partial, r.MonteCarlo)
	}
	var exact MNISTMethod
	for _, x := range r.Methods {
		if x.Name == "exact" {
			exact = x
		}
	}
	for _, x := range r.Methods {
		if x.Error != "" || len(x.Logits) != 10 {
			t.Fatalf("%s: %d logits, error %q", x.Name, len(x.Logits), x.Error)
		}
		if x.Name == "pldnn0" {
			continue // takes the variance of another network
		}
		for c, l := range x.Logits {
			// Five standard errors of Monte Carlo.
			if d := math.Abs(l.Difference.Mean); d > 5/math.Sqrt(samples) {
				t.Errorf("%s, logit %d: the mean is off by %v standard deviations", x.Name, c, d)
			}
			if v := l.Variance.Mean; math.Abs(v-1) > 5*math.Sqrt(2./samples) {
				t.Errorf("%s, logit %d: ratio of variances %v", x.Name, c, v)
			}
			// Covariances in float32, of up to 784 units that share the input's.
			if e := exact.Logits[c]; math.Abs(l.Variance.Mean-e.Variance.Mean) > 1e-4 || math.Abs(l.Mean.Mean-e.Mean.Mean) > 1e-6*math.Abs(e.Mean.Mean) {
				t.Errorf("logit %d: %s gives %v, exact moments %v", c, x.Name, l, e)
			}
		}
	}
}

// untimed writes the report out, all digits of it, but the times.
func untimed(r *MNISTReport) string {
	u := *r
	u.MonteCarlo = Stat{}
	for i := range u.Methods {
		u.Methods[i].Time = Stat{}
	}
	return fmt.Sprintf("%+v", u)
}

func TestMNISTRepeats(t *testing.T) {
	run := func(threads int) string {
		m := MNIST{Net: mustLeNet(t, 1), Test: stripes(9, 1), Runs: 1, Samples: 100, Seed: 1, Norm: Frobenius, Threads: threads}
		r, err := m.Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return untimed(r)
	}
	one := run(1)
	if two := run(2); one != two {
		t.Errorf("one thread gives %s, two %s", one, two)
	}
	first, again := (&MNIST{Seed: 1}).random(0).Uint64(), (&MNIST{Seed: 1}).random(0).Uint64()
	run1, seed2 := (&MNIST{Seed: 1}).random(1).Uint64(), (&MNIST{Seed: 2}).random(0).Uint64()
	if first != again || first == run1 || first == seed2 {
		t.Errorf("random numbers %x, %x for the same run, %x for another, %x for another seed", first, again, run1, seed2)
	}
}

func TestMNISTInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	m := MNIST{Net: mustLeNet(t, 1), Test: stripes(9, 1), Runs: 2, Samples: 100, Seed: 1}
	m.Progress = func(done, total int) {
		if total != 12 {
			t.Errorf("the total is %d", total)
		}
		if done == 8 { // the second method of the second run
			cancel()
		}
	}
	r, err := m.Run(ctx)
	if !errors.Is(err, context.Canceled) || r == nil {
		t.Fatalf("report %v, error %v", r, err)
	}
	if !r.Partial || len(r.Images) != 1 || len(r.Methods[0].Logits) != 10 || math.IsNaN(r.Methods[0].All.Variance.Mean) {
		t.Errorf("the first run is not there alone: %+v", r)
	}
}

func TestMNISTFailures(t *testing.T) {
	m := MNIST{Net: mustLeNet(t, 1), Test: stripes(9, 1), Runs: 1, Samples: 100, Seed: 1, MaxBytes: 1000}
	r, err := m.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Methods {
		refused := x.Name == "k4" || x.Name == "exact" // which are under the limit
		if refused != strings.Contains(x.Error, "more than the limit") || refused == (len(x.Logits) == 10) {
			t.Errorf("%s: error %q, %d logits", x.Name, x.Error, len(x.Logits))
		}
	}
	for want, bad := range map[string]MNIST{
		"runs":    {Samples: 2},
		"samples": {Runs: 1, Samples: 1},
		"norm":    {Runs: 1, Samples: 2, Norm: "nuclear"},
	} {
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
