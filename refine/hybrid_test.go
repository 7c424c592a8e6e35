package refine

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/baseline"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/optest"
)

func TestHybridKeepsTheContract(t *testing.T) {
	net := deepReLU(t, 6)
	in := standard(3)
	in.Mean = []float64{.3, -.2, .5}
	optest.TestPropagator(t, Hybrid{Func: net, Propagator: net}, net, in, optest.PropagatorOptions{})
	optest.TestPropagator(t, Auto{Network: net}, net, in, optest.PropagatorOptions{})
}

// TestHybridErrors judges the estimates in their own standard errors, over
// seeds: of a quadratic function, whose moments are known, and with a control
// variate that is right, useless or wrong by a factor. z^2/replicates of
// freedom is that of Student's t with 15 degrees, of variance 15/13.
func TestHybridErrors(t *testing.T) {
	const seeds = 200
	for name, gain := range map[string]float64{"none": 0, "right": 1, "wrong": -30} {
		var mean, cov float64 // sums of z^2
		for seed := range uint64(seeds) {
			h := Hybrid{Func: curved, Seed: seed + 1, MaxSamples: 512}
			if gain != 0 {
				h.Propagator = tilted(gain)
			}
			res, err := h.Propagate(t.Context(), standard(2))
			if err != nil {
				t.Fatal(err)
			}
			se := res.StandardErrors
			z := (res.Mean[0] - 1) / se.Mean[0]
			mean += z * z
			z = (res.Cov.At(0, 1) - 3) / se.Cov.At(0, 1)
			cov += z * z
		}
		// The mean of 200 such z^2, of kurtosis 3.5 or so, is good to 0.13;
		// four times that on either side.
		for what, z2 := range map[string]float64{"mean": mean / seeds, "covariance": cov / seeds} {
			if z2 < .6 || z2 > 1.7 {
				t.Errorf("control %s: mean square error of the %s is %.3g squared standard errors, want 15/13", name, what, z2)
			}
		}
	}
}

// curved is y_0 = 3 x_0 + x_0^2/2 + x_1^2/2, y_1 = x_0 + x_1^3, with E y_0 = 1
// and Cov(y_0, y_1) = 3.
var curved = function{2, 2, func(dst, x []float64) {
	dst[0] = 3*x[0] + x[0]*x[0]/2 + x[1]*x[1]/2
	dst[1] = x[0] + x[1]*x[1]*x[1]
}}

// TestHybridControl: the gain makes the error of a nearly linear function in
// many dimensions, where quasi-random points alone do little, much smaller.
func TestHybridControl(t *testing.T) {
	const n = 400
	f := function{n, 1, func(dst, x []float64) {
		s := 0.0
		for _, v := range x {
			s += v
		}
		dst[0] = s/math.Sqrt(n) + .01*math.Sin(3*x[0])
	}}
	plain, err := Hybrid{Func: f, MaxSamples: 1024}.Propagate(t.Context(), standard(n))
	if err != nil {
		t.Fatal(err)
	}
	helped, err := Hybrid{Func: f, Propagator: sumGain(n), MaxSamples: 1024}.Propagate(t.Context(), standard(n))
	if err != nil {
		t.Fatal(err)
	}
	// What is left is 1% of the standard deviation.
	if a, b := helped.StandardErrors.Mean[0], plain.StandardErrors.Mean[0]; a > b/20 {
		t.Errorf("standard error of the mean %g, without a control %g", a, b)
	}
	if a, b := helped.StandardErrors.Cov.At(0, 0), plain.StandardErrors.Cov.At(0, 0); a > b/5 {
		t.Errorf("standard error of the variance %g, without a control %g", a, b)
	}
}

