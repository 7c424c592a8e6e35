package onnx_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// spatialCase is a stored case made by testdata/node_cases.py, with
// the attributes that are floats apart.
type spatialCase struct {
	storedCase
	Floats map[string]any
}

func (c *spatialCase) floats() attrs {
	as := attrs{}
	for name, v := range c.Floats {
		if list, ok := v.([]any); ok {
			x := make([]float32, len(list))
			for i := range list {
				x[i] = float32(list[i].(float64))
			}
			as[name] = x
		} else {
			as[name] = float32(v.(float64))
		}
	}
	return as
}

// TestSpatialOps evaluates convolutions, pooling, padding and resizing as ONNX
// Runtime does, with their first input uncertain and with all constant. The
// stored values are float32, sums of up to 36 products or roots of such: 2e-6
// of the largest is 16 units.
func TestSpatialOps(t *testing.T) { testStored(t, "testdata/spatial.json", 2e-6) }

// TestNormOps does the same for normalisations, softmax, attention and what is
// linearised.
// Small differences of float32 numbers divide there, and ONNX Runtime's own
// sums of a dozen squares: 1e-5.
func TestNormOps(t *testing.T) { testStored(t, "testdata/norms.json", 1e-5) }

// testStored runs the cases of a file; tol is relative to the largest element.
func testStored(t *testing.T, file string, tol float64) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []spatialCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for k, c := range cases {
		t.Run(fmt.Sprint(k, c.Op), func(t *testing.T) {
			what := fmt.Sprint(c.Opset, c.Attrs, c.Floats)
			scale := 0.
			for _, v := range c.Want {
				scale = max(scale, math.Abs(v))
			}
			for u := range 2 {
				s, x := c.model(u)
				for name, v := range c.floats() {
					s.nodes[0].Attribute = append(s.nodes[0].Attribute, attribute(name, v))
				}
				net, err := s.read(onnx.Importer{})
				if err != nil {
					t.Fatalf("%s, %d uncertain: %v", what, u, err)
				}
				if shape := net.Outputs()[0].Shape; !slices.Equal(shape, c.Shape) {
					t.Fatalf("%s, %d uncertain: shape %v, want %v", what, u, shape, c.Shape)
				}
				y := make([]float64, net.OutputDim())
				if err := net.EvalTo(y, x); err != nil {
					t.Fatal(err)
				}
				for i, w := range c.Want {
					if !(math.Abs(y[i]-w) <= tol*scale) {
						t.Errorf("%s, %d uncertain: element %d is %v, want %v", what, u, i, y[i], w)
					}
				}
			}
		})
	}
}

