package onnx_test

import (
	"math"
	"testing"

	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestOps has models whose value is worked out by hand, among them every
// operator whose definition changed between operator sets in its old and its
// new form.
func TestOps(t *testing.T) {
	scalar := func(name string, v float32) *onnxpb.TensorProto { return floats(name, nil, v) }
	w := floats("w", []int64{2, 3}, 1, 2, 3, 4, 5, 6)
	for _, c := range []struct {
		name    string
		model   spec
		x, want []float64
	}{
		// Opset 6 broadcasts only from the axis given, if told to.
		{"Add 6 equal", one(6, dims{2}, inits{floats("c", []int64{2}, 10, 20)}, nd("Add", "x c", "y")), upTo(2), []float64{11, 22}},
		{
			"Add 6 axis", one(6, dims{2, 3}, inits{floats("c", []int64{2}, 10, 20)}, nd("Add", "x c", "y", attrs{"broadcast": 1, "axis": 0})),
			upTo(6),
			[]float64{11, 12, 13, 24, 25, 26},
		},
		{
			"Mul 6 suffix", one(6, dims{2, 3}, inits{floats("c", []int64{3}, 10, 20, 30)}, nd("Mul", "x c", "y", attrs{"broadcast": 1})),
			upTo(6),
			[]float64{10, 40, 90, 40, 100, 180},
		},
		{"Add 7", one(7, dims{2, 3}, inits{floats("c", []int64{2, 1}, 10, 20)}, nd("Add", "c x", "y")), upTo(6), []float64{11, 12, 13, 24, 25, 26}},
		{"Add grows", one(13, dims{2}, inits{floats("c", []int64{2, 1}, 10, 20)}, nd("Add", "x c", "y")), upTo(2), []float64{11, 12, 21, 22}},
		{"Sub const left", one(13, dims{2}, inits{floats("c", []int64{2}, 10, 20)}, nd("Sub", "c x", "y")), upTo(2), []float64{9, 18}},
		{"Sub const right", one(13, dims{2}, inits{floats("c", []int64{2}, 10, 20)}, nd("Sub", "x c", "y")), upTo(2), []float64{-9, -18}},
		{"Div", one(13, dims{2}, inits{scalar("c", 4)}, nd("Div", "x c", "y")), upTo(2), []float64{0.25, 0.5}},
		{"Mul grows", one(13, dims{2, 1}, inits{floats("c", []int64{1, 2}, 10, 20)}, nd("Mul", "x c", "y")), upTo(2), []float64{10, 20, 20, 40}},
		{"Mul square", one(13, dims{2}, nil, nd("Mul", "x x", "y")), upTo(2), []float64{1, 4}},
		{"SpaceToDepth 28", one(28, dims{1, 2, 2, 2}, nil, nd("SpaceToDepth", "x", "y", attrs{"blocksize": 2})), upTo(8), []float64{1, 5, 2, 6, 3, 7, 4, 8}},
		{"SpaceToDepth 28 CRD", one(28, dims{1, 2, 2, 2}, nil, nd("SpaceToDepth", "x", "y", attrs{"blocksize": 2, "mode": "CRD"})), upTo(8), upTo(8)},
		{"Gemm 6 broadcast", one(
			6, dims{1, 2}, inits{floats("w", []int64{2, 2}, 1, 0, 0, 1), floats("c", []int64{2}, 10, 20)},
			nd("Gemm", "x w c", "y", attrs{"broadcast": 1}),
		), upTo(2), []float64{11, 22}},
		{"Neg", one(13, dims{2}, nil, nd("Neg", "x", "y")), upTo(2), []float64{-1, -2}},
		{"Sum", one(13, dims{2}, inits{floats("c", []int64{2}, 10, 20), scalar("d", 100)}, nd("Sum", "x c x d", "y")), upTo(2), []float64{112, 124}},
		{"Mean", one(13, dims{2}, inits{floats("c", []int64{2}, 10, 20)}, nd("Mean", "x c", "y")), upTo(2), []float64{5.5, 11}},
		{"Sub broadcast", one(13, dims{2, 2}, inits{ints("a", 0)}, nd("Gather", "x a", "r", attrs{"axis": 0}), nd("Sub", "x r", "y")), upTo(4), []float64{0, 0, 2, 2}},
		{"Pow 7", one(7, dims{2}, inits{floats("k", []int64{2}, 2, 5)}, nd("Pow", "x k", "y")), []float64{3, 2}, []float64{9, 32}},
		{"Pow 0 1", one(13, dims{2}, inits{floats("k", []int64{2}, 0, 1)}, nd("Pow", "x k", "y")), []float64{3, 2}, []float64{1, 2}},
		{"Pow int", one(13, dims{2}, inits{ints("k", 3)}, nd("Pow", "x k", "y")), []float64{3, 2}, []float64{27, 8}},

		{"Clip 6", one(6, dims{3}, nil, nd("Clip", "x", "y", attrs{"min": float32(1.5), "max": float32(2.5)})), upTo(3), []float64{1.5, 2, 2.5}},
		{"Clip 6 max", one(6, dims{3}, nil, nd("Clip", "x", "y", attrs{"max": float32(2.5)})), upTo(3), []float64{1, 2, 2.5}},
		{"Clip 6 infinite", one(6, dims{3}, nil, nd("Clip", "x", "y", attrs{"min": float32(2), "max": inf32})), upTo(3), []float64{2, 2, 3}},
		{"Clip 6 none", one(6, dims{3}, nil, nd("Clip", "x", "y", attrs{"min": float32(-math.MaxFloat32), "max": float32(math.MaxFloat32)})), upTo(3), upTo(3)},
		{"Clip 11", one(11, dims{3}, inits{scalar("lo", 1.5), scalar("hi", 2.5)}, nd("Clip", "x lo hi", "y")), upTo(3), []float64{1.5, 2, 2.5}},
		{"Clip 11 min", one(11, dims{3}, inits{scalar("lo", 1.5)}, nd("Clip", "x lo", "y")), upTo(3), []float64{1.5, 2, 3}},
		{"Clip 11 max", one(11, dims{3}, inits{scalar("hi", 1.5)}, nd("Clip", "x _ hi", "y")), upTo(3), []float64{1, 1.5, 1.5}},
		{"Clip none", one(11, dims{3}, nil, nd("Clip", "x", "y")), upTo(3), upTo(3)},
		{"Clip crossed", one(11, dims{3}, inits{scalar("lo", 3), scalar("hi", 2)}, nd("Clip", "x lo hi", "y")), upTo(3), []float64{2, 2, 2}},
		{"PRelu 6", one(6, dims{1, 2, 2}, inits{floats("s", []int64{2}, 0.5, 0.25)}, nd("PRelu", "x s", "y")), []float64{-1, -2, -4, 4}, []float64{-0.5, -1, -1, 4}},
		{"PRelu 9", one(9, dims{1, 2, 2}, inits{floats("s", []int64{2}, 0.5, 0.25)}, nd("PRelu", "x s", "y")), []float64{-1, -2, -4, 4}, []float64{-0.5, -0.5, -2, 4}},

		{"PRelu folded", one(16, dims{2}, inits{raw("k", onnxpb.TensorProto_DOUBLE, []int64{2}, []float64{-2, 3}), raw("s", onnxpb.TensorProto_DOUBLE, nil, 0.5), raw("d", onnxpb.TensorProto_DOUBLE, nil, 1.)}, nd("PRelu", "k s", "p"), nd("Sum", "p d", "q"), nd("Cast", "q", "f", attrs{"to": int(f32)}), nd("Add", "x f", "y")), upTo(2), []float64{1, 6}},

		{"Dropout 6", one(6, dims{2}, nil, nd("Dropout", "x", "y", attrs{"is_test": 1})), upTo(2), upTo(2)},
		{"Dropout 6 ratio 0", one(6, dims{2}, nil, nd("Dropout", "x", "y", attrs{"ratio": float32(0)})), upTo(2), upTo(2)},
		{"Dropout 7 mask", one(7, dims{2}, nil, nd("Dropout", "x", "d mask"), nd("Add", "d mask", "y")), upTo(2), []float64{2, 3}},
		{"Dropout 7", one(7, dims{2}, nil, nd("Dropout", "x", "y mask")), upTo(2), upTo(2)},
		{"Dropout 12", one(12, dims{2}, inits{scalar("r", 0.5), raw("t", bool1, nil, []byte{0})}, nd("Dropout", "x r t", "y")), upTo(2), upTo(2)},
		{"Dropout ratio 0", one(12, dims{2}, inits{scalar("r", 0), raw("t", bool1, nil, []byte{1})}, nd("Dropout", "x r t", "y")), upTo(2), upTo(2)},
		{"Squeeze 11", one(11, dims{1, 2, 1}, inits{scalar("c", 1)}, nd("Squeeze", "x", "s", attrs{"axes": []int64{-1}}), nd("Add", "s c", "y")), upTo(2), []float64{2, 3}},
		{"Squeeze 13", one(13, dims{1, 2, 1}, inits{ints("a", 0)}, nd("Squeeze", "x a", "y")), upTo(2), upTo(2)},
		{"Unsqueeze 11", one(11, dims{2}, inits{floats("c", []int64{2}, 10, 20)}, nd("Unsqueeze", "x", "u", attrs{"axes": []int64{1}}), nd("Add", "u c", "y")), upTo(2), []float64{11, 21, 12, 22}},
		{"Unsqueeze 13", one(13, dims{2}, inits{ints("a", -1), floats("c", []int64{2}, 10, 20)}, nd("Unsqueeze", "x a", "u"), nd("Add", "u c", "y")), upTo(2), []float64{11, 21, 12, 22}},
		{"Split 6", one(6, dims{4}, nil, nd("Split", "x", "a y", attrs{"split": []int64{1, 3}})), upTo(4), []float64{2, 3, 4}},
		{"Split equal", one(11, dims{2, 4}, nil, nd("Split", "x", "a y", attrs{"axis": -1})), upTo(8), []float64{3, 4, 7, 8}},
		{"Split 13", one(13, dims{4}, inits{ints("s", 1, 3)}, nd("Split", "x s", "a y")), upTo(4), []float64{2, 3, 4}},
		{"Split 18", one(18, dims{5}, nil, nd("Split", "x", "a b y", attrs{"num_outputs": 3})), upTo(5), []float64{5}},
		{"Slice 6", one(6, dims{2, 3}, nil, nd("Slice", "x", "y", attrs{"axes": []int64{1}, "starts": []int64{-2}, "ends": []int64{math.MaxInt64}})), upTo(6), []float64{2, 3, 5, 6}},
		{"Slice 10", one(10, dims{2, 3}, inits{ints("s", -1), ints("e", math.MinInt64), ints("a", 1), ints("p", -2)}, nd("Slice", "x s e a p", "y")), upTo(6), []float64{3, 1, 6, 4}},
		{"Slice 10 no axes", one(10, dims{2, 3}, inits{ints("s", 1, 0), ints("e", 2, 2)}, nd("Slice", "x s e", "y")), upTo(6), []float64{4, 5}},
		{"Transpose", one(13, dims{2, 3}, nil, nd("Transpose", "x", "y")), upTo(6), []float64{1, 4, 2, 5, 3, 6}},
		{"Expand", one(13, dims{2, 1}, inits{ints("s", 2, 2)}, nd("Expand", "x s", "y")), upTo(2), []float64{1, 1, 2, 2}},
		{"Reshape 0 -1", one(13, dims{2, 3, 2}, inits{ints("s", 0, -1), floats("c", []int64{6}, 1, 2, 3, 4, 5, 6)}, nd("Reshape", "x s", "r"), nd("Sub", "r c", "y")), upTo(12), []float64{0, 0, 0, 0, 0, 0, 6, 6, 6, 6, 6, 6}},
		{"Flatten -1", one(13, dims{2, 3}, inits{floats("c", []int64{1, 3}, 1, 2, 3)}, nd("Flatten", "x", "r", attrs{"axis": -1}), nd("Sub", "r c", "y")), upTo(6), []float64{0, 0, 0, 3, 3, 3}},
		{"Gather scalar", one(13, dims{3}, inits{raw("i", i64, nil, []int64{1})}, nd("Gather", "x i", "g"), nd("Neg", "g", "y")), upTo(3), []float64{-2}},
		{"MatMul scalar", one(13, dims{3}, inits{floats("w", []int64{3}, 1, 2, 3)}, nd("MatMul", "x w", "g"), nd("Neg", "g", "y")), upTo(3), []float64{-14}},
		{
			"scale by a dimension", one(13, dims{2, 4}, inits{raw("i", i64, nil, []int64{1})}, nd("Shape", "x", "s"), nd("Gather", "s i", "g"),
				nd("Cast", "g", "f", attrs{"to": int(f32)}), nd("Sqrt", "f", "r"), nd("Div", "x r", "y")),
			upTo(8),
			[]float64{0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4},
		},
		{"Cast", one(13, dims{2}, nil, nd("Cast", "x", "y", attrs{"to": int(onnxpb.TensorProto_DOUBLE)})), upTo(2), upTo(2)},
		{"CastLike", one(15, dims{2}, inits{ints("i", 3, 4)}, nd("CastLike", "i x", "f"), nd("Mul", "x f", "y")), upTo(2), []float64{3, 8}},

		{"MatMul right", one(13, dims{2}, inits{w}, nd("MatMul", "x w", "y")), []float64{1, 10}, []float64{41, 52, 63}},
		{"MatMul left", one(13, dims{3}, inits{w}, nd("MatMul", "w x", "y")), []float64{1, 10, 100}, []float64{321, 654}},
		{"MatMul rows", one(13, dims{2, 1, 2}, inits{w}, nd("MatMul", "x w", "y")), []float64{1, 0, 0, 1}, upTo(6)},
		{"MatMul columns", one(13, dims{3, 2}, inits{w}, nd("MatMul", "w x", "y")), []float64{1, 0, 0, 0, 0, 1}, []float64{1, 3, 4, 6}},
		{"MatMul batch", one(13, dims{2, 3, 1}, inits{w}, nd("MatMul", "w x", "y")), []float64{1, 0, 0, 0, 0, 1}, []float64{1, 4, 3, 6}},
		{"MatMul bias column", one(13, dims{3, 2}, inits{w, floats("b", []int64{2, 1}, 10, 20)}, nd("MatMul", "w x", "m"), nd("Add", "m b", "y")), []float64{1, 0, 0, 0, 0, 1}, []float64{11, 13, 24, 26}},
		{"MatMul bias full", one(13, dims{2, 2}, inits{w, floats("b", []int64{2, 3}, 1, 1, 1, 2, 2, 2)}, nd("MatMul", "x w", "m"), nd("Sub", "m b", "y")), []float64{1, 0, 0, 1}, []float64{0, 1, 2, 2, 3, 4}},
		{"Gemm", one(13, dims{2, 2}, inits{w, floats("c", []int64{3}, 1, 2, 3)}, nd("Gemm", "x w c", "y", attrs{"alpha": float32(2), "beta": float32(10)})), []float64{1, 0, 0, 1}, []float64{12, 24, 36, 18, 30, 42}},
		{"Gemm 6", one(6, dims{1, 2}, inits{w, floats("c", []int64{3}, 1, 2, 3)}, nd("Gemm", "x w c", "y", attrs{"broadcast": 1})), []float64{1, 10}, []float64{42, 54, 66}},
		{"Gemm transB", one(13, dims{1, 3}, inits{w, scalar("c", 1)}, nd("Gemm", "x w c", "y", attrs{"transB": 1})), []float64{1, 10, 100}, []float64{322, 655}},
		{"Gemm transA", one(13, dims{2, 2}, inits{w}, nd("Gemm", "x w", "y", attrs{"transA": 1})), []float64{1, 2, 10, 20}, []float64{41, 52, 63, 82, 104, 126}},
		{"Gemm rows", one(13, dims{2, 2}, inits{w, floats("c", []int64{2, 1}, 10, 20)}, nd("Gemm", "x w c", "y")), []float64{1, 0, 0, 1}, []float64{11, 12, 13, 24, 25, 26}},
		{"Gemm const A", one(13, dims{3, 2}, inits{w, floats("c", []int64{2}, 10, 20)}, nd("Gemm", "w x c", "y")), []float64{1, 0, 0, 0, 0, 1}, []float64{11, 23, 14, 26}},
		{"Gemm const A transB", one(13, dims{2, 3}, inits{w}, nd("Gemm", "w x", "y", attrs{"transB": 1})), []float64{1, 0, 0, 0, 0, 1}, []float64{1, 3, 4, 6}},
		{"Gemm const A transA", one(13, dims{2, 1}, inits{w}, nd("Gemm", "w x", "y", attrs{"transA": 1})), []float64{1, 10}, []float64{41, 52, 63}},
		{"Gemm uncertain C", one(13, dims{1, 2}, inits{floats("v", []int64{2, 2}, 1, 2, 3, 4)}, nd("Gemm", "x v x", "y", attrs{"beta": float32(100)})), []float64{1, 10}, []float64{131, 1042}},
	} {
		t.Run(c.name, func(t *testing.T) { c.model.check(t, c.x, c.want) })
	}
}

// TestElementwiseOps checks each activation at two points against its formula.
func TestElementwiseOps(t *testing.T) {
	wide := func(x float32) float64 { return float64(x) }
	logistic := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for _, c := range []struct {
		op    string
		opset int64
		as    attrs
		f     func(x float64) float64
	}{
		{"Relu", 6, nil, func(x float64) float64 { return max(x, 0) }},
		{"LeakyRelu", 6, nil, func(x float64) float64 { return max(x, wide(0.01)*x) }},
		{"LeakyRelu", 16, attrs{"alpha": float32(0.3)}, func(x float64) float64 { return max(x, wide(0.3)*x) }},
		{"Elu", 6, attrs{"alpha": float32(2)}, func(x float64) float64 { return max(x, 0) + 2*math.Expm1(min(x, 0)) }},
		{"Celu", 12, attrs{"alpha": float32(2)}, func(x float64) float64 { return max(x, 0) + 2*math.Expm1(min(x, 0)/2) }},
		{"Selu", 6, nil, func(x float64) float64 {
			return wide(1.05070102214813232421875) * (max(x, 0) + wide(1.67326319217681884765625)*math.Expm1(min(x, 0)))
		}},
		{"ThresholdedRelu", 10, nil, func(x float64) float64 {
			if x > 1 {
				return x
			}
			return 0
		}},
		{"HardSigmoid", 6, nil, func(x float64) float64 { return min(max(wide(0.2)*x+0.5, 0), 1) }},
		{"HardSwish", 14, nil, func(x float64) float64 { return x * min(max(x/6+0.5, 0), 1) }},
		{"Gelu", 20, nil, func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 }},
		{"Gelu", 20, attrs{"approximate": "tanh"}, func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}},
		{"Mish", 18, nil, func(x float64) float64 { return x * math.Tanh(math.Log1p(math.Exp(x))) }},
		{"Softplus", 6, nil, func(x float64) float64 { return math.Log1p(math.Exp(x)) }},
		{"Softsign", 6, nil, func(x float64) float64 { return x / (1 + math.Abs(x)) }},
		{"Sigmoid", 6, nil, logistic},
		{"Swish", 24, attrs{"alpha": float32(1.5)}, func(x float64) float64 { return x * logistic(1.5*x) }},
		{"Swish", 24, nil, func(x float64) float64 { return x * logistic(x) }},
		{"Tanh", 6, nil, math.Tanh},
		{"Erf", 9, nil, math.Erf},
		{"Exp", 6, nil, math.Exp},
		{"Sin", 7, nil, math.Sin},
		{"Cos", 7, nil, math.Cos},
		{"Atan", 7, nil, math.Atan},
		{"Abs", 6, nil, math.Abs},
		{"Sign", 9, nil, func(x float64) float64 { return math.Copysign(1, x) }},
	} {
		t.Run(c.op, func(t *testing.T) {
			x := []float64{-1.25, 2.5}
			want := []float64{c.f(x[0]), c.f(x[1])}
			one(c.opset, dims{2}, nil, nd(c.op, "x", "y", c.as)).check(t, x, want)
			// The same on constants.
			k := floats("k", []int64{2}, -1.25, 2.5)
			folded := one(c.opset, dims{2}, inits{k}, nd(c.op, "k", "g", c.as), nd("Add", "x g", "y", legacy(c.opset)))
			folded.check(t, []float64{0, 0}, want)
			if c.opset > 6 {
				if _, err := one(c.opset-1, dims{2}, nil, nd(c.op, "x", "y", c.as)).read(onnx.Importer{}); err == nil && since[c.op] == c.opset {
					t.Errorf("opset %d has no %s, but it was read", c.opset-1, c.op)
				}
			}
		})
	}
}

// since is where operators begin that are younger than opset 6.
var since = map[string]int64{
	"Celu": 12, "ThresholdedRelu": 10, "HardSwish": 14, "Gelu": 20, "Mish": 18, "Swish": 24,
	"Erf": 9, "Sin": 7, "Cos": 7, "Atan": 7, "Sign": 9,
}

func legacy(opset int64) attrs {
	if opset < 7 {
		return attrs{"broadcast": 1}
	}
	return nil
}
