package onnx_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// normInits are the constants of the graphs below, for x of shape (2, 3, 2).
var normInits = append(constants(map[string]float64{
	"one": 1, "two": 2, "three": 3, "six": 6, "half": 0.5, "mhalf": -0.5, "zero": 0, "eps": 0.25, "eps3": 0.375,
	"tiny": 1e-9, "floor": 1e-12, "floor6": 1e-6, "big": 1e-3,
}), ints("i0", 0), ints("i1", 1), ints("i2", 2), ints("i12", 1, 2), ints("i02", 0, -1), ints("i23", 2, 3),
	ints("flat", 2, 6), ints("all", 2, 3, 2), ints("col", 2, 1),
	floats("g", []int64{2}, 2, -3), floats("b", []int64{3, 1}, 1, 2, 3), floats("ones", []int64{2, 6}, slices.Repeat([]float32{1}, 12)...))

// A normSpelling is x (or x - mean x) / sqrt(a mean x^2 + epsilon) over axes.
type normSpelling struct {
	graph      string
	axes       []int
	op         string
	a, epsilon float64
	g, b       bool // times g, plus b
}

var normSpellings = []normSpelling{
	// Layer normalisation: PyTorch before opset 17, with one Sub and with two.
	{"m = ReduceMean x i2; d = Sub x m; q = Pow d two; v = ReduceMean q i2; s = Add v eps; r = Sqrt s; y = Div d r", []int{2}, "LayerNormalization", 1, 0.25, false, false},
	{"m = ReduceMean x i2; d = Sub x m; d2 = Sub x m; q = Pow d2 two; v = ReduceMean q i2; s = Add eps v; r = Sqrt s; y = Div d r", []int{2}, "LayerNormalization", 1, 0.25, false, false},
	{"m = ReduceMean x i2; m2 = ReduceMean x i2; d = Sub x m; d2 = Sub x m2; q = Mul d2 d2; v = ReduceMean q i2; s = Add eps v; r = Sqrt s; y = Div d r", []int{2}, "LayerNormalization", 1, 0.25, false, false},
	{"m = ReduceMean x i12; d = Sub x m; q = Mul d d; v = ReduceMean q i12; s = Add v eps; r = Sqrt s; c = Reciprocal r; y = Mul d c", []int{1, 2}, "LayerNormalization", 1, 0.25, false, false},
	{"m = ReduceMean x i02; d = Sub x m; q = Mul d d; v = ReduceMean q i02; s = Add v eps; c = Pow s mhalf; y = Mul c d", []int{0, 2}, "LayerNormalization", 1, 0.25, false, false},
	{"m = ReduceMean x i1; d = Sub x m; q = Mul d d; v = ReduceMean q i1; s = Add v eps; r = Pow s half; c = Div one r; y = Mul d c", []int{1}, "LayerNormalization", 1, 0.25, false, false},
	{"m = ReduceMean x i1; d = Sub x m; q = Mul d d; v = ReduceMean q i1; s = Add v eps; c = Reciprocal s; r = Sqrt c; y = Mul d r", []int{1}, "LayerNormalization", 1, 0.25, false, false},
	{"m = ReduceMean x; d = Sub x m; q = ReduceSumSquare d; v = Div q six; s = Add v eps; r = Sqrt s; y = Div d r", []int{0, 1, 2}, "LayerNormalization", 2, 0.25, false, false},
	// The unbiased variance, and mean x^2 - (mean x)^2.
	{"m = ReduceMean x i1; d = Sub x m; q = Mul d d; v = ReduceMean q i1; t = Mul v three; u = Div t two; s = Add u eps3; r = Sqrt s; y = Div d r", []int{1}, "LayerNormalization", 1.5, 0.375, false, false},
	{"m = ReduceMean x i2; e = Pow m two; p = Pow x two; w = ReduceMean p i2; v = Sub w e; r = Sqrt v; d = Sub x m; z = Add r tiny; y = Div d z", []int{2}, "LayerNormalization", 1, 1e-18, false, false},
	{"m = ReduceMean x i2; e = Mul m m; p = Mul x x; w = ReduceMean p i2; v = Sub w e; s = Add v eps; r = Sqrt s; d = Sub x m; y = Div d r", []int{2}, "LayerNormalization", 1, 0.25, false, false},
	// TensorFlow's x s + (beta - mean s), with and without gamma and beta.
	{"m = ReduceMean x i2; d = Sub x m; q = Mul d d; v = ReduceMean q i2; s = Add v eps; r = Sqrt s; c = Reciprocal r; k = Mul c g; n = Mul m k; t = Sub b n; h = Mul x k; y = Add h t", []int{2}, "LayerNormalization", 1, 0.25, true, true},
	{"m = ReduceMean x i2; d = Sub x m; q = Mul d d; v = ReduceMean q i2; s = Add v eps; k = Pow s mhalf; n = Mul k m; t = Sub b n; h = Mul k x; y = Add t h", []int{2}, "LayerNormalization", 1, 0.25, false, true},
	{"m = ReduceMean x i2; d = Sub x m; q = Mul d d; v = ReduceMean q i2; s = Add v eps; k = Pow s mhalf; l = Neg m; n = Mul l k; h = Mul x k; y = Add h n", []int{2}, "LayerNormalization", 1, 0.25, false, false},
	{"m = ReduceMean x i2; d = Sub x m; q = Mul d d; v = ReduceMean q i2; s = Add v eps; k = Pow s mhalf; n = Mul m k; l = Neg n; h = Mul x k; y = Add h l", []int{2}, "LayerNormalization", 1, 0.25, false, false},
	{"m = ReduceMean x i2; d = Sub x m; q = Mul d d; v = ReduceMean q i2; s = Add v eps; c = Pow s mhalf; k = Mul g c; n = Mul m k; h = Mul x k; y = Sub h n", []int{2}, "LayerNormalization", 1, 0.25, true, false},
	// Root mean square normalisation.
	{"q = Pow x two; v = ReduceMean q i2; s = Add v eps; r = Sqrt s; y = Div x r", []int{2}, "RMSNormalization", 1, 0.25, false, false},
	{"q = Mul x x; v = ReduceMean q i12; s = Add v eps; r = Sqrt s; c = Reciprocal r; y = Mul x c", []int{1, 2}, "RMSNormalization", 1, 0.25, false, false},
	{"q = Mul x x; v = ReduceMean q i1; s = Add v eps; r = Sqrt s; c = Div two r; y = Mul x c", []int{1}, "RMSNormalization", 0.25, 0.0625, false, false},
	{"q = Mul x x; v = ReduceMean q i1; s = Add v eps; c = Pow s mhalf; k = Mul c g; y = Mul k x", []int{1}, "RMSNormalization", 1, 0.25, true, false},
	// The Euclidean norm: a sum, which is a mean times the number of elements.
	{"q = Mul x x; s = ReduceSum q i2; r = Sqrt s; y = Div x r", []int{2}, "LpNormalization", 2, 0, false, false},
	{"r = ReduceL2 x i2; y = Div x r", []int{2}, "LpNormalization", 2, 0, false, false},
	{"r = ReduceL2 x i1; c = Clip r floor; e = Expand c all; y = Div x e", []int{1}, "LpNormalization", 3, 0, false, false},
	{"r = ReduceL2 x i1; c = Max floor r; y = Div x c", []int{1}, "LpNormalization", 3, 0, false, false},
	{"r = ReduceL2 x i1; c = Add r floor; y = Div x c", []int{1}, "LpNormalization", 3, 0, false, false},
	{"q = Mul x x; s = ReduceSum q i2; c = Max s floor; r = Sqrt c; k = Reciprocal r; y = Mul x k", []int{2}, "LpNormalization", 2, 0, false, false},
	{"r = ReduceL2 x i1; t = Mul r half; c = Add t tiny; y = Div x c", []int{1}, "RMSNormalization", 0.75, 1e-18, false, false},
	{"s = ReduceSumSquare x i12; t = Add s three; r = Sqrt t; y = Div x r", []int{1, 2}, "LpNormalization", 6, 3, false, false},
	{"q = Mul x x; v = ReduceMean q i1; s = Add v eps; r = Sqrt s; c = Max r floor6; y = Div x c", []int{1}, "RMSNormalization", 1, 0.25, false, false},
}

