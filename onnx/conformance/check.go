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
	bendTol  = 1e-2 // of a one-sided slope, relative to its output's
	reach    = 10   // no kink may be within this many standard deviations
	maxRows  = 200  // outputs whose covariances are compared
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
	smooth := 0
	for _, eps := range []float64{1e-5, 1e-7} {
		j := differentiate(net, x, eps)
		if eps == 1e-5 && len(j.smooth) < net.OutputDim() && len(j.smooth) < maxRows {
			continue
		}
		if smooth, err = checkCov(net, x, eps, j); err != nil {
			res.fail("%v", err)
			return
		}
		break
	}
	if res.note = ""; smooth == 0 {
		res.note = "mean only: not smooth at the point"
	} else if smooth < net.OutputDim() {
		res.note = fmt.Sprintf("covariances of %d of %d elements", smooth, net.OutputDim())
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

// A jacobian is J by central differences for a subset of the outputs, those
// where the function is smooth.
type jacobian struct {
	smooth []int      // elements of the output
	j      *mat.Dense // (smooth, inputs)
	value  []float64  // f(x)
}

// differentiate returns the derivative at x of the smooth outputs, or of
// maxRows of them.
func differentiate(net *graph.Network, x []float64, eps float64) jacobian {
	n, m := len(x), net.OutputDim()
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	rows := rng.Perm(m)[:min(m, maxRows)]
	slices.Sort(rows)
	h := reach * eps
	f := evaluator(net, x)
	zero := f(nil, 0)
	full := mat.NewDense(len(rows), n, nil)
	norm := make([]float64, len(rows)) // of the rows
	bend := make([]float64, len(rows)) // the largest difference of slopes that should be one
	probe := func(v []float64, col int) {
		up, down := f(v, h), f(v, -h)
		near, far := f(v, eps), f(v, -eps)
		for i, r := range rows {
			slope := (near[r] - far[r]) / (2 * eps)
			bend[i] = max(bend[i], math.Abs(up[r]-2*zero[r]+down[r])/h, math.Abs((up[r]-down[r])/(2*h)-slope))
			if col >= 0 {
				full.Set(i, col, slope)
				norm[i] = math.Hypot(norm[i], slope)
			}
		}
	}
	v := make([]float64, n)
	for col := range n {
		v[col] = 1
		probe(v, col)
		v[col] = 0
	}
	for range 8 {
		for k := range v {
			v[k] = rng.NormFloat64()
		}
		probe(v, -1)
	}
	out := jacobian{value: zero}
	var keep []int
	scale := 0.
	for i := range rows {
		scale = max(scale, norm[i])
	}
	for i, r := range rows {
		rounding := 1e-15 * math.Abs(zero[r]) / eps
		if bend[i] <= bendTol*norm[i]+rounding+1e-9*scale {
			keep, out.smooth = append(keep, i), append(out.smooth, r)
		}
	}
	if len(keep) > 0 {
		out.j = mat.NewDense(len(keep), n, nil)
		for i, k := range keep {
			out.j.SetRow(i, full.RawRowView(k))
		}
	}
	return out
}

// evaluator returns the function (v, t) -> net(x + t v).
func evaluator(net *graph.Network, x []float64) func(v []float64, t float64) []float64 {
	return func(v []float64, t float64) []float64 {
		at := slices.Clone(x)
		if v != nil {
			floats.AddScaled(at, t, v)
		}
		y := make([]float64, net.OutputDim())
		if err := net.EvalTo(y, at); err != nil {
			panic(err)
		}
		return y
	}
}

// checkCov propagates eps^2 I and compares with eps^2 J J'. It returns the
// number of elements compared.
func checkCov(net *graph.Network, x []float64, eps float64, j jacobian) (int, error) {
	v := make(covprop.Diagonal, len(x))
	for i := range v {
		v[i] = eps * eps
	}
	r, err := net.Propagate(context.Background(), covprop.Gaussian{Mean: x, Cov: v})
	if err != nil {
		return 0, fmt.Errorf("covariance eps^2 I: %w", err)
	}
	if len(j.smooth) == 0 {
		return 0, nil
	}
	var want mat.Dense
	want.Mul(j.j, j.j.T())
	scale := 0.
	for i := range j.smooth {
		scale = max(scale, math.Sqrt(want.At(i, i)))
	}
	std := func(i int) float64 {
		rounding := 1e-15 * math.Abs(j.value[j.smooth[i]]) / eps
		return math.Sqrt(want.At(i, i)) + 1e-6*scale + rounding
	}
	for i, a := range j.smooth {
		for k, b := range j.smooth[:i+1] {
			got, w := r.Cov.At(a, b)/(eps*eps), want.At(i, k)
			if !(math.Abs(got-w) <= covTol*std(i)*std(k)) {
				return 0, fmt.Errorf("the covariance of elements %d and %d is %.6g eps^2, by finite differences %.6g eps^2", a, b, got, w)
			}
		}
	}
	return len(j.smooth), nil
}
