package onnx_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/baseline"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestAttentionMoments propagates uncertain queries, keys and values, which
// are correlated, through causal attention of grouped heads, with a past that
// is constant. The Gaussian closure between the products and the softmax is
// good to 3% of the standard deviations here, beside 5 standard errors of
// Monte Carlo.
func TestAttentionMoments(t *testing.T) {
	s := spec{
		opset: 23,
		in:    []*onnxpb.ValueInfoProto{input("q", 1, 2, 4), input("k", 1, 2, 2), input("v", 1, 2, 2)},
		out:   []string{"y", "pk"},
		inits: inits{floats("a", []int64{1, 1, 1, 2}, .5, -1), floats("b", []int64{1, 1, 1, 2}, 2, 1)},
		nodes: []*onnxpb.NodeProto{nd("Attention", "q k v _ a b", "y pk pv", attrs{"q_num_heads": 2, "kv_num_heads": 1, "is_causal": 1})},
	}
	net, err := s.read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	n := net.InputDim()
	mean, factor := make([]float64, n), make([]float64, n*n)
	for i := range mean {
		mean[i] = rng.NormFloat64()
	}
	for i := range factor {
		factor[i] = .2 * rng.NormFloat64() / math.Sqrt(float64(n))
	}
	cov := make([]float64, n*n)
	for i := range n {
		for j := range n {
			for k := range n {
				cov[i*n+j] += factor[i*n+k] * factor[j*n+k]
			}
		}
	}
	c, err := covprop.NewDense(n, cov)
	if err != nil {
		t.Fatal(err)
	}
	in := covprop.Gaussian{Mean: mean, Cov: c}
	got, err := net.Propagate(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	mc, err := baseline.MonteCarlo{Func: net, Samples: 50000, Seed: 3}.Propagate(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	sd := mc.Std()
	for i := range got.Mean {
		if d := math.Abs(got.Mean[i] - mc.Mean[i]); !(d <= 5*mc.StandardErrors.Mean[i]+.03*sd[i]) {
			t.Errorf("mean %d is %v, Monte Carlo %v +- %v", i, got.Mean[i], mc.Mean[i], mc.StandardErrors.Mean[i])
		}
		for j := range i + 1 {
			if d, se := math.Abs(got.Cov.At(i, j)-mc.Cov.At(i, j)), mc.StandardErrors.Cov.At(i, j); !(d <= 5*se+.03*sd[i]*sd[j]) {
				t.Errorf("covariance (%d,%d) is %v, Monte Carlo %v +- %v", i, j, got.Cov.At(i, j), mc.Cov.At(i, j), se)
			}
		}
	}
}