// TestSpatialCovariance propagates a covariance of full rank through linear
// operators on images. It must be A Sigma A' with the columns of A by
// evaluation at unit vectors: 1e-12 is rounding in sums of up to 32 terms.
func TestSpatialCovariance(t *testing.T) {
	const n = 32
	for _, c := range []struct {
		name  string
		nodes []*onnxpb.NodeProto
	}{
		{"Conv", []*onnxpb.NodeProto{nd("Conv", "x w", "y", attrs{"pads": []int64{1, 0, 0, 1}, "strides": []int64{1, 2}})}},
		{"groups", []*onnxpb.NodeProto{nd("Conv", "x d", "y", attrs{"group": 2, "dilations": []int64{2, 1}})}},
		{"ConvTranspose", []*onnxpb.NodeProto{nd("ConvTranspose", "x w", "y", attrs{"strides": []int64{2, 1}, "pads": []int64{0, 1, 1, 0}})}},
		{"Conv and norm", []*onnxpb.NodeProto{nd("Conv", "x w", "c"), nd("BatchNormalization", "c s s s v", "y")}},
		{"norm and pool", []*onnxpb.NodeProto{
			nd("BatchNormalization", "x s s s v", "b"), nd("AveragePool", "b", "y", attrs{"kernel_shape": []int64{3, 2}, "pads": []int64{1, 1, 1, 1}}),
		}},
		{"GlobalAveragePool", []*onnxpb.NodeProto{nd("GlobalAveragePool", "x", "y")}},
		{"Pad and Resize", []*onnxpb.NodeProto{
			nd("Pad", "x p", "a", attrs{"mode": "reflect"}), nd("Resize", "a _ r", "y", attrs{"mode": "cubic"}),
		}},
		{"crop", []*onnxpb.NodeProto{
			nd("Resize", "x o r", "y", attrs{"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": float32(3)}),
		}},
		{"DepthToSpace", []*onnxpb.NodeProto{nd("SpaceToDepth", "x", "a", attrs{"blocksize": 2}), nd("DepthToSpace", "a", "y", attrs{"blocksize": 2, "mode": "CRD"})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			net, err := one(19, dims{1, 2, 4, 4}, inits{
				floats("w", []int64{2, 2, 2, 2}, 1, -2, 3, -4, 5, -6, 7, -8, 8, 7, 6, 5, 4, 3, 2, 1), floats("d", []int64{2, 1, 2, 2}, 1, 2, 3, 4, 5, 6, 7, 8),
				floats("s", []int64{2}, 3, -2), floats("v", []int64{2}, 4, 0.25),
				ints("p", 0, 0, 1, -1, 0, 0, 2, 3), floats("r", []int64{4}, 1, 1, 1.5, 0.75), floats("o", []int64{8}, 0, 0, 0.25, -0.5, 1, 1, 0.5, 1),
			}, c.nodes...).read(onnx.Importer{})
			if err != nil {
				t.Fatal(err)
			}
			m := net.OutputDim()
			a, b, y := mat.NewDense(m, n, nil), make([]float64, m), make([]float64, m)
			eval := func(x, y []float64) {
				if err := net.EvalTo(y, x); err != nil {
					t.Fatal(err)
				}
			}
			eval(make([]float64, n), b)
			for j := range n {
				unit := make([]float64, n)
				unit[j] = 1
				eval(unit, y)
				for i := range y {
					a.Set(i, j, y[i]-b[i])
				}
			}
			root := mat.NewDense(n, n, nil)
			rng := rand.New(rand.NewPCG(1, 2))
			for i := range n {
				for j := range n {
					root.Set(i, j, rng.NormFloat64())
				}
			}
			var sigma mat.SymDense
			sigma.SymOuterK(1, root)
			cov, err := covprop.NewDense(n, slices.Clone(mat.DenseCopyOf(&sigma).RawMatrix().Data))
			if err != nil {
				t.Fatal(err)
			}
			mean := upTo(n)
			in, err := covprop.NewGaussian(mean, cov)
			if err != nil {
				t.Fatal(err)
			}
			r, err := net.Propagate(context.Background(), in)
			if err != nil {
				t.Fatal(err)
			}
			if r.Accuracy.Status != covprop.Exact {
				t.Errorf("the result is %v, but every step is linear", r.Accuracy)
			}
			var want mat.Dense
			want.Product(a, &sigma, a.T())
			eval(mean, y)
			for i := range m {
				if scale := mat.Norm(a, 1)*n + math.Abs(b[i]); !(math.Abs(r.Mean[i]-y[i]) <= 1e-12*scale) {
					t.Errorf("mean %d is %v, want %v", i, r.Mean[i], y[i])
				}
				for j := range m {
					if s := math.Sqrt(want.At(i, i) * want.At(j, j)); !(math.Abs(r.Cov.At(i, j)-want.At(i, j)) <= 1e-12*s) {
						t.Fatalf("covariance %d, %d is %v, want %v", i, j, r.Cov.At(i, j), want.At(i, j))
					}
				}
			}
		})
	}
}

