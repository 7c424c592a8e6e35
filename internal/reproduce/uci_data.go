package reproduce

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A uciSet is a table of numbers, the target last, and the rows of each split that
// are for testing.
type uciSet struct {
	name   string
	inputs int
	data   []float64
	tests  [][]int
}

func (s *uciSet) rows() int { return len(s.data) / (s.inputs + 1) }

// at returns column j of row i; column inputs is the target.
func (s *uciSet) at(i, j int) float64 { return s.data[i*(s.inputs+1)+j] }

// trains returns the rows of split k that are not for testing.
func (s *uciSet) trains(k int) []int {
	test := make([]bool, s.rows())
	for _, i := range s.tests[k] {
		test[i] = true
	}
	var rows []int
	for i, t := range test {
		if !t {
			rows = append(rows, i)
		}
	}
	return rows
}

// maxUCIFile bounds what is read: the largest table has some hundred kilobytes.
const maxUCIFile = 64 << 20

// readUCI reads data.txt and splits_test.txt of a set.
func readUCI(dir, name string) (*uciSet, error) {
	s := &uciSet{name: name}
	err := readFields(filepath.Join(dir, name, "data.txt"), func(fields []string) error {
		for _, f := range fields {
			x, err := strconv.ParseFloat(f, 64)
			if err != nil || math.IsNaN(x-x) {
				return fmt.Errorf("%q is not a finite number", f)
			}
			s.data = append(s.data, x)
		}
		if s.inputs == 0 {
			s.inputs = len(fields) - 1
		}
		if len(fields) != s.inputs+1 || s.inputs < 1 {
			return fmt.Errorf("has %d columns, want %d, at least one and the target", len(fields), s.inputs+1)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name, "splits_test.txt")
	err = readFields(path, func(fields []string) error {
		var rows []int
		for _, f := range fields {
			i, err := strconv.Atoi(f)
			if err != nil || i < 0 || i >= s.rows() {
				return fmt.Errorf("%q is not the number of one of %d rows, from 0 on", f, s.rows())
			}
			rows = append(rows, i)
		}
		sorted := slices.Sorted(slices.Values(rows))
		if len(slices.Compact(sorted)) != len(rows) {
			return fmt.Errorf("has a row twice")
		}
		s.tests = append(s.tests, rows)
		return nil
	})
	if err == nil && len(s.tests) == 0 {
		err = fmt.Errorf("%s: there are no splits", path)
	}
	return s, err
}

// readFields hands the fields of every line to use; empty lines and those that
// begin with # are left out.
func readFields(path string, use func(fields []string) error) error {
	f, err := os.Open(path)
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err // the path is named anyway
	}
	if err != nil {
		return fmt.Errorf("%s: %w; give the directory with the folders of the UCI sets", path, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxUCIFile {
		return fmt.Errorf("%s: has %d bytes, more than %d", path, info.Size(), maxUCIFile)
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := use(strings.Fields(line)); err != nil {
			return fmt.Errorf("%s: line %d: %w", path, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
