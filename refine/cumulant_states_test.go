package refine

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
)

// TestCumulant3States: where the covariance is not positive semidefinite, the
// reason says so and the estimate is no less than the eigenvalue.
func TestCumulant3States(t *testing.T) {
	net := heNet(t, 2, 6, 32, 3, 24)
	res, err := Cumulant3{Network: net}.Propagate(t.Context(), unitGaussian(6))
	if err != nil {
		t.Fatal(err)
	}
	least := leastEigenvalue(res.Cov.(*covprop.Dense).RawMatrix())
	if least > -1e-3 {
		t.Fatalf("the covariance has the least eigenvalue %v: the test needs another network", least)
	}
	acc := res.Accuracy
	if acc.Status != covprop.Approximate || acc.Bound < -least || !strings.Contains(acc.Reason, "not positive semidefinite") || !strings.Contains(acc.Reason, "without fourth cumulants") {
		t.Errorf("the least eigenvalue is %v, the accuracy %+v", least, acc)
	}
	if len(res.Nodes) != 7 || res.Nodes[1].Status == covprop.Approximate || res.Nodes[3].Status != covprop.Approximate || res.Nodes[4].Status != covprop.Exact {
		t.Errorf("the nodes are %+v", res.Nodes)
	}
}

// TestCumulant3Estimate: the estimate transports what fourth cumulants are worth
// as a Gaussian's moments are: by the map, by the gain of an activation.
func TestCumulant3Estimate(t *testing.T) {
	const n = 3
	in := covprop.Gaussian{Mean: []float64{.1, -.4, .7}, Cov: covprop.Diagonal{.5, .8, .2}}
	w := []float64{.4, -.3, .9, 1.1, .2, -.5, .3, .8, .6}
	d := []float64{2, -.5, 3}
	scale, err := layer.NewScale(d, nil, n)
	if err != nil {
		t.Fatal(err)
	}
	gelu := activationRule(t, activation.GELU(), n).(*layer.Elementwise)
	gain := make([]float64, n) // E g'(X), by the trapezoidal rule for the derivative
	for i := range gain {
		gain[i] = expectation(activation.GELU().Derivative, in.Mean[i], math.Sqrt(in.Cov.At(i, i)), 0)
	}
	diagonal := func(d []float64) (a [n][n]float64) {
		for i, x := range d {
			a[i][i] = x
		}
		return a
	}
	var dense [n][n]float64
	for i := range dense {
		copy(dense[i][:], w[i*n:])
	}
	for what, c := range map[string]struct {
		link link
		a    [n][n]float64
	}{
		"map":        {link{n: n, out: n, affine: affineRule(t, w, n, n).(layer.Linear)}, dense},
		"scaling":    {link{n: n, out: n, affine: scale}, diagonal(d)},
		"activation": {link{n: n, out: n, activation: gelu}, diagonal(gain)},
	} {
		r := &cumulantRun{ctx: t.Context(), threads: 1, state: newCumulants(in)}
		mean, cov := []float64{.01, -.03, .02}, [n][n]float64{{.5, .1, -.2}, {.1, .7, .3}, {-.2, .3, .9}}
		copy(r.state.lastMean, mean)
		for i := range n {
			copy(row(r.state.lastCov, i), cov[i][:])
		}
		if err := r.step(&c.link); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			wantMean := 0.
			for k := range n {
				wantMean += c.a[i][k] * mean[k]
			}
			// The trapezoidal rule of the gain leaves some 1e-12.
			if got := r.state.lastMean[i]; math.Abs(got-wantMean) > 1e-10 {
				t.Errorf("%s: the estimate of mean %d is %v, want %v", what, i, got, wantMean)
			}
			for j := range n {
				want := 0.
				for k := range n {
					for l := range n {
						want += c.a[i][k] * cov[k][l] * c.a[j][l]
					}
				}
				if got := row(r.state.lastCov, i)[j]; math.Abs(got-want) > 1e-10 {
					t.Errorf("%s: the estimate of covariance %d, %d is %v, want %v", what, i, j, got, want)
				}
			}
		}
	}
}

// TestCumulant3EstimateCovers: on random networks the largest error of a mean is
// within the estimate, which is no more than twenty times as large.
func TestCumulant3EstimateCovers(t *testing.T) {
	for seed := range uint64(3) {
		net := heNet(t, seed+20, 64, 64, 3, 16)
		truth, se2 := sampledMeans(t, net, 1<<17)
		res, err := Cumulant3{Network: net}.Propagate(t.Context(), unitGaussian(64))
		if err != nil {
			t.Fatal(err)
		}
		largest, noise := 0., 0.
		for i, m := range truth {
			sd := math.Sqrt(res.Cov.At(i, i))
			largest, noise = max(largest, math.Abs(m-res.Mean[i])/sd), max(noise, 3*math.Sqrt(se2)/sd)
		}
		if b := res.Accuracy.Bound; !(largest <= b+noise) || !(b <= 20*(largest+noise)) {
			t.Errorf("network %d: a mean is off by %.3g standard deviations, the estimate is %.3g", seed, largest, b)
		}
	}
}

