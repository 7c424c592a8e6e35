package onnx_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/onnx"
)

// TestWidening has the numbers 1, -2 and 0.5 (or 0) in every type and form.
func TestWidening(t *testing.T) {
	d := []int64{3}
	half := []float64{1, -2, 0.5}
	whole := []float64{1, -2, 0}
	natural := []float64{1, 2, 0}
	field := func(typ onnxpb.TensorProto_DataType, f func(*onnxpb.TensorProto)) *onnxpb.TensorProto {
		p := typed("c", typ, 3)
		f(p)
		return p
	}
	for i, c := range []struct {
		tensor *onnxpb.TensorProto
		want   []float64
	}{
		{raw("c", onnxpb.TensorProto_FLOAT, d, []float32{1, -2, 0.5}), half},
		{floats("c", d, 1, -2, 0.5), half},
		{raw("c", onnxpb.TensorProto_DOUBLE, d, []float64{1, -2, 0.5}), half},
		{field(onnxpb.TensorProto_DOUBLE, func(p *onnxpb.TensorProto) { p.DoubleData = half }), half},
		{raw("c", onnxpb.TensorProto_FLOAT16, d, []uint16{0x3c00, 0xc000, 0x3800}), half},
		{field(onnxpb.TensorProto_FLOAT16, func(p *onnxpb.TensorProto) { p.Int32Data = []int32{0x3c00, 0xc000, 0x3800} }), half},
		{raw("c", onnxpb.TensorProto_BFLOAT16, d, []uint16{0x3f80, 0xc000, 0x3f00}), half},
		{field(onnxpb.TensorProto_BFLOAT16, func(p *onnxpb.TensorProto) { p.Int32Data = []int32{0x3f80, 0xc000, 0x3f00} }), half},
		{raw("c", onnxpb.TensorProto_INT8, d, []int8{1, -2, 0}), whole},
		{field(onnxpb.TensorProto_INT8, func(p *onnxpb.TensorProto) { p.Int32Data = []int32{1, -2, 0} }), whole},
		{raw("c", onnxpb.TensorProto_INT16, d, []int16{1, -2, 0}), whole},
		{raw("c", onnxpb.TensorProto_INT32, d, []int32{1, -2, 0}), whole},
		{raw("c", onnxpb.TensorProto_INT64, d, []int64{1, -2, 0}), whole},
		{raw("c", onnxpb.TensorProto_UINT8, d, []uint8{1, 2, 0}), natural},
		{raw("c", onnxpb.TensorProto_UINT16, d, []uint16{1, 2, 0}), natural},
		{raw("c", onnxpb.TensorProto_UINT32, d, []uint32{1, 2, 0}), natural},
		{raw("c", onnxpb.TensorProto_UINT64, d, []uint64{1, 2, 0}), natural},
		{field(onnxpb.TensorProto_UINT64, func(p *onnxpb.TensorProto) { p.Uint64Data = []uint64{1, 2, 0} }), natural},
		{raw("c", onnxpb.TensorProto_BOOL, d, []uint8{1, 2, 0}), []float64{1, 1, 0}},
		// Subnormal and largest halves, both exact in float32.
		{raw("c", onnxpb.TensorProto_FLOAT16, d, []uint16{1, 0x83ff, 0x7bff}), []float64{0x1p-24, -1023 * 0x1p-24, 65504}},
	} {
		t.Run(fmt.Sprint(i, " ", onnxpb.TensorProto_DataType(c.tensor.GetDataType())), func(t *testing.T) {
			one(
				13, dims{3}, inits{c.tensor}, nd("Cast", "c", "f", attrs{"to": int(f32)}), nd("Add", "x f", "y"),
			).check(t, []float64{0, 0, 0}, c.want)
		})
	}
}

