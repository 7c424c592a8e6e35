package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/onnx"
)

const (
	covTol   = 1e-4 // of a covariance, relative to the two standard deviations
	maxRows  = 200  // outputs whose covariances with each other are compared
	maxBytes = 4 << 30
)

// check propagates the network's input x twice.
func check(net *graph.Network, x []float64, d *dataSet, res *result) {
	net = net.With(graph.Options{MaxBytes: maxBytes})
	point, err := net.Propagate(context.Background(), covprop.Gaussian{Mean: x, Cov: make(covprop.Diagonal, len(x))})
	if err != nil {
		res.fail("zero covariance: %v", err)
		return
	}
	if err := checkMean(&point, d); err != nil {
		res.fail("%v", err)
		return
	}
	c := point.Cov.(*covprop.Dense)
	for i := range c.SymmetricDim() {
		if v := c.At(i, i); v != 0 {
			res.fail("zero covariance: the variance of output element %d is %g", i, v)
			return
		}
	}
	// A smaller step for functions that are strongly curved, such as powers
	// near zero, before they count as not smooth.
	eps := 1e-5
	s := differentiate(net, x, eps)
	if len(s.smooth) < net.OutputDim() {
		if fine := differentiate(net, x, eps/100); len(fine.smooth) > len(s.smooth) {
			s, eps = fine, eps/100
		}
	}
	if err := checkCov(net, x, eps, s); err != nil {
		res.fail("%v", err)
		return
	}
	switch n := len(s.smooth); n {
	case net.OutputDim():
	case 0:
		res.note = "mean only: smooth nowhere at the point"
	default:
		res.note = fmt.Sprintf("smooth in %d of %d elements at the point", n, net.OutputDim())
	}
}

// meanTol is the error allowed, relative to the largest element.
func meanTol(dtypes ...string) float64 {
	switch {
	case slices.Contains(dtypes, "bfloat16"):
		return 2e-2
	case slices.Contains(dtypes, "float16"):
		return 2e-3
	}
	return 1e-5
}

// checkMean compares the means with the stored outputs.
func checkMean(r *covprop.Result, d *dataSet) error {
	for i, o := range r.Outputs {
		want := d.outputs[i]
		if !slices.Equal(o.Shape, want.Shape) {
			return fmt.Errorf("the output %q has the shape %v, want %v", o.Name, o.Shape, want.Shape)
		}
		got := r.Mean[o.Offset:][:o.Len]
		if k, err := worst(got, want); err > meanTol(d.dtypes(want)...) {
			return fmt.Errorf("the output %q is %.9g at %d, want %.9g: off by %.2g of the largest", o.Name, got[k], k, want.Values[k], err)
		}
	}
	return nil
}

// dtypes are the types that rounded the output.
func (d *dataSet) dtypes(out *onnx.Tensor) []string {
	names := []string{out.DType}
	for _, in := range d.inputs {
		names = append(names, dtypeName(in.GetDataType()))
	}
	return names
}

// worst returns the largest error relative to the largest element, and where.
func worst(got []float64, want *onnx.Tensor) (at int, err float64) {
	scale := floats.Norm(want.Values, math.Inf(1))
	for k, w := range want.Values {
		e := math.Abs(got[k]-w) / max(scale, math.SmallestNonzeroFloat64)
		if e > err || math.IsNaN(e) {
			at, err = k, e
			if math.IsNaN(e) {
				return k, math.Inf(1)
			}
		}
	}
	return at, err
}

// checkCov propagates eps^2 I. Where the function is smooth, the covariance
// with the inputs must be eps^2 J along every direction, J by finite
// differences, and that of the outputs eps^2 J J'. For many inputs there are
// too few directions for all of J; then the second J is that of the first test.
func checkCov(net *graph.Network, x []float64, eps float64, s *slopes) error {
	v := make(covprop.Diagonal, len(x))
	for i := range v {
		v[i] = eps * eps
	}
	o := graph.Options{MaxBytes: maxBytes, KeepInput: true}
	r, err := net.With(o).Propagate(context.Background(), covprop.Gaussian{Mean: x, Cov: v})
	if err != nil {
		return fmt.Errorf("covariance eps^2 I: %w", err)
	}
	if err := s.checkGain(r.InputCov, eps); err != nil {
		return err
	}
	return s.checkOutputs(&r, eps)
}

// checkGain compares the covariance with the inputs.
func (s *slopes) checkGain(cross *mat.Dense, eps float64) error {
	for k, v := range s.directions {
		for _, i := range s.smooth {
			got, want := floats.Dot(cross.RawRowView(i), v)/(eps*eps), s.along[k][i]
			if !(math.Abs(got-want) <= covTol*s.norm[i]) {
				return fmt.Errorf("the gain of element %d along direction %d is %.6g, by finite differences %.6g", i, k, got, want)
			}
		}
	}
	return nil
}

// checkOutputs compares the covariance of the outputs, or of maxRows of them.
func (s *slopes) checkOutputs(r *covprop.Result, eps float64) error {
	rows := slices.Clone(s.smooth)
	if len(rows) > maxRows {
		rand.New(rand.NewPCG(2, 0)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		rows = rows[:maxRows]
	}
	_, n := r.InputCov.Dims()
	gradient := func(i int) []float64 {
		if n > maxColumns {
			return scaled(1/(eps*eps), r.InputCov.RawRowView(i))
		}
		g := make([]float64, n)
		for k := range g {
			g[k] = s.along[k][i]
		}
		return g
	}
	j := make([][]float64, len(rows))
	for k, a := range rows {
		j[k] = gradient(a)
		for l, b := range rows[:k+1] {
			got, want := r.Cov.At(a, b)/(eps*eps), floats.Dot(j[k], j[l])
			if !(math.Abs(got-want) <= covTol*s.norm[a]*s.norm[b]) {
				return fmt.Errorf("the covariance of elements %d and %d is %.6g eps^2, by finite differences %.6g eps^2", a, b, got, want)
			}
		}
	}
	return nil
}