// inGroups applies f to every group of elements of x, of shape (2, 3, 2), that
// differ along the axes only.
func inGroups(x []float64, axes []int, f func(x []float64)) []float64 {
	y := make([]float64, len(x))
	groups := map[[3]int][]int{}
	var keys [][3]int
	for i := range x {
		key := [3]int{i / 6, i / 2 % 3, i % 2}
		for _, a := range axes {
			key[a] = 0
		}
		if groups[key] == nil {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], i)
	}
	for _, key := range keys {
		var row []float64
		for _, i := range groups[key] {
			row = append(row, x[i])
		}
		f(row)
		for k, i := range groups[key] {
			y[i] = row[k]
		}
	}
	return y
}

// apply is the normalisation.
func (c normSpelling) apply(x []float64) []float64 {
	y := inGroups(x, c.axes, func(x []float64) {
		n, mean, square := float64(len(x)), 0., 0.
		if c.op == "LayerNormalization" {
			for _, v := range x {
				mean += v / n
			}
		}
		for i := range x {
			x[i] -= mean
			square += x[i] * x[i] / n
		}
		for i := range x {
			x[i] /= math.Sqrt(c.a*square + c.epsilon)
		}
	})
	for i := range y {
		if c.g {
			y[i] *= []float64{2, -3}[i%2]
		}
		if c.b {
			y[i] += float64(1 + i/2%3)
		}
	}
	return y
}

