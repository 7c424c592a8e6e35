package activation_test

import (
	"context"
	"strings"
	"testing"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/optest"
)

func TestConformance(t *testing.T) {
	for _, a := range []activation.Activation{
		activation.Sinh(), activation.Cosh(), activation.Asinh(), activation.LogSigmoid(),
		activation.Shrink(0.5, 0.5), activation.Shrink(1.5, 0), activation.Shrink(-0.5, 0.2), activation.Shrink(0, 1),
		moved{activation.Sqrt(), 3000, 1},
		moved{activation.Log(), 3000, 1},
		moved{activation.Reciprocal(), -3000, 1},
		moved{activation.Power(1.5), 3000, 1},
		moved{activation.Power(-2), -3000, 1},
		moved{activation.Power(20), 1, 1e-3},
		moved{activation.Acosh(), 3000, 1},
		moved{activation.Atanh(), 0.1, 5e-4},
		moved{activation.Asin(), -0.2, 5e-4},
		moved{activation.Acos(), 0.3, 5e-4},
		moved{activation.Tan(), 7, 1e-3},
	} {
		t.Run(a.Name(), func(t *testing.T) { optest.TestActivation(t, a) })
	}
}

// moved is g(at + scale x), which keeps the suite's inputs away from the
// singular points of g. Its Kinks leave those out.
type moved struct {
	activation.Activation
	at, scale float64
}

func (m moved) Kinks() []float64        { return nil }
func (m moved) Apply(x float64) float64 { return m.Activation.Apply(m.at + m.scale*x) }
func (m moved) Derivative(x float64) float64 {
	return m.scale * m.Activation.Derivative(m.at+m.scale*x)
}

func (m moved) Coefficients(h []float64, mu, sigma float64) {
	m.Activation.Coefficients(h, m.at+m.scale*mu, m.scale*sigma)
}

func (m moved) Variance(mu, sigma float64) float64 {
	return m.Activation.Variance(m.at+m.scale*mu, m.scale*sigma)
}

// What has no moments comes out of an elementwise rule as an error that names
// the function and the input.
func TestNoMomentsIsAnError(t *testing.T) {
	for _, c := range []struct {
		a     activation.Activation
		mu, v float64
		ok    bool
	}{
		{activation.Log(), -1, 0.1, false},
		{activation.Log(), 0, 0.1, false},
		{activation.Log(), -1, 0, false},
		{activation.Sqrt(), -1, 0.1, false},
		{activation.Sqrt(), 0, 0.1, false},
		{activation.Sqrt(), 0, 0, true},
		{activation.Reciprocal(), 0, 0.1, false},
		{activation.Power(1.5), 0, 0.1, false},
		{activation.Acosh(), 1, 1e-6, false},
		{activation.Asin(), 1, 1e-6, false},
		{activation.Asin(), 1, 0, true},
		{activation.Log(), 1, 4, true}, // linearised
	} {
		e, err := layer.NewElementwise([]activation.Activation{c.a}, 1)
		if err != nil {
			t.Fatal(err)
		}
		var m layer.Moments
		err = e.MomentsTo(context.Background(), &m, []float64{c.mu}, []float64{c.v}, true, layer.Options{})
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), c.a.Name()) {
			t.Errorf("%s at mean %v, variance %v: %v", c.a.Name(), c.mu, c.v, err)
		}
	}
}
