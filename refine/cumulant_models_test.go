package refine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// chain builds a network of rules, one after the other, named after their
// place.
func chain(tb testing.TB, n int, rules ...layer.Rule) *graph.Network {
	tb.Helper()
	b := graph.NewBuilder()
	x, err := b.Input("x", []int{n})
	for i, r := range rules {
		if err == nil {
			x, err = b.Add(graph.Node{Name: fmt.Sprint("node", i), Op: "Op", Rule: r, Inputs: []graph.Tensor{x}, Shape: []int{r.OutputLen()}})
		}
	}
	if err == nil {
		err = b.Output("y", x)
	}
	if err != nil {
		tb.Fatal(err)
	}
	net, err := b.Build()
	if err != nil {
		tb.Fatal(err)
	}
	return net
}

// affineRule is y = W x + b with b_i = .1 i.
func affineRule(tb testing.TB, w []float64, out, in int) layer.Rule {
	tb.Helper()
	b := make([]float64, out)
	for i := range b {
		b[i] = .1 * float64(i)
	}
	r, err := layer.NewAffine(w, b, out, in, 1, 1)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func activationRule(tb testing.TB, a activation.Activation, n int) layer.Rule {
	tb.Helper()
	r, err := layer.NewElementwise([]activation.Activation{a}, n)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// heNet is a ReLU network of He's initialisation without biases.
func heNet(tb testing.TB, seed uint64, inputs, width, depth, outputs int) *graph.Network {
	tb.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	var rules []layer.Rule
	n := inputs
	for l := range depth + 1 {
		m := width
		if l == depth {
			m = outputs
		}
		w := make([]float64, m*n)
		for i := range w {
			w[i] = rng.NormFloat64() * math.Sqrt(2/float64(n))
		}
		r, err := layer.NewAffine(w, nil, m, n, 1, 1)
		if err != nil {
			tb.Fatal(err)
		}
		if rules = append(rules, r); l < depth {
			rules = append(rules, activationRule(tb, activation.ReLU(), m))
		}
		n = m
	}
	return chain(tb, inputs, rules...)
}

// sampledMeans returns the means of the outputs for an N(0, I) input from
// pairs of points x, -x, and their mean squared standard error.
func sampledMeans(tb testing.TB, net *graph.Network, pairs int) (mean []float64, se2 float64) {
	tb.Helper()
	const batch = 1 << 10
	n, m := net.InputDim(), net.OutputDim()
	rng := rand.New(rand.NewPCG(11, 12))
	x, y := newGeneral(n, 2*batch), newGeneral(m, 2*batch)
	sum, square := make([]float64, m), make([]float64, m)
	for range pairs / batch {
		for i := range n {
			for k := range batch {
				z := rng.NormFloat64()
				row(x, i)[2*k], row(x, i)[2*k+1] = z, -z
			}
		}
		if err := net.EvalBatchTo(y, x); err != nil {
			tb.Fatal(err)
		}
		for i := range m {
			for k := range batch {
				v := (row(y, i)[2*k] + row(y, i)[2*k+1]) / 2
				sum[i], square[i] = sum[i]+v, square[i]+v*v
			}
		}
	}
	count := float64(pairs / batch * batch)
	for i := range sum {
		sum[i] /= count
		se2 += (square[i]/count - sum[i]*sum[i]) / count / float64(m)
	}
	return sum, se2
}

// meanSquare is that of a - b.
func meanSquare(a, b []float64) (s float64) {
	for i := range a {
		s += (a[i] - b[i]) * (a[i] - b[i]) / float64(len(a))
	}
	return s
}

// unitGaussian is N(0, I).
func unitGaussian(n int) covprop.Gaussian {
	v := make(covprop.Diagonal, n)
	for i := range v {
		v[i] = 1
	}
	return covprop.Gaussian{Mean: make([]float64, n), Cov: v}
}