// operator is the normalisation with the operator of ONNX, which takes the
// last axes: before and after it there are transpositions.
func (c normSpelling) operator() spec {
	perm := []int64{}
	for a := range 3 {
		if !slices.Contains(c.axes, a) {
			perm = append(perm, int64(a))
		}
	}
	first := len(perm)
	back, shape := make([]int64, 3), []int64{}
	for _, a := range c.axes {
		perm, shape = append(perm, int64(a)), append(shape, []int64{2, 3, 2}[a])
	}
	size := int64(1)
	for i, a := range perm {
		back[a] = int64(i)
		if i >= first {
			size *= []int64{2, 3, 2}[a]
		}
	}
	scale := floats("scale", shape, slices.Repeat([]float32{1}, int(size))...)
	op := c.op
	if op == "LpNormalization" {
		op = "RMSNormalization"
	}
	factor := raw("a", onnxpb.TensorProto_DOUBLE, nil, 1/math.Sqrt(c.a))
	nodes := []*onnxpb.NodeProto{
		nd("Transpose", "x", "u", attrs{"perm": perm}),
		nd(op, "u scale", "v", attrs{"axis": first, "epsilon": float32(c.epsilon / c.a)}),
		nd("Transpose", "v", "w", attrs{"perm": back}),
		nd("Mul", "w a", "n"),
	}
	in, last := "n", nodes[3]
	if c.g {
		last = nd("Mul", in+" g", "k")
		nodes, in = append(nodes, last), "k"
	}
	if c.b {
		last = nd("Add", in+" b", "t")
		nodes = append(nodes, last)
	}
	last.Output[0] = "y"
	return one(23, dims{2, 3, 2}, append(slices.Clone(normInits), scale, factor), nodes...)
}

