package train

import (
	"context"
	"errors"
	"reflect"
	"testing"
)

// TestEnsemble checks that members are runs of their own, whatever is trained beside
// them, and that an ensemble that was interrupted continues to the same end.
func TestEnsemble(t *testing.T) {
	c := Config{Epochs: 4, Seed: 7, Validation: .2}
	e := Ensemble{Model: waveModel(t), Data: wave(100), Config: c, Members: 3, Threads: 2}
	whole, err := e.Train(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for k := range whole {
		r := Run{Model: e.Model, Data: e.Data, Config: c}
		r.Seed += uint64(k)
		alone, err := r.Train(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(whole[k], alone) {
			t.Errorf("member %d is another than by itself", k)
		}
	}
	if reflect.DeepEqual(whole[0], whole[1]) {
		t.Error("the members are the same")
	}

	ctx, cancel := context.WithCancel(context.Background())
	var saved []*State
	saves := 0
	e.SaveEvery = 3
	e.Save = func(s []*State) error {
		saves++
		saved = make([]*State, len(s))
		for k := range s {
			if s[k] != nil {
				saved[k] = s[k].Clone()
			}
		}
		return nil
	}
	e.Progress = func(k int, p Progress) {
		if k == 1 && p.Epoch == 2 {
			cancel()
		}
	}
	if _, err := e.Train(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("an interrupted ensemble returns %v", err)
	}
	if saves == 0 || saved[1] == nil || saved[1].Epoch != 2 {
		t.Fatalf("%d times saved: %v", saves, saved)
	}
	e.From, e.Progress = saved, nil
	again, err := e.Train(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, whole) || !reflect.DeepEqual(saved, whole) {
		t.Error("an ensemble that was continued ends elsewhere")
	}
	e.From = saved[:2]
	if _, err := e.Train(context.Background()); err == nil {
		t.Error("two states were taken for three members")
	}
}
