package graph

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// What float32 costs. Every covariance is rounded by a relative 2^-24. Let e_k be
// the error of the variance of x_k, and sqrt(e_k e_l) about that of Cov(x_k, x_l).
// Then the variance of y = w' x is off by about
//
//	sqrt(sum_kl (w_k w_l)^2 e_k e_l) = sum_k w_k^2 e_k,
//
// for errors that do not conspire (Higham, Accuracy and Stability of Numerical
// Algorithms, 2002, section 2.8), and by another 2^-24 sum_k w_k^2 Sigma_kk for
// the sum, and by 2^-24 of itself once it is stored: little, unless the terms
// cancel, here or in a chain of nodes. An activation with the gain G passes on
// G^2 e. Such losses go with every tensor.
const (
	half32 = 0x1p-24

	// margin is the number of losses, about standard deviations, in a
	// statement.
	margin = 4

	// leastDigits is the relative error of a variance from which on float32 is
	// refused.
	leastDigits = 1e-2

	// smallest32 is the variance below which a correlation of 1e-8 is no
	// normal number in float32.
	smallest32 = 0x1p-126 * 1e8
)

const (
	float32Reason     = "covariances in float32"
	differencesReason = "covariances in float32, and what their differences lose is not known"
	underflowReason   = "variances too small for float32 lose their digits"
)

// precision is the precision of covariances in a message.
func (r *run) precision() string {
	if r.ws.narrow {
		return "float32: use --precision 64 (Precision)"
	}
	return "float64"
}

// settle32 states what float32 costs the variances of a linear node's output,
// and refuses what has no digits left. sum is scratch of the output's length;
// before are the variances of the inputs.
func (r *run) settle32(d *node, rule layer.Linear, y *live, before, sum []float64) (acc covprop.Accuracy, err error) {
	v := before
	for k, t := range d.in {
		n := r.tensors[t].n
		rule.Matrix(k).SquareMulTo(sum, v[:n], k > 0)
		rule.Matrix(k).SquareMulTo(y.loss, r.ws.live[t].loss, k > 0)
		v = v[n:]
	}
	worst := 0.
	for i, s := range sum {
		if s == 0 {
			continue
		}
		if s < smallest32 {
			acc = covprop.ApproximatedBy(1, underflowReason)
			continue
		}
		v := y.cov.variance(i)
		y.loss[i] += half32 * (s + v)
		relative := margin * y.loss[i] / v
		if v <= 0 || relative > leastDigits {
			return acc, fmt.Errorf("the terms of the variance of element %d cancel from %.3g to %.3g, here or before, and float32 keeps less than two digits of it: use --precision 64 (Precision)", i, s, v)
		}
		worst = max(worst, relative)
	}
	if worst > 0 {
		acc = acc.Worse(covprop.ApproximatedBy(worst, float32Reason))
	}
	return acc, nil
}

// elementwiseLoss passes the losses of x on to y, whose moments are m.
func elementwiseLoss(y, x *live, m *layer.Moments) covprop.Accuracy {
	for i, v := range m.Variance {
		y.loss[i] = m.Gain[i]*m.Gain[i]*x.loss[i] + half32*v
	}
	return y.stated(block{n: len(m.Variance), diagonal: true, v: m.Variance})
}

// nonlinearLoss passes the largest relative loss of the node's inputs on to y,
// with the covariance cov. What a rule loses that takes differences of them, as
// a maximum and a normalisation do, is not known.
func (r *run) nonlinearLoss(d *node, y *live, cov matrix) covprop.Accuracy {
	relative := half32
	for _, t := range d.in {
		x := &r.ws.live[t]
		for i, l := range x.loss {
			if v := x.cov.variance(i); v > 0 {
				relative = max(relative, half32+l/v)
			}
		}
	}
	uncertain := false
	for i := range y.loss {
		y.loss[i] = relative * cov.at(i, i)
		uncertain = uncertain || y.loss[i] > 0
	}
	if !uncertain {
		return covprop.Accuracy{}
	}
	return covprop.ApproximatedBy(math.Inf(1), differencesReason)
}

// stated is the statement of l's losses, with the variances of b in float64.
func (l *live) stated(b block) (acc covprop.Accuracy) {
	for i, loss := range l.loss {
		if v := b.variance(i); v >= smallest32 {
			acc = acc.Worse(covprop.ApproximatedBy(margin*loss/v, float32Reason))
		}
	}
	return acc
}

// round32 checks variances that are to be stored in float32, those of b in
// float64.
func (r *run) round32(b block) (acc covprop.Accuracy, err error) {
	for i := range b.n {
		switch v := b.variance(i); {
		case v > math.MaxFloat32:
			return acc, fmt.Errorf("the variance of element %d is %.3g, which overflows float32: use --precision 64 (Precision)", i, v)
		case v > 0 && v < smallest32:
			acc = covprop.ApproximatedBy(1, underflowReason)
		}
	}
	return acc, nil
}