// someGaussian is a joint distribution of n elements, all of them correlated.
func someGaussian(t *testing.T, n int) covprop.Gaussian {
	t.Helper()
	mean, cov := make([]float64, n), make([]float64, n*n)
	for i := range n {
		mean[i] = math.Sin(float64(3*i + 1))
		for j := range n {
			cov[i*n+j] = 0.1 * math.Cos(float64(i-j)/2)
		}
		cov[i*n+i] += 0.2 + 0.01*float64(i)
	}
	sigma, err := covprop.NewDense(n, cov)
	if err != nil {
		t.Fatal(err)
	}
	g, err := covprop.NewGaussian(mean, sigma)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// compareMoments checks that two networks make the same of a Gaussian; tol is
// relative to the largest number.
func compareMoments(t *testing.T, net, want *graph.Network, tol float64) {
	t.Helper()
	g := someGaussian(t, net.InputDim())
	r, err := net.Propagate(context.Background(), g)
	if err != nil {
		t.Fatal(err)
	}
	w, err := want.Propagate(context.Background(), g)
	if err != nil {
		t.Fatal(err)
	}
	compareSlices(t, "mean", r.Mean, w.Mean, tol)
	for i := range w.Mean {
		a, b := make([]float64, len(w.Mean)), make([]float64, len(w.Mean))
		for j := range b {
			a[j], b[j] = r.Cov.At(i, j), w.Cov.At(i, j)
		}
		compareSlices(t, "covariance", a, b, tol)
	}
}

func compareSlices(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	scale := 0.
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= tol*scale) {
			t.Errorf("%s: %d is %v, want %v", what, i, got[i], w)
			return
		}
	}
}

