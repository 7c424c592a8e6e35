package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/covprop/covprop/onnx"
)

// describe reads the model, whether or not it can be propagated.
func (f *modelFlags) describe() (*onnx.Description, error) {
	im := onnx.Importer{}
	var err error
	if im.Shapes, err = f.shapes(); err != nil {
		return nil, err
	}
	if im.Fix, err = f.fixed(); err != nil {
		return nil, err
	}
	d, err := im.Describe(f.Model)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(d.Inputs))
	for i, in := range d.Inputs {
		names[i] = in.Name
	}
	for name := range im.Shapes {
		if !slices.Contains(names, name) {
			return nil, usagef("--shape: %s", noSuchInput(name, names))
		}
	}
	for name := range im.Fix {
		if !slices.Contains(names, name) {
			return nil, usagef("--fix: %s", noSuchInput(name, names))
		}
	}
	return d, nil
}

func (f *modelFlags) shapes() (map[string][]int, error) {
	shapes := make(map[string][]int)
	for _, arg := range f.Shape {
		name, value, named := strings.Cut(arg, "=")
		if !named || name == "" {
			return nil, usagef("--shape %s: must be of the form NAME=1x3x32x32", arg)
		}
		if _, again := shapes[name]; again {
			return nil, usagef("--shape gives the input %q twice", name)
		}
		shape, err := parseShape(value)
		if err != nil {
			return nil, usagef("--shape %s: %w", arg, err)
		}
		shapes[name] = shape
	}
	return shapes, nil
}

func (f *modelFlags) fixed() (map[string][]float64, error) {
	fixed := make(map[string][]float64)
	for _, arg := range f.Fix {
		name, value, named := strings.Cut(arg, "=")
		if !named || name == "" || value == "" {
			return nil, usagef("--fix %s: must be of the form NAME=VALUE", arg)
		}
		if _, again := fixed[name]; again {
			return nil, usagef("--fix gives the input %q twice", name)
		}
		v, err := readValues("--fix "+name, value, maxShape)
		if err != nil {
			return nil, err
		}
		fixed[name] = v.data
	}
	return fixed, nil
}

func noSuchInput(name string, names []string) string {
	return fmt.Sprintf("the model has no input %q; its inputs are %s", name, quoteList(names))
}

func quoteList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = strconv.Quote(n)
	}
	return strings.Join(quoted, ", ")
}

// formatShape writes a shape as 1x3x32x32, an unknown dimension as "?".
func formatShape(shape []int) string {
	if len(shape) == 0 {
		return "scalar"
	}
	fields := make([]string, len(shape))
	for i, d := range shape {
		if fields[i] = strconv.Itoa(d); d < 0 {
			fields[i] = "?"
		}
	}
	return strings.Join(fields, "x")
}

// fixedNames returns the names of the fixed inputs.
func (f *modelFlags) fixedNames() []string {
	names := make([]string, len(f.Fix))
	for i, arg := range f.Fix {
		names[i], _, _ = strings.Cut(arg, "=")
	}
	return names
}
