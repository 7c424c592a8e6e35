package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/covprop/covprop/internal/npy"
)

// values are the numbers given to --mean, --std, --cov or --fix, row by row.
type values struct {
	flag string // "--mean"
	file string // where they come from; empty for a literal
	data []float64
	// shape is that of the file: rows and columns of a CSV file, nesting of a
	// JSON file, empty for a single number.
	shape []int
}

// readValues reads the argument of a flag: the name of a .npy, .csv or .json
// file, or a literal such as 0.1 or 0.1,0.2,0.3. All numbers are finite. A
// file with more than limit numbers is refused before it is read where its
// size shows it.
func readValues(flag, arg string, limit int) (values, error) {
	v := values{flag: flag}
	decode := decoder(arg)
	if decode == nil {
		if err := v.parseLiteral(arg); err != nil {
			return values{}, err
		}
		return v, v.checkFinite()
	}
	v.file = arg
	data, err := readBounded(arg, limit)
	if err == nil {
		v.data, v.shape, err = decode(data, limit)
	}
	if err != nil {
		return values{}, fmt.Errorf("%s %s: %w", flag, arg, err)
	}
	return v, v.checkFinite()
}

// A decodeFunc decodes a file of at most limit numbers. The numbers need not
// be finite, and there is at least one.
type decodeFunc func(data []byte, limit int) (numbers []float64, shape []int, err error)

// decoder returns the decoder for a file name, nil if it is not one.
func decoder(name string) decodeFunc {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".npy":
		return npy.Decode
	case ".csv":
		return decodeCSV
	case ".json":
		return decodeJSON
	}
	return nil
}

var errNoNumbers = errors.New("has no numbers")

// readBounded reads a file that is to hold at most limit numbers. 64 bytes are
// more than any way of writing one takes.
func readBounded(name string, limit int) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, bare(err)
	}
	if info.IsDir() {
		return nil, errors.New("is a folder")
	}
	most := 64*int64(limit) + 1<<16
	if info.Size() > most {
		return nil, fmt.Errorf("its %d bytes are too many for the %d numbers at most that are of use here", info.Size(), limit)
	}
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, bare(err)
	}
	return data, nil
}

// bare strips the operation and the path off an error of package os, which the
// message has already.
func bare(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// parseLiteral parses numbers separated by commas.
func (v *values) parseLiteral(arg string) error {
	fields := strings.Split(arg, ",")
	for _, field := range fields {
		x, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if errors.Is(err, strconv.ErrRange) {
			return fmt.Errorf("%s %s: %s is too large for a float64", v.flag, arg, strings.TrimSpace(field))
		}
		if err != nil {
			return usagef("%s %q is neither numbers such as 0.1 or 0.1,0.2,0.3 nor the name of a .npy, .csv or .json file", v.flag, arg)
		}
		v.data = append(v.data, x)
	}
	if len(fields) > 1 {
		v.shape = []int{len(fields)}
	}
	return nil
}

// checkFinite reports the first value that is not finite.
func (v *values) checkFinite() error {
	for i, x := range v.data {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return v.errorAt(i, "is %v; every value must be finite", x)
		}
	}
	return nil
}

// errorf returns an error about the values as a whole.
func (v *values) errorf(format string, args ...any) error {
	where := v.flag
	if v.file != "" {
		where += " " + v.file
	}
	return fmt.Errorf("%s: %w", where, fmt.Errorf(format, args...))
}

// errorAt returns an error about value i.
func (v *values) errorAt(i int, format string, args ...any) error {
	return v.errorf("%s %s", v.position(i), fmt.Sprintf(format, args...))
}

// position says where value i stands: row and column, from 1, in a CSV file;
// indices, from 0, otherwise.
func (v *values) position(i int) string {
	switch {
	case len(v.shape) == 0:
		return "the value"
	case strings.EqualFold(filepath.Ext(v.file), ".csv"):
		return fmt.Sprintf("row %d, column %d", i/v.shape[1]+1, i%v.shape[1]+1)
	case len(v.shape) == 1:
		return fmt.Sprintf("element %d", i)
	}
	index := make([]string, len(v.shape))
	for d := len(v.shape) - 1; d >= 0; d-- {
		index[d] = strconv.Itoa(i % v.shape[d])
		i /= v.shape[d]
	}
	return "element (" + strings.Join(index, ",") + ")"
}

// broadcast returns n values: those given or, if there is but one, n times
// that. what names the thing that has n elements.
func (v *values) broadcast(n int, what string) ([]float64, error) {
	if len(v.data) == n {
		return v.data, nil
	}
	if len(v.data) != 1 {
		return nil, v.errorf("has %d values, but %s has %d elements", len(v.data), what, n)
	}
	all := make([]float64, n)
	for i := range all {
		all[i] = v.data[0]
	}
	return all, nil
}

// rows returns the first dimension, 1 for a single number.
func (v *values) rows() int {
	if len(v.shape) == 0 {
		return 1
	}
	return v.shape[0]
}

func tooMany(limit int) error {
	return fmt.Errorf("has more than the %d numbers that are of use here", limit)
}

// notNumber says why strconv.ParseFloat did not take text.
func notNumber(text string, err error) string {
	if text == "" {
		return "is empty"
	}
	if len(text) > 40 {
		text = text[:40] + "..."
	}
	if errors.Is(err, strconv.ErrRange) {
		return text + " is too large for a float64"
	}
	return strconv.Quote(text) + " is not a number"
}
