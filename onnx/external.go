package onnx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/covprop/covprop/internal/onnxpb"
)

// external reads the size bytes of a tensor that is stored beside the model.
// The file must lie in the model's folder, also after symbolic links are
// followed.
func (m *model) external(p *onnxpb.TensorProto, size int64) ([]byte, error) {
	loc, err := parseLocation(p.GetExternalData())
	if err != nil {
		return nil, err
	}
	if loc.length >= 0 && loc.length != size {
		return nil, fmt.Errorf("has %d bytes in %q, but its shape needs %d", loc.length, loc.file, size)
	}
	if m.dir == "" {
		return nil, fmt.Errorf("is stored in the file %q, which can be read only if the model is read from a file, too", loc.file)
	}
	if !filepath.IsLocal(loc.file) {
		return nil, fmt.Errorf("is stored in %q, outside the model's folder, which is refused", loc.file)
	}
	if err := m.limits.takeBytes(size); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(m.dir)
	if err != nil {
		return nil, fmt.Errorf("is stored in %q: %w", loc.file, cause(err))
	}
	defer root.Close()
	data, err := loc.read(root, size)
	if err != nil {
		return nil, fmt.Errorf("is stored in %q, which %w", loc.file, err)
	}
	return data, nil
}

// location is where external data lies; length is -1 if it is not stated.
type location struct {
	file           string
	offset, length int64
}

func parseLocation(entries []*onnxpb.StringStringEntryProto) (location, error) {
	loc := location{length: -1}
	for _, e := range entries {
		var err error
		switch e.GetKey() {
		case "location":
			loc.file = filepath.FromSlash(e.GetValue())
		case "offset":
			loc.offset, err = parseSize(e.GetValue())
		case "length":
			loc.length, err = parseSize(e.GetValue())
		}
		if err != nil {
			return loc, fmt.Errorf("has the %s %q, which is no size", e.GetKey(), e.GetValue())
		}
	}
	if loc.file == "" {
		return loc, errors.New("is external, but does not say in which file")
	}
	return loc, nil
}

func parseSize(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}

// read reads size bytes; the file's own size is checked before they are
// allocated.
func (l location) read(root *os.Root, size int64) ([]byte, error) {
	info, err := root.Stat(l.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("does not exist")
	case err != nil:
		return nil, fmt.Errorf("cannot be opened within the model's folder: %w", cause(err))
	case !info.Mode().IsRegular():
		return nil, errors.New("is not an ordinary file")
	case l.offset > info.Size() || size > info.Size()-l.offset:
		return nil, fmt.Errorf("has %d bytes, too few for %d at offset %d", info.Size(), size, l.offset)
	}
	f, err := root.Open(l.file)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, l.offset, size), data); err != nil {
		return nil, cause(err)
	}
	return data, nil
}