// TestCastRounds: constants take the precision of the type they are cast to.
func TestCastRounds(t *testing.T) {
	for _, c := range []struct {
		to      onnxpb.TensorProto_DataType
		x, want float64
	}{
		{onnxpb.TensorProto_FLOAT, 0.1, float64(float32(0.1))},
		{onnxpb.TensorProto_FLOAT16, 0.1, 0x1.998p-4},
		{onnxpb.TensorProto_FLOAT16, 0x1p-26, 0}, // a quarter of the smallest
		{onnxpb.TensorProto_FLOAT16, 0x1.8p-24, 0x1p-23},
		{onnxpb.TensorProto_BFLOAT16, 0.1, 0x1.9ap-4},
		{onnxpb.TensorProto_DOUBLE, 0.1, 0.1},
		{onnxpb.TensorProto_INT64, -2.7, -2},
		{onnxpb.TensorProto_UINT8, 258, 2},
		{onnxpb.TensorProto_BOOL, 0.1, 1},
	} {
		one(
			13, dims{1}, inits{raw("c", onnxpb.TensorProto_DOUBLE, []int64{1}, c.x)},
			nd("Cast", "c", "r", attrs{"to": int(c.to)}), nd("Cast", "r", "d", attrs{"to": int(onnxpb.TensorProto_DOUBLE)}), nd("Add", "x d", "y"),
		).check(t, []float64{0}, []float64{c.want})
	}
}

// TestDequantize has one scale, one for each column, and one for each block.
func TestDequantize(t *testing.T) {
	q := raw("q", onnxpb.TensorProto_INT8, []int64{2, 4}, []int8{1, 2, 3, 4, -1, -2, -3, -4})
	z := func(v ...int8) *onnxpb.TensorProto {
		return raw("z", onnxpb.TensorProto_INT8, []int64{int64(len(v))}, v)
	}
	for _, c := range []struct {
		opset int64
		ts    inits
		as    attrs
		in    string
		want  []float64
	}{
		{10, inits{floats("s", nil, 0.5)}, nil, "q s", []float64{0.5, 1, 1.5, 2, -0.5, -1, -1.5, -2}},
		{10, inits{floats("s", nil, 0.5), raw("z", onnxpb.TensorProto_INT8, nil, int8(1))}, nil, "q s z", []float64{0, 0.5, 1, 1.5, -1, -1.5, -2, -2.5}},
		{13, inits{floats("s", []int64{2}, 1, 10), z(1, 0)}, attrs{"axis": 0}, "q s z", []float64{0, 1, 2, 3, -10, -20, -30, -40}},
		{13, inits{floats("s", []int64{4}, 1, 10, 100, 1000)}, nil, "q s", []float64{1, 20, 300, 4000, -1, -20, -300, -4000}},
		{21, inits{floats("s", []int64{2, 2}, 1, 10, 100, 1000)}, attrs{"axis": 1, "block_size": 2}, "q s", []float64{1, 2, 30, 40, -100, -200, -3000, -4000}},
		{21, inits{floats("s", []int64{1, 4}, 1, 10, 100, 1000)}, attrs{"axis": 0, "block_size": 2}, "q s", []float64{1, 20, 300, 4000, -1, -20, -300, -4000}},
	} {
		one(
			c.opset, dims{2, 4}, append(c.ts, q), nd("DequantizeLinear", c.in, "w", c.as), nd("Add", "x w", "y"),
		).check(t, make([]float64, 8), c.want)
	}
}

// TestShapeArithmetic: what exporters write for a reshape that keeps the
// batch, and for an expansion.
func TestShapeArithmetic(t *testing.T) {
	one(
		13, dims{2, 3, 2}, inits{ints("m1", -1), ints("zero", 0), floats("c", []int64{6}, 1, 2, 3, 4, 5, 6)},
		nd("Shape", "x", "s"), nd("Gather", "s zero", "b"), nd("Concat", "b m1", "t", attrs{"axis": 0}),
		nd("Reshape", "x t", "r"), nd("Sub", "r c", "y"),
	).check(t, upTo(12), []float64{0, 0, 0, 0, 0, 0, 6, 6, 6, 6, 6, 6})
	one(
		13, dims{2, 1}, inits{ints("want", -1, 3), ints("m1", -1), ints("two", 2)},
		nd("ConstantOfShape", "two", "ones", attrs{"value": ints("v", 1)}), nd("Equal", "want m1", "e"),
		nd("Where", "e ones want", "s"), nd("Expand", "x s", "y"),
	).check(t, upTo(2), []float64{1, 1, 1, 2, 2, 2})
	one(
		13, dims{4}, nil, nd("Size", "x", "n"), nd("Constant", "", "zero", attrs{"value_int": 0}),
		nd("Constant", "", "one", attrs{"value_int": 1}), nd("Range", "zero n one", "r"),
		nd("Cast", "r", "f", attrs{"to": int(f32)}), nd("Add", "x f", "y"),
	).check(t, upTo(4), []float64{1, 3, 5, 7})
	one(
		13, dims{2}, nil, nd("Constant", "", "c", attrs{"value_floats": []float32{3, 5}}),
		nd("Constant", "", "k", attrs{"value_float": float32(2)}), nd("Mul", "x c", "a"), nd("Mul", "a k", "y"),
	).check(t, upTo(2), []float64{6, 20})
}

