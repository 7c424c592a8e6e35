package optest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// LayerOptions choose the inputs of TestLayer. The zero value is useful.
type LayerOptions struct {
	// Scale is that of the random inputs, as in RandomGaussian; 0 means 0.7.
	Scale float64
	// Samples is the number of Monte Carlo samples; 0 means 20000.
	Samples int
}

// TestLayer checks a rule in a network of one node, whose outputs are the
// rule's output and, as bystanders, its inputs: so the cross-covariances
// that come from the rule's gain are checked with the rest. For random
// Gaussian inputs, independent, correlated and of rank 1 and 2, it asks for
// what TestPropagator asks for, agreement with Monte Carlo included, and that
// the network's value and Jacobian are those of the rule's Forward.
func TestLayer(t *testing.T, rule layer.Rule, opts LayerOptions) {
	t.Helper()
	net, err := layerNetwork(rule)
	if err != nil {
		t.Fatal(err)
	}
	if opts.Scale == 0 {
		opts.Scale = 0.7
	}
	if opts.Samples == 0 {
		opts.Samples = 20000
	}
	t.Run("forward", func(t *testing.T) { runAll(t, forwardChecks(net, rule)) })
	for name, in := range layerInputs(net.InputDim(), opts.Scale) {
		t.Run(name, func(t *testing.T) {
			runAll(t, propagatorChecks(net, net, in, PropagatorOptions{Samples: opts.Samples}))
		})
	}
}

// layerNetwork returns the network y = rule(x...), x.
func layerNetwork(rule layer.Rule) (*graph.Network, error) {
	b := graph.NewBuilder()
	var xs []graph.Tensor
	for i, n := range rule.Inputs() {
		x, err := b.Input(fmt.Sprintf("x%d", i), []int{n})
		if err != nil {
			return nil, err
		}
		xs = append(xs, x)
	}
	y, err := b.Add(graph.Node{Name: "node", Op: rule.Name(), Rule: rule, Inputs: xs, Output: "y", Shape: []int{rule.OutputLen()}})
	if err != nil {
		return nil, err
	}
	if err := b.Output("y", y); err != nil {
		return nil, err
	}
	for i, x := range xs {
		if err := b.Output(fmt.Sprintf("x%d", i), x); err != nil {
			return nil, err
		}
	}
	return b.Build()
}

// layerInputs returns inputs of dimension n by name.
func layerInputs(n int, scale float64) map[string]covprop.Gaussian {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	diagonal := RandomGaussian(rng, n, n+1, scale)
	v := make(covprop.Diagonal, n)
	diagonal.Cov.VarianceTo(v)
	v[0] = 0 // one input is certain
	diagonal.Cov = v
	return map[string]covprop.Gaussian{
		"correlated":  RandomGaussian(rng, n, 2*n, scale),
		"rank 2":      RandomGaussian(rng, n, min(n, 2), scale),
		"rank 1":      RandomGaussian(rng, n, 1, scale),
		"independent": diagonal,
	}
}

// forwardChecks compare the network with the rule at a random point.
func forwardChecks(net *graph.Network, rule layer.Rule) []check {
	rng := rand.New(rand.NewPCG(uint64(net.InputDim()), 2))
	x := make([]float64, net.InputDim())
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	forward := func(x []float64) []float64 {
		var parts [][]float64
		rest := x
		for _, n := range rule.Inputs() {
			parts, rest = append(parts, rest[:n]), rest[n:]
		}
		y := make([]float64, rule.OutputLen())
		rule.Forward(y, parts...)
		return append(y, x...)
	}
	return []check{
		{"value", func() error {
			want, got := forward(x), make([]float64, net.OutputDim())
			if err := net.EvalTo(got, x); err != nil {
				return err
			}
			for i, y := range want {
				if err := closeTo(fmt.Sprintf("element %d", i), got[i], y, 0); err != nil {
					return err
				}
			}
			return nil
		}},
		{"jacobian", func() error { return checkJacobian(net, x, forward) }},
		{"accuracy", func() error {
			in := covprop.Gaussian{Mean: x, Cov: RandomGaussian(rng, len(x), len(x), 1).Cov}
			res, err := net.Propagate(context.Background(), in)
			if err != nil {
				return err
			}
			if at, best := res.Accuracy.Status, rule.Exactness().Status; at == covprop.Exact && best == covprop.Approximate {
				return fmt.Errorf("the result claims to be %v, the rule at best %v", at, best)
			}
			return nil
		}},
	}
}

// checkJacobian compares with central differences of step h, whose error is
// of order h^2 = 1e-10 and eps/h = 1e-11, times derivatives of order one.
func checkJacobian(net *graph.Network, x []float64, forward func([]float64) []float64) error {
	const h, tol = 1e-5, 1e-7
	jac := mat.NewDense(net.OutputDim(), net.InputDim(), nil)
	if err := net.JacobianTo(jac, x); err != nil {
		return err
	}
	for j := range x {
		at := x[j]
		x[j] = at + h
		plus := forward(x)
		x[j] = at - h
		minus := forward(x)
		x[j] = at
		for i := range plus {
			want := (plus[i] - minus[i]) / (2 * h)
			if err := closeTo(fmt.Sprintf("derivative (%d,%d)", i, j), jac.At(i, j), want, tol*math.Max(1, math.Abs(want))); err != nil {
				return err
			}
		}
	}
	return nil
}
