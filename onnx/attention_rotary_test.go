package onnx_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestRotary evaluates rotary embeddings as the reference evaluator of onnx
// does, with float32 products: 2e-6 of the largest is 16 units.
func TestRotary(t *testing.T) { testStored(t, "testdata/rotary.json", 2e-6) }

// TestRotaryCovariance: a rotation leaves a covariance alone that is the same
// in all directions. The cosines and sines are float32 numbers, whose squares
// add up to 1 within 1.2e-7.
func TestRotaryCovariance(t *testing.T) {
	const n = 8 // two heads of four at one position
	cos := floats("c", []int64{1, 1, 2}, float32(math.Cos(0.5)), float32(math.Cos(2)))
	sin := floats("s", []int64{1, 1, 2}, float32(math.Sin(0.5)), float32(math.Sin(2)))
	net, err := one(23, dims{1, 1, n}, inits{cos, sin}, nd("RotaryEmbedding", "x c s", "y", attrs{"num_heads": 2})).read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := net.Propagate(context.Background(), covprop.Gaussian{Mean: upTo(n), Cov: covprop.Diagonal(slices.Repeat([]float64{1}, n))})
	if err != nil {
		t.Fatal(err)
	}
	if got.Accuracy.Status != covprop.Exact {
		t.Errorf("accuracy %+v", got.Accuracy)
	}
	for i := range n {
		for j := range n {
			want := 0.
			if i == j {
				want = 1
			}
			if c := got.Cov.At(i, j); !(math.Abs(c-want) <= 2e-7) {
				t.Errorf("covariance (%d,%d) is %v, want %v", i, j, c, want)
			}
		}
	}
}

func TestRotaryRefuses(t *testing.T) {
	angles := func(dims ...int64) []*onnxpb.TensorProto {
		size := int64(1)
		for _, d := range dims {
			size *= d
		}
		x := make([]float32, size)
		return inits{floats("c", dims, x...), floats("s", dims, x...)}
	}
	for _, c := range []struct {
		want, in string
		shape    dims
		as       attrs
		inits    inits
	}{
		{"0 heads do not divide", "x c s", dims{1, 2, 4}, nil, angles(1, 2, 2)},
		{"3 heads do not divide", "x c s", dims{1, 2, 4}, attrs{"num_heads": 3}, angles(1, 2, 2)},
		{"not of 3 or 4 dimensions", "x c s", dims{2, 4}, nil, angles(1, 2, 2)},
		{"rotates 6 elements of heads of 4", "x c s", dims{1, 1, 2, 4}, attrs{"rotary_embedding_dim": 6}, angles(1, 2, 3)},
		{"3 elements of a head, which are not pairs", "x c s", dims{1, 1, 2, 4}, attrs{"rotary_embedding_dim": 3}, angles(1, 2, 1)},
		{"not for 2 pairs", "x c s", dims{1, 1, 2, 4}, nil, angles(1, 2, 4)},
		{"not for 2 pairs", "x c s", dims{1, 1, 2, 4}, nil, angles(2, 2)},
		{"not for 1 sequences of 2", "x c s", dims{1, 1, 2, 4}, nil, angles(1, 3, 2)},
		{"not one for every position", "x c s p", dims{1, 1, 2, 4}, nil, append(angles(5, 2), ints("p", 1))},
		{"the position 5 does not exist", "x c s p", dims{1, 1, 2, 4}, nil, append(angles(5, 2), ints("p", 1, 5))},
		{"must be constant", "x x x", dims{1, 1, 2, 4}, nil, nil},
	} {
		_, err := one(23, c.shape, c.inits, nd("RotaryEmbedding", c.in, "y", c.as)).read(onnx.Importer{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %v: error %v, want %q", c.shape, c.as, err, c.want)
		}
	}
}
