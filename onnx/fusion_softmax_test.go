package onnx_test

import (
	"math"
	"testing"

	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestFuseSoftmax: every spelling is one rule, has the function's value, and
// makes the same moments as the operator of ONNX, of which the rule and the
// numbers are the same. The values agree to 1e-14, the rounding of the sums.
func TestFuseSoftmax(t *testing.T) {
	for _, c := range []struct {
		graph string
		axis  int
		op    string
	}{
		{"m = ReduceMax x i2; d = Sub x m; e = Exp d; s = ReduceSum e i2; y = Div e s", 2, "Softmax"},
		{"m = ReduceMax x i1; d = Sub x m; e = Exp d; s = ReduceSum e i1; r = Reciprocal s; y = Mul e r", 1, "Softmax"},
		{"e = Exp x; s = ReduceSum e i1; y = Div e s", 1, "Softmax"},
		{"e = Exp x; s = ReduceSum e i0; r = Reciprocal s; y = Mul r e", 0, "Softmax"},
		{"e = Exp x; s = ReduceSum e i1; k = Expand s all; y = Div e k", 1, "Softmax"},
		{"s = Softmax x; y = Log s", 2, "LogSoftmax"},
		{"m = ReduceMax x i1; d = Sub x m; e = Exp d; s = ReduceSum e i1; p = Div e s; y = Log p", 1, "LogSoftmax"},
		{"s = ReduceLogSumExp x i1; y = Sub x s", 1, "LogSoftmax"},
		{"m = ReduceMax x i1; d = Sub x m; s = ReduceLogSumExp d i1; y = Sub d s", 1, "LogSoftmax"},
		{"m = ReduceMax x i2; d = Sub x m; e = Exp d; s = ReduceSum e i2; l = Log s; y = Sub d l", 2, "LogSoftmax"},
		{"e = Exp x; l = ReduceLogSum e i0; y = Sub x l", 0, "LogSoftmax"},
	} {
		t.Run(c.graph, func(t *testing.T) {
			m := one(18, dims{2, 3, 2}, normInits, parse(c.graph)...)
			net, err := m.read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			want, err := one(18, dims{2, 3, 2}, nil, nd(c.op, "x", "y", attrs{"axis": c.axis})).read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			rule := nonlinear(want)[0].Rule
			if nodes := nonlinear(net); len(nodes) != 1 || nodes[0].Op != c.op || nodes[0].Rule != rule || nodes[0].Name != "y" {
				t.Fatalf("the nodes are %+v, want one %s", net.Nodes(), c.op)
			}
			x := someGaussian(t, 12).Mean
			compareEval(t, net, x, inGroups(x, []int{c.axis}, func(x []float64) {
				s := 0.
				for _, v := range x {
					s += math.Exp(v)
				}
				for i, v := range x {
					if x[i] = math.Exp(v) / s; c.op == "LogSoftmax" {
						x[i] = v - math.Log(s)
					}
				}
			}), 1e-14)
			compareMoments(t, net, want, 0)

			m.out = append(m.out, m.nodes[len(m.nodes)-2].Output[0])
			if net, err = m.read(onnx.Importer{}); err != nil {
				t.Fatal(err)
			}
			if len(nonlinear(net)) == 1 {
				t.Error("a group with an inner output is one node")
			}
		})
	}
}

// TestFuseSoftmaxMax: where the maximum serves something else, too, what is
// left is the softmax of the difference.
func TestFuseSoftmaxMax(t *testing.T) {
	m := one(18, dims{2, 3, 2}, normInits, parse("m = ReduceMax x i2; d = Sub x m; e = Exp d; s = ReduceSum e i2; y = Div e s")...)
	m.out = append(m.out, "m")
	net, err := m.read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range net.Nodes() {
		if n.Op == "Exp" || n.Name == "y" && n.Op != "Softmax" {
			t.Errorf("the nodes are %+v", net.Nodes())
		}
	}
}

// TestNoFuseSoftmax has graphs that look like a softmax and are not.
func TestNoFuseSoftmax(t *testing.T) {
	for _, graph := range []string{
		"e = Exp x; s = ReduceMean e i1; y = Div e s",               // a mean
		"e = Exp x; s = ReduceSum x i1; y = Div e s",                // a sum of others
		"e = Exp x; s = ReduceSum e i1; y = Div s e",                // upside down
		"e = Exp x; s = ReduceSum e i1; y = Mul e s",                // a product
		"s = ReduceLogSumExp x i1; y = Sub s x",                     // minus the logarithm
		"e = Exp x; s = ReduceSum e i1; l = Log s; y = Sub e l",     // not the same
		"e = Sigmoid x; s = ReduceSum e i1; y = Div e s",            // another function
		"s = Softmax x; t = Mul s two; y = Log t",                   // twice
		"m = ReduceMax x i1; d = Sub x m; e = Exp d; y = Neg e",     // no sum
		"e = Exp x; s = ReduceSum e i1; k = Add s eps; y = Div e k", // something in the sum
	} {
		t.Run(graph, func(t *testing.T) {
			net, err := one(18, dims{2, 3, 2}, normInits, parse(graph)...).read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range net.Nodes() {
				if n.Name == "y" && (n.Op == "Softmax" || n.Op == "LogSoftmax") {
					t.Errorf("was fused: %+v", n)
				}
			}
		})
	}
}

// TestFuseLogSoftmaxOld: before opset 13 softmax has all axes from one on, the
// second by default, and so has its logarithm.
func TestFuseLogSoftmaxOld(t *testing.T) {
	nodes := []*onnxpb.NodeProto{nd("Softmax", "x", "s"), nd("Log", "s", "y")}
	net, err := one(11, dims{2, 3, 2}, nil, nodes...).read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := one(11, dims{2, 3, 2}, nil, nd("LogSoftmax", "x", "y")).read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	if n := net.Nodes(); len(n) != 1 || n[0].Op != "LogSoftmax" {
		t.Errorf("the nodes are %+v", n)
	}
	compareMoments(t, net, want, 0)
}
