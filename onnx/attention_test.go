package onnx_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/baseline"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestAttentionMoments propagates uncertain queries, keys and values, which
// are correlated, through causal attention of grouped heads, with a past that
// is constant, and through one with a soft cap and an uncertain mask.
//
// What is allowed beside 5 standard errors of Monte Carlo is the error of the
// Gaussian closure between the products, the cap and the softmax, in standard
// deviations. It falls with the variance. The second network has weights of
// 0.02, the worst case: their variances are 31% too small with inputs of
// standard deviation 0.2, 10% with 0.1, 2.4% with 0.05 and 0.6% with 0.025.
func TestAttentionMoments(t *testing.T) {
	for _, c := range []struct {
		name        string
		sd, closure float64
		spec        spec
	}{
		{"past", 0.2, 0.03, spec{
			opset: 23,
			in:    []*onnxpb.ValueInfoProto{input("q", 1, 2, 4), input("k", 1, 2, 2), input("v", 1, 2, 2)},
			out:   []string{"y", "pk"},
			inits: inits{floats("a", []int64{1, 1, 1, 2}, .5, -1), floats("b", []int64{1, 1, 1, 2}, 2, 1)},
			nodes: []*onnxpb.NodeProto{nd("Attention", "q k v _ a b", "y pk pv", attrs{"q_num_heads": 2, "kv_num_heads": 1, "is_causal": 1})},
		}},
		{"mask", 0.025, 0.01, spec{
			opset: 24,
			in:    []*onnxpb.ValueInfoProto{input("q", 1, 2, 2, 2), input("k", 1, 1, 3, 2), input("v", 1, 1, 3, 1), input("m", 2, 1, 3)},
			out:   []string{"y", "w"},
			nodes: []*onnxpb.NodeProto{nd("Attention", "q k v m", "y a b w", attrs{"softcap": float32(2), "scale": float32(1), "qk_matmul_output_mode": 3})},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { sampleMoments(t, c.spec, c.sd, c.closure) })
	}
}

// sampleMoments compares the moments of a model with Monte Carlo for inputs of
// about the standard deviation given; closure is allowed beside the noise, in
// standard deviations of the outputs.
func sampleMoments(t *testing.T, s spec, inputSD, closure float64) {
	t.Helper()
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
		factor[i] = inputSD * rng.NormFloat64() / math.Sqrt(float64(n))
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
		if d := math.Abs(got.Mean[i] - mc.Mean[i]); !(d <= 5*mc.StandardErrors.Mean[i]+closure*sd[i]) {
			t.Errorf("mean %d is %v, Monte Carlo %v +- %v", i, got.Mean[i], mc.Mean[i], mc.StandardErrors.Mean[i])
		}
		for j := range i + 1 {
			if d, se := math.Abs(got.Cov.At(i, j)-mc.Cov.At(i, j)), mc.StandardErrors.Cov.At(i, j); !(d <= 5*se+closure*sd[i]*sd[j]) {
				t.Errorf("covariance (%d,%d) is %v, Monte Carlo %v +- %v", i, j, got.Cov.At(i, j), mc.Cov.At(i, j), se)
			}
		}
	}
}

