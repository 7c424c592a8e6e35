package dataset

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parseParquet reads a Parquet file. Columns of texts, numbers and truths (1 and 0)
// can be used, dates and times as numbers in the unit of the file, and nulls are
// missing; other types are kept as columns that cannot be used.
func parseParquet(r io.ReaderAt, size int64) (t *Table, err error) {
	defer func() {
		if p := recover(); p != nil { // what the library does with some damaged files
			t, err = nil, fmt.Errorf("is damaged: %v", p)
		}
	}()
	if err := checkFooter(r, size); err != nil {
		return nil, fmt.Errorf("is no Parquet file that can be read: %w", err)
	}
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("is no Parquet file that can be read: %w", err)
	}
	paths := f.Schema().Columns()
	rows := f.NumRows()
	switch {
	case rows < 0:
		return nil, fmt.Errorf("claims to have %d rows", rows)
	case rows == 0 || len(paths) == 0:
		return nil, errors.New("has no rows")
	case rows > maxCells/int64(len(paths)):
		return nil, tooLarge(int(min(rows, math.MaxInt)), len(paths))
	}
	t = &Table{Columns: make([]Column, len(paths))}
	for j, path := range paths {
		leaf, ok := f.Schema().Lookup(path...)
		if !ok {
			return nil, fmt.Errorf("has no column %q although its schema has one", strings.Join(path, "."))
		}
		c := &t.Columns[j]
		c.Name = strings.Join(path, ".")
		read, reason := parquetReader(leaf)
		if read == nil {
			c.Unusable = reason
			continue
		}
		if err := readParquetColumn(f, j, int(rows), func(v parquet.Value) { read(c, v) }); err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Name, err)
		}
		if c.Text != nil {
			c.Numbers = parseNumbers(c.Text)
		}
	}
	return t, t.checkNames()
}

// parquetReader returns a function that appends a value to a column, or the reason
// why there is none.
func parquetReader(leaf parquet.LeafColumn) (read func(*Column, parquet.Value), reason string) {
	if leaf.MaxRepetitionLevel > 0 {
		return nil, "it has lists of values"
	}
	number := func(of func(parquet.Value) float64) func(*Column, parquet.Value) {
		return func(c *Column, v parquet.Value) {
			x := math.NaN()
			if !v.IsNull() {
				x = of(v)
			}
			c.Numbers = append(c.Numbers, x)
		}
	}
	kind, scale, unsigned, text, decimal := leaf.Node.Type().Kind(), 1., false, false, false
	if l := leaf.Node.Type().LogicalType(); l != nil {
		switch l := l.Value.(type) {
		case *format.DecimalType:
			if decimal = true; l.Scale < 0 || l.Scale > 22 { // 10^22 is the largest exact power
				return nil, fmt.Sprintf("it has decimals with the scale %d", l.Scale)
			}
			scale = math.Pow(10, float64(l.Scale))
		case *format.IntType:
			unsigned = !l.IsSigned
		case *format.StringType, *format.EnumType:
			text = true
		}
	}
	switch {
	case kind == parquet.Boolean:
		return number(func(v parquet.Value) float64 {
			if v.Boolean() {
				return 1
			}
			return 0
		}), ""
	case kind == parquet.Int32 && unsigned:
		return number(func(v parquet.Value) float64 { return float64(v.Uint32()) }), ""
	case kind == parquet.Int32:
		return number(func(v parquet.Value) float64 { return float64(v.Int32()) / scale }), ""
	case kind == parquet.Int64 && unsigned:
		return number(func(v parquet.Value) float64 { return float64(v.Uint64()) }), ""
	case kind == parquet.Int64:
		return number(func(v parquet.Value) float64 { return float64(v.Int64()) / scale }), ""
	case kind == parquet.Float:
		return number(func(v parquet.Value) float64 { return float64(v.Float()) }), ""
	case kind == parquet.Double:
		return number(parquet.Value.Double), ""
	case decimal && (kind == parquet.FixedLenByteArray || kind == parquet.ByteArray):
		return number(func(v parquet.Value) float64 { return bigEndian(v.ByteArray()) / scale }), ""
	case kind == parquet.ByteArray && text:
		texts := map[string]string{} // one copy of each
		return func(c *Column, v parquet.Value) {
			s, known := texts[string(v.ByteArray())]
			if !known {
				s = strings.TrimSpace(string(v.ByteArray()))
				texts[string(v.ByteArray())] = s
			}
			c.Text = append(c.Text, s)
		}, ""
	}
	return nil, fmt.Sprintf("it has the type %s", leaf.Node.Type())
}

// bigEndian returns an integer in two's complement, the first byte the highest.
func bigEndian(b []byte) float64 {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	x, _ := n.Float64()
	return x
}

// readParquetColumn hands all values of column j to use.
func readParquetColumn(f *parquet.File, j, rows int, use func(parquet.Value)) error {
	buffer, n := make([]parquet.Value, 1024), 0
	for _, group := range f.RowGroups() {
		pages := group.ColumnChunks()[j].Pages()
		for {
			page, err := pages.ReadPage()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return errors.Join(err, pages.Close())
			}
			values := page.Values()
			for {
				k, err := values.ReadValues(buffer)
				if n += k; n > rows {
					return errors.Join(fmt.Errorf("has more values than the %d rows of the file", rows), pages.Close())
				}
				for _, v := range buffer[:k] {
					use(v)
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return errors.Join(err, pages.Close())
				}
			}
			parquet.Release(page)
		}
		if err := pages.Close(); err != nil {
			return err
		}
	}
	if n != rows {
		return fmt.Errorf("has %d values where the file has %d rows", n, rows)
	}
	return nil
}
