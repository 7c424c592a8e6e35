// Package onnx builds networks from ONNX models.
//
// [ReadFile] decodes a model, folds everything that does not depend on an
// uncertain input into constants, puts activations, normalisations and softmax
// back together that exporters took apart (x*0.5*(1+erf(x/sqrt2)) is GELU), and
// turns each node that is left into rules of package layer. Operator sets 6 to 28 of the
// default domain are known; [Importer.Describe] tells what a model needs and
// what is missing.
//
// All numbers are float64: weights stored as float16, bfloat16, float32 or
// integers are widened, and so are attributes such as alpha, exactly as they
// are stored. Only a constant by which an activation is recognised is replaced
// by its ideal value, if it is within 1e-6 of it (1e-3 for float16).
//
// Files are not trusted. Sizes are checked before memory is allocated, data
// outside the model's folder is refused, and what is wrong is returned as a
// *covprop.ModelError that names file, node and operator. What the package
// does not support it refuses; it leaves nothing out silently.
//
// [Write] writes networks of plain layers as models, for any runtime.
package onnx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
)

// The limits of the zero Importer.
const (
	DefaultMaxBytes    = 2 << 30
	DefaultMaxElements = 1 << 28
)

// An Importer reads models. Its zero value is what [Read] and [ReadFile] use.
type Importer struct {
	// Shapes gives the shapes of inputs with symbolic dimensions. Without an
	// entry a symbolic axis 0 is 1 and any other symbolic axis an error.
	Shapes map[string][]int
	// Fix gives the values, row by row, of inputs that are held fixed; one
	// value stands for all elements. Such an input is a constant.
	Fix map[string][]float64
	// MaxBytes limits the size of the model with its external data; zero
	// means DefaultMaxBytes. In memory the numbers, widened to 64 bits, take
	// up to eight times their size in the file, and what is computed from them
	// as much again and MaxBytes.
	MaxBytes int64
	// MaxElements limits the elements of one tensor; zero means
	// DefaultMaxElements.
	MaxElements int
}

// Read reads a model that has no external data.
func Read(r io.Reader) (*graph.Network, error) { return Importer{}.Read(r) }

// ReadFile reads a model, and its external data from the model's folder.
func ReadFile(path string) (*graph.Network, error) { return Importer{}.ReadFile(path) }

// Read reads a model that has no external data.
func (im Importer) Read(r io.Reader) (*graph.Network, error) {
	m, err := im.read(r, "")
	if err != nil {
		return nil, err
	}
	return m.network()
}

// ReadFile reads a model, and its external data from the model's folder.
func (im Importer) ReadFile(path string) (*graph.Network, error) {
	m, err := im.open(path)
	if err != nil {
		return nil, err
	}
	return m.network()
}

// open reads and analyses the model at path.
func (im Importer) open(path string) (*model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &covprop.ModelError{File: path, Err: cause(err)}
	}
	defer f.Close()
	return im.read(f, path)
}

// read reads and analyses a model. path is empty if it does not come from a
// file.
func (im Importer) read(r io.Reader, path string) (*model, error) {
	m := &model{file: path, shapes: im.Shapes, fix: im.Fix}
	var err error
	if m.limits, err = im.limits(); err != nil {
		return nil, &covprop.ModelError{File: path, Err: err}
	}
	data, err := m.limits.readAll(r)
	if err != nil {
		return nil, &covprop.ModelError{File: path, Err: cause(err)}
	}
	if path != "" {
		m.dir = filepath.Dir(path)
	}
	if err := m.decode(data); err != nil {
		var me *covprop.ModelError
		if errors.As(err, &me) {
			me.File = path
			return nil, me
		}
		return nil, &covprop.ModelError{File: path, Err: err}
	}
	m.analyse()
	return m, nil
}

// cause returns what is wrong without the path, which the ModelError has.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fmt.Errorf("cannot be read: %w", pe.Err)
	}
	return err
}
