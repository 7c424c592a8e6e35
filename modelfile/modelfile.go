// Package modelfile keeps trained Bayesian networks in files, with all that using
// them takes. A file, by convention with the extension .cpb, is in the format
// safetensors, so that every reader of that can open it: the parameters are tensors
// with the names of bayes.Model.Parameters, such as 0.weight.mean and
// 0.weight.logvar, float64, with one axis more, the first, for the members of an
// ensemble. The metadata are strings of JSON:
//
//	format    "covprop-bayes"
//	version   "1"; a file of a newer version is refused
//	model     inputs, layers, likelihood and prior
//	encoder   columns, their categories and standardisation; dataset.Encoder
//	training  how the parameters came about: program, seed, options, data
//
// A checkpoint is a model with what training needs to go on, tensors checkpoint.*
// and the metadata "states".
package modelfile

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/bayes"
	"github.com/covprop/covprop/bayes/train"
	"github.com/covprop/covprop/dataset"
	"github.com/covprop/covprop/internal/safetensors"
)

const (
	format  = "covprop-bayes"
	version = 1
	// maxSize bounds a file, in bytes.
	maxSize = 2 << 30
)

// A File is a trained model.
type File struct {
	Model   *bayes.Model
	Encoder *dataset.Encoder
	// Members are the parameters of the members of the ensemble, at least one.
	Members  [][]float64
	Training Training
	// States are those of a checkpoint, one a member, nil for a member not begun; nil
	// for a model whose training is over.
	States []*train.State
}

// A Training says how parameters came about.
type Training struct {
	Program string       `json:"program"` // and its version
	Config  train.Config `json:"config"`
	Members int          `json:"members"`
	Rows    int          `json:"rows"`
	// Data is the SHA-256 of the numbers that the network was trained with.
	Data string `json:"data"`
}

