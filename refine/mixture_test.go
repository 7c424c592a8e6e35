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
	"time"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/sample"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/optest"
)

// dense is a network of affine layers with weights N(0, gain/inputs), and act,
// unless it is nil, between them.
func dense(t *testing.T, act activation.Activation, gain float64, widths ...int) *graph.Network {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(7, 8))
	b := graph.NewBuilder()
	x, err := b.Input("x", widths[:1])
	check(err)
	for l, out := range widths[1:] {
		in := widths[l]
		w, bias := make([]float64, in*out), make([]float64, out)
		for i := range w {
			w[i] = rng.NormFloat64() * math.Sqrt(gain/float64(in))
		}
		for i := range bias {
			bias[i] = .3 * rng.NormFloat64()
		}
		affine, err := layer.NewAffine(w, bias, out, in, 1, 1)
		check(err)
		x, err = b.Add(graph.Node{Name: fmt.Sprint("affine", l), Op: "Gemm", Rule: affine, Inputs: []graph.Tensor{x}, Shape: []int{out}})
		check(err)
		if act != nil && l < len(widths)-2 {
			rule, err := layer.NewElementwise([]activation.Activation{act}, out)
			check(err)
			x, err = b.Add(graph.Node{Name: fmt.Sprint("act", l), Op: "Act", Rule: rule, Inputs: []graph.Tensor{x}, Shape: []int{out}})
			check(err)
		}
	}
	check(b.Output("y", x))
	net, err := b.Build()
	check(err)
	return net
}

// correlated is a Gaussian of n elements with a covariance of rank r.
func correlated(n, r int) covprop.Gaussian {
	rng := rand.New(rand.NewPCG(1, uint64(r)))
	l := mat.NewDense(n, r, nil)
	mean := make([]float64, n)
	for i := range n {
		mean[i] = rng.NormFloat64()
		for j := range r {
			l.Set(i, j, rng.NormFloat64())
		}
	}
	var c mat.Dense
	c.Mul(l, l.T())
	return covprop.Gaussian{Mean: mean, Cov: covprop.DenseOf(c.RawMatrix())}
}

// sameMoments compares moments to a tolerance relative to the standard
// deviations of want.
func sameMoments(t *testing.T, what string, got, want covprop.Gaussian, tol float64) {
	t.Helper()
	std := want.Std()
	for i, s := range std {
		if d := math.Abs(got.Mean[i] - want.Mean[i]); !(d <= tol*s) {
			t.Errorf("%s: mean %d is %v, want %v", what, i, got.Mean[i], want.Mean[i])
		}
		for j := range i + 1 {
			if d := math.Abs(got.Cov.At(i, j) - want.Cov.At(i, j)); !(d <= tol*s*std[j]) {
				t.Errorf("%s: covariance (%d,%d) is %v, want %v", what, i, j, got.Cov.At(i, j), want.Cov.At(i, j))
			}
		}
	}
}

// TestSplitKeepsMoments: E X^p of the standard normal is (p-1)!! for even p,
// and E (a + s Z)^p = sum_i (p over i) a^(p-i) s^i E Z^i.
func TestSplitKeepsMoments(t *testing.T) {
	normal := func(p int) float64 { // E Z^p
		if p%2 == 1 {
			return 0
		}
		m := 1.0
		for ; p > 1; p -= 2 {
			m *= float64(p - 1)
		}
		return m
	}
	for _, s := range []Split{DefaultSplit, {2, .5}, {3, 0}, {9, .5}} {
		a, w := s.rule()
		for p := range 2 * s.Nodes {
			sum, size := 0.0, 0.0
			for k := range a {
				binomial := 1.0
				for i := range p + 1 {
					term := w[k] * binomial * math.Pow(a[k], float64(p-i)) * math.Pow(s.Width, float64(i)) * normal(i)
					sum, size = sum+term, size+math.Abs(term)
					binomial *= float64(p-i) / float64(i+1)
				}
			}
			// Powers up to 17 of nodes good to 1e-15, and a sum of 90 terms.
			if d := math.Abs(sum - normal(p)); !(d <= 3e-14*size) {
				t.Errorf("%v: moment %d is %v, want %v", s, p, sum, normal(p))
			}
		}
	}
}

