package onnx_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// half is a float16 scalar of the given bits.
func half(name string, bits uint16) *onnxpb.TensorProto {
	return raw(name, onnxpb.TensorProto_FLOAT16, nil, bits)
}

// constants are float32 scalars by name.
func constants(v map[string]float64) inits {
	var ts inits
	for name, x := range v {
		ts = append(ts, floats(name, nil, float32(x)))
	}
	return ts
}

var consts = constants(map[string]float64{
	"half": 0.5, "one": 1, "two": 2, "three": 3, "six": 6, "sixth": 1. / 6, "zero": 0,
	"r2": math.Sqrt2, "ir2": math.Sqrt2 / 2, "quick": 1.702, "k2pi": math.Sqrt(2 / math.Pi), "c3": 0.044715, "beta": 1.5,
})

// TestFusion has exporters' spellings of activations, written as
// "output = Op inputs". The network must have exactly one node, named after
// the last, and the activation's value: 1e-15 is the rounding of one
// evaluation.
func TestFusion(t *testing.T) {
	gelu := func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 }
	tanhGELU := func(x float64) float64 { return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) }
	swish := func(beta float64) func(x float64) float64 {
		return func(x float64) float64 { return x / (1 + math.Exp(-beta*x)) }
	}
	hardSwish := func(x float64) float64 { return x * min(max(x/6+0.5, 0), 1) }
	for _, c := range []struct {
		op, rule, graph string
		f               func(float64) float64
	}{
		{"Gelu", "gelu", "a = Div x r2; e = Erf a; p = Add e one; m = Mul x p; y = Mul m half", gelu},
		{"Gelu", "gelu", "a = Div x r2; e = Erf a; p = Add one e; m = Mul x half; y = Mul m p", gelu},
		{"Gelu", "gelu", "a = Mul ir2 x; e = Erf a; p = Add one e; m = Mul half p; y = Mul x m", gelu},
		{"Gelu", "gelu", "a = Mul x ir2; e = Erf a; h = Mul e half; p = Add h half; y = Mul p x", gelu},
		{"Gelu", "gelu", "a = Mul x ir2; e = Erf a; p = Add e one; m = Mul x p; y = Div m two", gelu},
		{"Gelu", "gelu", "n = Neg x; a = Mul n ir2; e = Erf a; p = Sub one e; m = Mul x p; y = Div m two", gelu},
		{"Gelu", "gelu_tanh", "q = Pow x three; r = Mul q c3; s = Add x r; u = Mul s k2pi; v = Tanh u; p = Add v one; m = Mul x half; y = Mul m p", tanhGELU},
		{"Gelu", "gelu_tanh", "q = Mul x x; q3 = Mul q x; r = Mul c3 q3; s = Add x r; u = Mul k2pi s; v = Tanh u; p = Add one v; m = Mul half p; y = Mul x m", tanhGELU},
		{"Gelu", "gelu_tanh", "q = Mul x x; r = Mul c3 q; s = Add one r; w = Mul x k2pi; u = Mul w s; v = Tanh u; p = Add one v; m = Mul x p; y = Mul m half", tanhGELU},
		{"Silu", "silu", "s = Sigmoid x; y = Mul x s", swish(1)},
		{"Silu", "silu", "s = Sigmoid x; y = Mul s x", swish(1)},
		{"QuickGelu", "quick_gelu_1.702", "a = Mul x quick; s = Sigmoid a; y = Mul x s", swish(1.702)},
		{"QuickGelu", "quick_gelu_1.5", "a = Mul beta x; s = Sigmoid a; y = Mul s x", swish(1.5)},
		{"Mish", "mish", "s = Softplus x; v = Tanh s; y = Mul x v", func(x float64) float64 { return x * math.Tanh(math.Log1p(math.Exp(x))) }},
		{"HardSwish", "hard_swish", "a = Add x three; s = Clip a zero six; m = Mul x s; y = Div m six", hardSwish},
		{"HardSwish", "hard_swish", "a = Add three x; s = Clip a zero six; m = Mul s sixth; y = Mul m x", hardSwish},
		{"HardSwish", "hard_swish", "a = Div x six; b = Add a half; s = Clip b zero one; y = Mul x s", hardSwish},
		{"HardSwish", "hard_swish", "s = HardSigmoid x; y = Mul x s", hardSwish},
		{"LogSigmoid", "log_sigmoid", "s = Sigmoid x; y = Log s", func(x float64) float64 { return -math.Log1p(math.Exp(-x)) }},
		{"Gelu", "gelu", "a = Div x r2; e = Erf a; p = Sum one e; m = Mul half x; y = Mul m p", gelu},
		{"Gelu", "gelu_tanh", "q = Pow x three; r = Mul c3 q; s = Sum x r; u = Mul k2pi s; v = Tanh u; p = Sum one v; m = Mul half x; y = Mul m p", tanhGELU},
		{"Softsign", "softsign", "a = Abs x; p = Add one a; y = Div x p", func(x float64) float64 { return x / (1 + math.Abs(x)) }},
		{"Softplus", "softplus", "e = Exp x; p = Add e one; y = Log p", func(x float64) float64 { return math.Log1p(math.Exp(x)) }},
	} {
		t.Run(c.op+" "+c.graph, func(t *testing.T) {
			x := []float64{-1.75, 0.6, 4}
			want := []float64{c.f(x[0]), c.f(x[1]), c.f(x[2])}
			m := one(13, dims{3}, consts, parse(c.graph)...)
			net, err := m.read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			compareEval(t, net, x, want, 1e-15)
			nodes := net.Nodes()
			if len(nodes) != 1 || nodes[0].Op != c.op || nodes[0].Rule != c.rule || nodes[0].Name != "y" {
				t.Errorf("the nodes are %+v, want one %s by %s", nodes, c.op, c.rule)
			}
			// An inner tensor that is an output, too, must stay.
			m.out = append(m.out, m.nodes[len(m.nodes)-2].Output[0])
			if net, err = m.read(onnx.Importer{}); err != nil {
				t.Fatal(err)
			}
			if n := len(net.Nodes()); n == 1 {
				t.Error("a group with an inner output is one node")
			}
		})
	}
}

