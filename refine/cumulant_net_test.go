package refine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/optest"
)

// TestCumulant3WideNets: random networks, 96 wide and 3 deep. Over many, the
// mean squared error of the means falls about fortyfold with an input of the
// width, and eightfold with one of 10 dimensions; five is asked for.
func TestCumulant3WideNets(t *testing.T) {
	const width, outputs = 96, 24
	for _, inputs := range []int{width, 10} {
		var moment, cumulant float64
		for seed := range uint64(2) {
			net, in := heNet(t, seed, inputs, width, 3, outputs), unitGaussian(inputs)
			truth, se2 := sampledMeans(t, net, 1<<17)
			for to, p := range map[*float64]covprop.Propagator{&moment: net, &cumulant: Cumulant3{Network: net}} {
				res, err := p.Propagate(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				*to += meanSquare(res.Mean, truth) - se2 // without what is the samples' own
			}
		}
		t.Logf("%d inputs: mean squared errors %.3g and %.3g", inputs, moment/2, cumulant/2)
		if !(cumulant < moment/5) {
			t.Errorf("%d inputs: the mean squared error is %.3g, with the closure %.3g: less than a factor of 5", inputs, cumulant/2, moment/2)
		}
	}
}

// TestCumulant3Converges: x + e (x^2 - 1) has cumulants of the orders e, e^2
// and so on. Behind it, third cumulants and, for one unit, fourth are complete,
// so that the errors of mean and variance are of the order e^3, an eighth for
// half of e. Two units, rotated and hardly correlated, lack fourth cumulants of
// the order e^2. The closure's errors are of the order e.
func TestCumulant3Converges(t *testing.T) {
	for _, c := range []struct {
		inputs int
		act    activation.Activation
		ratio  float64 // by which errors fall, at least
	}{
		{1, activation.Tanh(), 6},
		{1, activation.GELU(), 6},
		{2, activation.Tanh(), 3},
		{2, activation.GELU(), 3},
	} {
		errs := func(e float64) (of [2][2]float64) { // by method: mean, variance
			bent, err := activation.Polynomial(-e, 1, e)
			if err != nil {
				t.Fatal(err)
			}
			n := c.inputs
			mix := []float64{.8, .6, -.6, .8}[:n*n]
			net := chain(t, n, affineRule(t, mix, n, n), activationRule(t, bent, n), affineRule(t, mix, n, n),
				activationRule(t, c.act, n), affineRule(t, []float64{1, .5}[:n], 1, n))
			in := covprop.Gaussian{Mean: []float64{.3, .2}[:n], Cov: covprop.Diagonal([]float64{1, 1}[:n])}
			mean, variance := pointMoments(t, net, in)
			for k, p := range []covprop.Propagator{net, Cumulant3{Network: net}} {
				res, err := p.Propagate(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				of[k] = [2]float64{math.Abs(res.Mean[0] - mean), math.Abs(res.Cov.At(0, 0) - variance)}
			}
			return of
		}
		large, small := errs(.02), errs(.01)
		for k, what := range []string{"mean", "variance"} {
			if got, want := small[1][k], small[0][k]; got > want/5 {
				t.Errorf("%d inputs, %s: the %s is off by %.3g, with the closure by %.3g", c.inputs, c.act.Name(), what, got, want)
			}
			if ratio := large[1][k] / small[1][k]; !(ratio > c.ratio) {
				t.Errorf("%d inputs, %s: the error of the %s falls from %.3g to %.3g, less than by a factor of %v", c.inputs, c.act.Name(), what, large[1][k], small[1][k], c.ratio)
			}
		}
	}
}

// pointMoments returns mean and variance of the only output by the trapezoidal
// rule over independent inputs.
func pointMoments(t *testing.T, net *graph.Network, in covprop.Gaussian) (mean, variance float64) {
	t.Helper()
	points := newPointCumulants(in.Dim(), covprop.Gaussian{Mean: make([]float64, in.Dim()), Cov: in.Cov}, func(x float64) float64 { return x })
	x, y := newGeneral(in.Dim(), len(points.w)), newGeneral(1, len(points.w))
	for i, m := range in.Mean {
		for k, v := range points.y[i] {
			row(x, i)[k] = m + v
		}
	}
	if err := net.EvalBatchTo(y, x); err != nil {
		t.Fatal(err)
	}
	var square float64
	for k, w := range points.w {
		mean += w * y.Data[k]
	}
	for k, w := range points.w {
		square += w * (y.Data[k] - mean) * (y.Data[k] - mean)
	}
	return mean, square
}

// TestCumulant3Transport: the third cumulants of three units, rotated so that
// they are hardly correlated, pass through a second activation. Quadrature over
// all three inputs says what they are then; left out are products of cumulants
// with each other and with correlations. Without the cumulants that came in the
// errors are many times larger, for single units, for pairs and for all three; those
// of fourth cumulants, of which the rotation loses a part, are larger.
func TestCumulant3Transport(t *testing.T) {
	const bend, variance = .15, .3
	bent, err := activation.Polynomial(0, 1, bend)
	if err != nil {
		t.Fatal(err)
	}
	mix := []float64{2. / 3, -1. / 3, 2. / 3, 2. / 3, 2. / 3, -1. / 3, -1. / 3, 2. / 3, 2. / 3}
	rotate := affineRule(t, mix, 3, 3)
	in := covprop.Gaussian{Mean: make([]float64, 3), Cov: covprop.Diagonal{variance, variance, variance}}
	links := []link{
		{n: 3, activation: activationRule(t, bent, 3).(*layer.Elementwise)},
		{n: 3, affine: rotate.(layer.Linear)},
		{n: 3, activation: activationRule(t, activation.Tanh(), 3).(*layer.Elementwise)},
	}
	run := func(forget bool) *cumulants {
		r := &cumulantRun{ctx: t.Context(), threads: 1, state: newCumulants(in)}
		for i := range links {
			if forget && i == 2 {
				r.state.third = packed{}
			}
			if err := r.step(&links[i]); err != nil {
				t.Fatal(err)
			}
		}
		return r.state
	}
	want := newPointCumulants(3, in, func(x float64) float64 { return x })
	x, y := make([]float64, 3), make([]float64, 3)
	for k := range want.w {
		for i := range x {
			x[i] = bent.Apply(want.y[i][k])
		}
		rotate.Forward(y, x)
		for i := range y {
			want.y[i][k] = math.Tanh(y[i])
		}
	}
	want.centre()
	got, without := run(false), run(true)
	var off, off0 [3]float64 // by number of different units
	for i := range 3 {
		for j := range i + 1 {
			for k := range j + 1 {
				w, units := want.third(i, j, k), 2
				switch {
				case i == k:
					units = 0
				case i == j || j == k:
					units = 1
				}
				off[units] = max(off[units], math.Abs(got.third.at(i, j, k)-w))
				off0[units] = max(off0[units], math.Abs(without.third.at(i, j, k)-w))
			}
		}
	}
	for u := range off {
		if !(off[u] < off0[u]/5) {
			t.Errorf("third cumulants of %d units are off by %.3g, without those that came in by %.3g", u+1, off[u], off0[u])
		}
	}
	off, off0 = [3]float64{}, [3]float64{}
	for i := range 3 {
		for j := range i + 1 {
			w, units := want.fourth(i, j), min(1, i-j)
			off[units] = max(off[units], math.Abs(row(got.fourth, i)[j]-w))
			off0[units] = max(off0[units], math.Abs(row(without.fourth, i)[j]-w))
		}
	}
	for u := range 2 {
		if !(off[u] < .8*off0[u]) {
			t.Errorf("fourth cumulants of %d units are off by %.3g, without those that came in by %.3g", u+1, off[u], off0[u])
		}
	}
}

// TestCumulant3Higher: behind x + e (x^2 - 1) and another activation, the errors
// of the third and the fourth cumulant of a unit are of the order e^2, a quarter
// for half of e.
func TestCumulant3Higher(t *testing.T) {
	in := covprop.Gaussian{Mean: []float64{.3}, Cov: covprop.Diagonal{1}}
	for _, act := range []activation.Activation{activation.GELU(), activation.Tanh()} {
		errs := func(e float64) [2]float64 {
			bent, err := activation.Polynomial(-e, 1, e)
			if err != nil {
				t.Fatal(err)
			}
			r := &cumulantRun{ctx: t.Context(), threads: 1, state: newCumulants(in)}
			for _, a := range []activation.Activation{bent, act} {
				if err := r.step(&link{n: 1, activation: activationRule(t, a, 1).(*layer.Elementwise)}); err != nil {
					t.Fatal(err)
				}
			}
			want := newPointCumulants(1, in, func(x float64) float64 { return act.Apply(bent.Apply(x)) })
			return [2]float64{
				math.Abs(r.state.third.at(0, 0, 0) - want.third(0, 0, 0)),
				math.Abs(row(r.state.fourth, 0)[0] - want.fourth(0, 0)),
			}
		}
		large, small := errs(.005), errs(.0025)
		for k := range large {
			// 1e-9 is what the quadrature of powers may be off by.
			if !(small[k] < large[k]/3+1e-9) {
				t.Errorf("%s: the error of kappa_%d falls from %.3g to %.3g, less than threefold", act.Name(), k+3, large[k], small[k])
			}
		}
	}
}

// TestCumulant3Exact: a network with one activation or none has the moments of
// the moment method, and so has the expansion itself; a certain input gives
// the forward pass.
func TestCumulant3Exact(t *testing.T) {
	for _, depth := range []int{0, 1} {
		net := heNet(t, 3, 6, 9, depth, 4)
		in := correlated(6, 6)
		want, err := net.Propagate(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Cumulant3{Network: net}.Propagate(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Gaussian, want.Gaussian) || got.Accuracy != want.Accuracy {
			t.Errorf("%d activations: the result is not that of the moment method", depth)
		}
		links, err := chainOf(net)
		if err != nil {
			t.Fatal(err)
		}
		r := &cumulantRun{ctx: t.Context(), threads: 1, state: newCumulants(in)}
		for i := range links {
			if err := r.step(&links[i]); err != nil {
				t.Fatal(err)
			}
		}
		g := covprop.Gaussian{Mean: r.state.mean, Cov: covprop.DenseOf(r.state.cov)}
		sameMoments(t, fmt.Sprint(depth, " activations"), g, want.Gaussian, 1e-12) // rounding
	}
	net := heNet(t, 4, 6, 20, 3, 4)
	in := covprop.Gaussian{Mean: []float64{.1, -.2, .3, 1, .5, -1}, Cov: make(covprop.Diagonal, 6)}
	res, err := Cumulant3{Network: net}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float64, 4)
	if err := net.EvalTo(want, in.Mean); err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if math.Abs(res.Mean[i]-w) > 1e-13*math.Abs(w) || res.Cov.At(i, i) != 0 {
			t.Errorf("output %d of a certain input is %v with variance %v, want %v", i, res.Mean[i], res.Cov.At(i, i), w)
		}
	}
}

// TestCumulant3Layers: scalings and reshapes between the layers change nothing
// but the weights.
func TestCumulant3Layers(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	const n = 24
	first, second := randomMatrix(rng, n, n), randomMatrix(rng, n, n)
	scaled, d := newGeneral(n, n), make([]float64, n)
	for i := range d {
		d[i] = .5 + rng.Float64()
	}
	for i := range n {
		for j := range n {
			row(first, i)[j] /= 4
			row(second, i)[j] /= 4
			row(scaled, i)[j] = row(second, i)[j] * d[j]
		}
	}
	scale, err := layer.NewScale(d, nil, n)
	if err != nil {
		t.Fatal(err)
	}
	reshape, err := layer.NewReshape(n)
	if err != nil {
		t.Fatal(err)
	}
	act := activationRule(t, activation.GELU(), n)
	a, b, c := affineRule(t, first.Data, n, n), affineRule(t, second.Data, n, n), affineRule(t, scaled.Data, n, n)
	in := unitGaussian(n)
	want, err := Cumulant3{Network: chain(t, n, a, act, c, act, a)}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Cumulant3{Network: chain(t, n, reshape, a, act, scale, reshape, b, act, reshape, a)}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	sameMoments(t, "scaled and reshaped", got.Gaussian, want.Gaussian, 1e-12) // rounding
	// A permutation has diagonal covariances for diagonal ones, and is no scaling.
	reversed, index := newGeneral(n, n), make([]int, n)
	for j := range n {
		index[j] = n - 1 - j
		for i := range n {
			row(reversed, i)[j] = row(scaled, i)[n-1-j]
		}
	}
	reverse, err := layer.NewSelect(index, n)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Cumulant3{Network: chain(t, n, a, act, reverse, affineRule(t, reversed.Data, n, n), act, a)}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	sameMoments(t, "reversed", back.Gaussian, want.Gaussian, 1e-12) // rounding
	if d := got.Accuracy.Bound - want.Accuracy.Bound; math.Abs(d) > 1e-9*want.Accuracy.Bound {
		t.Errorf("the estimate is %v, want %v", got.Accuracy.Bound, want.Accuracy.Bound)
	}
}

// TestCumulant3Runs: any number of threads gives the same result; progress is
// reported; a cancelled run ends.
func TestCumulant3Runs(t *testing.T) {
	net, in := heNet(t, 5, 12, 40, 3, 5), unitGaussian(12)
	var want covprop.Result
	for threads := 1; threads <= 3; threads++ {
		steps := 0
		p := Cumulant3{Network: net, Threads: threads, Progress: func(done, total int) {
			if steps++; done != steps || total != 7 {
				t.Errorf("progress says %d of %d after %d of 7 layers", done, total, steps)
			}
		}}
		res, err := p.Propagate(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if want.Mean == nil {
			want = res
		}
		if !reflect.DeepEqual(res, want) || steps != 7 {
			t.Errorf("%d threads: another result, or %d steps of progress", threads, steps)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Cumulant3{Network: net, Progress: func(done, _ int) {
		if done == 3 {
			cancel()
		}
	}}.Propagate(ctx, in)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run ends with %v", err)
	}
}

func TestCumulant3KeepsTheContract(t *testing.T) {
	net := dense(t, activation.GELU(), 1, 6, 40, 40, 2)
	optest.TestPropagator(t, Cumulant3{Network: net}, net, correlated(6, 6), optest.PropagatorOptions{})
}

// TestCumulant3Refuses names the node and the reason.
func TestCumulant3Refuses(t *testing.T) {
	wide := func(n int) *graph.Network {
		s, err := layer.NewScale([]float64{2}, nil, n)
		if err != nil {
			t.Fatal(err)
		}
		a := activationRule(t, activation.ReLU(), n)
		return chain(t, n, a, s, a)
	}
	norm, err := layer.NewSoftmax(1, 4, false)
	if err != nil {
		t.Fatal(err)
	}
	relu := activationRule(t, activation.ReLU(), 4)
	var (
		model *covprop.ModelError
		input *covprop.InputError
	)
	for _, c := range []struct {
		what    string
		network *graph.Network
		target  any
		node    string
		reason  string
	}{
		{"a narrow net", heNet(t, 1, 4, 4, 4, 2), &model, "node3", "skewness"},
		{"a wide one", wide(1025), &model, "node1", "at most 1024"},
		{"another nonlinear rule", chain(t, 4, relu, norm, relu), &model, "node1", "neither affine nor an activation"},
		{"a branch", residual(t), &model, "node2", "must be a chain"},
		{"an input that does not fit", heNet(t, 1, 3, 4, 2, 2), &input, "", "takes 3"},
	} {
		n := 4
		if c.what == "a wide one" {
			n = 1025
		}
		_, err := Cumulant3{Network: c.network}.Propagate(t.Context(), unitGaussian(n))
		if !errors.As(err, c.target) || !strings.Contains(err.Error(), c.reason) || c.node != "" && model.Node != c.node {
			t.Errorf("%s: the error is %v", c.what, err)
		}
	}
	for _, c := range []Cumulant3{{}, {Network: wide(4), Threads: -1}, {Network: wide(4), MaxBytes: -1}} {
		if _, err := c.Propagate(t.Context(), unitGaussian(4)); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	var memory *covprop.MemoryError
	c := Cumulant3{Network: heNet(t, 1, 64, 64, 3, 2), MaxBytes: 1 << 20}
	if _, err := c.Propagate(t.Context(), unitGaussian(64)); !errors.As(err, &memory) || memory.Bytes != 8*64*64*65/2 {
		t.Errorf("a limit of 1 MiB: the error is %v", err)
	}
	c.MaxBytes = memory.Peak
	if _, err := c.Propagate(t.Context(), unitGaussian(64)); err != nil {
		t.Errorf("a limit of what is needed: %v", err)
	}
	// Two of the four maps lie between activations.
	got, want := c.PropagationOperations(true)-c.Network.PropagationOperations(true), int64(2*64*64*64*64*7/6)
	if got < want || got > want+2 {
		t.Errorf("%d multiply-adds more than the moment method, want %d", got, want)
	}
}

// residual is relu(x) + relu(relu(x)).
func residual(t *testing.T) *graph.Network {
	t.Helper()
	sum, err := layer.NewSum([]float64{1, 1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	relu, b := activationRule(t, activation.ReLU(), 4), graph.NewBuilder()
	x, err := b.Input("x", []int{4})
	for i, n := range []graph.Node{{Rule: relu, Inputs: []graph.Tensor{0}}, {Rule: relu, Inputs: []graph.Tensor{1}}, {Rule: sum, Inputs: []graph.Tensor{1, 2}}} {
		if n.Name, n.Shape = fmt.Sprint("node", i), []int{4}; err == nil {
			x, err = b.Add(n)
		}
	}
	if err == nil {
		err = b.Output("y", x)
	}
	if err != nil {
		t.Fatal(err)
	}
	net, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return net
}
