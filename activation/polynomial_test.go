package activation

import (
	"math"
	"testing"
)

func TestPolynomial(t *testing.T) {
	p, err := Polynomial(1, 0, 2, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	q, _ := Polynomial(1, math.Copysign(0, -1), 2)
	if p != q || p.Name() != "polynomial_1_0_2" {
		t.Errorf("%v and %v differ", p.Name(), q.Name())
	}
	if d, ok := Degree(p); d != 2 || !ok {
		t.Errorf("degree %v, %v", d, ok)
	}
	if square, _ := Polynomial(0, 0, 1); square != Square() || square.Name() != "square" {
		t.Error("x^2 is not Square")
	}
	highest := make([]float64, MaxDegree+1)
	highest[MaxDegree] = 1
	if _, err := Polynomial(highest...); err != nil {
		t.Error(err)
	}
	for _, bad := range [][]float64{nil, {1, math.NaN()}, {math.Inf(-1)}, append(highest, 1)} {
		if _, err := Polynomial(bad...); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
	// Var X^15 = 29!! and E X^15 He_1 = 15!! for a standard normal X.
	g, _ := Polynomial(highest...)
	h := make([]float64, 2)
	g.Coefficients(h, 0, 1)
	wantNear(t, h[1], 2027025, 2027025, 1e-15, "E[X^16]")
	wantNear(t, g.Variance(0, 1), 6190283353629375, 6190283353629375, 1e-15, "E[X^30]")
}
