package layer_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/optest"
)

// sparseDense returns the Kronecker product of I_outer, s and I_inner.
func sparseDense(s blas64.General, outer, inner int) blas64.General {
	a := zeros(outer*s.Rows*inner, outer*s.Cols*inner)
	for o := range outer {
		for i := range inner {
			for r := range s.Rows {
				for c := range s.Cols {
					a.Data[((o*s.Rows+r)*inner+i)*a.Stride+(o*s.Cols+c)*inner+i] = get(s, r, c)
				}
			}
		}
	}
	return a
}

// TestSparse compares maps with dense matrices: with empty rows, columns
// repeated in a row, and columns in one row only.
func TestSparse(t *testing.T) {
	for name, c := range map[string]struct {
		start, index     []int
		in, outer, inner int
		bias             bool
	}{
		"one entry":        {[]int{0, 1}, []int{0}, 1, 1, 1, false},
		"pooling":          {[]int{0, 2, 4, 6}, []int{0, 1, 2, 3, 4, 5}, 7, 2, 3, false},
		"overlap":          {[]int{0, 3, 6, 9}, []int{0, 1, 2, 1, 2, 3, 2, 3, 4}, 5, 3, 1, true},
		"empty rows":       {[]int{0, 0, 2, 2, 3}, []int{4, 0, 1}, 5, 2, 2, true},
		"repeated columns": {[]int{0, 4, 4, 9}, []int{3, 3, 1, 3, 2, 4, 0, 4, 0}, 5, 2, 2, true},
		"repeated, shared": {[]int{0, 3, 6}, []int{0, 1, 0, 1, 1, 0}, 2, 1, 5, false},
		"permuted":         {[]int{0, 1, 2, 3}, []int{2, 0, 1}, 3, 9, 8, false},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, uint64(c.in)))
			weight := normals(rng, len(c.index))
			s := zeros(len(c.start)-1, c.in)
			for r := range s.Rows {
				for k := c.start[r]; k < c.start[r+1]; k++ {
					s.Data[r*c.in+c.index[k]] += weight[k]
				}
			}
			a := sparseDense(s, c.outer, c.inner)
			shift := make([]float64, a.Rows)
			var bias []float64
			if c.bias {
				bias = normals(rng, s.Rows)
				for i := range shift {
					shift[i] = bias[i/c.inner%s.Rows]
				}
			}
			rule, err := layer.NewSparse(c.start, c.index, weight, bias, c.in, c.outer, c.inner)
			if err != nil {
				t.Fatal(err)
			}
			testLinear(t, rule, 0, a, shift)
		})
	}
}

func TestSparseLayer(t *testing.T) {
	rule, err := layer.NewSparse([]int{0, 2, 3, 6}, []int{0, 1, 3, 1, 2, 3}, []float64{.5, .5, -1, .3, 2, 1}, []float64{1, 0, -2}, 4, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	optest.TestLayer(t, rule, optest.LayerOptions{})
}

func TestSparseRefuses(t *testing.T) {
	one := []float64{1}
	for name, build := range map[string]func() (*layer.Sparse, error){
		"no rows":             func() (*layer.Sparse, error) { return layer.NewSparse([]int{0}, nil, nil, nil, 3, 1, 1) },
		"no start":            func() (*layer.Sparse, error) { return layer.NewSparse(nil, nil, nil, nil, 3, 1, 1) },
		"no columns":          func() (*layer.Sparse, error) { return layer.NewSparse([]int{0, 0}, nil, nil, nil, 0, 1, 1) },
		"too few weights":     func() (*layer.Sparse, error) { return layer.NewSparse([]int{0, 2}, []int{0, 1}, one, nil, 3, 1, 1) },
		"rows past the end":   func() (*layer.Sparse, error) { return layer.NewSparse([]int{0, 2}, []int{0}, one, nil, 3, 1, 1) },
		"rows from the third": func() (*layer.Sparse, error) { return layer.NewSparse([]int{2, 1}, []int{0}, one, nil, 3, 1, 1) },
		"a row backwards": func() (*layer.Sparse, error) {
			return layer.NewSparse([]int{0, 1, 0, 1}, []int{0}, one, nil, 3, 1, 1)
		},
		"column past the end": func() (*layer.Sparse, error) { return layer.NewSparse([]int{0, 1}, []int{3}, one, nil, 3, 1, 1) },
		"negative column":     func() (*layer.Sparse, error) { return layer.NewSparse([]int{0, 1}, []int{-1}, one, nil, 3, 1, 1) },
		"long bias": func() (*layer.Sparse, error) {
			return layer.NewSparse([]int{0, 1}, []int{0}, one, []float64{1, 2}, 3, 1, 1)
		},
		"NaN weight": func() (*layer.Sparse, error) {
			return layer.NewSparse([]int{0, 1}, []int{0}, []float64{math.NaN()}, nil, 3, 1, 1)
		},
		"infinite bias": func() (*layer.Sparse, error) {
			return layer.NewSparse([]int{0, 1}, []int{0}, one, []float64{math.Inf(-1)}, 3, 1, 1)
		},
	} {
		if rule, err := build(); err == nil || rule != nil {
			t.Errorf("%s: %v, %v", name, rule, err)
		}
	}
}
