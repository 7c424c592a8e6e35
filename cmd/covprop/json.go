package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxNesting is the deepest nesting of arrays that is read.
const maxNesting = 32

// decodeJSON decodes a number or an array, flat or nested, whose shape is
// rectangular.
func decodeJSON(data []byte, limit int) (numbers []float64, shape []int, err error) {
	d := jsonDecoder{Decoder: json.NewDecoder(bytes.NewReader(data)), limit: limit}
	d.UseNumber()
	if err := d.value(0); err != nil {
		return nil, nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("has something after the first value")
	}
	return d.numbers, d.shape, nil
}

// jsonDecoder gathers the numbers of nested arrays. shape[k] is the length of
// the first array at nesting k that was complete; the others must agree.
type jsonDecoder struct {
	*json.Decoder
	limit   int
	numbers []float64
	shape   []int
	nested  bool // the nesting of the numbers is known: len(shape)
}

// value decodes the value that stands inside depth arrays.
func (d *jsonDecoder) value(depth int) error {
	token, err := d.Token()
	if errors.Is(err, io.EOF) && depth == 0 {
		return errNoNumbers
	}
	if err != nil {
		return fmt.Errorf("is not JSON: %w", err)
	}
	switch t := token.(type) {
	case json.Number:
		return d.number(string(t), depth)
	case json.Delim:
		if t == '[' {
			return d.array(depth)
		}
	}
	return fmt.Errorf("at byte %d: only numbers and arrays of numbers may stand here", d.InputOffset())
}

func (d *jsonDecoder) number(text string, depth int) error {
	if d.nested && depth != len(d.shape) {
		return d.ragged()
	}
	d.nested = true
	if len(d.numbers) == d.limit {
		return tooMany(d.limit)
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return errors.New(notNumber(text, err))
	}
	d.numbers = append(d.numbers, x)
	return nil
}

func (d *jsonDecoder) array(depth int) error {
	if d.nested && depth >= len(d.shape) {
		return d.ragged()
	}
	if depth == maxNesting {
		return fmt.Errorf("nests more than %d arrays", maxNesting)
	}
	if !d.nested {
		d.shape = append(d.shape, -1)
	}
	n := 0
	for ; d.More(); n++ {
		if err := d.value(depth + 1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("is not JSON: %w", err)
	}
	if n == 0 {
		return errors.New("has an empty array")
	}
	if d.shape[depth] == -1 {
		d.shape[depth] = n
	}
	if d.shape[depth] != n {
		return d.ragged()
	}
	return nil
}

func (d *jsonDecoder) ragged() error {
	return fmt.Errorf("is ragged at byte %d: arrays side by side differ in length or nesting", d.InputOffset())
}