// external is a tensor in another file.
func external(name string, dims []int64, kv ...string) *onnxpb.TensorProto {
	p := typed(name, f32, dims...)
	p.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
	for i := 0; i < len(kv); i += 2 {
		p.ExternalData = append(p.ExternalData, &onnxpb.StringStringEntryProto{Key: &kv[i], Value: &kv[i+1]})
	}
	return p
}

// TestExternalData reads from the model's folder, and from nowhere else.
func TestExternalData(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "model")
	data := raw("", f32, nil, []float32{7, 10, 20}).RawData
	for _, path := range []string{"model/sub/w.bin", "secret.bin"} {
		path = filepath.Join(top, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	links := os.Symlink(filepath.Join(top, "secret.bin"), filepath.Join(dir, "out.bin")) == nil &&
		os.Symlink("sub/w.bin", filepath.Join(dir, "in.bin")) == nil
	two := []int64{2}
	secret := filepath.Join(top, "secret.bin")
	for _, c := range []struct {
		name   string
		tensor *onnxpb.TensorProto
		im     onnx.Importer
		want   string // of the error
	}{
		{"good", external("c", two, "location", "sub/w.bin", "offset", "4", "length", "8"), onnx.Importer{}, ""},
		{"no length", external("c", two, "location", "sub/w.bin", "offset", "4"), onnx.Importer{}, ""},
		{"link inside", external("c", two, "location", "in.bin", "offset", "4"), onnx.Importer{}, ""},
		{"no location", external("c", two), onnx.Importer{}, "does not say in which file"},
		{"absolute", external("c", two, "location", secret), onnx.Importer{}, "outside the model's folder"},
		{"parent", external("c", two, "location", "../secret.bin"), onnx.Importer{}, "outside the model's folder"},
		{"hidden parent", external("c", two, "location", "sub/../../secret.bin"), onnx.Importer{}, "outside the model's folder"},
		{"link outside", external("c", two, "location", "out.bin"), onnx.Importer{}, "cannot be opened within the model's folder"},
		{"missing", external("c", two, "location", "w.bin"), onnx.Importer{}, "does not exist"},
		{"folder", external("c", two, "location", "sub"), onnx.Importer{}, "not an ordinary file"},
		{"beyond the end", external("c", two, "location", "sub/w.bin", "offset", "8"), onnx.Importer{}, "12 bytes, too few for 8 at offset 8"},
		{"far beyond", external("c", two, "location", "sub/w.bin", "offset", strconv.Itoa(math.MaxInt64)), onnx.Importer{}, "too few"},
		{"wrong length", external("c", two, "location", "sub/w.bin", "length", "12"), onnx.Importer{}, "has 12 bytes"},
		{"negative", external("c", two, "location", "sub/w.bin", "offset", "-4"), onnx.Importer{}, `the offset "-4"`},
		{"large", external("c", []int64{1 << 26}, "location", "sub/w.bin"), onnx.Importer{}, "12 bytes, too few"},
		{"limit", external("c", []int64{1 << 10}, "location", "sub/w.bin"), onnx.Importer{MaxBytes: 1000}, "larger than the limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !links && (c.name == "link inside" || c.name == "link outside") {
				t.Skip("symbolic links cannot be made here")
			}
			m := one(13, dims{2}, inits{c.tensor}, nd("Add", "x c", "y"))
			path := filepath.Join(dir, "m.onnx")
			if err := os.WriteFile(path, m.bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			net, err := c.im.ReadFile(path)
			if c.want != "" {
				checkModelError(t, err, path, "y", "Add", c.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			compareEval(t, net, upTo(2), []float64{11, 22}, 1e-15)
			_, err = m.read(onnx.Importer{})
			checkModelError(t, err, "", "y", "Add", "can be read only if the model is read from a file")
		})
	}
}
