package onnx_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestFusionMutated damages the spellings of normalisations, a name or an
// operator at a time. Whether or not what comes out is fused, it must have the
// value that it has with all inner tensors as outputs, which prevents fusion:
// within 1e-6 of the largest number, the rounding of a difference of squares.
func TestFusionMutated(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	ops := []string{"Add", "Sub", "Mul", "Div", "Sqrt", "Reciprocal", "Exp", "Log", "Neg", "ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL2", "Max"}
	names := []string{"x", "one", "two", "half", "mhalf", "eps", "g", "b", "i0", "i1", "i2", "i12", "three"}
	x := someGaussian(t, 12).Mean
	fused := 0
	for i := range 20000 {
		graph := normSpellings[i%len(normSpellings)].graph
		if i%3 == 0 {
			graph = "m = ReduceMax x i2; d = Sub x m; e = Exp d; s = ReduceSum e i2; l = Log s; y = Sub d l"
		}
		m := one(18, dims{2, 3, 2}, normInits, parse(graph)...)
		damage(rng, m.nodes, ops, names)
		net, err := m.read(onnx.Importer{})
		if err != nil {
			continue
		}
		all := m
		for _, n := range m.nodes[:len(m.nodes)-1] {
			all.out = append(slices.Clone(all.out), n.Output[0])
		}
		apart, err := all.read(onnx.Importer{})
		if err != nil {
			continue // an inner tensor that y does not need is not supported
		}
		want := make([]float64, apart.OutputDim())
		if err := apart.EvalTo(want, x); err != nil {
			continue
		}
		want = want[:net.OutputDim()]
		square := 0. // not a number if one of them is none
		for _, w := range want {
			square += w * w
		}
		if !(square > 1e-6 && square < 1e6) {
			continue // 0 and 1/0 but for rounding
		}
		compareEval(t, net, x, want, 1e-6)
		if t.Failed() {
			t.Fatalf("%v", m.nodes)
		}
		if len(net.Nodes()) < len(apart.Nodes()) {
			fused++
		}
	}
	if fused < 1000 {
		t.Errorf("%d graphs were fused: the test does not reach the patterns", fused)
	}
}

// damage changes one or two inputs or operators.
func damage(rng *rand.Rand, nodes []*onnxpb.NodeProto, ops, names []string) {
	for range 1 + rng.IntN(2) {
		k := rng.IntN(len(nodes))
		n := nodes[k]
		if rng.IntN(3) == 0 {
			n.OpType = &ops[rng.IntN(len(ops))]
			continue
		}
		i := rng.IntN(len(n.Input))
		if k > 0 && rng.IntN(2) == 0 {
			n.Input[i] = nodes[rng.IntN(k)].Output[0]
		} else {
			n.Input[i] = names[rng.IntN(len(names))]
		}
	}
}