// nonlinear returns the nodes whose rules are nonlinear.
func nonlinear(net *graph.Network) (nodes []graph.NodeInfo) {
	for _, n := range net.Nodes() {
		switch n.Rule {
		case "scale", "scale and shift", "select", "reshape":
		default:
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// TestFuseNorm: every spelling is one rule, has the function's value, and
// makes the same moments as the operator of ONNX. The values agree to 1e-14,
// the rounding of the sums; with 1e-9 added to the standard deviation to that.
// The moments of the two networks differ by the order of a few products: 1e-14.
func TestFuseNorm(t *testing.T) {
	for _, c := range normSpellings {
		t.Run(c.graph, func(t *testing.T) {
			m := one(18, dims{2, 3, 2}, normInits, parse(c.graph)...)
			net, err := m.read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			rule := "normalisation"
			if c.op == "LayerNormalization" {
				rule = "centred normalisation"
			}
			if nodes := nonlinear(net); len(nodes) != 1 || nodes[0].Op != c.op || nodes[0].Rule != rule || nodes[0].Name != "y" {
				t.Fatalf("the nodes are %+v, want one %s", net.Nodes(), c.op)
			}
			x := someGaussian(t, 12).Mean
			compareEval(t, net, x, c.apply(x), 1e-14)
			want, err := c.operator().read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			compareMoments(t, net, want, 1e-14)

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

// TestNoFuseNorm has graphs that look like a normalisation and are not.
func TestNoFuseNorm(t *testing.T) {
	for _, graph := range []string{
		"m = ReduceMean x i1; d = Sub x m; q = Mul d d; v = ReduceMean q i1; s = Sub v eps; r = Sqrt s; y = Div d r",                                                // less epsilon
		"q = Mul x x; v = ReduceMean q i1; s = Add v eps; y = Div x s",                                                                                              // no root
		"q = Mul x x; v = ReduceMean q i1; s = Add v g; r = Sqrt s; y = Div x r",                                                                                    // several epsilons
		"q = Pow x three; v = ReduceMean q i1; s = Add v eps; r = Sqrt s; y = Div x r",                                                                              // cubes
		"a = Relu x; q = Mul a a; v = ReduceMean q i1; s = Add v eps; r = Sqrt s; y = Div x r",                                                                      // another x
		"q = Mul x x; v = ReduceMean q i1; s = Add v eps; r = Sqrt s; y = Div r x",                                                                                  // upside down
		"q = Mul x x; v = ReduceMean q i1; s = Add v eps; r = Sqrt s; y = Mul x r",                                                                                  // times the root
		"r = ReduceL2 x i1; c = Max r big; y = Div x c",                                                                                                             // a floor that matters
		"r = ReduceL2 x i1; c = Add r big; y = Div x c",                                                                                                             // a sum that matters
		"r = ReduceL2 x i1; c = Clip r floor three; y = Div x c",                                                                                                    // bounded above
		"m = ReduceMean x i2; d = Sub x m; q = Mul x x; v = ReduceMean q i2; s = Add v eps; r = Sqrt s; y = Div d r",                                                // the mean square, not the variance
		"m = ReduceMean x i2; k = ReduceMean x i1; d = Sub x k; p = Mul x x; w = ReduceMean p i2; e = Mul m m; v = Sub w e; s = Add v eps; r = Sqrt s; y = Div d r", // two sorts of means
	} {
		t.Run(graph, func(t *testing.T) {
			net, err := one(18, dims{2, 3, 2}, normInits, parse(graph)...).read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range net.Nodes() {
				if n.Op != "ReduceL2" && (n.Rule == "normalisation" || n.Rule == "centred normalisation") {
					t.Errorf("was fused: %+v", n)
				}
			}
		})
	}
}

// TestFuseNormShapes: a mean without its axis belongs to another group where
// the shape permits it, and to its own after the axis is put back.
func TestFuseNormShapes(t *testing.T) {
	keep := attrs{"keepdims": 0}
	nodes := func(in string, between ...*onnxpb.NodeProto) []*onnxpb.NodeProto {
		list := append([]*onnxpb.NodeProto{nd("ReduceL2", "x i1", "r", keep)}, between...)
		return append(list, nd("Div", in, "y"))
	}
	back := nd("Unsqueeze", "r i1", "k")
	x := []float64{3, 4, 6, 8}
	rows := one(18, dims{2, 2}, normInits, nodes("x k", back)...).check(t, x, []float64{0.6, 0.8, 0.6, 0.8})
	if n := nonlinear(rows); len(n) != 1 || n[0].Op != "LpNormalization" {
		t.Errorf("not fused: %+v", n)
	}
	columns := one(18, dims{2, 2}, normInits, nodes("x r")...).check(t, x, []float64{0.6, 0.4, 1.2, 0.8})
	if len(nonlinear(columns)) == 1 {
		t.Errorf("fused: %+v", columns.Nodes())
	}
}

// TestFuseNormOldAxes has the axes as attributes, as before opset 18, and
// batches of groups in the form of a reshaped tensor.
func TestFuseNormOldAxes(t *testing.T) {
	axes := attrs{"axes": []int64{-1}}
	m := one(
		13, dims{2, 3, 2}, normInits,
		nd("Reshape", "x flat", "u"), nd("ReduceMean", "u", "m", axes), nd("Sub", "u m", "d"), nd("Pow", "d two", "q"),
		nd("ReduceMean", "q", "v", axes), nd("Add", "v eps", "s"), nd("Sqrt", "s", "r"), nd("Div", "d r", "n"),
		nd("Mul", "n ones", "k"), nd("Reshape", "k all", "y"),
	)
	x := someGaussian(t, 12).Mean
	c := normSpelling{axes: []int{1, 2}, op: "LayerNormalization", a: 1, epsilon: 0.25}
	net := m.check(t, x, c.apply(x))
	if n := nonlinear(net); len(n) != 1 || n[0].Name != "n" || n[0].Rule != "centred normalisation" {
		t.Errorf("the nodes are %+v", n)
	}
}

// TestFuseNormUsedMean: where the mean serves something else, too, what is
// left is the normalisation of the difference.
func TestFuseNormUsedMean(t *testing.T) {
	m := one(18, dims{2, 3, 2}, normInits, parse(normSpellings[0].graph)...)
	m.out = append(m.out, "m")
	net, err := m.read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(net.Nodes(), func(n graph.NodeInfo) bool { return n.Rule == "normalisation" && n.Name == "y" })
	if i < 0 {
		t.Errorf("the nodes are %+v", net.Nodes())
	}
}
