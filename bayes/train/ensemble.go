package train

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/covprop/covprop/bayes"
	"github.com/covprop/covprop/internal/kernel"
)

// An Ensemble trains several members, networks that differ in their seeds alone:
// member k has the seed Config.Seed + k. Each settles in another of the places where
// the objective is small; [bayes.Mix] joins their predictions. The members are as in
// a [Run] of their own, however many are trained at a time.
type Ensemble struct {
	Model *bayes.Model
	Data  bayes.Batch // all examples
	Config
	Members int // 0 means 1
	Threads int // members trained at a time; 0 means one a processor
	// From continues saved states, one a member, nil for those not begun; nil begins.
	From []*State
	// Save, if set, is handed the states of all members, as From takes them, when one
	// has made SaveEvery epochs more, 0 for never, when one is done, and when ctx ends.
	// They are valid during the call only.
	Save      func([]*State) error
	SaveEvery int
	// Progress, if set, is called after every epoch of a member; not twice at a time.
	Progress func(member int, p Progress)
}

// Train trains all members. It returns their states also with an error, nil for those
// that had not begun.
func (e *Ensemble) Train(ctx context.Context) ([]*State, error) {
	members, threads := max(e.Members, 1), e.Threads
	switch {
	case e.Members < 0:
		return nil, fmt.Errorf("train: an ensemble has at least one member, not %d", e.Members)
	case e.From != nil && len(e.From) != members:
		return nil, fmt.Errorf("train: there are %d states for %d members; continue with as many as were begun", len(e.From), members)
	}
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	states := make([]*State, members)
	copy(states, e.From)
	var mu sync.Mutex // of states, Save and Progress
	save := func(k int, s *State) error {
		mu.Lock()
		defer mu.Unlock()
		states[k] = s.Clone()
		if e.Save == nil || ctx.Err() != nil { // which saves once, at the end
			return nil
		}
		return e.Save(states)
	}
	err := kernel.Parallel(ctx, threads, members, func(k int) error {
		r := Run{Model: e.Model, Data: e.Data, Config: e.Config, From: states[k], SaveEvery: e.SaveEvery}
		r.Seed = e.WithDefaults().Seed + uint64(k)
		r.Save = func(s *State) error { return save(k, s) }
		if e.Progress != nil {
			r.Progress = func(p Progress) {
				mu.Lock()
				defer mu.Unlock()
				e.Progress(k, p)
			}
		}
		s, err := r.Train(ctx)
		if s == nil {
			return err
		}
		if err != nil && members > 1 {
			err = fmt.Errorf("member %d of %d: %w", k+1, members, err)
		}
		return errors.Join(err, save(k, s))
	})
	if ctx.Err() != nil && e.Save != nil {
		err = errors.Join(err, e.Save(states))
	}
	return states, err
}
