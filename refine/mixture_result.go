package refine

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
)

// check audits the mixture so far.
func (r *refinement) check(ctx context.Context) (covprop.Verdict, error) {
	res := r.result("")
	a, err := r.Check(ctx, r.in, &res)
	r.checked, r.checkedAt = a, len(r.leaves)
	if err != nil {
		return covprop.Inconclusive, err
	}
	return a.Verdict, nil
}

// result recombines the leaves. why says why there are no more.
func (r *refinement) result(why string) covprop.Result {
	first := &r.leaves[0].res
	res := covprop.Result{Outputs: first.Outputs, Mixture: &covprop.Mixture{}}
	for _, c := range r.leaves {
		res.Mixture.Weights = append(res.Mixture.Weights, c.weight)
		res.Mixture.Components = append(res.Mixture.Components, cloneGaussian(c.res.Gaussian))
		res.Nodes = worseNodes(res.Nodes, c.res.Nodes)
	}
	res.Gaussian = res.Mixture.Moments()
	if _, diagonal := first.Cov.(covprop.Diagonal); diagonal {
		d := make(covprop.Diagonal, len(res.Mean)) // covariances are ignored
		res.Cov.VarianceTo(d)
		res.Cov = d
	}
	res.InputCov = r.inputCov(res.Mean)
	reason := fmt.Sprintf("%s, in each of %d components of a mixture; ended %s", r.whole.res.Accuracy.Reason, len(r.leaves), why)
	if r.whole.res.Accuracy.Reason == "" {
		reason = fmt.Sprintf("mixture of %d components; ended %s", len(r.leaves), why)
	}
	res.Accuracy = covprop.ApproximatedBy(r.estimate(), r.root.Note(reason))
	return res
}

// inputCov returns Cov(y, x) = sum_k w_k [ Cov_k(y, x) + (m_k - m)(x_k - mu)' ]
// if the network was asked for it.
func (r *refinement) inputCov(mean []float64) *mat.Dense {
	if r.whole.res.InputCov == nil {
		return nil
	}
	sum := mat.NewDense(len(mean), r.in.Dim(), nil)
	x := make([]float64, r.in.Dim())
	d, shift := mat.NewVecDense(len(mean), nil), mat.NewVecDense(len(x), x)
	var part mat.Dense
	for _, c := range r.leaves {
		part.Scale(c.weight, c.res.InputCov)
		sum.Add(sum, &part)
		if r.space == nil {
			continue
		}
		r.space.meanTo(x, make([]float64, len(x)), c.pos)
		for i := range mean {
			d.SetVec(i, c.res.Mean[i]-mean[i])
		}
		sum.RankOne(sum, c.weight, d, shift)
	}
	return sum
}

// worseNodes returns the nodes with the worse accuracy of each; a may be empty.
func worseNodes(a, b []covprop.NodeAccuracy) []covprop.NodeAccuracy {
	if len(a) == 0 {
		return append(a, b...)
	}
	for i := range a {
		a[i].Accuracy = a[i].Worse(b[i].Accuracy)
	}
	return a
}

// cloneGaussian returns a copy of g, which is a result.
func cloneGaussian(g covprop.Gaussian) covprop.Gaussian {
	c := covprop.Gaussian{Mean: append([]float64(nil), g.Mean...)}
	switch cov := g.Cov.(type) {
	case covprop.Diagonal:
		c.Cov = append(covprop.Diagonal(nil), cov...)
	case *covprop.Dense:
		c.Cov = covprop.DenseOf(mat.DenseCopyOf(cov).RawMatrix())
	}
	return c
}
