package layer_test

import (
	"testing"

	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/optest"
)

// TestConcat compares each input's matrix with the definition.
func TestConcat(t *testing.T) {
	for _, c := range []struct {
		outer int
		lens  []int
	}{{1, []int{4}}, {1, []int{2, 3}}, {3, []int{2, 1, 4}}, {20, []int{5, 5}}} {
		rule, err := layer.NewConcat(c.outer, c.lens)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, n := range c.lens {
			total += n
		}
		before := 0
		for i, n := range c.lens {
			a := zeros(c.outer*total, c.outer*n)
			for o := range c.outer {
				for k := range n {
					a.Data[(o*total+before+k)*a.Stride+o*n+k] = 1
				}
			}
			testLinear(t, rule, i, a, make([]float64, a.Rows))
			before += n
		}
	}
}

func TestConcatLayer(t *testing.T) {
	rule, err := layer.NewConcat(2, []int{3, 1, 2})
	if err != nil {
		t.Fatal(err)
	}
	optest.TestLayer(t, rule, optest.LayerOptions{})
}

func TestConcatRefuses(t *testing.T) {
	for _, c := range []struct {
		outer int
		lens  []int
	}{{0, []int{1}}, {1, nil}, {1, []int{2, 0}}, {1, []int{-1, 3}}} {
		if rule, err := layer.NewConcat(c.outer, c.lens); err == nil || rule != nil {
			t.Errorf("%d x %v: %v, %v", c.outer, c.lens, rule, err)
		}
	}
}
