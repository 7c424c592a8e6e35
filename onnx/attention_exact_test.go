package onnx_test

import (
	"context"
	"math"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/onnx"
)

// knownMoments checks the result against a mean and a covariance that are
// known, to tol of the standard deviations.
func knownMoments(t *testing.T, got covprop.Result, mean []float64, cov func(i, j int) float64, tol float64) {
	t.Helper()
	if len(got.Mean) != len(mean) {
		t.Fatalf("%d elements, want %d", len(got.Mean), len(mean))
	}
	for i, m := range mean {
		if d := math.Abs(got.Mean[i] - m); !(d <= tol*(math.Abs(m)+math.Sqrt(cov(i, i)))) {
			t.Errorf("mean %d is %v, want %v", i, got.Mean[i], m)
		}
		for j := range i + 1 {
			if d := math.Abs(got.Cov.At(i, j) - cov(i, j)); !(d <= tol*math.Sqrt(cov(i, i)*cov(j, j))) {
				t.Errorf("covariance (%d,%d) is %v, want %v", i, j, got.Cov.At(i, j), cov(i, j))
			}
		}
	}
}

// TestAttentionScores has the scores of two query heads that share one key
// head, all correlated. They are sums of products of Gaussians,
//
//	E ab = mu_a mu_b + Cov(a, b),
//	Cov(ab, cd) = mu_a mu_c Cov(b, d) + mu_a mu_d Cov(b, c) + mu_b mu_c Cov(a, d) + mu_b mu_d Cov(a, c)
//	            + Cov(a, c) Cov(b, d) + Cov(a, d) Cov(b, c)
//
// (Isserlis 1918): 1e-12 is rounding.
func TestAttentionScores(t *testing.T) {
	const heads, queries, keys, size, scale = 2, 2, 3, 2, 0.375
	s := spec{
		opset: 23,
		in:    []*onnxpb.ValueInfoProto{input("q", 1, queries, heads*size), input("k", 1, keys, size)},
		out:   []string{"s"},
		inits: inits{floats("v", []int64{1, keys, 1}, 1, 2, 3)},
		nodes: []*onnxpb.NodeProto{nd("Attention", "q k v", "y pk pv s", attrs{"q_num_heads": heads, "kv_num_heads": 1, "scale": float32(scale)})},
	}
	net, err := s.read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	in := someGaussian(t, net.InputDim())
	c := in.Cov.(*covprop.Dense)
	got, err := net.Propagate(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	if got.Accuracy.Status != covprop.Exact {
		t.Errorf("accuracy %+v", got.Accuracy)
	}
	// factors returns the positions of Q_d and K_d of score i, (heads, queries, keys).
	factors := func(i, d int) (a, b int) {
		h, q, k := i/(queries*keys), i/keys%queries, i%keys
		return (q*heads+h)*size + d, queries*heads*size + k*size + d
	}
	mu, mean := in.Mean, make([]float64, heads*queries*keys)
	for i := range mean {
		for d := range size {
			a, b := factors(i, d)
			mean[i] += scale * (mu[a]*mu[b] + c.At(a, b))
		}
	}
	cov := func(i, j int) (sum float64) {
		for d := range size {
			for e := range size {
				a, b := factors(i, d)
				x, y := factors(j, e)
				sum += mu[a]*mu[x]*c.At(b, y) + mu[a]*mu[y]*c.At(b, x) + mu[b]*mu[x]*c.At(a, y) + mu[b]*mu[y]*c.At(a, x) +
					c.At(a, x)*c.At(b, y) + c.At(a, y)*c.At(b, x)
			}
		}
		return scale * scale * sum
	}
	knownMoments(t, got, mean, cov, 1e-12)
}

// TestAttentionValues has uncertain values, some of them of the past, under
// constant weights: a linear map, whose matrix is worked out here. The mask is
// for two heads and three queries, whose rows have two, no, one and all keys:
// 1e-12 is rounding.
func TestAttentionValues(t *testing.T) {
	const heads, queries, keys, size, width = 2, 3, 3, 2, 2
	q := []float32{1, 0, -0.5, 2, 0.25, 1, 1, 1, -1, 0.5, 2, -2}
	k := []float32{0.5, 1, -1, 0.25, 2, -0.5} // the first is of the past
	seen := []int32{1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1}
	typ, name := int32(bool1), "m"
	s := spec{
		opset: 23,
		in:    []*onnxpb.ValueInfoProto{input("pv", 1, 1, 1, width), input("v", 1, 1, keys-1, width)},
		out:   []string{"y"},
		inits: inits{
			floats("q", []int64{1, heads, queries, size}, q...),
			floats("pk", []int64{1, 1, 1, size}, k[:size]...), floats("k", []int64{1, 1, keys - 1, size}, k[size:]...),
			{Name: &name, DataType: &typ, Dims: []int64{heads, queries, keys}, Int32Data: seen},
		},
		nodes: []*onnxpb.NodeProto{nd("Attention", "q k v m pk pv", "y", attrs{"scale": float32(0.5)})},
	}
	net, err := s.read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	in := someGaussian(t, net.InputDim())
	c := in.Cov.(*covprop.Dense)
	got, err := net.Propagate(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	if got.Accuracy.Status != covprop.Exact {
		t.Errorf("accuracy %+v", got.Accuracy)
	}
	weights := make([]float64, heads*queries*keys)
	for r := range heads * queries {
		sum := 0.
		for j := range keys {
			score := 0.
			for d := range size {
				score += 0.5 * float64(q[r*size+d]) * float64(k[j*size+d])
			}
			weights[r*keys+j] = float64(seen[r*keys+j]) * math.Exp(score)
			sum += weights[r*keys+j]
		}
		for j := range keys {
			if sum > 0 {
				weights[r*keys+j] /= sum
			}
		}
	}
	mean := make([]float64, heads*queries*width)
	for i := range mean {
		for j := range keys {
			mean[i] += weights[i/width*keys+j] * in.Mean[j*width+i%width]
		}
	}
	cov := func(i, j int) (sum float64) {
		for a := range keys {
			for b := range keys {
				sum += weights[i/width*keys+a] * weights[j/width*keys+b] * c.At(a*width+i%width, b*width+j%width)
			}
		}
		return sum
	}
	knownMoments(t, got, mean, cov, 1e-12)
}

// TestAttentionPairs has a window in which every query sees two of the keys,
// and an uncertain mask. The weights of a row are then sigmoid functions of
// the difference d of two scores, which are linear in the query and the mask:
//
//	w = (p, 1 - p),   p = 1/(1 + e^{-d}),
//
// and their moments integrals over two Gaussian variables, here by
// Gauss-Hermite quadrature of 60 x 60 points: as the poles of p are at +-i pi
// and the standard deviations of d below 0.9, it converges to rounding. The
// rule must be as good as it says, beside 1e-12 for rounding.
func TestAttentionPairs(t *testing.T) {
	const queries, keys, size = 2, 3, 2
	k := []float32{1, -0.5, 0.25, 1, -1, 0.5} // the first is of the past
	s := spec{
		opset: 25,
		in:    []*onnxpb.ValueInfoProto{input("q", 1, 1, queries, size), input("m", 1, queries, keys)},
		out:   []string{"y", "w"},
		inits: inits{
			floats("pk", []int64{1, 1, 1, size}, k[:size]...), floats("k", []int64{1, 1, keys - 1, size}, k[size:]...),
			floats("pv", []int64{1, 1, 1, 1}, 2), floats("v", []int64{1, 1, keys - 1, 1}, -1, 3),
		},
		nodes: []*onnxpb.NodeProto{nd("Attention", "q k v m pk pv", "y a b w", attrs{
			"scale": float32(0.5), "is_causal": 1, "left_window_size": 1, "qk_matmul_output_mode": 3,
		})},
	}
	net, err := s.read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	in := someGaussian(t, net.InputDim())
	c := in.Cov.(*covprop.Dense)
	got, err := net.Propagate(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	// The estimate is that of quadrature and of the series, cut off at 1e-9.
	if a := got.Accuracy; a.Status != covprop.Approximate || !(a.Bound <= layer.DefaultTol) {
		t.Errorf("accuracy %+v, want one by quadrature", a)
	}
	// d_r = sum_i load[r][i] x_i: query r sees the keys r and r+1.
	var load [queries][]float64
	for r := range queries {
		load[r] = make([]float64, net.InputDim())
		for i := range size {
			load[r][r*size+i] = 0.5 * float64(k[r*size+i]-k[(r+1)*size+i])
		}
		load[r][queries*size+r*keys+r], load[r][queries*size+r*keys+r+1] = 1, -1
	}
	var mu [queries]float64
	var v [queries][queries]float64
	for r := range queries {
		for i, x := range in.Mean {
			mu[r] += load[r][i] * x
			for u := range queries {
				for j := range in.Mean {
					v[r][u] += load[r][i] * c.At(i, j) * load[u][j]
				}
			}
		}
	}
	outputs := func(d [queries]float64) []float64 {
		p, r := 1/(1+math.Exp(-d[0])), 1/(1+math.Exp(-d[1]))
		return []float64{2*p - (1 - p), -r + 3*(1-r), p, 1 - p, 0, 0, r, 1 - r}
	}
	const points = 60
	x, w := make([]float64, points), make([]float64, points)
	quad.Hermite{}.FixedLocations(x, w, math.Inf(-1), math.Inf(1))
	n := len(got.Mean)
	mean, second := make([]float64, n), make([]float64, n*n)
	l := math.Sqrt(v[0][0])
	for pass := range 2 { // the means, then the central moments
		for i := range points {
			for j := range points {
				a, b := math.Sqrt2*x[i], math.Sqrt2*x[j]
				weight := w[i] * w[j] / math.Pi
				y := outputs([queries]float64{mu[0] + l*a, mu[1] + v[0][1]/l*a + math.Sqrt(v[1][1]-v[0][1]*v[0][1]/v[0][0])*b})
				for o := range n {
					if pass == 0 {
						mean[o] += weight * y[o]
						continue
					}
					for u := range n {
						second[o*n+u] += weight * (y[o] - mean[o]) * (y[u] - mean[u])
					}
				}
			}
		}
	}
	knownMoments(t, got, mean, func(i, j int) float64 { return second[i*n+j] }, got.Accuracy.Bound+1e-12)
}

// TestAttentionMaskOfOneKey has keys of zeros, so that all keys that are seen
// weigh the same. A mask of one column broadcasts before opset 24, and is
// padded with -Inf from then on.
func TestAttentionMaskOfOneKey(t *testing.T) {
	typ, name := int32(bool1), "b"
	in := inits{
		floats("k", []int64{1, 1, 3, 1}, 0, 0, 0), floats("v", []int64{1, 1, 3, 1}, 1, 2, 6), floats("f", []int64{2, 1}, 0.5, -2),
		{Name: &name, DataType: &typ, Dims: []int64{2, 1}, Int32Data: []int32{1, 0}},
	}
	for _, c := range []struct {
		opset int64
		mask  string
		want  []float64
	}{
		{23, "f", []float64{3, 3}},
		{23, "b", []float64{3, 0}},
		{24, "f", []float64{1, 1}},
		{24, "b", []float64{1, 0}},
	} {
		m := one(c.opset, dims{1, 1, 2, 1}, in, nd("Attention", "x k v "+c.mask, "a"), nd("Add", "a x", "y"))
		m.check(t, []float64{10, 20}, []float64{10 + c.want[0], 20 + c.want[1]})
	}
}

// TestAttentionUncertainMask evaluates attention with a mask that is an input,
// for all shapes that broadcast to (2, 4, 2, 3), as with the same constant.
// Both are sums of the same terms: 1e-12 is rounding.
func TestAttentionUncertainMask(t *testing.T) {
	q := floats("q", []int64{2, 4, 2, 2}, upTo32(32)...)
	k, v := floats("k", []int64{2, 2, 3, 2}, upTo32(24)...), floats("v", []int64{2, 2, 3, 1}, upTo32(12)...)
	for i := range q.FloatData {
		q.FloatData[i] = float32(math.Sin(float64(i))) / 8
	}
	for _, shape := range [][]int64{{3}, {1}, {2, 1}, {2, 3}, {4, 2, 3}, {1, 2, 3}, {4, 1, 1}, {2, 1, 2, 3}, {2, 4, 2, 3}, {1, 4, 1, 3}} {
		size, d := 1, dims{}
		for _, n := range shape {
			size *= int(n)
			d = append(d, int(n))
		}
		mask, x := make([]float32, size), make([]float64, size)
		for i := range x {
			mask[i] = float32(math.Cos(float64(3 * i)))
			x[i] = float64(mask[i])
		}
		as := attrs{"is_causal": 1, "softcap": float32(3)}
		node := nd("Attention", "q k v x", "a", as)
		fixed := one(23, dims{1}, inits{q, k, v, floats("m", shape, mask...)}, nd("Attention", "q k v m", "a", as), nd("Add", "a x", "y"))
		free := one(23, d, inits{q, k, v}, node, nd("Identity", "a", "y"))
		net, err := fixed.read(onnx.Importer{})
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float64, net.OutputDim())
		if err := net.EvalTo(want, []float64{0}); err != nil {
			t.Fatal(err)
		}
		if net, err = free.read(onnx.Importer{}); err != nil {
			t.Fatal(err)
		}
		got := make([]float64, net.OutputDim())
		if err := net.EvalTo(got, x); err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			if !(math.Abs(got[i]-w) <= 1e-12*math.Abs(w)) {
				t.Errorf("mask of shape %v: element %d is %v, want %v", shape, i, got[i], w)
			}
		}
	}
}
