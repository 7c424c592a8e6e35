package dataset

import (
	"fmt"
	"io"
	"strconv"

	"github.com/covprop/covprop/internal/npy"
)

// parseNPY reads a matrix, or a vector as a single column.
func parseNPY(r io.Reader) (*Table, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxTableFile))
	if err != nil {
		return nil, err
	}
	numbers, shape, err := npy.Decode(raw, maxCells)
	if err != nil {
		return nil, err
	}
	if len(shape) == 1 {
		shape = []int{shape[0], 1}
	}
	if len(shape) != 2 {
		return nil, fmt.Errorf("has %d dimensions; a table has two", len(shape))
	}
	rows, columns := shape[0], shape[1]
	t := &Table{Columns: make([]Column, columns)}
	for j := range t.Columns {
		c := &t.Columns[j]
		c.Name, c.Numbers = strconv.Itoa(j), make([]float64, rows)
		for i := range rows {
			c.Numbers[i] = numbers[i*columns+j]
		}
	}
	return t, nil
}
