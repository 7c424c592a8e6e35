package graph_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/baseline"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// TestResidualBlocks: y = x + f(x), f(x) = W2 g(W1 x + b), for a Gaussian x is
// exact, whatever the cross term. It must agree with Monte Carlo within 5
// standard errors, where a sum that ignores Cov(x, f(x)) is off by more than a
// fifth of the variance.
func TestResidualBlocks(t *testing.T) {
	const n, hidden = 6, 12
	for _, g := range []activation.Activation{activation.ReLU(), activation.GELU(), activation.Tanh()} {
		rng := rand.New(rand.NewPCG(7, 8))
		w1, w2 := normals(rng, hidden*n), make([]float64, n*hidden)
		for i := range hidden {
			for j := range n {
				w1[i*n+j] /= 2
				w2[j*hidden+i] = .4 * w1[i*n+j] // f follows x
			}
		}
		b := builder{graph.NewBuilder()}
		x := b.input(n)
		f := b.add("in", must(layer.NewAffine(w1, normals(rng, hidden), hidden, n, 1, 1)), x)
		f = b.act(g, hidden, f)
		f = b.add("out", must(layer.NewAffine(w2, nil, n, hidden, 1, 1)), f)
		y := b.add("sum", must(layer.NewSum([]float64{1, 1}, n)), x, f)
		net := b.build(y, x, f)
		in := covprop.Gaussian{Mean: normals(rng, n), Cov: randomCov(rng, n, 2)}
		res, err := net.Propagate(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		mc, err := baseline.MonteCarlo{Func: net, Samples: 100000, Seed: 3}.Propagate(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		for i := range res.Mean {
			if d := math.Abs(res.Mean[i] - mc.Mean[i]); !(d <= 5*mc.StandardErrors.Mean[i]+1e-12) {
				t.Errorf("%s: mean %d is %v, Monte Carlo %v +- %v", g.Name(), i, res.Mean[i], mc.Mean[i], mc.StandardErrors.Mean[i])
			}
			for j := range i + 1 {
				if d, se := math.Abs(res.Cov.At(i, j)-mc.Cov.At(i, j)), mc.StandardErrors.Cov.At(i, j); !(d <= 5*se+1e-12) {
					t.Errorf("%s: covariance (%d,%d) is %v, Monte Carlo %v +- %v", g.Name(), i, j, res.Cov.At(i, j), mc.Cov.At(i, j), se)
				}
			}
		}
		var sum, ignored float64
		for i := range n {
			sum += res.Cov.At(i, i)
			ignored += res.Cov.At(n+i, n+i) + res.Cov.At(2*n+i, 2*n+i)
		}
		if !(math.Abs(ignored-sum) > .2*sum) {
			t.Errorf("%s: the cross term is too small to tell: variance %v with it, %v without", g.Name(), sum, ignored)
		}
	}
}
