package sample

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestPositive(t *testing.T) {
	// Correlations 1, 1 and 0.9 do not go together; the last is a constant.
	std := []float64{1, 10, 1e-5, 0}
	corr := []float64{
		1, 1, 1, 0,
		1, 1, .9, 0,
		1, .9, 1, 0,
		0, 0, 0, 0,
	}
	cov := newGeneral(4, 4)
	for i := range std {
		for j := range std {
			cov.Data[i*4+j] = corr[i*4+j] * std[i] * std[j]
		}
	}
	dropped, err := Positive(cov)
	if err != nil {
		t.Fatal(err)
	}
	// The eigenvalue of (1 1 1; 1 1 .9; 1 .9 1) in the plane of (1,0,0) and
	// (0,1,1): x^2 - 2.9 x - 0.1 = 0.
	if want := (math.Sqrt(2.9*2.9+.4) - 2.9) / 2; math.Abs(dropped-want) > 1e-12 {
		t.Errorf("dropped %g, want %g", dropped, want)
	}
	after := mat.NewSymDense(3, nil)
	for i := range 3 {
		for j := range i + 1 {
			after.SetSym(i, j, cov.Data[i*4+j]/std[i]/std[j])
		}
		if v := cov.Data[i*4+i]; math.Abs(v/(std[i]*std[i])-1) > 1e-14 { // rounding
			t.Errorf("variance %d is %g", i, v)
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(after, false) || eig.Values(nil)[0] < -1e-14 { // rounding
		t.Errorf("eigenvalues %v", eig.Values(nil))
	}
	// What is a covariance stays as it is.
	before := append([]float64(nil), cov.Data...)
	if dropped, err = Positive(cov); err != nil || dropped != 0 {
		t.Errorf("a second time: dropped %g, %v", dropped, err)
	}
	for i, x := range before {
		if x != cov.Data[i] {
			t.Fatalf("entry %d changed from %v to %v", i, x, cov.Data[i])
		}
	}
}
