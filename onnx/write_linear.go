package onnx

import (
	"context"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/onnxpb"
	"github.com/covprop/covprop/layer"
)

// affine writes y = W x + b: as Gemm for rows (1, in), else as a product over the
// right axis of x, (outer, in, inner).
func (w *writer) affine(l *graph.Layer, r *layer.Affine, out string) {
	m, bias, outer, inner := r.Weights()
	stem := l.Name
	if stem == "" {
		stem = out
	}
	if bias == nil {
		bias = make([]float64, m.Rows)
	}
	weights := w.constant(stem+".weight", []int{m.Rows, m.Cols}, rowMajor(m))
	if in, shape := w.value(l.Inputs[0]); isRow(shape, m.Cols) && isRow(l.Shape, m.Rows) {
		b := w.constant(stem+".bias", []int{m.Rows}, bias)
		w.node("Gemm", l.Name, out, []*onnxpb.AttributeProto{intAttribute("transB", 1)}, in, weights, b)
		return
	}
	b := w.constant(stem+".bias", []int{m.Rows, 1}, bias)
	x := w.shaped(l.Inputs[0], []int{outer, m.Cols, inner}, stem)
	y := w.name(stem + ".y")
	w.node("MatMul", l.Name, y, nil, weights, x)
	w.reshape(out, w.inner("Add", stem+".z", y, b), l.Shape)
}

func rowMajor(m blas64.General) []float64 {
	data := make([]float64, 0, m.Rows*m.Cols)
	for i := range m.Rows {
		data = append(data, m.Data[i*m.Stride:][:m.Cols]...)
	}
	return data
}

// scale writes y = s o x + t. The rule says what s and t are by what it makes of a
// column of ones, without t, and of zeros.
func (w *writer) scale(l *graph.Layer, r *layer.Scale, out string) {
	n := r.OutputLen()
	column := func(data []float64) blas64.General { return blas64.General{Rows: n, Cols: 1, Stride: 1, Data: data} }
	s, t := make([]float64, n), make([]float64, n)
	if err := r.Matrix(0).MulTo(context.Background(), 1, column(s), column(slices.Repeat([]float64{1}, n)), false); err != nil {
		w.err = err
		return
	}
	r.Forward(t, make([]float64, n))
	x := w.shaped(l.Inputs[0], l.Shape, out)
	scaled, shifted := other(s, 1), other(t, 0)
	switch {
	case scaled && shifted:
		x = w.inner("Mul", out+".scaled", x, w.constant(out+".scale", l.Shape, s))
		w.node("Add", l.Name, out, nil, x, w.constant(out+".shift", l.Shape, t))
	case scaled:
		w.node("Mul", l.Name, out, nil, x, w.constant(out+".scale", l.Shape, s))
	case shifted:
		w.node("Add", l.Name, out, nil, x, w.constant(out+".shift", l.Shape, t))
	default:
		w.node("Identity", l.Name, out, nil, x)
	}
}

// other reports whether an element of x is not v.
func other(x []float64, v float64) bool {
	return slices.ContainsFunc(x, func(y float64) bool { return y != v })
}

// sum writes y = sum_i c_i x_i.
func (w *writer) sum(l *graph.Layer, r *layer.Sum, out string) {
	var terms []string
	for k, c := range r.Coefficients() {
		x := w.shaped(l.Inputs[k], l.Shape, out)
		if c != 1 {
			x = w.inner("Mul", out+".term", x, w.constant(out+".factor", nil, []float64{c}))
		}
		terms = append(terms, x)
	}
	op := "Sum"
	if len(terms) == 2 {
		op = "Add"
	}
	w.node(op, l.Name, out, nil, terms...)
}

// selection writes y_i = x[k_i]. The rule makes the k_i of the numbers from 0 on.
func (w *writer) selection(l *graph.Layer, r *layer.Select, out string) {
	n := r.Inputs()[0]
	x, y := make([]float64, n), make([]float64, r.OutputLen())
	for i := range x {
		x[i] = float64(i)
	}
	r.Forward(y, x)
	index := make([]int, len(y))
	for i, k := range y {
		index[i] = int(k)
	}
	if in, shape := w.value(l.Inputs[0]); isRow(shape, n) && isRow(l.Shape, len(y)) {
		w.node("Gather", l.Name, out, []*onnxpb.AttributeProto{intAttribute("axis", 1)}, in, w.integers(out+".index", index))
		return
	}
	list := w.shaped(l.Inputs[0], []int{n}, out)
	selected := w.name(out + ".y")
	w.node("Gather", l.Name, selected, nil, list, w.integers(out+".index", index))
	w.reshape(out, selected, l.Shape)
}

// concat writes y = (x_1, x_2, ...), joined along the second axis of tensors
// (outer, n_i). The rule says what n_1 is by where it puts zeros, if the others are
// ones.
func (w *writer) concat(l *graph.Layer, r *layer.Concat, out string) {
	total := r.OutputLen()
	x, y := make([][]float64, len(r.Inputs())), make([]float64, total)
	for i, n := range r.Inputs() {
		x[i] = slices.Repeat([]float64{float64(min(i, 1))}, n)
	}
	r.Forward(y, x...)
	outer := 1
	if first := slices.Index(y, 1); first > 0 {
		outer = len(x[0]) / first
	}
	parts := make([]string, len(x))
	for i := range x {
		parts[i] = w.shaped(l.Inputs[i], []int{outer, len(x[i]) / outer}, fmt.Sprint(out, ".", i))
	}
	axis := []*onnxpb.AttributeProto{intAttribute("axis", 1)}
	if slices.Equal(l.Shape, []int{outer, total / outer}) {
		w.node("Concat", l.Name, out, axis, parts...)
		return
	}
	joined := w.name(out + ".y")
	w.node("Concat", l.Name, joined, axis, parts...)
	w.reshape(out, joined, l.Shape)
}
