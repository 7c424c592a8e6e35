package sample

import (
	"context"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/kernel"
)

// sums are those of one replicate over its points: with d = y - f(mu) and the
// control l = J z, elementwise
//
//	power[k-1] = sum d^k, k = 1, ..., 4    l1 = sum l    l2 = sum l^2
//
// and, if asked for, the (m, m) matrices dd = sum d d' and ll = sum l l'.
type sums struct {
	power  [4][]float64
	l1, l2 []float64
	dd, ll blas64.General
}

func newSums(m int, control, full bool) *sums {
	t := &sums{}
	for k := range t.power {
		t.power[k] = make([]float64, m)
	}
	if full {
		t.dd = newGeneral(m, m)
	}
	if control {
		t.l1, t.l2 = make([]float64, m), make([]float64, m)
		if full {
			t.ll = newGeneral(m, m)
		}
	}
	return t
}

// add adds the points in the columns of d and l, which has no rows if there is
// no control.
func (t *sums) add(ctx context.Context, d, l blas64.General) error {
	for i := range t.power[0] {
		var s1, s2, s3, s4 float64
		for _, x := range row(d, i) {
			xx := x * x
			s1 += x
			s2 += xx
			s3 += x * xx
			s4 += xx * xx
		}
		t.power[0][i] += s1
		t.power[1][i] += s2
		t.power[2][i] += s3
		t.power[3][i] += s4
	}
	for i := range t.l1 {
		var s1, s2 float64
		for _, x := range row(l, i) {
			s1 += x
			s2 += x * x
		}
		t.l1[i] += s1
		t.l2[i] += s2
	}
	if t.dd.Rows > 0 {
		if err := kernel.MulTransTo(ctx, 1, t.dd, d, d, true); err != nil {
			return err
		}
	}
	if t.ll.Rows > 0 {
		return kernel.MulTransTo(ctx, 1, t.ll, l, l, true)
	}
	return nil
}
