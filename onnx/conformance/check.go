package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

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
	o := graph.Options{MaxBytes: maxBytes}
	point, err := propagate(net.With(o), x, make(covprop.Diagonal, len(x)))
	var memory *covprop.MemoryError
	if o.Diagonal = errors.As(err, &memory); o.Diagonal {
		point, err = propagate(net.With(o), x, make(covprop.Diagonal, len(x)))
	}
	if err != nil {
		res.fail("zero covariance: %v", err)
		return
	}
	if err := checkMean(&point, d); err != nil {
		res.fail("%v", err)
		return
	}
	for i, s := range point.Std() {
		if s != 0 {
			res.fail("zero covariance: the standard deviation of output element %d is %g", i, s)
			return
		}
	}
	// A smaller step for functions that are strongly curved, such as powers
	// near zero, before they count as not smooth.
	s := differentiate(net, x, 1e-5, o.Diagonal)
	if len(s.smooth) < net.OutputDim() {
		if fine := differentiate(net, x, 1e-7, o.Diagonal); len(fine.smooth) > len(s.smooth) {
			s = fine
		}
	}
	o.KeepInput = !o.Diagonal
	r, err := propagate(net.With(o), x, s.variances(len(x)))
	if err == nil {
		err = s.check(&r)
	}
	if err != nil {
		res.fail("covariance eps^2 I: %v", err)
		return
	}
	res.note = s.note(net.OutputDim(), o.Diagonal)
}

func propagate(net *graph.Network, x []float64, v covprop.Diagonal) (covprop.Result, error) {
	return net.Propagate(context.Background(), covprop.Gaussian{Mean: x, Cov: v})
}

// note says what was not compared.
func (s *slopes) note(outputs int, diagonal bool) string {
	var notes []string
	if n := len(s.smooth); n == 0 {
		notes = append(notes, "mean only: smooth nowhere at the point")
	} else if n < outputs {
		notes = append(notes, fmt.Sprintf("smooth in %d of %d elements at the point", n, outputs))
	}
	if s.edges {
		notes = append(notes, "held certain where the input is at the end of the domain")
	}
	if diagonal {
		notes = append(notes, "variances only: the covariances take too much memory")
	}
	return strings.Join(notes, "; ")
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
		tol := meanTol(d.dtypes(want)...)*floats.Norm(want.Values, math.Inf(1)) + handRounded(want.Values)
		for k, w := range want.Values {
			if !(math.Abs(got[k]-w) <= tol) {
				return fmt.Errorf("the output %q is %.9g at %d, want %.9g within %.2g", o.Name, got[k], k, w, tol)
			}
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

// handRounded returns a unit of the fourth decimal if all values were written
// down to that: some stored outputs were typed in, and so were the inputs, each
// rounded by up to half a unit.
func handRounded(values []float64) float64 {
	short := func(unit float64) bool {
		return !slices.ContainsFunc(values, func(v float64) bool {
			return float32(v) != float32(math.Round(v/unit)*unit)
		})
	}
	if short(1e-4) && !short(1e-3) {
		return 1e-4
	}
	return 0
}

// check compares a propagation of eps^2 I. Where the function is smooth, the
// covariance with the inputs must be eps^2 J along every direction, J by finite
// differences, and that of the outputs eps^2 J J'. For many inputs there are
// too few directions for all of J; then the second J is that of the first test.
func (s *slopes) check(r *covprop.Result) error {
	if r.InputCov == nil {
		return s.checkVariances(r.Cov.(covprop.Diagonal))
	}
	if err := s.checkGain(r.InputCov); err != nil {
		return err
	}
	return s.checkOutputs(r)
}

// checkVariances compares the variances alone.
func (s *slopes) checkVariances(v covprop.Diagonal) error {
	for _, i := range s.smooth {
		got, want := v[i]/(s.eps*s.eps), s.gradient[i]*s.gradient[i]
		if !(math.Abs(got-want) <= covTol*s.norm[i]*s.norm[i]) {
			return fmt.Errorf("the variance of element %d is %.6g eps^2, by finite differences %.6g eps^2", i, got, want)
		}
	}
	return nil
}

// checkGain compares the covariance with the inputs.
func (s *slopes) checkGain(cross *mat.Dense) error {
	for k, v := range s.directions {
		for _, i := range s.smooth {
			got, want := floats.Dot(cross.RawRowView(i), v)/(s.eps*s.eps), s.along[k][i]
			if !(math.Abs(got-want) <= covTol*s.norm[i]) {
				return fmt.Errorf("the gain of element %d along direction %d is %.6g, by finite differences %.6g", i, k, got, want)
			}
		}
	}
	return nil
}

// checkOutputs compares the covariance of the outputs, or of maxRows of them.
func (s *slopes) checkOutputs(r *covprop.Result) error {
	rows := slices.Clone(s.smooth)
	if len(rows) > maxRows {
		rand.New(rand.NewPCG(2, 0)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		rows = rows[:maxRows]
	}
	_, n := r.InputCov.Dims()
	gradient := func(i int) []float64 {
		if n > maxColumns {
			return scaled(1/(s.eps*s.eps), r.InputCov.RawRowView(i))
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
			got, want := r.Cov.At(a, b)/(s.eps*s.eps), floats.Dot(j[k], j[l])
			if !(math.Abs(got-want) <= covTol*s.norm[a]*s.norm[b]) {
				return fmt.Errorf("the covariance of elements %d and %d is %.6g eps^2, by finite differences %.6g eps^2", a, b, got, want)
			}
		}
	}
	return nil
}
