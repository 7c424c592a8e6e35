package bayes

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/activation"
)

// TestScore checks scores of a Gaussian noise, whose distributions are Gaussians with
// the prediction's moments: the CRPS has the closed form of Gneiting & Raftery (2007,
// DOI 10.1198/016214506000001437), section 4.2,
//
//	s [ z (2 Phi(z) - 1) + 2 phi(z) - 1/sqrt pi ],   z = (y - m)/s.
func TestScore(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	m := mustModel(t, 2, Gaussian{1}, Prior{}, Linear{Out: 3}, Activation{activation.ReLU()}, Linear{Out: 1})
	b := randomBatch(rng, 200, 2, m.Likelihood(), "certain")
	p, err := m.NewPredictor(randomTheta(rng, m), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Predict(b)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Score(b.Y)
	if err != nil {
		t.Fatal(err)
	}
	inside, squares := 0, 0.
	for i := range b.X.Rows {
		d, sd := b.Y.Data[i]-r.Mean.Data[i], math.Sqrt(r.Variance.Data[i])
		z := d / sd
		phi := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
		cdf := 0.5 * math.Erfc(-z/math.Sqrt2)
		crps := sd * (z*(2*cdf-1) + 2*phi - 1/math.Sqrt(math.Pi))
		squares += d * d
		if math.Abs(z) <= 1.6448536269514722 { // Phi^-1(0.95)
			inside++
		}
		// Some roundings of numbers near 1.
		if math.Abs(s.Error[i]+d) > 1e-14 || math.Abs(s.CRPS[i]-crps) > 1e-13*sd || math.Abs(s.PIT[i]-cdf) > 1e-14 || math.Abs(s.LogDensity[i]-math.Log(phi/sd)) > 1e-12 {
			t.Errorf("example %d: error %v, CRPS %v, PIT %v, log density %v; want %v, %v, %v, %v",
				i, s.Error[i], s.CRPS[i], s.PIT[i], s.LogDensity[i], -d, crps, cdf, math.Log(phi/sd))
		}
	}
	if got, want := s.Coverage(.9), float64(inside)/200; got != want {
		t.Errorf("coverage %v, want %v", got, want)
	}
	if got, want := s.RMSE(), math.Sqrt(squares/200); math.Abs(got-want) > 1e-13*want {
		t.Errorf("RMSE %v, want %v", got, want)
	}
	n := len(s.PIT)
	if s.Append(s); len(s.PIT) != 2*n || s.Coverage(.9) != float64(inside)/200 {
		t.Error("scores that are appended are not averaged")
	}
	if _, err := r.Score(randomBatch(rng, 3, 2, m.Likelihood(), "certain").Y); err == nil {
		t.Error("targets of 3 examples were taken for 200")
	}
}

func TestScoreClasses(t *testing.T) {
	var s Scores
	s.scoreClass([]float64{.2, .5, .3}, 1)
	s.scoreClass([]float64{.2, .5, .3}, 0)
	if s.Class[0] != 1 || s.Class[1] != 1 || !s.Correct[0] || s.Correct[1] || s.Accuracy() != .5 || s.Confidence[1] != .5 {
		t.Errorf("got %+v", s)
	}
	for i, want := range []float64{.04 + .25 + .09, .64 + .25 + .09} {
		if math.Abs(s.Brier[i]-want) > 1e-15 {
			t.Errorf("Brier score %v, want %v", s.Brier[i], want)
		}
	}
}
