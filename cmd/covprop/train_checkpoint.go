package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"time"

	"github.com/covprop/covprop/bayes/train"
	"github.com/covprop/covprop/modelfile"
)

// checkpointEvery is how long training goes on without a checkpoint.
const checkpointEvery = time.Minute

// A checkpoint is the file beside a model from which its training can go on.
type checkpoint struct {
	path string
	file *modelfile.File // what there is of the model before training
	from []*train.State
	last time.Time // when it was written
}

// open reads the checkpoint, if training is to go on, and else makes sure that there
// is none to be lost.
func (c *checkpoint) open(resume bool) error {
	if !resume {
		if exists(c.path) {
			return fmt.Errorf("%s is there from a training that was interrupted: continue it with --resume, or delete it", c.path)
		}
		return nil
	}
	f, err := readTrained(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("--resume: there is no %s to continue from; leave --resume out", c.path)
	case err != nil:
		return err
	case f.States == nil:
		return fmt.Errorf("--resume: %s is no checkpoint, but a model whose training is over", c.path)
	}
	a, b := f.Training, c.file.Training
	changed := ""
	switch {
	case a.Program != b.Program:
		changed = "by " + a.Program + ", which may compute otherwise"
	case a.Data != b.Data || !reflect.DeepEqual(f.Encoder, c.file.Encoder):
		changed = "with other data"
	case !reflect.DeepEqual(f.Model, c.file.Model):
		changed = "for another network"
	case a != b || len(f.States) != b.Members:
		changed = "with other flags"
	}
	if changed != "" {
		return fmt.Errorf("--resume: %s was begun %s; give the same data and flags, or delete it", c.path, changed)
	}
	c.from = f.States
	return nil
}

// save writes the checkpoint if it is time to.
func (c *checkpoint) save(states []*train.State) error {
	if time.Since(c.last) < checkpointEvery {
		return nil
	}
	return c.write(states)
}

func (c *checkpoint) write(states []*train.State) error {
	f := *c.file
	f.States = states
	for _, s := range states {
		if s != nil {
			f.Members = append(f.Members, s.Chosen())
		}
	}
	c.last = time.Now()
	return writeTrained(outputFile(c.path), &f)
}

// keep writes the checkpoint after err and says so.
func (c *checkpoint) keep(e *env, states []*train.State, err error) error {
	var epochs []int
	begun := false
	for _, s := range states {
		if s != nil {
			epochs = append(epochs, s.Epoch)
			begun = true
		}
	}
	if !begun {
		return err
	}
	if w := c.write(states); w != nil {
		return errors.Join(err, w)
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(e.stderr, "covprop: what was reached, epochs %v, is in %s; the same command with --resume continues\n", epochs, c.path)
		return err
	}
	return fmt.Errorf("%w; what was reached before, epochs %v, is in %s", err, epochs, c.path)
}

// remove deletes the checkpoint, now that there is a model.
func (c *checkpoint) remove() error {
	if err := os.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", c.path, bare(err))
	}
	return nil
}

// readTrained reads a model file.
func readTrained(path string) (*modelfile.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, bare(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s: is a folder", path)
	}
	m, err := modelfile.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// writeTrained writes a model file.
func writeTrained(path outputFile, f *modelfile.File) error {
	return path.writeWith(func(w io.Writer) error { return modelfile.Write(w, f) })
}