// unbiased is y = W x with W from its entries.
func unbiased(t *testing.T, m, n int, entry func(i, j int) float64) layer.Rule {
	t.Helper()
	w := make([]float64, m*n)
	for i := range m {
		for j := range n {
			w[i*n+j] = entry(i, j)
		}
	}
	r, err := layer.NewAffine(w, nil, m, n, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// twins is a chain with two activations g of 24 units, the second with two equal
// ones, and then the rules last.
func twins(t *testing.T, g activation.Activation, last ...layer.Rule) Cumulant3 {
	t.Helper()
	some := func(i, j int) float64 { return .5 * math.Sin(float64(1+7*i+13*j+i*i*j)) } // which do not repeat
	act := activationRule(t, g, 24)
	equal := unbiased(t, 24, 24, func(i, j int) float64 { return some(max(i, 1), j) }) // rows 0 and 1
	return Cumulant3{Network: chain(t, 16, append([]layer.Rule{unbiased(t, 24, 16, some), act, equal, act}, last...)...)}
}

// TestCumulant3Twins: a variance that the expansion makes negative, here of the
// difference of two equal units, is refused at the output by name; and where it
// makes a correlation of one too large for the next activation, that is said.
func TestCumulant3Twins(t *testing.T) {
	difference := unbiased(t, 2, 24, func(i, j int) float64 { return []float64{1, -1, 0}[min(j, 2)] * float64(1+i) })
	_, err := twins(t, activation.ReLU(), difference).Propagate(t.Context(), unitGaussian(16))
	var model *covprop.ModelError
	if !errors.As(err, &model) || model.Node != "node4" || !strings.Contains(err.Error(), "corrected variance of output element 0") {
		t.Errorf("the difference of two equal units: %v", err)
	}
	twice, err := layer.NewScale([]float64{2}, nil, 24)
	if err != nil {
		t.Fatal(err)
	}
	sum := unbiased(t, 1, 24, func(int, int) float64 { return 1 })
	res, err := twins(t, activation.LeakyReLU(.4), twice, activationRule(t, activation.ReLU(), 24), sum).Propagate(t.Context(), unitGaussian(16))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(res.Accuracy.Reason, "came out above 1") {
		t.Errorf("a correlation above 1: %+v", res.Accuracy)
	}
}

// TestCumulant3Rounding: a variance that is nothing but rounding is none, as in
// the method moment, and not the expansion's fault.
func TestCumulant3Rounding(t *testing.T) {
	one := blas64.General{Rows: 3, Cols: 3, Stride: 3, Data: []float64{.01, .02, .03, .02, .04, .06, .03, .06, .09}}
	in := covprop.Gaussian{Mean: []float64{.1, .2, .3}, Cov: covprop.DenseOf(one)} // of rank one
	tanh := activationRule(t, activation.Tanh(), 4)
	first := []float64{2.1, -.6, -.3, .3, 1.2, .4, -1.7, .1, .5, .3, .9, -.7} // rows 0 and 3 are orthogonal to it, but for rounding
	net := chain(t, 3, unbiased(t, 4, 3, func(i, j int) float64 { return first[3*i+j] }), tanh,
		unbiased(t, 4, 4, func(i, j int) float64 { return .3 * float64(1+(i+2*j)%3) }), tanh, unbiased(t, 2, 4, func(i, j int) float64 { return float64(i - j) }))
	want, err := net.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Cumulant3{Network: net}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		// One input drives all units, so that the closure is off by some hundredths.
		if w, g := want.Cov.At(i, i), got.Cov.At(i, i); math.Abs(g-w) > .1*w {
			t.Errorf("the variance of output %d is %v, that of the method moment %v", i, g, w)
		}
	}
}

// TestCumulant3Powers: the powers of a function that is not defined everywhere
// have no moments; those of a step have, though its square is constant.
func TestCumulant3Powers(t *testing.T) {
	tanh := activationRule(t, activation.Tanh(), 2)
	shift := affineRule(t, []float64{.01, 0, 0, .01}, 2, 2)
	positive, err := layer.NewScale([]float64{1}, []float64{9, 9}, 2)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Cumulant3{Network: chain(t, 2, tanh, positive, activationRule(t, activation.Log(), 2), shift, tanh)}.Propagate(t.Context(), unitGaussian(2))
	if err == nil || !strings.Contains(err.Error(), "of log has no moments") {
		t.Errorf("a logarithm: %v", err)
	}
	some := func(i, j int) float64 { return .4 * math.Cos(float64(3+5*i+11*j+i*i*j)) }
	step := activationRule(t, activation.Step(), 32)
	net := chain(t, 8, unbiased(t, 32, 8, some), step, unbiased(t, 32, 32, some), step, unbiased(t, 1, 32, some))
	res, err := Cumulant3{Network: net}.Propagate(t.Context(), unitGaussian(8))
	if err != nil {
		t.Fatal(err)
	}
	if !(res.Accuracy.Bound < .5) {
		t.Errorf("steps: the estimate is %v", res.Accuracy.Bound)
	}
}
