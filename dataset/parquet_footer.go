package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The library that reads Parquet files trusts the numbers of elements that their
// metadata claim, and allocates memory for them. checkFooter does not: it walks
// through the metadata, a struct in the compact protocol of Apache Thrift, before
// the library sees it.
const (
	maxFooter   = 64 << 20 // bytes of metadata
	maxList     = 1 << 17  // elements of one list, such as the columns
	maxElements = 1 << 22  // elements of all lists
	maxDepth    = 32
)

var errFooter = errors.New("its metadata are damaged")

// checkFooter returns an error if the metadata at the end of a Parquet file claim
// more than they hold.
func checkFooter(r io.ReaderAt, size int64) error {
	if size < 12 { // PAR1 twice and the length of the metadata
		return fmt.Errorf("it has only %d bytes", size)
	}
	var tail [8]byte
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	switch {
	case string(tail[4:]) != "PAR1":
		return errors.New("it does not end with PAR1; it is cut short or of another kind")
	case n > size-12:
		return fmt.Errorf("it has %d bytes, too few for %d of metadata", size, n)
	case n > maxFooter:
		return fmt.Errorf("its metadata have %d bytes; at most %d are read", n, maxFooter)
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-8-n); err != nil {
		return err
	}
	w := thriftWalk{rest: footer}
	return w.value(thriftStruct, 0)
}

// The types of the compact protocol.
const (
	thriftTrue, thriftFalse, thriftByte                = 1, 2, 3
	thriftInt16, thriftInt32, thriftInt64, thriftFloat = 4, 5, 6, 7
	thriftBinary, thriftList, thriftSet                = 8, 9, 10
	thriftMap, thriftStruct                            = 11, 12
)

// A thriftWalk goes through values in the compact protocol.
type thriftWalk struct {
	rest     []byte
	elements int
}

// take returns the next n bytes.
func (w *thriftWalk) take(n uint64) ([]byte, error) {
	if n > uint64(len(w.rest)) {
		return nil, errFooter
	}
	b := w.rest[:n]
	w.rest = w.rest[n:]
	return b, nil
}

func (w *thriftWalk) varint() (uint64, error) {
	x, n := binary.Uvarint(w.rest)
	if n <= 0 {
		return 0, errFooter
	}
	w.rest = w.rest[n:]
	return x, nil
}

// value goes past a value, where a truth takes a byte as in lists.
func (w *thriftWalk) value(kind byte, depth int) error {
	if depth > maxDepth {
		return errFooter
	}
	var err error
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		_, err = w.take(1)
	case thriftInt16, thriftInt32, thriftInt64:
		_, err = w.varint()
	case thriftFloat:
		_, err = w.take(8)
	case thriftBinary:
		var n uint64
		if n, err = w.varint(); err == nil {
			_, err = w.take(n)
		}
	case thriftList, thriftSet:
		err = w.list(depth)
	case thriftStruct:
		err = w.fields(depth)
	default: // the metadata of Parquet have no maps
		err = errFooter
	}
	return err
}

func (w *thriftWalk) list(depth int) error {
	head, err := w.take(1)
	if err != nil {
		return err
	}
	kind, n := head[0]&15, uint64(head[0]>>4)
	if n == 15 {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	if n > maxList || n > uint64(len(w.rest)) || w.elements+int(n) > maxElements {
		return fmt.Errorf("its metadata have a list of %d elements, too long", n)
	}
	w.elements += int(n)
	for range n {
		if err := w.value(kind, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// fields goes past the fields of a struct, in which a truth is part of its type.
func (w *thriftWalk) fields(depth int) error {
	for {
		head, err := w.take(1)
		if err != nil {
			return err
		}
		kind := head[0] & 15
		if head[0] == 0 {
			return nil
		}
		if head[0]>>4 == 0 { // the field's number stands by itself
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if kind == thriftTrue || kind == thriftFalse {
			continue
		}
		if err := w.value(kind, depth+1); err != nil {
			return err
		}
	}
}
