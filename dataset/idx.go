package dataset

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// IDX is an array of unsigned bytes, row by row.
//
// A file of the format (LeCun, Cortes, Burges, The MNIST database of
// handwritten digits, 1998) is
//
//	byte 0, 1   0
//	byte 2      type of the elements: 8 is unsigned byte
//	byte 3      number of dimensions d
//	4 d bytes   dimensions, 32 bits each, most significant byte first
//	then        elements
//
// and often compressed by gzip. Of the types only unsigned byte is read, which
// is that of all files in use.
type IDX struct {
	Shape []int
	Data  []byte
}

const (
	idxUnsignedByte = 8
	// idxMaxDims bounds the dimensions: images with colours have four.
	idxMaxDims = 8
)

// againHint ends the errors of files that are damaged.
const againHint = "download the file again"

// ReadIDX reads an IDX array of at most limit elements, compressed by gzip or
// not, and nothing must follow it. Memory is allocated as the data arrives, so
// what the header claims costs nothing.
func ReadIDX(r io.Reader, limit int) (*IDX, error) {
	b := bufio.NewReader(r)
	if magic, _ := b.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, damaged(err)
		}
		b = bufio.NewReader(z)
	}
	shape, n, err := readIDXHeader(b, limit)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(b, int64(n)+1)) // the end of a gzip file has its checksum
	switch {
	case err != nil:
		return nil, damaged(err)
	case len(data) < n:
		return nil, fmt.Errorf("is cut short: it has %d of the %d bytes that its header announces; %s", len(data), n, againHint)
	case len(data) > n:
		return nil, fmt.Errorf("has more than the %d bytes that its header announces; %s", n, againHint)
	}
	return &IDX{Shape: shape, Data: data}, nil
}

// readIDXHeader returns the dimensions and their product, which is at most
// limit.
func readIDXHeader(r io.Reader, limit int) (shape []int, n int, err error) {
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return nil, 0, damaged(err)
	}
	dims := int(magic[3])
	switch {
	case magic[0] != 0 || magic[1] != 0:
		return nil, 0, fmt.Errorf("is not an IDX file: it starts with % x instead of two zero bytes; %s", magic, againHint)
	case magic[2] != idxUnsignedByte:
		return nil, 0, fmt.Errorf("holds elements of the IDX type 0x%02x; only unsigned bytes, 0x%02x, are read", magic[2], idxUnsignedByte)
	case dims < 1 || dims > idxMaxDims:
		return nil, 0, fmt.Errorf("has %d dimensions; an IDX file has between 1 and %d of them", dims, idxMaxDims)
	}
	sizes := make([]byte, 4*dims)
	if _, err := io.ReadFull(r, sizes); err != nil {
		return nil, 0, damaged(err)
	}
	n = 1
	for i := range dims {
		d := int(binary.BigEndian.Uint32(sizes[4*i:]))
		if d < 1 || d > limit/n {
			return nil, 0, fmt.Errorf("has dimension %d of size %d; between 1 and %d elements are read", i, d, limit)
		}
		n *= d
		shape = append(shape, d)
	}
	return shape, n, nil
}

// damaged explains an error of reading.
func damaged(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("is cut short; %s", againHint)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return fmt.Errorf("is damaged (%w); %s", err, againHint)
	}
	return fmt.Errorf("cannot be read: %w", bare(err))
}

// bare removes the path from an error of the file system, where the message
// names it already.
func bare(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// ReadIDXFile is ReadIDX for a file, which its errors name.
func ReadIDXFile(path string, limit int) (*IDX, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, bare(err))
	}
	defer f.Close()
	x, err := ReadIDX(f, limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return x, nil
}
