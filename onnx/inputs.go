package onnx

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/covprop/covprop/internal/onnxpb"
)

// declared returns the dimensions of a tensor, -1 for symbolic ones, and their
// names.
func declared(info *onnxpb.ValueInfoProto) (dims []int, names []string, err error) {
	t := info.GetType().GetTensorType()
	if t == nil {
		return nil, nil, errors.New("is not a tensor")
	}
	if t.GetShape() == nil {
		return nil, nil, errors.New("has no shape")
	}
	d := t.GetShape().GetDim()
	if len(d) > maxRank {
		return nil, nil, fmt.Errorf("has %d dimensions, more than %d", len(d), maxRank)
	}
	dims, names = make([]int, len(d)), make([]string, len(d))
	for i, x := range d {
		v, fixed := x.GetValue().(*onnxpb.TensorShapeProto_Dimension_DimValue)
		switch {
		case !fixed:
			dims[i], names[i] = -1, x.GetDimParam()
		case v.DimValue < 1 || v.DimValue > math.MaxInt32:
			return nil, nil, fmt.Errorf("has the dimension %d, which is not valid", v.DimValue)
		default:
			dims[i] = int(v.DimValue)
		}
	}
	return dims, names, nil
}

// setInputs works out the shapes of the inputs and makes those held fixed
// constants. It returns the first error, but does what it can.
func (m *model) setInputs() error {
	first := m.checkNames()
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	sizes, err := m.dimensions()
	keep(err)
	for _, v := range m.inputs {
		v.dtype = dtype(v.info.GetType().GetTensorType().GetElemType())
		shape, err := m.inputShape(v, sizes)
		if err == nil {
			v.shape = shape
			err = m.setInput(v)
		}
		if err != nil {
			keep(fmt.Errorf("the input %q %w", v.name, err))
		}
	}
	if len(m.inputs) == 0 {
		keep(errors.New("has no inputs: there is nothing to propagate"))
	}
	return first
}

// checkNames checks that Shapes and Fix speak of inputs.
func (m *model) checkNames() error {
	var have []string
	for _, v := range m.inputs {
		have = append(have, v.name)
	}
	for _, names := range [][]string{slices.Sorted(maps.Keys(m.shapes)), slices.Sorted(maps.Keys(m.fix))} {
		for _, name := range names {
			if !slices.Contains(have, name) {
				return fmt.Errorf("has no input %q; its inputs are %s", name, quoted(have))
			}
		}
	}
	return nil
}

func quoted(names []string) string {
	q := make([]string, len(names))
	for i, s := range names {
		q[i] = strconv.Quote(s)
	}
	return strings.Join(q, ", ")
}

// dimensions returns the sizes that Shapes gives to named symbolic dimensions.
func (m *model) dimensions() (map[string]int, error) {
	sizes := map[string]int{}
	for _, v := range m.inputs {
		dims, names, err := declared(v.info)
		want, given := m.shapes[v.name]
		if err != nil || !given || len(want) != len(dims) {
			continue // setInput reports it
		}
		for i, name := range names {
			if name == "" {
				continue
			}
			if have, ok := sizes[name]; ok && have != want[i] {
				return sizes, fmt.Errorf("the shapes given make the dimension %q both %d and %d", name, have, want[i])
			}
			sizes[name] = want[i]
		}
	}
	return sizes, nil
}

// inputShape returns the shape of an input: as declared, with symbolic
// dimensions from Shapes, and 1 for a symbolic axis 0 without.
func (m *model) inputShape(v *value, sizes map[string]int) ([]int, error) {
	dims, names, err := declared(v.info)
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(dims)
	if want, given := m.shapes[v.name]; given {
		if len(want) != len(dims) {
			return nil, fmt.Errorf("has the shape %s, which the shape %v given does not fit", shapeString(dims, names), want)
		}
		for i, d := range dims {
			if want[i] < 1 || d > 0 && d != want[i] {
				return nil, fmt.Errorf("has the shape %s, which the shape %v given does not fit", shapeString(dims, names), want)
			}
		}
		shape = slices.Clone(want)
	}
	for i, d := range shape {
		size, named := sizes[names[i]]
		switch {
		case d > 0:
		case named:
			shape[i] = size
		case i == 0:
			shape[i] = 1
		default:
			return nil, fmt.Errorf("has the shape %s: say its size, for instance with --shape %s=%s", shapeString(dims, names), v.name, example(dims))
		}
	}
	_, err = m.limits.size(shape)
	return shape, err
}

// shapeString writes a shape with its symbolic names.
func shapeString(dims []int, names []string) string {
	s := make([]string, len(dims))
	for i, d := range dims {
		switch {
		case d > 0:
			s[i] = strconv.Itoa(d)
		case names[i] != "":
			s[i] = names[i]
		default:
			s[i] = "?"
		}
	}
	return "[" + strings.Join(s, ", ") + "]"
}

// example writes a shape that fits: 1 for a symbolic axis 0 and 32 for others.
func example(dims []int) string {
	s := make([]string, len(dims))
	for i, d := range dims {
		switch {
		case d > 0:
			s[i] = strconv.Itoa(d)
		case i == 0:
			s[i] = "1"
		default:
			s[i] = "32"
		}
	}
	return strings.Join(s, "x")
}

// setInput makes an input that is held fixed a constant, and checks that any
// other is of a real type.
func (m *model) setInput(v *value) error {
	x, fixed := m.fix[v.name]
	switch {
	case v.dtype.size() == 0:
		return fmt.Errorf("is of type %v, which is not supported", v.dtype)
	case !fixed && !v.dtype.isFloat():
		return fmt.Errorf("is of type %v and cannot be uncertain: hold it fixed with --fix %s=VALUE", v.dtype, v.name)
	case !fixed:
		return nil
	}
	size := product(v.shape)
	if len(x) != 1 && len(x) != size {
		return fmt.Errorf("is held fixed at %d values, but has %d elements", len(x), size)
	}
	if err := m.limits.take(size); err != nil {
		return err
	}
	t := &tensor{origin: fmt.Sprintf("input %q", v.name), dtype: v.dtype, shape: v.shape}
	for i := range size {
		f := x[min(i, len(x)-1)]
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("is held fixed at %v", f)
		}
		if v.dtype.isFloat() {
			t.floats = append(t.floats, f)
			continue
		}
		if f != math.Trunc(f) || math.Abs(f) > 1<<53 || v.dtype.wrap(int64(f)) != int64(f) {
			return fmt.Errorf("is of type %v and cannot be held fixed at %v", v.dtype, f)
		}
		t.ints = append(t.ints, int64(f))
	}
	v.con = t
	return nil
}
