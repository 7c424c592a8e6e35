package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// decodeCSV decodes rows of numbers without a header, separated by commas,
// semicolons or white space. Every row has as many numbers as the first.
func decodeCSV(data []byte, limit int) (numbers []float64, shape []int, err error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some spreadsheets start with it
	rows, columns := 0, 0
	var separator byte
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte("\n"))
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		rows++
		fields, used := splitRow(line)
		if separator == 0 {
			separator = used
		} else if used != 0 && used != separator {
			return nil, nil, fmt.Errorf("row %d mixes separators", rows)
		}
		if rows == 1 {
			columns = len(fields)
		} else if len(fields) != columns {
			return nil, nil, fmt.Errorf("row %d has %d numbers, but row 1 has %d", rows, len(fields), columns)
		}
		if len(numbers)+columns > limit {
			return nil, nil, tooMany(limit)
		}
		for i, field := range fields {
			text := string(bytes.TrimSpace(field))
			x, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, nil, fmt.Errorf("row %d, column %d: %s", rows, i+1, notNumber(text, err))
			}
			numbers = append(numbers, x)
		}
	}
	if len(numbers) == 0 {
		return nil, nil, errNoNumbers
	}
	return numbers, []int{rows, columns}, nil
}

// splitRow splits a row at its separator, which it returns too: a comma or a
// semicolon or, as 0 if there is but one number, white space. A row with both
// comma and semicolon is split at the semicolon, so that a decimal comma is
// refused and not read as two numbers.
func splitRow(line []byte) (fields [][]byte, separator byte) {
	for _, s := range []byte{';', ','} {
		if bytes.IndexByte(line, s) >= 0 {
			return bytes.Split(line, []byte{s}), s
		}
	}
	if fields = bytes.Fields(line); len(fields) > 1 {
		separator = ' '
	}
	return fields, separator
}
