package bayes

import (
	"fmt"

	"github.com/covprop/covprop/internal/kernel"
)

// A Mode is a way to push uncertainty through a network.
type Mode int

const (
	// Exact carries full covariances; those of activations are the Hermite
	// series, cut off where its bound meets the tolerance, and where that takes too
	// many terms an integral over the pair.
	Exact Mode = iota
	// Series is Exact with a fixed order of the series and no bound to meet;
	// variances stay exact.
	Series
	// DVI has the covariances of Wu et al. (2019), for ReLU only.
	DVI
	// Diagonal ignores covariances: moment matching of single units.
	Diagonal
	// MonteCarlo samples: activations by local reparameterisation (Kingma,
	// Salimans & Welling 2015, arXiv 1506.02557) in training, weights in
	// prediction.
	MonteCarlo
)

var modeNames = [...]string{"exact", "series", "dvi", "diagonal", "montecarlo"}

func (m Mode) String() string {
	if m < 0 || int(m) >= len(modeNames) {
		return fmt.Sprintf("Mode(%d)", int(m))
	}
	return modeNames[m]
}

// ParseMode returns the mode with the name that String gives.
func ParseMode(name string) (Mode, error) {
	for i, s := range modeNames {
		if s == name {
			return Mode(i), nil
		}
	}
	return 0, fmt.Errorf("bayes: no mode is called %q; there are %v", name, modeNames)
}

// MarshalText returns the name.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is ParseMode.
func (m *Mode) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMode(string(text))
	return err
}

// Options choose how a network is evaluated. The zero value is the exact mode.
type Options struct {
	Mode Mode `json:"mode"`
	// Order is the number of terms of Series, from 1 to MaxOrder.
	Order int `json:"order,omitempty"`
	// Samples is the number of samples of MonteCarlo, 0 for 10; Seed draws
	// them.
	Samples int    `json:"samples,omitempty"`
	Seed    uint64 `json:"seed,omitempty"`
	// Tol is what may be cut off a covariance of Exact, relative to the two
	// standard deviations, and off its derivatives, relative to the scale on which
	// they vary. 0 means 1e-6 in training and 1e-9 in prediction.
	Tol float64 `json:"tol,omitempty"`
	// Beta, from 0 to 1, weighs the examples in training by their noise: each with the
	// variance of its noise to the power Beta, relative to the mean over the batch. With
	// 0 a network that predicts a noise of its own for every example hardly fits those
	// that it has fitted badly so far, since it takes them for noisy; with 1 it fits the
	// means as if all had the same noise (Seitzer, Tavakoli, Antic & Martius 2022, arXiv
	// 2203.09168, who recommend 1/2). The weights have no derivatives, so the objective
	// is no longer a bound on the evidence. For several targets the variance is the
	// geometric mean of theirs.
	Beta float64 `json:"beta,omitempty"`
}

// MaxOrder is the highest order of [Series]: derivatives take the coefficients
// of the next two orders.
const MaxOrder = kernel.MaxOrder - 2

const (
	trainingTol    = 1e-6
	predictionTol  = 1e-9
	defaultSamples = 10
	maxSamples     = 1 << 16
)

// check returns an error if n cannot be evaluated with o.
func (o *Options) check(n *Network) error {
	switch {
	case o.Mode < Exact || o.Mode > MonteCarlo:
		return fmt.Errorf("bayes: there is no mode %d", int(o.Mode))
	case o.Mode == Series && (o.Order < 1 || o.Order > MaxOrder):
		return fmt.Errorf("bayes: the mode series takes an order from 1 to %d, not %d", MaxOrder, o.Order)
	case o.Mode != Series && o.Order != 0:
		return fmt.Errorf("bayes: an order (%d) belongs to the mode series, not to %v", o.Order, o.Mode)
	case o.Samples < 0 || o.Samples > maxSamples:
		return fmt.Errorf("bayes: the number of samples must be from 1 to %d, not %d", maxSamples, o.Samples)
	case !(o.Beta >= 0 && o.Beta <= 1):
		return fmt.Errorf("bayes: examples are weighed by their noise to a power (beta) from 0 to 1, not %v", o.Beta)
	case !(o.Tol >= 0 && o.Tol < 1):
		return fmt.Errorf("bayes: the tolerance must be from 0 to 1, not %v", o.Tol)
	}
	if o.Mode == DVI {
		for i := range n.steps {
			if s := &n.steps[i]; s.kind == activationStep && s.act.Name() != "relu" {
				return fmt.Errorf("bayes: the mode dvi has covariances of ReLU only, not of %s", s.act.Name())
			}
		}
	}
	return nil
}
