package dataset

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// A Table is a data set: named columns of equal length, one example a row.
type Table struct {
	Columns []Column
}

// A Column is one variable. Numbers are there if all elements that are not missing
// are numbers, and Text if the file has text; both, if the text can be read as
// numbers, for only its user knows what it stands for. A column with neither cannot
// be used, and Unusable says why.
type Column struct {
	Name     string
	Numbers  []float64 // NaN where missing
	Text     []string  // as in the file without white space around; missing as [Missing] has it
	Unusable string
}

// maxCells bounds the elements of a table, and maxTableFile the bytes of its file.
const (
	maxCells     = 1 << 26
	maxTableFile = 4 << 30
)

// ReadTable reads a table from a file:
//
//   - .csv, .tsv: text with a header; see [ParseCSV];
//   - .npy: a matrix of numbers; the columns' names are their numbers from 0 on;
//   - .parquet: a flat schema.
//
// Errors name the file.
func ReadTable(path string) (*Table, error) {
	t, err := readTable(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, bare(err))
	}
	return t, nil
}

func readTable(path string) (*Table, error) {
	ext := strings.ToLower(filepath.Ext(path))
	switch ext {
	case ".csv", ".tsv", ".npy", ".parquet":
	default:
		return nil, errors.New("the name of a table must end in .csv, .tsv, .npy or .parquet")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("is a folder")
	case info.Size() > maxTableFile:
		return nil, fmt.Errorf("has %d bytes, more than the %d that are read", info.Size(), int64(maxTableFile))
	}
	switch ext {
	case ".npy":
		return parseNPY(f)
	case ".parquet":
		return parseParquet(f, info.Size())
	}
	return ParseCSV(f)
}

// Rows returns the number of examples.
func (t *Table) Rows() int {
	if len(t.Columns) == 0 {
		return 0
	}
	c := &t.Columns[0]
	return max(len(c.Numbers), len(c.Text), 0)
}

// Column returns the column with the name; nil if there is none.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// Names returns the columns' names.
func (t *Table) Names() []string {
	names := make([]string, len(t.Columns))
	for i := range t.Columns {
		names[i] = t.Columns[i].Name
	}
	return names
}

// checkNames returns an error unless all columns have names of their own.
func (t *Table) checkNames() error {
	seen := make(map[string]bool, len(t.Columns))
	for i, c := range t.Columns {
		switch {
		case c.Name == "":
			return fmt.Errorf("column %d has no name in the header", i+1)
		case seen[c.Name]:
			return fmt.Errorf("two columns have the name %q; rename one", c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

// missingText are the texts that stand for what is not known, in lower case.
var missingText = map[string]bool{"": true, "na": true, "n/a": true, "nan": true, "null": true, "none": true, "?": true}

// Missing reports whether a text stands for a value that is not known: it is empty
// or, in whatever case, na, n/a, nan, null, none or ?.
func Missing(text string) bool {
	return len(text) <= 4 && missingText[strings.ToLower(text)]
}

// missing reports whether element i is not known.
func (c *Column) missing(i int) bool {
	if c.Text != nil {
		return Missing(c.Text[i])
	}
	return math.IsNaN(c.Numbers[i])
}