// TestHybridStops asks for the error to be reached, judged against 10^6
// samples, and for a statement where it is not.
func TestHybridStops(t *testing.T) {
	net := deepReLU(t, 6)
	in := standard(3)
	truth, err := baseline.MonteCarlo{Func: net, Samples: 400000, Seed: 9}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Hybrid{Func: net, Propagator: net, RelError: .02}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range res.Mean {
		s := math.Sqrt(truth.Cov.At(i, i))
		// The truth's own error is .2% of s, and about .5% of the variance.
		if d := (res.Mean[i] - truth.Mean[i]) / s; math.Abs(d) > .02+.008 {
			t.Errorf("mean %d off by %g standard deviations", i, d)
		}
		if d := res.Cov.At(i, i)/(s*s) - 1; math.Abs(d) > .02+.02 {
			t.Errorf("variance %d off by a fraction %g", i, d)
		}
	}
	if res.Accuracy.Status != covprop.Approximate || !(res.Accuracy.Bound <= .02) {
		t.Errorf("accuracy %+v", res.Accuracy)
	}
	res, err = Hybrid{Func: net, RelError: 1e-4, MaxSamples: 1000}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(res.Accuracy.Reason, "not certain") || !(res.Accuracy.Bound > 1e-4) {
		t.Errorf("1000 samples reach 1e-4: %+v", res.Accuracy)
	}
}

func TestAutoKeepsWhatIsRight(t *testing.T) {
	net := deepReLU(t, 1)
	in := standard(3)
	want, err := net.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Auto{Network: net}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if res.Audit.Verdict != covprop.Consistent || res.Mean[0] != want.Mean[0] || res.StandardErrors != nil {
		t.Errorf("one hidden layer: %v, mean %v, want %v", res.Audit.Verdict, res.Mean[0], want.Mean[0])
	}
	if res, err = (Auto{Network: deepReLU(t, 6)}).Propagate(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if res.Audit.Verdict != covprop.ClosureError || res.StandardErrors == nil {
		t.Errorf("six hidden layers: %v, standard errors %v", res.Audit.Verdict, res.StandardErrors)
	}
}

// TestHybridSays: whether there was a control, and what never varied.
func TestHybridSays(t *testing.T) {
	f := function{1, 2, func(dst, x []float64) { dst[0], dst[1] = x[0], 3 }}
	res, err := Hybrid{Func: f}.Propagate(t.Context(), standard(1))
	if err != nil {
		t.Fatal(err)
	}
	if r := res.Accuracy.Reason; strings.Contains(r, "control variate") || !strings.Contains(r, "1 of 2 elements were constant") {
		t.Errorf("reason %q", r)
	}
	net := deepReLU(t, 1)
	if res, err = (Hybrid{Func: net, Propagator: net}).Propagate(t.Context(), standard(3)); err != nil {
		t.Fatal(err)
	}
	if r := res.Accuracy.Reason; !strings.Contains(r, "control variate") || strings.Contains(r, "constant") {
		t.Errorf("reason %q", r)
	}
	if _, err = (Hybrid{}).Propagate(t.Context(), standard(1)); err == nil {
		t.Error("no function, no error")
	}
	if _, err = (Auto{}).Propagate(t.Context(), standard(1)); err == nil {
		t.Error("no network, no error")
	}
}

func TestHybridOptions(t *testing.T) {
	net := deepReLU(t, 1)
	for name, h := range map[string]Hybrid{
		"relative error 2":  {RelError: 2},
		"negative error":    {RelError: -1},
		"one sample":        {MaxSamples: 1},
		"negative threads":  {Threads: -1},
		"too little memory": {MaxBytes: 100},
	} {
		h.Func = net
		if _, err := h.Propagate(t.Context(), standard(3)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var memory *covprop.MemoryError
	if _, err := (Hybrid{Func: net, MaxBytes: 100}).Propagate(t.Context(), standard(3)); !errors.As(err, &memory) {
		t.Errorf("memory: %v", err)
	}
	net = net.With(graph.Options{Diagonal: true}) // which has no gain to give
	if _, err := (Hybrid{Func: net, Propagator: net}).Propagate(t.Context(), standard(3)); err != nil {
		t.Error(err)
	}
}

// A gainOnly Propagator knows Cov(y, x) and nothing else.
type gainOnly struct{ inputCov *mat.Dense }

func (g gainOnly) Propagate(context.Context, covprop.Gaussian) (covprop.Result, error) {
	return covprop.Result{InputCov: g.inputCov}, nil
}

// tilted is the gain of curved, times a factor.
func tilted(factor float64) covprop.Propagator {
	return gainOnly{mat.NewDense(2, 2, []float64{3 * factor, 0, factor, 3 * factor})}
}

func sumGain(n int) covprop.Propagator {
	g := mat.NewDense(1, n, nil)
	for i := range n {
		g.Set(0, i, 1/math.Sqrt(float64(n)))
	}
	return gainOnly{g}
}
