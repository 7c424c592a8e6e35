package graph_test

import (
	"testing"

	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// TestLogits: what decides the class lies before all softmaxes and argmaxes at
// the end, whatever reshapes stand between; softmaxes of several rows have none.
func TestLogits(t *testing.T) {
	type step struct {
		rule  layer.Rule
		shape []int
	}
	reshape := func(shape ...int) step { return step{must(layer.NewReshape(6)), shape} }
	softmax := func(groups int, shape ...int) step {
		return step{must(layer.NewSoftmax(groups, 6/groups, false)), shape}
	}
	argMax := func(groups int, shape ...int) step {
		return step{must(layer.NewArgMax(groups, 6/groups, false)), shape}
	}
	scale := step{must(layer.NewScale([]float64{2}, nil, 6)), []int{1, 6}}
	for _, c := range []struct {
		name  string
		steps []step
		want  string // the tensor of the logits: "s" and the number of steps before it; "" if there is none
	}{
		{"nothing", nil, "s0"},
		{"softmax", []step{scale, softmax(1, 1, 6)}, "s1"},
		{"softmax of the input", []step{softmax(1, 1, 6)}, "s0"},
		{"softmax, argmax", []step{scale, softmax(1, 1, 6), argMax(1, 1)}, "s1"},
		{"reshape, softmax, reshape, argmax, reshape", []step{scale, reshape(6, 1), softmax(1, 6, 1), reshape(6), argMax(1, 1), {must(layer.NewReshape(1)), []int{1, 1}}}, "s2"},
		{"softmax, scale", []step{softmax(1, 1, 6), scale}, "s2"},
		{"rows", []step{reshape(2, 3), softmax(2, 2, 3)}, ""},
		{"rows, argmax of all", []step{reshape(2, 3), softmax(2, 2, 3), reshape(6), argMax(1, 1)}, "s3"},
		{"argmax of rows", []step{reshape(2, 3), argMax(2, 2)}, ""},
		{"softmax of single elements", []step{softmax(6, 1, 6)}, ""},
	} {
		b := builder{graph.NewBuilder()}
		x := must(b.Input("s0", []int{1, 6}))
		for i, s := range c.steps {
			name := "s" + string(rune('1'+i))
			x = must(b.Add(graph.Node{Name: name, Op: "Test", Rule: s.rule, Inputs: []graph.Tensor{x}, Output: name, Shape: s.shape}))
		}
		check(b.Output("s"+string(rune('0'+len(c.steps))), x))
		net, ok := must(b.Build()).Logits()
		got := ""
		if ok {
			got = net.Outputs()[0].Name
		}
		if got != c.want {
			t.Errorf("%s: logits are %q, want %q", c.name, got, c.want)
		}
	}
}
