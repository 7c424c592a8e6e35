package graph

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// What float32 costs. Every covariance is rounded by a relative 2^-24, so a
// variance w' Sigma w is off by about
//
//	2^-24 sqrt(sum_kl (w_k w_l Sigma_kl)^2) <= 2^-24 sum_k w_k^2 Sigma_kk,
//
// for roundings that do not conspire (Higham, Accuracy and Stability of
// Numerical Algorithms, 2002, section 2.8): little, unless the terms cancel.
const (
	rounding32 = 0x1p-22 // four standard deviations of that, relative to the sum

	// leastDigits is the relative error of a variance from which on float32 is
	// refused.
	leastDigits = 1e-2

	// smallest32 is the variance below which a correlation of 1e-8 is no
	// normal number in float32.
	smallest32 = 0x1p-126 * 1e8
)

const (
	float32Reason   = "covariances in float32"
	underflowReason = "variances too small for float32 lose their digits"
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
		loss := rounding32 * s / v
		if v <= 0 || loss > leastDigits {
			return acc, fmt.Errorf("the terms of the variance of element %d cancel from %.3g to %.3g, and float32 keeps less than two digits of it: use --precision 64 (Precision)", i, s, v)
		}
		worst = max(worst, loss)
	}
	if worst > 0 {
		acc = acc.Worse(covprop.ApproximatedBy(worst, float32Reason))
	}
	return acc, nil
}

// round32 states what float32 costs the covariances of a node that computes
// them, with the variances of b, in float64.
func (r *run) round32(b block) (acc covprop.Accuracy, err error) {
	for i := range b.n {
		switch v := b.variance(i); {
		case v == 0:
		case v > math.MaxFloat32:
			return acc, fmt.Errorf("the variance of element %d is %.3g, which overflows float32: use --precision 64 (Precision)", i, v)
		case v < smallest32:
			return covprop.ApproximatedBy(1, underflowReason), nil
		default:
			acc = covprop.ApproximatedBy(0x1p-23, float32Reason)
		}
	}
	return acc, nil
}