func TestAttentionRefuses(t *testing.T) {
	x3, x4 := dims{1, 2, 4}, dims{1, 2, 3, 4} // batch, length, size; batch, heads, length, size
	heads := attrs{"q_num_heads": 2, "kv_num_heads": 2}
	mask := func(v float32) inits { return inits{floats("m", []int64{1, 3}, 0, 0, v)} }
	for _, c := range []struct {
		want, in, out string
		opset         int64
		shape         dims
		as            attrs
		inits         inits
	}{
		{"needs a query, a key and a value", "x x", "y", 23, x4, nil, nil},
		{"not all of 3 or of 4 dimensions", "x x x", "y", 23, dims{2, 4}, nil, nil},
		{"not all of 3 or of 4 dimensions", "x x v", "y", 23, x3, heads, inits{floats("v", []int64{1, 1, 1, 1}, 1)}},
		{"do not fit together", "x k x", "y", 23, x4, nil, inits{floats("k", []int64{1, 2, 3, 1}, make([]float32, 6)...)}},
		{"needs q_num_heads and kv_num_heads", "x x x", "y", 23, x3, nil, nil},
		{"needs q_num_heads and kv_num_heads", "x x x", "y", 23, x3, attrs{"q_num_heads": 2}, nil},
		{"0 query heads and 2 key heads do not divide", "x x x", "y", 23, x3, attrs{"q_num_heads": 0, "kv_num_heads": 2}, nil},
		{"attributes of 2 query heads and 1 key heads, but 2 and 2", "x x x", "y", 23, x4, attrs{"kv_num_heads": 1}, nil},
		{"3 query heads and 2 key heads do not divide", "x x x", "y", 23, x3, attrs{"q_num_heads": 3, "kv_num_heads": 2}, nil},
		{"3 key heads do not divide 2 query heads", "x k k", "y", 23, x4, nil, inits{floats("k", []int64{1, 3, 1, 4}, make([]float32, 12)...)}},
		{"without the other", "x x x _ x", "y", 23, x4, nil, nil},
		{"the past key and value of shapes", "x x x _ x p", "y", 23, x4, nil, inits{floats("p", []int64{1, 2, 1, 4}, make([]float32, 8)...)}},
		{"softcap -1", "x x x", "y", 23, x4, attrs{"softcap": float32(-1)}, nil},
		{"scale is -1", "x x x", "y", 23, x4, attrs{"scale": float32(-1)}, nil},
		{"the window from -2 to -1", "x x x", "y", 25, x4, attrs{"left_window_size": -2}, nil},
		{`the attribute "left_window_size", which is not one of the operator in opset 24`, "x x x", "y", 24, x4, attrs{"left_window_size": 1}, nil},
		{"qk_matmul_output_mode is 4", "x x x", "y", 23, x4, attrs{"qk_matmul_output_mode": 4}, nil},
		{"a mask of shape [1 4] does not fit", "x x x m", "y", 23, x4, nil, inits{floats("m", []int64{1, 4}, 0, 0, 0, 0)}},
		{"a mask of int64 is not supported", "x x x m", "y", 23, x4, nil, inits{ints("m", 1, 1, 1)}},
		{"element 2 of the mask is +Inf", "x x x m", "y", 23, x4, nil, mask(inf32)},
		{"a mask of shape [2] does not fit", "x x x m", "y", 23, x4, nil, inits{floats("m", []int64{2}, 0, 0)}},
		{"an uncertain mask of shape [1 2 3 2] is not for all 3 keys", "x x x x", "y", 24, dims{1, 2, 3, 2}, nil, nil},
		{"must be constant", "x x x _ _ _ x", "y", 24, dims{1, 2, 3, 3}, nil, nil},
		{"nonpad_kv_seqlen is 4 of 3 keys", "x x x _ _ _ n", "y", 24, x4, nil, inits{ints("n", 4)}},
		{"nonpad_kv_seqlen is -1 of 3 keys", "x x x _ _ _ n", "y", 24, x4, nil, inits{ints("n", -1)}},
		{"the scores with the mask, its output 3, are not finite", "x x x m", "w u v y", 23, x4, attrs{"qk_matmul_output_mode": 2}, mask(-inf32)},
		{"exists from opset 24 on", "x x x _ _ _ n", "y", 23, x4, nil, inits{ints("n", 1)}},
		{"not for 1 sequences without a past", "x x x _ _ _ n", "y", 24, x4, nil, inits{ints("n", 1, 2)}},
	} {
		_, err := one(c.opset, c.shape, c.inits, nd("Attention", c.in, c.out, c.as)).read(onnx.Importer{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: error %v, want %q", c.in, c.as, err, c.want)
		}
	}
}
