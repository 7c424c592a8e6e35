package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// MNIST is the database of handwritten digits of LeCun, Cortes and Burges
// (1998), or another in its files, such as Fashion-MNIST.
type MNIST struct {
	Train, Test Images
}

// Images are labelled pictures of 28 x 28 pixels.
type Images struct {
	Pixels []byte // (n, 28, 28), row by row
	Labels []byte // (n), each below MNISTClasses
}

const (
	// MNISTSide is the height and the width of a picture, MNISTPixels their
	// product and MNISTClasses the number of classes.
	MNISTSide    = 28
	MNISTPixels  = MNISTSide * MNISTSide
	MNISTClasses = 10

	// mnistLimit bounds the number of pictures: MNIST has 60,000.
	mnistLimit = 250_000
)

// Len returns the number of pictures.
func (m *Images) Len() int { return len(m.Labels) }

// Image returns the pixels of picture i, row by row. They are shared.
func (m *Images) Image(i int) []byte { return m.Pixels[i*MNISTPixels:][:MNISTPixels] }

const mnistHint = "get the four files of the MNIST database of LeCun, Cortes and Burges (yann.lecun.com/exdb/mnist) and put them into that folder"

// ReadMNIST reads the database from a folder that holds
//
//	train-images-idx3-ubyte  train-labels-idx1-ubyte
//	t10k-images-idx3-ubyte   t10k-labels-idx1-ubyte
//
// each as it is or compressed, with the extension .gz.
func ReadMNIST(dir string) (*MNIST, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("the MNIST folder %s: %w; %s", dir, bare(err), mnistHint)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder; %s", dir, mnistHint)
	}
	var m MNIST
	for _, part := range []struct {
		name string
		to   *Images
	}{{"train", &m.Train}, {"t10k", &m.Test}} {
		if err := part.to.read(dir, part.name); err != nil {
			return nil, err
		}
	}
	return &m, nil
}

// read reads the pictures of one part and their labels.
func (m *Images) read(dir, part string) error {
	path, images, err := readMNISTFile(dir, part+"-images-idx3-ubyte", mnistLimit*MNISTPixels)
	if err != nil {
		return err
	}
	if s := images.Shape; len(s) != 3 || s[1] != MNISTSide || s[2] != MNISTSide {
		return fmt.Errorf("%s: is an array of shape %v, not of %d x %d pictures; %s", path, s, MNISTSide, MNISTSide, mnistHint)
	}
	path, labels, err := readMNISTFile(dir, part+"-labels-idx1-ubyte", mnistLimit)
	if err != nil {
		return err
	}
	if s := labels.Shape; len(s) != 1 || s[0] != images.Shape[0] {
		return fmt.Errorf("%s: is an array of shape %v, not the labels of %d pictures; %s", path, s, images.Shape[0], mnistHint)
	}
	for i, l := range labels.Data {
		if l >= MNISTClasses {
			return fmt.Errorf("%s: label %d is %d, not a digit; %s", path, i, l, mnistHint)
		}
	}
	m.Pixels, m.Labels = images.Data, labels.Data
	return nil
}

// readMNISTFile reads the file of the given name, with .gz or without.
func readMNISTFile(dir, name string, limit int) (path string, x *IDX, err error) {
	for _, ext := range []string{".gz", ""} {
		path = filepath.Join(dir, name+ext)
		x, err = ReadIDXFile(path, limit)
		if !errors.Is(err, fs.ErrNotExist) {
			return path, x, err
		}
	}
	return "", nil, fmt.Errorf("%s.gz is missing; %s", path, mnistHint)
}