// TestSplitDistribution holds the documentation of Split to account.
func TestSplitDistribution(t *testing.T) {
	for _, c := range []struct {
		split          Split
		distance, tail float64 // the largest error, and P(X > 4) over the normal's
	}{{DefaultSplit, .031, .098}, {Split{9, .5}, .0012, .942}} {
		a, w := c.split.rule()
		one := covprop.Mixture{Weights: w}
		for _, m := range a {
			one.Components = append(one.Components, covprop.Gaussian{Mean: []float64{m}, Cov: covprop.Diagonal{c.split.Width * c.split.Width}})
		}
		distance := 0.0
		for x := -6.; x < 6; x += .001 {
			distance = max(distance, math.Abs(one.CDF(0, x)-.5*math.Erfc(-x/math.Sqrt2)))
		}
		tail := one.Exceedance(0, 4) / (.5 * math.Erfc(4/math.Sqrt2))
		// As many digits as are given.
		if math.Abs(distance/c.distance-1) > .05 || math.Abs(tail/c.tail-1) > .01 {
			t.Errorf("%v: off by %.3g, and by a factor of %.3g beyond 4", c.split, distance, tail)
		}
	}
}

// TestMixtureOfAffine: splits change nothing in an affine network, whatever the
// rank of the input and the number of directions; nor does KeepInput's
// Cov(y, x) = W Sigma change.
func TestMixtureOfAffine(t *testing.T) {
	net := dense(t, nil, 1, 6, 5, 3).With(graph.Options{KeepInput: true})
	diagonal := covprop.Gaussian{Mean: make([]float64, 6), Cov: covprop.Diagonal{1, 0, 1e-6, 4, 1e6, 9}}
	for name, in := range map[string]covprop.Gaussian{"full rank": correlated(6, 6), "rank 4": correlated(6, 4), "diagonal": diagonal} {
		for _, s := range []Split{DefaultSplit, {5, 0}, {2, .9}} {
			for _, directions := range []int{1, 3, 6} {
				what := fmt.Sprintf("%s, %v, %d directions", name, s, directions)
				want, err := net.Propagate(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				got, err := Mixture{Network: net, Split: s, Directions: directions, Components: 40}.Propagate(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				if k := len(got.Mixture.Weights); k < 3 || s.Width > 0 && k < 40 {
					t.Errorf("%s: %d components", what, k)
				}
				if err := got.Mixture.Check(); err != nil {
					t.Error(what, err)
				}
				// Components' covariances are put together from parts of all
				// directions, up to 1e-6 of the whole: eps times the number
				// of operations.
				const tol = 1e-12
				sameMoments(t, what, got.Gaussian, want.Gaussian, tol)
				if got.Accuracy.Bound > tol {
					t.Errorf("%s: the estimate is %v", what, got.Accuracy.Bound)
				}
				for i, sy := range want.Std() {
					for j, sx := range in.Std() {
						if d := got.InputCov.At(i, j) - want.InputCov.At(i, j); !(math.Abs(d) <= tol*sy*sx) {
							t.Errorf("%s: Cov(y_%d, x_%d) is off by %v", what, i, j, d)
						}
					}
				}
			}
		}
	}
}

// TestMixtureLeavesExactAlone: a layer of ReLUs has exact moments.
func TestMixtureLeavesExactAlone(t *testing.T) {
	net := dense(t, activation.ReLU(), 2, 3, 4, 2)
	in := correlated(3, 3)
	want, err := net.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Mixture{Network: net}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Mixture.Weights) != 1 || got.Accuracy != want.Accuracy {
		t.Errorf("%d components, accuracy %+v", len(got.Mixture.Weights), got.Accuracy)
	}
	sameMoments(t, "exact", got.Gaussian, want.Gaussian, 0)
	// Splits cost their own error, which the estimate has to cover.
	for _, s := range []Split{DefaultSplit, {5, 0}, {3, .6}, {9, .5}} {
		got, err = Mixture{Network: net, Split: s, Components: 2}.Propagate(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for i, std := range want.Std() {
			m := math.Abs(got.Mean[i]-want.Mean[i]) / std
			v := math.Abs(got.Cov.At(i, i)/want.Cov.At(i, i) - 1)
			if e := got.Accuracy.Bound; m > e || v > e || e > .5 {
				t.Errorf("%v: mean off by %.2g, variance by %.2g, estimate %.2g", s, m, v, e)
			}
		}
	}
}

// quadrature returns the moments of f(mu + std Z) for a scalar f with kinks
// anywhere: the trapezoidal rule with 2^16 steps over +-9, good to 1e-8.
func quadrature(t *testing.T, f covprop.Func, mu, std float64) (mean, variance float64) {
	t.Helper()
	const n = 1 << 16
	y := make([]float64, 1)
	var sum, square float64
	for k := range n + 1 {
		z := 18*float64(k)/n - 9
		if err := f.EvalTo(y, []float64{mu + std*z}); err != nil {
			t.Fatal(err)
		}
		w := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) * 18 / n
		sum, square = sum+w*y[0], square+w*y[0]*y[0]
	}
	return sum, square - sum*sum
}

// TestMixtureConverges, in one dimension, to what quadrature gives: the error
// falls with the budget (it may stay about the same once), to less than a
// hundredth of the closure's or so, and is no more than three times what was
// estimated.
func TestMixtureConverges(t *testing.T) {
	for _, c := range []struct {
		act   activation.Activation
		floor float64
	}{{activation.ReLU(), 4e-3}, {activation.Tanh(), 2e-3}} {
		net := dense(t, c.act, 3, 1, 12, 12, 12, 1)
		in := covprop.Gaussian{Mean: []float64{.2}, Cov: covprop.Diagonal{2.25}}
		mean, variance := quadrature(t, net, .2, 1.5)
		off := func(g covprop.Gaussian) float64 {
			return max(math.Abs(g.Mean[0]-mean)/math.Sqrt(variance), math.Abs(g.Cov.At(0, 0)/variance-1))
		}
		res, err := net.Propagate(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		closure := off(res.Gaussian)
		last := closure
		for _, budget := range []float64{30, 100, 400} {
			res, err = Mixture{Network: net, Budget: budget, RelError: 1e-12}.Propagate(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			e := off(res.Gaussian)
			t.Logf("%s: %d components, off by %.3g, estimated %.3g (closure %.3g)", c.act.Name(), len(res.Mixture.Weights), e, res.Accuracy.Bound, closure)
			if e > 1.1*last && e > c.floor || e > 3*res.Accuracy.Bound {
				t.Errorf("%s, budget %v: off by %.3g, estimated %.3g, after %.3g", c.act.Name(), budget, e, res.Accuracy.Bound, last)
			}
			last = e
		}
		if closure < .25 || last > c.floor {
			t.Errorf("%s: off by %.3g, estimated %.3g, where the closure is off by %.3g", c.act.Name(), last, res.Accuracy.Bound, closure)
		}
	}
}

// TestMixtureConditions: with a width of zero and one input, every component
// is a forward pass at a node of the rule.
func TestMixtureConditions(t *testing.T) {
	net := dense(t, activation.ReLU(), 3, 1, 8, 8, 1)
	in := covprop.Gaussian{Mean: []float64{-.4}, Cov: covprop.Diagonal{.25}}
	s := Split{Nodes: 7}
	res, err := Mixture{Network: net, Split: s, RelError: 1e-9}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if s.Nodes = len(res.Mixture.Weights); s.Nodes != 25 { // 13, and twice that
		t.Fatalf("%d components", s.Nodes)
	}
	nodes, w := s.rule()
	var mean, square float64
	y := make([]float64, 1)
	for k, z := range nodes {
		if err := net.EvalTo(y, []float64{-.4 + .5*z}); err != nil {
			t.Fatal(err)
		}
		mean, square = mean+w[k]*y[0], square+w[k]*y[0]*y[0]
	}
	variance := square - mean*mean
	// Rounding of the sums, and of the difference above.
	if d := math.Abs(res.Mean[0] - mean); !(d <= 1e-14*math.Sqrt(square)) {
		t.Errorf("mean %v, want %v", res.Mean[0], mean)
	}
	if d := math.Abs(res.Cov.At(0, 0) - variance); !(d <= 1e-13*square) {
		t.Errorf("variance %v, want %v", res.Cov.At(0, 0), variance)
	}
	if !strings.Contains(res.Accuracy.Reason, "no split is predicted") || res.Accuracy.Bound < 1e-6 {
		t.Errorf("the accuracy is %+v", res.Accuracy)
	}
}

func TestMixtureKeepsTheContract(t *testing.T) {
	net := dense(t, activation.GELU(), 3, 3, 10, 10, 2)
	optest.TestPropagator(t, Mixture{Network: net, Budget: 100}, net, correlated(3, 3), optest.PropagatorOptions{})
}

// TestMixtureThreads: the same bits for any number of threads, and with the
// moments of the mixture that is returned.
func TestMixtureThreads(t *testing.T) {
	net := dense(t, activation.ReLU(), 2, 6, 10, 10, 3)
	in := correlated(6, 5)
	var want covprop.Result
	for _, threads := range []int{1, 2, 5} {
		most, last := 0, 0
		got, err := Mixture{Network: net, Threads: threads, Progress: func(done, total int) {
			most, last = max(most, done), total
		}}.Propagate(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if most > last || most < 50 {
			t.Errorf("%d propagations of at most %d", most, last)
		}
		if threads == 1 {
			want = got
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%d threads give another result", threads)
		}
		if g := got.Mixture.Moments(); !reflect.DeepEqual(g.Mean, got.Mean) || !mat.Equal(g.Cov, got.Cov) {
			t.Error("the mixture has other moments")
		}
	}
}

// TestMixtureChecks: an audit that objects keeps the refinement going, and one
// that agrees ends it.
func TestMixtureChecks(t *testing.T) {
	net := dense(t, activation.ReLU(), 2, 4, 10, 10, 3)
	in := correlated(4, 4)
	run := func(verdicts ...covprop.Verdict) (res covprop.Result, components []int) {
		t.Helper()
		m := Mixture{Network: net, RelError: .9, Check: func(_ context.Context, _ covprop.Gaussian, r *covprop.Result) (*covprop.Audit, error) {
			components = append(components, len(r.Mixture.Weights))
			v := verdicts[min(len(components), len(verdicts))-1]
			return &covprop.Audit{Verdict: v}, nil
		}}
		res, err := m.Propagate(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(res.Mixture.Weights); res.Audit == nil || components[len(components)-1] != n {
			t.Errorf("the last audit was of %v components, the result has %d", components, n)
		}
		return res, components
	}
	res, components := run(covprop.ClosureError, covprop.ClosureError, covprop.Consistent)
	if len(components) != 3 || res.Audit.Verdict != covprop.Consistent || components[1] < 2*components[0] {
		t.Errorf("audits of %v components, verdict %v", components, res.Audit.Verdict)
	}
	res, _ = run(covprop.ClosureError)
	if !strings.Contains(res.Accuracy.Reason, "budget of 200 propagations") || res.Audit.Verdict != covprop.ClosureError {
		t.Errorf("the reason is %q, the verdict %v", res.Accuracy.Reason, res.Audit.Verdict)
	}
	failed := errors.New("failed")
	if _, err := (Mixture{Network: net, Check: func(context.Context, covprop.Gaussian, *covprop.Result) (*covprop.Audit, error) {
		return nil, failed
	}}).Propagate(t.Context(), in); !errors.Is(err, failed) {
		t.Errorf("an audit that fails gives %v", err)
	}
}

// TestMixtureStops before the first split where the budget or the time does
// not allow one; the estimate is then infinite.
func TestMixtureStops(t *testing.T) {
	net := dense(t, activation.ReLU(), 2, 4, 10, 10, 3)
	in := correlated(4, 4)
	want, err := net.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for reason, m := range map[string]Mixture{
		"when the budget of 1 propagations": {Network: net, Budget: 1},
		"when the time of 1ns was over":     {Network: net, Deadline: time.Nanosecond},
	} {
		got, err := m.Propagate(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		sameMoments(t, reason, got.Gaussian, want.Gaussian, 0)
		if !strings.Contains(got.Accuracy.Reason, reason) || !math.IsInf(got.Accuracy.Bound, 1) {
			t.Errorf("%s: the accuracy is %+v", reason, got.Accuracy)
		}
	}
}

// TestMixtureWithoutCovariances keeps to the network's options: covariances
// that are ignored are not made up from the components' means.
func TestMixtureWithoutCovariances(t *testing.T) {
	net := dense(t, activation.ReLU(), 2, 4, 10, 10, 3).With(graph.Options{Diagonal: true})
	res, err := Mixture{Network: net}.Propagate(t.Context(), correlated(4, 4))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := res.Cov.(covprop.Diagonal); !ok {
		t.Errorf("the covariance is a %T", res.Cov)
	}
}

func TestMixtureMemory(t *testing.T) {
	net := dense(t, activation.ReLU(), 2, 30, 10, 10, 3)
	in := correlated(30, 30)
	need := net.PeakBytes()
	var want *covprop.MemoryError
	if _, err := (Mixture{Network: net.With(graph.Options{MaxBytes: need + 8*30*30})}).Propagate(t.Context(), in); !errors.As(err, &want) {
		t.Errorf("too little memory gives the error %v", err)
	}
	// 72 bytes a component.
	limited := net.With(graph.Options{MaxBytes: need + 2*8*30*30})
	res, err := Mixture{Network: limited, Budget: 4000, RelError: 1e-9}.Propagate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if k := int64(len(res.Mixture.Weights)); 72*k > limited.Options().MaxBytes || !strings.Contains(res.Accuracy.Reason, "memory limit") {
		t.Errorf("%d components; %s", k, res.Accuracy.Reason)
	}
}

func TestMixtureOptions(t *testing.T) {
	net := dense(t, activation.ReLU(), 2, 2, 3, 3, 1)
	for name, m := range map[string]Mixture{
		"no network":          {},
		"an error of 1":       {Network: net, RelError: 1},
		"a NaN error":         {Network: net, RelError: math.NaN()},
		"half a propagation":  {Network: net, Budget: .5},
		"a NaN budget":        {Network: net, Budget: math.NaN()},
		"an infinite budget":  {Network: net, Budget: math.Inf(1)},
		"a negative deadline": {Network: net, Deadline: -1},
		"negative directions": {Network: net, Directions: -1},
		"negative components": {Network: net, Components: -1},
		"negative threads":    {Network: net, Threads: -1},
		"one node":            {Network: net, Split: Split{Nodes: 1}},
		"65 nodes":            {Network: net, Split: Split{Nodes: 65}},
		"no nodes":            {Network: net, Split: Split{Width: .5}},
		"a width of 1":        {Network: net, Split: Split{Nodes: 3, Width: 1}},
		"a NaN width":         {Network: net, Split: Split{Nodes: 3, Width: math.NaN()}},
	} {
		if _, err := m.Propagate(t.Context(), standard(2)); err == nil || !strings.HasPrefix(err.Error(), "mixture: ") {
			t.Errorf("%s gives the error %v", name, err)
		}
	}
}

// TestSubspace: directions are those in which the function varies, by
// decreasing weight, and V V' and the rest make up the covariance. The function
// is |x_0 + x_1| 4 + |x_2|, of an input of 5 elements or, for the other Gram
// matrix, 400.
func TestSubspace(t *testing.T) {
	for _, n := range []int{5, 400} {
		b := graph.NewBuilder()
		x, _ := b.Input("x", []int{n})
		w := make([]float64, 2*n)
		w[0], w[1], w[n+2] = 1, 1, 1
		first, _ := layer.NewAffine(w, nil, 2, n, 1, 1)
		abs, _ := layer.NewElementwise([]activation.Activation{activation.Abs()}, 2)
		last, _ := layer.NewAffine([]float64{4, 1}, nil, 1, 2, 1, 1)
		var err error
		for _, rule := range []layer.Rule{first, abs, last} {
			if x, err = b.Add(graph.Node{Name: "node", Op: "Op", Rule: rule, Inputs: []graph.Tensor{x}, Shape: []int{rule.OutputLen()}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Output("y", x); err != nil {
			t.Fatal(err)
		}
		net, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		in := standard(n)
		root, err := sample.NewPrincipal(t.Context(), in.Cov)
		if err != nil {
			t.Fatal(err)
		}
		m := &Mixture{Network: net, Threads: 1}
		s, err := newSubspace(t.Context(), m, in, root, 32, 2)
		if err != nil {
			t.Fatal(err)
		}
		// E[J'J]: J = 4 sign(x_0 + x_1) (1, 1, 0..) + sign(x_2) (0, 0, 1, 0..),
		// and the signs are all but uncorrelated over the points: the leading
		// direction turns by 4 sqrt(2) c/31 for a correlation c, here 1/8.
		for i, want := range []float64{math.Sqrt(.5), math.Sqrt(.5), 0} {
			if got := math.Abs(s.v.Data[i*s.v.Stride]); math.Abs(got-want) > .025 {
				t.Errorf("n = %d: element %d of the first direction is %v", n, i, got)
			}
		}
		if got := math.Abs(s.v.Data[2*s.v.Stride+1]); math.Abs(got-1) > .001 {
			t.Errorf("n = %d: element 2 of the second direction is %v", n, got)
		}
		if sum := s.lambda[0] + s.lambda[1]; !(math.Abs(sum-s.trace) <= 1e-12*s.trace) {
			t.Errorf("n = %d: two directions have %v of %v", n, sum, s.trace)
		}
		got, scratch := newGeneral(n, n), newGeneral(n, 2)
		s.covarianceTo(got, scratch, []float64{1, 1})
		for i := range n {
			for j := range n {
				if d := got.Data[i*n+j] - in.Cov.At(i, j); !(math.Abs(d) <= 1e-13) {
					t.Fatalf("n = %d: covariance (%d,%d) is off by %v", n, i, j, d)
				}
			}
		}
	}
}

// TestConstantHasDirections: where the Jacobian vanishes they are axes.
func TestConstantHasDirections(t *testing.T) {
	u, lambda, err := rightVectors(blas64.General{Rows: 2, Cols: 3, Stride: 3, Data: make([]float64, 6)}, 2)
	if err != nil || u.Cols != 0 || len(lambda) != 0 {
		t.Errorf("a zero matrix has %d singular vectors (%v)", u.Cols, err)
	}
	net := dense(t, activation.ReLU(), 0, 4, 5, 5, 2) // all weights are zero
	res, err := Mixture{Network: net, Components: 5}.Propagate(t.Context(), standard(4))
	if err != nil {
		t.Fatal(err)
	}
	for i := range res.Mean {
		if v := res.Cov.At(i, i); v != 0 {
			t.Errorf("a constant has the variance %v", v)
		}
	}
}