// TestTournament: overlapping windows play their common pairs once, and the
// moments of the maximum of one pair are exact.
func TestTournament(t *testing.T) {
	net, err := one(13, dims{1, 1, 6}, nil, nd("MaxPool", "x", "y", attrs{"kernel_shape": []int64{4}})).read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	// The pairs 01 23, 12 34, 23 45 of three windows are five.
	nodes := net.Nodes()
	if len(nodes) != 2 || !slices.Equal(nodes[0].Shape, []int{5}) || !slices.Equal(nodes[1].Shape, []int{1, 1, 3}) {
		t.Errorf("four of six elements: %+v", nodes)
	}
	// E max(X1, X2) = 1/sqrt(pi) for independent standard normal X1, X2; the
	// variance is 1 - 1/pi (Clark 1961). 1e-12 is rounding.
	net, err = one(13, dims{1, 1, 3}, nil, nd("MaxPool", "x", "y", attrs{"kernel_shape": []int64{2}})).read(onnx.Importer{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := covprop.NewGaussian(make([]float64, 3), covprop.Diagonal{1, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	r, err := net.Propagate(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Mean {
		if !(math.Abs(r.Mean[i]-1/math.Sqrt(math.Pi)) <= 1e-12) || !(math.Abs(r.Cov.At(i, i)-(1-1/math.Pi)) <= 1e-12) {
			t.Errorf("maximum %d has mean %v and variance %v, want %v and %v", i, r.Mean[i], r.Cov.At(i, i), 1/math.Sqrt(math.Pi), 1-1/math.Pi)
		}
	}
}

// TestBadSpatial has one thing wrong in each node, whose error must say what.
// Sizes of up to 2^31 must neither overflow nor be allocated.
func TestBadSpatial(t *testing.T) {
	const huge = math.MaxInt32
	image := dims{1, 2, 3, 3}
	w := floats("w", []int64{2, 2, 2, 2}, make([]float32, 16)...)
	vec := func(name string, v ...float32) *onnxpb.TensorProto { return floats(name, []int64{int64(len(v))}, v...) }
	two := vec("b", 1, 2)
	kernel := func(k ...int64) attrs { return attrs{"kernel_shape": k} }
	with := func(a attrs, name string, v any) attrs { a[name] = v; return a }
	for _, c := range []struct {
		opset int64
		x     dims
		inits inits
		node  *onnxpb.NodeProto
		want  string
	}{
		{11, image, nil, nd("Conv", "x", "y"), "input 1 is missing"},
		{11, image, nil, nd("Conv", "x x", "y"), "must be constant"},
		{11, image, inits{w}, nd("Conv", "x w x", "y"), "must be constant"},
		{11, dims{1, 2, 3}, inits{w}, nd("Conv", "x w", "y"), "cannot convolve a tensor of shape [1 2 3]"},
		{11, dims{1, 3, 3, 3}, inits{w}, nd("Conv", "x w", "y"), "do not fit 3 channels"},
		{11, dims{1, 6, 3, 3}, inits{w}, nd("Conv", "x w", "y", attrs{"group": 3}), "3 groups do not divide 6 input and 2 output channels"},
		{11, image, inits{w}, nd("Conv", "x w", "y", attrs{"group": 0}), `"group" is 0`},
		{11, image, inits{w}, nd("Conv", "x w", "y", kernel(3, 3)), `"kernel_shape" is [3 3]`},
		{11, image, inits{w}, nd("Conv", "x w", "y", attrs{"strides": []int64{0, 1}}), "must be at least 1"},
		{11, image, inits{w}, nd("Conv", "x w", "y", attrs{"pads": []int64{1, 1}}), `"pads" has 2 values, want 4`},
		{11, image, inits{w}, nd("Conv", "x w", "y", attrs{"pads": []int64{0, 0, -1, 0}}), "must be at least 0"},
		{11, image, inits{w}, nd("Conv", "x w", "y", attrs{"auto_pad": "SAME"}), `"auto_pad" is "SAME"`},
		{11, image, inits{w}, nd("Conv", "x w", "y", attrs{"auto_pad": "VALID", "pads": []int64{1, 1, 1, 1}}), "both pads [1 1 1 1] and auto_pad VALID"},
		{11, image, inits{w}, nd("Conv", "x w", "y", attrs{"dilations": []int64{3, 1}}), "a window of size 4 is larger than the padded input of size 3"},
		{11, image, inits{w}, nd("Conv", "x w", "y", attrs{"dilations": []int64{huge, huge}}), "is larger than the padded input"},
		{11, image, inits{w}, nd("Conv", "x w", "y", attrs{"dilations": []int64{1 << 40, 1}}), "out of range"},
		{11, image, inits{w}, nd("Conv", "x w", "y", attrs{"pads": []int64{huge, huge, huge, huge}}), "more elements than the limit"},
		{11, image, inits{w, vec("b", 1)}, nd("Conv", "x w b", "y"), "the bias has 1 values for 2"},
		{11, image, inits{vec("w", inf32)}, nd("Conv", "x w", "y"), "cannot convolve"},
		{11, image, inits{w}, nd("ConvTranspose", "x w", "y", attrs{"pads": []int64{3, 1, 3, 1}}), "leaves nothing of 4 positions"},
		{11, image, inits{w}, nd("ConvTranspose", "x w", "y", attrs{"strides": []int64{huge, huge}}), "more elements than the limit"},
		{11, image, inits{w}, nd("ConvTranspose", "x w", "y", attrs{"output_shape": []int64{6, 4}}), "an output of size 6 does not come from an input of size 3"},
		{11, image, inits{w}, nd("ConvTranspose", "x w", "y", attrs{"auto_pad": "SAME_UPPER", "strides": []int64{3, 3}}), "windows of size 2 at a stride of 3 is ambiguous"},
		{11, image, inits{w}, nd("ConvTranspose", "x w", "y", attrs{"group": huge}), "groups do not divide 2 input"},

		{11, image, nil, nd("MaxPool", "x", "y"), "has no kernel_shape"},
		{11, dims{2, 2}, nil, nd("MaxPool", "x", "y", kernel(2)), "nothing to slide a window over"},
		{11, image, nil, nd("MaxPool", "x", "y", kernel(2)), `"kernel_shape" has 1 values, want 2`},
		{11, image, nil, nd("MaxPool", "x", "y", kernel(4, 1)), "larger than the padded input"},
		{11, image, nil, nd("MaxPool", "x", "y", with(kernel(1, 1), "pads", []int64{1, 0, 0, 0})), "window 0 lies in the padding entirely"},
		{11, image, nil, nd("MaxPool", "x", "y", with(kernel(huge, 1), "pads", []int64{huge, 0, huge, 0})), "more elements than the limit"},
		{11, image, nil, nd("AveragePool", "x", "y", with(kernel(huge, huge), "auto_pad", "SAME_UPPER")), "more elements than the limit"},
		{11, image, nil, nd("LpPool", "x", "y", with(kernel(2, 2), "p", 0)), "takes the 0-norm"},
		{11, dims{2, 2}, nil, nd("GlobalMaxPool", "x", "y"), "nothing to pool"},

		{14, image, inits{two}, nd("BatchNormalization", "x b b b b", "y", attrs{"training_mode": 1}), "training mode"},
		{6, image, inits{two}, nd("BatchNormalization", "x b b b b", "y"), "training mode"},
		{9, image, inits{vec("b", 1)}, nd("BatchNormalization", "x b b b b", "y"), "input 1 has 1 values for 2 channels"},
		{9, image, inits{vec("b", 1, -1)}, nd("BatchNormalization", "x b b b b", "y"), "the variance of channel 1 plus epsilon"},
		{9, image, inits{two}, nd("BatchNormalization", "x b b b x", "y"), "must be constant"},

		{10, image, nil, nd("Pad", "x", "y"), "has no pads"},
		{11, image, inits{ints("p", 1, 1)}, nd("Pad", "x p", "y"), "2 pads for 4 axes"},
		{11, image, inits{ints("p", 0, 0, 0, -2, 0, 0, 0, -2)}, nd("Pad", "x p", "y"), "remove more than there is"},
		{11, image, inits{ints("p", 0, 0, 0, -3, 0, 0, 0, 1)}, nd("Pad", "x p", "y", attrs{"mode": "edge"}), "nothing to repeat"},
		{11, image, inits{ints("p", 0, 0, 0, huge, 0, 0, 0, huge)}, nd("Pad", "x p", "y"), "more elements than the limit"},
		{11, image, inits{ints("p", 0, 0, 0, 0, 0, 0, 0, 0)}, nd("Pad", "x p", "y", attrs{"mode": "wrap"}), "from opset 19 on"},
		{11, image, inits{ints("p", 0, 0, 0, 0, 0, 0, 0, 1), floats("v", nil, -inf32)}, nd("Pad", "x p v", "y"), "is -Inf"},
		{18, image, inits{ints("p", 1, 1, 1, 1), ints("a", 1, -3)}, nd("Pad", "x p _ a", "y"), "repeat one"},

		{11, image, nil, nd("DepthToSpace", "x", "y", attrs{"blocksize": 2}), "2 channels cannot be spread"},
		{11, image, nil, nd("SpaceToDepth", "x", "y", attrs{"blocksize": 2}), "cannot be cut into blocks"},
		{11, image, nil, nd("SpaceToDepth", "x", "y"), `"blocksize" is 0`},
		{11, dims{3}, nil, nd("SpaceToDepth", "x", "y", attrs{"blocksize": 1}), "is not (batch, channels, height, width)"},

		{8, image, nil, nd("Upsample", "x", "y"), "has no scales"},
		{10, image, inits{vec("s", 1, 1, 2)}, nd("Resize", "x s", "y"), "3 scales for 4 axes"},
		{10, image, inits{vec("s", 1, 1, 0, 1)}, nd("Resize", "x s", "y"), "the scale 0 of an axis of size 3"},
		{10, image, inits{vec("s", 1, 1, 1e30, 1)}, nd("Resize", "x s", "y"), "the scale 1.0000000150474662e+30"},
		{10, image, inits{vec("s", 1, 1, 1<<29, 1<<29)}, nd("Resize", "x s", "y"), "more elements than the limit"},
		{13, image, nil, nd("Resize", "x", "y"), "needs either scales or sizes"},
		{13, image, inits{ints("s", 1, 2, -3, 3)}, nd("Resize", "x _ _ s", "y"), "cannot be made one of size -3"},
		{13, image, inits{vec("s", 1, 1, 2, 2)}, nd("Resize", "x _ s", "y", attrs{"mode": "area"}), `the mode "area" is not known`},
		{13, image, inits{vec("s", 1, 1, 2, 2)}, nd("Resize", "x _ s", "y", attrs{"coordinate_transformation_mode": "middle"}), `"middle" is not known`},
		{13, image, inits{vec("s", 1, 1, 2, 2)}, nd("Resize", "x _ s", "y", attrs{"nearest_mode": "up"}), `"up" is not known`},
		{13, image, inits{vec("s", 1, 1, 2, 2)}, nd("Resize", "x _ s", "y", attrs{"coordinate_transformation_mode": "tf_crop_and_resize"}), "input 1 is missing"},
	} {
		_, err := one(c.opset, c.x, c.inits, c.node).read(onnx.Importer{})
		var me *covprop.ModelError
		if !errors.As(err, &me) || me.Node != "y" || me.Op != c.node.GetOpType() || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: the error is %q, want %q", c.node, err, c.want)
		}
	}
}