// parse reads nodes written as "output = Op inputs", separated by semicolons.
func parse(graph string) []*onnxpb.NodeProto {
	var nodes []*onnxpb.NodeProto
	for _, s := range strings.Split(graph, ";") {
		out, in, _ := strings.Cut(strings.TrimSpace(s), " = ")
		op, in, _ := strings.Cut(in, " ")
		n := nd(op, in, out)
		if op == "HardSigmoid" {
			n.Attribute = append(n.Attribute, attribute("alpha", float32(1./6)))
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// TestFusionTolerance: constants are the ideal ones within 1e-6, float16 ones
// within 1e-3, and nothing else is.
func TestFusionTolerance(t *testing.T) {
	const graph = "a = Div x r; e = Erf a; p = Add e one; m = Mul x p; y = Mul m half"
	for _, c := range []struct {
		r  *onnxpb.TensorProto
		ok bool
	}{
		{floats("r", nil, 1.414214), true},
		{floats("r", nil, 1.41422), false},
		{floats("r", nil, 1.7), false},
		{half("r", 0x3da8), true},                      // 1.4140625, the nearest to sqrt 2
		{half("r", 0x3daa), false},                     // 1.416015625
		{floats("r", []int64{1}, 1.4142135), true},     // one element is a scalar
		{floats("r", []int64{1, 1}, 1.4142135), false}, // but this one adds an axis
	} {
		net, err := one(13, dims{3}, append(slices.Clone(consts), c.r), parse(graph)...).read(onnx.Importer{})
		if err != nil {
			t.Fatal(err)
		}
		if (len(net.Nodes()) == 1) != c.ok {
			t.Errorf("with %v: %d nodes", c.r, len(net.Nodes()))
		}
	}
}

// TestNoFusion has products that look like an activation and are not.
func TestNoFusion(t *testing.T) {
	for _, graph := range []string{
		"a = Div x r2; e = Erf a; p = Add e one; y = Mul x p",                              // twice GELU
		"a = Div x r2; e = Erf a; p = Add e two; m = Mul x p; y = Mul m half",              // 2 for 1
		"s = Sigmoid x; m = Mul x s; y = Mul m s",                                          // sigmoid twice
		"a = Add x one; s = Sigmoid a; y = Mul x s",                                        // shifted
		"s = Sigmoid x; p = Add s one; y = Mul x p",                                        // x + SiLU
		"s = Tanh x; y = Mul x s",                                                          // unknown
		"e = Exp x; p = Add e two; y = Log p",                                              // not softplus
		"a = Abs x; p = Add two a; y = Div x p",                                            // not softsign
		"s = Softplus x; v = Tanh s; u = Relu x; y = Mul u v",                              // not the same x
		"a = Add x three; s = Clip a zero three; m = Mul x s; y = Div m six",               // another bound
		"a = Add x two; s = Clip a zero six; m = Mul x s; y = Div m six",                   // another shift
		"q = Mul x x; s = Add x q; u = Mul s k2pi; v = Tanh u; p = Add v one; y = Mul x p", // square for cube
	} {
		net, err := one(13, dims{3}, consts, parse(graph)...).read(onnx.Importer{})
		if err != nil {
			t.Fatal(err)
		}
		if nodes := net.Nodes(); nodes[len(nodes)-1].Op == "Gelu" || len(nodes) < strings.Count(graph, ";")+1 {
			t.Errorf("%s was fused: %+v", graph, nodes)
		}
	}
}

// TestFuseBias: a product and the addition of a bias are one affine map.
func TestFuseBias(t *testing.T) {
	w := floats("w", []int64{2, 2}, 1, 2, 3, 4)
	for _, c := range []struct {
		graph string
		bias  *onnxpb.TensorProto
		want  []float64
		nodes int
	}{
		{"m = MatMul x w; y = Add m b", floats("b", []int64{2}, 10, 20), []float64{17, 30}, 1},
		{"m = MatMul x w; y = Add b m", floats("b", []int64{1, 2}, 10, 20), []float64{17, 30}, 1},
		{"m = MatMul x w; y = Sub m b", floats("b", nil, 10), []float64{-3, 0}, 1},
		{"m = MatMul x w; y = Sub b m", floats("b", nil, 10), []float64{3, 0}, 2},
		{"m = MatMul x w; y = Add m b", floats("b", []int64{1, 1}, 10), []float64{17, 20}, 1},
		{"m = MatMul x w; y = Add m b", floats("b", []int64{1, 1, 2}, 10, 20), []float64{17, 30}, 2},
	} {
		net := one(13, dims{1, 2}, inits{w, c.bias}, parse(c.graph)...).check(t, upTo(2), c.want)
		if n := net.Nodes(); len(n) != c.nodes || n[0].Rule != "affine" || c.nodes == 1 && (n[0].Op != "Gemm" || n[0].Name != "y") {
			t.Errorf("%s with %v: %+v", c.graph, c.bias, n)
		}
	}
}

// TestFusionDescription: every node of the file is listed.
func TestFusionDescription(t *testing.T) {
	d := describe(t, one(13, dims{3}, consts, parse("a = Div x r2; e = Erf a; p = Add e one; m = Mul x p; y = Mul m half")...), onnx.Importer{})
	var got []string
	for _, n := range d.Nodes {
		got = append(got, fmt.Sprintf("%s %s %s", n.Name, n.Op, n.Rule))
		if n.Rule == "fused" && (n.Status != "exact" || !strings.Contains(n.Reason, `"y"`)) {
			t.Errorf("node %s is %s, and the reason %q should name the group", n.Name, n.Status, n.Reason)
		}
	}
	want := []string{"a Div fused", "e Erf fused", "p Add fused", "m Mul fused", "y Mul gelu"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
