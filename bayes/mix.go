package bayes

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/blas/blas64"
)

// Mix returns the prediction of an equal mixture: the weights' distribution is that
// of one of the members, each as likely as any other (Lakshminarayanan, Pritzel &
// Blundell 2017, arXiv 1612.01474, with networks that are uncertain themselves). The
// members, of one model, are given by what they predict for the same examples.
// Densities, distributions and probabilities are means over the members; moments
// are those of the mixture, so that what the members differ by counts as uncertainty
// of the weights:
//
//	Mean = mean_k Mean_k,   Weight = mean_k Weight_k + var_k Mean_k,
//
// and Noise and Input are means.
func Mix(members ...*Prediction) (*Prediction, error) {
	if len(members) == 0 {
		return nil, errors.New("bayes: a mixture has at least one member")
	}
	first := members[0]
	for _, m := range members {
		if m.likelihood != first.likelihood || m.Mean.Rows != first.Mean.Rows || m.Mean.Cols != first.Mean.Cols {
			return nil, errors.New("bayes: the members of a mixture must predict the same examples with the same likelihood")
		}
	}
	if len(members) == 1 {
		return first, nil
	}
	rows, columns, outputs := first.Mean.Rows, first.Mean.Cols, first.Outputs.Cols
	r := &Prediction{
		Mean: newMatrix(rows, columns), Variance: newMatrix(rows, columns), Noise: newMatrix(rows, columns),
		Input: newMatrix(rows, columns), Weight: newMatrix(rows, columns),
		Outputs: newMatrix(rows, outputs), OutputCovariance: newMatrix(rows, outputs*outputs),
		likelihood: first.likelihood, members: members,
	}
	share := 1 / float64(len(members))
	add := func(sum, x blas64.General) {
		for i := range sum.Rows {
			for j, v := range row(x, i) {
				row(sum, i)[j] += share * v
			}
		}
	}
	for _, m := range members {
		add(r.Mean, m.Mean)
		add(r.Noise, m.Noise)
		add(r.Input, m.Input)
		add(r.Weight, m.Weight)
		add(r.Outputs, m.Outputs)
		add(r.OutputCovariance, m.OutputCovariance)
		r.Accuracy, r.Density = r.Accuracy.And(m.Accuracy), r.Density.And(m.Density)
	}
	for _, m := range members {
		for i := range rows {
			for j, v := range row(m.Mean, i) {
				d := v - row(r.Mean, i)[j]
				row(r.Weight, i)[j] += share * d * d
			}
			f, mean, cov := row(m.Outputs, i), row(r.Outputs, i), row(r.OutputCovariance, i)
			for j := range f {
				for k := range f {
					cov[j*outputs+k] += share * (f[j] - mean[j]) * (f[k] - mean[k])
				}
			}
		}
	}
	for i := range rows {
		for j := range row(r.Variance, i) {
			row(r.Variance, i)[j] = row(r.Noise, i)[j] + row(r.Input, i)[j] + row(r.Weight, i)[j]
		}
	}
	return r, nil
}

// meanDensity returns the logarithm of the mean over the members of the density
// whose logarithm of returns.
func (r *Prediction) meanDensity(of func(*Prediction) float64) float64 {
	logs, top := make([]float64, len(r.members)), math.Inf(-1)
	for k, m := range r.members {
		logs[k] = of(m)
		top = max(top, logs[k])
	}
	if math.IsInf(top, -1) {
		return top
	}
	sum := 0.
	for _, l := range logs {
		sum += math.Exp(l - top)
	}
	return top + math.Log(sum/float64(len(logs)))
}
