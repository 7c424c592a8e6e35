package modelfile

import (
	"fmt"
	"math"

	"github.com/covprop/covprop/bayes/train"
	"github.com/covprop/covprop/internal/safetensors"
)

// A state is the part of a [train.State] that is in the metadata. Best says that
// there are best parameters.
type state struct {
	Begun     bool    `json:"begun"`
	Epoch     int     `json:"epoch"`
	Best      bool    `json:"best,omitempty"`
	BestEpoch int     `json:"best_epoch,omitempty"`
	BestScore float64 `json:"best_score,omitempty"`
}

// vectors are the vectors of a state, which are tensors (members, size), rows of zeros
// for what is not there.
func vectors(s *train.State) map[string]*[]float64 {
	return map[string]*[]float64{
		"checkpoint.theta": &s.Theta, "checkpoint.first": &s.First, "checkpoint.second": &s.Second, "checkpoint.best": &s.Best,
	}
}

// newStates appends the states' vectors to f and returns the rest of them.
func newStates(f *safetensors.File, states []*train.State, size int) []state {
	meta, data := make([]state, len(states)), map[string][]float64{}
	for k, s := range states {
		if s != nil {
			meta[k] = state{true, s.Epoch, len(s.Best) > 0, s.BestEpoch, s.BestScore}
		} else {
			s = &train.State{}
		}
		for name, v := range vectors(s) {
			row := make([]float64, size)
			copy(row, *v)
			data[name] = append(data[name], row...)
		}
	}
	for name, d := range data {
		f.Tensors = append(f.Tensors, safetensors.Tensor{Name: name, Shape: []int{len(states), size}, Data: d})
	}
	return meta
}

func readStates(f *safetensors.File, meta []state, size int) ([]*train.State, error) {
	states := make([]*train.State, len(meta))
	for k, m := range meta {
		if !m.Begun {
			continue
		}
		s := &train.State{Epoch: m.Epoch, BestEpoch: m.BestEpoch, BestScore: m.BestScore}
		for name, v := range vectors(s) {
			t := f.Tensor(name)
			if t == nil || len(t.Data) != len(meta)*size {
				return nil, fmt.Errorf("the tensor %q, of %d numbers, is missing or of another size", name, len(meta)*size)
			}
			*v = t.Data[k*size:][:size:size]
			for _, x := range *v {
				if math.IsNaN(x - x) {
					return nil, fmt.Errorf("the tensor %q has the element %v", name, x)
				}
			}
		}
		if !m.Best {
			s.Best = nil
		}
		states[k] = s
	}
	return states, nil
}
