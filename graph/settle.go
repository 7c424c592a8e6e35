package graph

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// settle checks the moments of a linear node's output; before are the variances
// of its inputs. A variance that is negative by no more than rounding is zero
// (one that rounding made positive cannot be told from a true one); one that is
// more negative comes of an input covariance that is positive semidefinite only
// within its tolerance, and makes the node approximate; and so does one so small that
// covariances it is made of may have been flushed to 0.
func (r *run) settle(d *node, rule layer.Linear, y *live, before []float64) (acc covprop.Accuracy, err error) {
	var scale []float64
	for i, m := range y.mean {
		if math.IsNaN(m) || math.IsInf(m, 0) {
			return acc, fmt.Errorf("the mean of element %d is %v: the values overflow float64", i, m)
		}
	}
	if y.cov.ordinary() {
		return acc, nil
	}
	for i := range y.mean {
		v := y.cov.variance(i)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return acc, fmt.Errorf("the variance of element %d is %v: the values overflow %s", i, v, r.precision())
		}
		if v > 0 && v < smallest64 && !y.cov.m.is32() {
			acc = acc.Worse(covprop.ApproximatedBy(1, "variances too small for float64: covariances below 2e-308 are taken as 0"))
		}
		if v >= 0 {
			continue
		}
		if scale == nil {
			scale = r.varianceScale(d, rule, before)
		}
		if -v > rounding*scale[i] {
			acc = acc.Worse(covprop.ApproximatedBy(-v/scale[i], "a variance came out negative and was taken as zero: the input covariance is not quite positive semidefinite"))
		}
		r.makeCertain(d.out, y, i)
	}
	return acc, nil
}

// makeCertain sets the variance of element i of tensor t, whose state is y,
// and all its covariances to zero.
func (r *run) makeCertain(t Tensor, y *live, i int) {
	for j := range y.cov.m.Rows {
		y.cov.m.set(i, j, 0)
		y.cov.m.set(j, i, 0)
	}
	for _, u := range r.ws.alive {
		c, ok := r.ws.covariance(t, u)
		switch {
		case !ok:
		case c.a == t:
			c.m.zeroRow(i)
		default:
			for j := range c.m.Rows {
				c.m.set(j, i, 0)
			}
		}
	}
}

// rounding is the relative error of a sum of products in float64, with a
// margin; the number of terms is part of varianceScale.
const rounding = 0x1p-48

// varianceScale returns the variances that the elements of the node's output
// could have if none of their terms cancelled: for m terms
// (sum |a_k| sigma_k)^2 <= m sum a_k^2 v_k, and rounding adds another m. v are
// the variances of the inputs, one after the other.
func (r *run) varianceScale(d *node, rule layer.Linear, v []float64) []float64 {
	scale := make([]float64, r.tensors[d.out].n)
	terms := 0.
	for k, t := range d.in {
		n := r.tensors[t].n
		rule.Matrix(k).SquareMulTo(scale, v[:n], k > 0)
		v = v[n:]
		terms += float64(n)
	}
	for i := range scale {
		scale[i] *= terms * terms
	}
	return scale
}