// Digest returns what [Training] has as Data.
func Digest(b bayes.Batch) string {
	h := sha256.New()
	for _, m := range []blas64.General{b.X, b.Y} {
		for i := range m.Rows {
			var row []byte
			for _, x := range m.Data[i*m.Stride:][:m.Cols] {
				row = binary.LittleEndian.AppendUint64(row, math.Float64bits(x))
			}
			h.Write(row) // a hash takes all
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Write writes f.
func Write(w io.Writer, f *File) error {
	if len(f.Members) == 0 {
		return errors.New("modelfile: the model has no parameters")
	}
	model, err := describe(f.Model)
	if err != nil {
		return fmt.Errorf("modelfile: %w", err)
	}
	s := &safetensors.File{Metadata: map[string]string{"format": format, "version": strconv.Itoa(version)}}
	parts := map[string]any{"model": model, "encoder": f.Encoder, "training": f.Training}
	if f.States != nil {
		parts["states"] = newStates(s, f.States, f.Model.Size())
	}
	for name, part := range parts {
		text, err := json.Marshal(part)
		if err != nil {
			return fmt.Errorf("modelfile: %s: %w", name, err)
		}
		s.Metadata[name] = string(text)
	}
	for _, p := range f.Model.Parameters() {
		t := safetensors.Tensor{Name: p.Name, Shape: append([]int{len(f.Members)}, p.Shape...)}
		for _, theta := range f.Members {
			if len(theta) != f.Model.Size() {
				return fmt.Errorf("modelfile: a member has %d parameters, but the model has %d", len(theta), f.Model.Size())
			}
			t.Data = append(t.Data, theta[p.Offset:][:p.Len]...)
		}
		s.Tensors = append(s.Tensors, t)
	}
	return safetensors.Write(w, s)
}

// Read reads a model. The file is not trusted: what it says is checked.
func Read(r io.Reader) (*File, error) {
	s, err := safetensors.Read(r, maxSize)
	if err != nil {
		return nil, fmt.Errorf("modelfile: is no model that can be read: %w", err)
	}
	f := &File{}
	if err := f.read(s); err != nil {
		return nil, fmt.Errorf("modelfile: %w", err)
	}
	return f, nil
}

func (f *File) read(s *safetensors.File) error {
	if s.Metadata["format"] != format {
		return errors.New("is a safetensors file, but not a model of covprop train")
	}
	v, err := strconv.Atoi(s.Metadata["version"])
	switch {
	case err != nil || v < 1:
		return fmt.Errorf("has the version %q of the format, which is no number from 1 on", s.Metadata["version"])
	case v > version:
		return fmt.Errorf("has version %d of the format, but this program reads up to %d; use a newer covprop", v, version)
	}
	var (
		model  description
		states []state
	)
	f.Encoder = &dataset.Encoder{}
	for name, part := range map[string]any{"model": &model, "encoder": f.Encoder, "training": &f.Training, "states": &states} {
		text, ok := s.Metadata[name]
		if !ok && name == "states" {
			continue
		}
		if err := json.Unmarshal([]byte(text), part); err != nil {
			return fmt.Errorf("the metadata %q are damaged: %w", name, err)
		}
	}
	if f.Model, err = model.build(); err != nil {
		return fmt.Errorf("the model is damaged: %w", err)
	}
	if err := f.checkEncoder(); err != nil {
		return err
	}
	if err := f.readMembers(s); err != nil {
		return err
	}
	if states != nil {
		f.States, err = readStates(s, states, f.Model.Size())
	}
	return err
}

// checkEncoder returns an error unless the encoder makes what the model takes.
func (f *File) checkEncoder() error {
	if err := f.Encoder.Check(); err != nil {
		return fmt.Errorf("the encoder is damaged: %w", err)
	}
	if w := f.Encoder.Width(); w != f.Model.Network().Inputs() {
		return fmt.Errorf("the columns make %d numbers, but the network takes %d", w, f.Model.Network().Inputs())
	}
	classes := 0
	switch l := f.Model.Likelihood().(type) {
	case bayes.Probit:
		classes = 2
	case bayes.Softmax:
		classes = l.Classes
	}
	if n := len(f.Encoder.Target.Classes); n != classes || f.Model.Targets() != 1 {
		return fmt.Errorf("the target has %d classes, but the likelihood %s has %d of %d targets", n, f.Model.Likelihood().Name(), classes, f.Model.Targets())
	}
	return nil
}

func (f *File) readMembers(s *safetensors.File) error {
	for _, p := range f.Model.Parameters() {
		t := s.Tensor(p.Name)
		if t == nil {
			return fmt.Errorf("the tensor %q is missing", p.Name)
		}
		if len(t.Shape) == 0 || t.Shape[0] < 1 || !slices.Equal(t.Shape[1:], p.Shape) || f.Members != nil && t.Shape[0] != len(f.Members) {
			return fmt.Errorf("the tensor %q has the shape %v, which should be the number of members and %v", p.Name, t.Shape, p.Shape)
		}
		if f.Members == nil {
			f.Members = make([][]float64, t.Shape[0])
			for k := range f.Members {
				f.Members[k] = make([]float64, f.Model.Size())
			}
		}
		for i, x := range t.Data {
			if math.IsNaN(x - x) {
				return fmt.Errorf("the tensor %q has the element %v", p.Name, x)
			}
			f.Members[i/p.Len][p.Offset+i%p.Len] = x
		}
	}
	return nil
}

// Predict returns the prediction of the mixture of all members.
func (f *File) Predict(b bayes.Batch) (*bayes.Prediction, error) {
	members := make([]*bayes.Prediction, len(f.Members))
	for k, theta := range f.Members {
		p, err := f.Model.NewPredictor(theta, bayes.Options{})
		if err != nil {
			return nil, err
		}
		if members[k], err = p.Predict(b); err != nil {
			return nil, err
		}
	}
	return bayes.Mix(members...)
}
