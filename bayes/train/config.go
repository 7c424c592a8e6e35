package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/covprop/covprop/bayes"
)

// A Config says how to train. Fields that are zero have the defaults that
// WithDefaults names.
type Config struct {
	// Objective chooses the mode; its Seed is not used.
	Objective bayes.Options `json:"objective"`
	// Batch is the number of examples of a step.
	Batch int `json:"batch"`
	// Epochs is the number of times that all examples are seen; 0 is as many as
	// make Steps steps. At most one of them is set.
	Epochs int `json:"epochs,omitempty"`
	Steps  int `json:"steps,omitempty"`
	// Rate is the largest learning rate. It rises to that in the first Rise of all
	// steps, a fraction, and falls to 0 along a cosine.
	Rate float64 `json:"rate"`
	Rise float64 `json:"rise"`
	// Anneal is the fraction of all steps in which the weight of the divergence
	// rises from 0 to 1. Negative means that it is 1 from the beginning.
	Anneal float64 `json:"anneal"`
	// Decay is the weight decay of AdamW, of the weights' means alone; 0 is Adam.
	Decay float64 `json:"decay,omitempty"`
	// Validation is the fraction of the examples that are held out, to choose the
	// epoch by their expected log likelihood; 0 for none. Training ends early when
	// Patience epochs have not been better.
	Validation float64 `json:"validation,omitempty"`
	Patience   int     `json:"patience"`
	// Seed draws the initial parameters, the order of the examples and what is held
	// out; 0 means 1.
	Seed uint64 `json:"seed"`
}

// The defaults.
const (
	DefaultBatch    = 64
	DefaultSteps    = 20000
	DefaultRate     = 0.01
	DefaultRise     = 0.02
	DefaultAnneal   = 0.9
	DefaultPatience = 100
)

// WithDefaults returns c with defaults in the place of zeros.
func (c Config) WithDefaults() Config {
	for _, d := range []struct {
		field *int
		value int
	}{{&c.Batch, DefaultBatch}, {&c.Patience, DefaultPatience}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *float64
		value float64
	}{{&c.Rate, DefaultRate}, {&c.Rise, DefaultRise}, {&c.Anneal, DefaultAnneal}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Epochs == 0 && c.Steps == 0 {
		c.Steps = DefaultSteps
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	return c
}

// check checks c, which has defaults.
func (c *Config) check() error {
	switch {
	case c.Batch < 1:
		return fmt.Errorf("train: the batch must have at least one example, not %d", c.Batch)
	case c.Epochs < 0 || c.Steps < 0:
		return fmt.Errorf("train: the numbers of epochs and steps must not be negative, as %d and %d are", c.Epochs, c.Steps)
	case c.Epochs > 0 && c.Steps > 0:
		return errors.New("train: epochs and steps exclude each other")
	case max(c.Epochs, c.Steps) > math.MaxInt32:
		return errors.New("train: there may be 2^31-1 epochs or steps at most")
	case !(c.Rate > 0 && c.Rate <= 1):
		return fmt.Errorf("train: the learning rate must lie above 0 and be 1 at most, not %v", c.Rate)
	case !(c.Rise > 0 && c.Rise < 1):
		return fmt.Errorf("train: the rate must rise in a fraction of all steps between 0 and 1, not in %v", c.Rise)
	case !(c.Anneal <= 1):
		return fmt.Errorf("train: the divergence is annealed in a fraction of all steps of at most 1, not in %v", c.Anneal)
	case !(c.Decay >= 0 && c.Decay < 1):
		return fmt.Errorf("train: the weight decay must be at least 0 and below 1, not %v", c.Decay)
	case !(c.Validation >= 0 && c.Validation < 1):
		return fmt.Errorf("train: the fraction of examples held out must be at least 0 and below 1, not %v", c.Validation)
	case c.Patience < 1:
		return fmt.Errorf("train: the patience must be at least one epoch, not %d", c.Patience)
	}
	return nil
}

// schedule is a Config that knows how many steps there are.
type schedule struct {
	*Config
	perEpoch, epochs, steps int
}

func (c *Config) schedule(examples int) schedule {
	s := schedule{Config: c, perEpoch: (examples + c.Batch - 1) / c.Batch, epochs: c.Epochs}
	if c.Epochs == 0 {
		s.epochs = max(1, (c.Steps+s.perEpoch/2)/s.perEpoch)
	}
	s.steps = s.epochs * s.perEpoch
	return s
}

// rate returns the learning rate of step k, counted from 0.
func (s schedule) rate(k int) float64 {
	done := (float64(k) + 0.5) / float64(s.steps)
	if done < s.Rise {
		return s.Rate * done / s.Rise
	}
	return s.Rate * 0.5 * (1 + math.Cos(math.Pi*(done-s.Rise)/(1-s.Rise)))
}

// divergence returns the weight of the divergence in step k.
func (s schedule) divergence(k int) float64 {
	if s.Anneal <= 0 {
		return 1
	}
	return min(1, float64(k)/(s.Anneal*float64(s.steps)))
}
