package reproduce

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// PLDNN approximates a network by one with a single layer of ReLUs (Bibi,
// Alfadly & Ghanem 2018, Analytic Expressions for Probabilistic Moments of
// PL-DNN with Gaussian Input): Before, the part in front of the chosen ReLU,
// and After, the part behind it, are linearised at the mean mu,
//
//	f(x) ~ B relu(A x + a) + b,   A x + a ~ before(x) at mu,   B r + b ~ after(r) at relu(before(mu)),
//
// and the moments of B relu(A x + a) + b are exact.
type PLDNN struct {
	Before, After covprop.Differentiable
	// ZeroMean makes the covariance that of a ReLU whose inputs have mean zero,
	// a = -A mu. Bibi et al. have a closed form of the covariance for that
	// case only, and the public program of Wright et al. (2024) uses it as
	// PL-DNN's variance whatever the mean is. The mean is the same.
	ZeroMean bool
	Threads  int // 0 means all processors
}

// Propagate implements covprop.Propagator.
func (p PLDNN) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	n := p.Before.OutputDim()
	if p.After.InputDim() != n {
		return covprop.Result{}, fmt.Errorf("PL-DNN: %d ReLUs feed a part with %d inputs", n, p.After.InputDim())
	}
	at := make([]float64, n)
	a, err := linearised(p.Before, in.Mean, at)
	if err != nil {
		return covprop.Result{}, err
	}
	rectified := make([]float64, n)
	for i, x := range at {
		rectified[i] = math.Max(x, 0)
	}
	b, err := linearised(p.After, rectified, make([]float64, p.After.OutputDim()))
	if err != nil {
		return covprop.Result{}, err
	}
	res, err := p.through(ctx, in, a, b)
	if err != nil || !p.ZeroMean {
		return res, err
	}
	if a, err = affine(a.jacobian, make([]float64, n), in.Mean); err != nil {
		return covprop.Result{}, err
	}
	zero, err := p.through(ctx, in, a, b)
	res.Cov = zero.Cov
	res.Accuracy = covprop.ApproximatedBy(math.Inf(1), res.Accuracy.Reason+", covariance as for ReLUs of zero mean")
	return res, err
}

// through propagates through b(relu(a(x))).
func (p PLDNN) through(ctx context.Context, in covprop.Gaussian, a, b *tangent) (covprop.Result, error) {
	relu, err := newReLU(a.OutputLen())
	if err != nil {
		return covprop.Result{}, err
	}
	net, err := chain([]layer.Rule{a.Affine, relu, b.Affine})
	if err != nil {
		return covprop.Result{}, err
	}
	res, err := net.With(graph.Options{Threads: p.Threads}).Propagate(ctx, in)
	res.Accuracy = covprop.ApproximatedBy(math.Inf(1), "linearised before and after one layer of ReLUs")
	res.Nodes = nil
	return res, err
}

// A tangent is the affine function that touches a function at a point.
type tangent struct {
	*layer.Affine
	jacobian *mat.Dense
}

// linearised returns the tangent of f at x. It writes f(x) to y.
func linearised(f covprop.Differentiable, x, y []float64) (*tangent, error) {
	if err := f.EvalTo(y, x); err != nil {
		return nil, err
	}
	j := mat.NewDense(f.OutputDim(), f.InputDim(), nil)
	if err := f.JacobianTo(j, x); err != nil {
		return nil, err
	}
	return affine(j, y, x)
}

// affine returns the function with the Jacobian j that is y at x.
func affine(j *mat.Dense, y, x []float64) (*tangent, error) {
	out, in := j.Dims()
	bias := mat.NewVecDense(out, nil)
	bias.MulVec(j, mat.NewVecDense(in, x))
	for i, v := range y {
		bias.SetVec(i, v-bias.AtVec(i))
	}
	a, err := layer.NewAffine(j.RawMatrix().Data, bias.RawVector().Data, out, in, 1, 1)
	return &tangent{a, j}, err
}
