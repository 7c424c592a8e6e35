package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/covprop/covprop/bayes"
)

// A State is all that a run needs to go on: plain numbers, to be stored as one
// likes.
type State struct {
	Epoch         int // done
	Theta         []float64
	First, Second []float64 // Adam's running means of the gradient and its square
	// Best are the parameters that did best on the examples held out, BestScore
	// their expected log likelihood per example and BestEpoch when that was. They
	// are empty and 0 where nothing is held out.
	Best      []float64
	BestScore float64
	BestEpoch int
}

// Clone returns a copy.
func (s *State) Clone() *State {
	c := *s
	c.Theta, c.First, c.Second, c.Best = slices.Clone(s.Theta), slices.Clone(s.First), slices.Clone(s.Second), slices.Clone(s.Best)
	return &c
}

// Chosen returns the parameters to use: Best if there are such, else Theta.
func (s *State) Chosen() []float64 {
	if len(s.Best) > 0 {
		return s.Best
	}
	return s.Theta
}

// newState returns the state in the beginning.
func newState(m *bayes.Model, c *Config) *State {
	n := m.Size()
	return &State{Theta: m.Init(c.Seed), First: make([]float64, n), Second: make([]float64, n)}
}

// check returns an error if s is no state of m with the schedule p.
func (s *State) check(m *bayes.Model, p schedule) error {
	n := m.Size()
	if len(s.Theta) != n || len(s.First) != n || len(s.Second) != n || len(s.Best) != 0 && len(s.Best) != n {
		return fmt.Errorf("train: the state has %d parameters, but the model has %d; continue with the model that it was saved for", len(s.Theta), n)
	}
	if s.Epoch < 0 || s.Epoch > p.epochs || s.BestEpoch < 0 || s.BestEpoch > s.Epoch {
		return fmt.Errorf("train: the state is of epoch %d (its best %d) of %d", s.Epoch, s.BestEpoch, p.epochs)
	}
	for i, v := range s.Second {
		if !(v >= 0) || math.IsNaN(s.First[i]-s.First[i]) {
			return fmt.Errorf("train: the state has the gradient's mean %v and mean square %v for parameter %d", s.First[i], v, i)
		}
	}
	return nil
}
