package dataset

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// ParseCSV reads a table of text: a header with the columns' names, then one example
// a row, separated by commas, semicolons or tabs, whichever the header has; with
// quotes as RFC 4180 has them.
func ParseCSV(r io.Reader) (*Table, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	if bom, _ := in.Peek(3); string(bom) == "\ufeff" { // some spreadsheets begin with it
		_, _ = in.Discard(3)
	}
	start, _ := in.Peek(1 << 16)
	lines := csv.NewReader(in)
	lines.Comma, lines.ReuseRecord = separator(string(start)), true
	header, err := lines.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("is empty")
	}
	if err != nil {
		return nil, err
	}
	t := &Table{Columns: make([]Column, len(header))}
	numbers := 0
	for j, name := range header {
		t.Columns[j].Name = strings.Clone(strings.TrimSpace(name))
		if _, err := strconv.ParseFloat(t.Columns[j].Name, 64); err == nil {
			numbers++
		}
	}
	if numbers == len(header) {
		return nil, errors.New("has numbers in its first row, where the columns' names should be; add a header")
	}
	if err := t.checkNames(); err != nil {
		return nil, err
	}
	for rows := 1; ; rows++ {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, csv.ErrFieldCount) {
			return nil, fmt.Errorf("row %d has %d fields, but the header has %d", rows, len(fields), len(header))
		}
		if err != nil {
			return nil, err
		}
		if rows > maxCells/len(header) {
			return nil, tooLarge(rows, len(header))
		}
		for j, f := range fields {
			t.Columns[j].Text = append(t.Columns[j].Text, strings.TrimSpace(f))
		}
	}
	for j := range t.Columns {
		c := &t.Columns[j]
		if c.Text == nil {
			return nil, errors.New("has a header but no rows")
		}
		c.Numbers = parseNumbers(c.Text)
	}
	return t, nil
}

func tooLarge(rows, columns int) error {
	return fmt.Errorf("has %d rows or more of %d columns; at most %d elements are read", rows, columns, maxCells)
}

// separator returns the separator of a header: tab, semicolon or comma, the first of
// these that stands outside of quotes.
func separator(text string) rune {
	quoted, found := false, map[rune]bool{}
	for _, c := range text {
		if c == '"' {
			quoted = !quoted
		}
		if quoted {
			continue
		}
		if c == '\n' {
			break
		}
		found[c] = true
	}
	for _, c := range "\t;" {
		if found[c] {
			return c
		}
	}
	return ','
}

// parseNumbers returns the numbers that texts stand for, or nil if some text that is
// not missing is no number, or none is there.
func parseNumbers(texts []string) []float64 {
	numbers := make([]float64, len(texts))
	for i, s := range texts {
		if Missing(s) {
			numbers[i] = math.NaN()
			continue
		}
		x, err := strconv.ParseFloat(s, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range is infinite, and refused where used
			return nil
		}
		numbers[i] = x
	}
	return numbers
}
