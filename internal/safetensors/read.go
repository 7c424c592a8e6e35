package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Read reads a file of at most limit bytes. Numbers that are not finite are read as
// they are.
func Read(r io.Reader, limit int64) (*File, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("safetensors: the file has more than %d bytes", limit)
	}
	return Parse(raw)
}

// Parse reads a file from memory.
func Parse(raw []byte) (*File, error) {
	if len(raw) < 8 {
		return nil, fmt.Errorf("safetensors: the file has %d bytes, fewer than the 8 of the header's length", len(raw))
	}
	n := binary.LittleEndian.Uint64(raw)
	if n > maxHeader || n > uint64(len(raw)-8) {
		return nil, fmt.Errorf("safetensors: the header should have %d bytes, but the file has %d in all", n, len(raw))
	}
	f, entries, err := parseHeader(raw[8 : 8+n])
	if err != nil {
		return nil, fmt.Errorf("safetensors: header: %w", err)
	}
	data := raw[8+n:]
	// The tensors lie one behind the other and fill the file.
	order := make([]int, len(f.Tensors))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := entries[a].Offsets, entries[b].Offsets
		if x[0] != y[0] {
			return int(x[0] - y[0])
		}
		return int(x[1] - y[1])
	})
	at := int64(0)
	for _, i := range order {
		t, e := &f.Tensors[i], &entries[i]
		n, err := elements(e.Shape)
		if err != nil {
			return nil, fmt.Errorf("safetensors: tensor %q: %w", t.Name, err)
		}
		if e.Offsets[0] != at || e.Offsets[1] != at+n*int64(e.size()) || e.Offsets[1] > int64(len(data)) {
			return nil, fmt.Errorf("safetensors: tensor %q takes bytes %d to %d, where %d numbers of type %s should begin at %d of %d",
				t.Name, e.Offsets[0], e.Offsets[1], n, e.Type, at, len(data))
		}
		t.decode(data[at:e.Offsets[1]], e)
		at = e.Offsets[1]
	}
	if at != int64(len(data)) {
		return nil, fmt.Errorf("safetensors: %d bytes follow the last tensor; the file is damaged", int64(len(data))-at)
	}
	return f, nil
}

// decode sets shape and numbers.
func (t *Tensor) decode(raw []byte, e *entry) {
	t.Shape, t.Narrow = e.Shape, e.Type == "F32"
	t.Data = make([]float64, len(raw)/e.size())
	for i := range t.Data {
		if t.Narrow {
			t.Data[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
		} else {
			t.Data[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		}
	}
}

// parseHeader returns the tensors' names, sorted, with their entries, and the
// metadata. It goes token by token: encoding/json alone would take the last of two
// entries with one name, names in other cases, null for nothing and bytes that are no
// text.
func parseHeader(raw []byte) (*File, []entry, error) {
	if !utf8.Valid(raw) {
		return nil, nil, errors.New("is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	f, found := &File{}, map[string]entry{}
	err := object(d, func(name string) error {
		if name == metadataKey {
			f.Metadata = map[string]string{}
			err := object(d, func(key string) (err error) {
				f.Metadata[key], err = value[string](d)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", metadataKey, err)
			}
			return nil
		}
		e, err := parseEntry(d)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		found[name] = e
		f.Tensors = append(f.Tensors, Tensor{Name: name})
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if rest := strings.TrimRight(string(raw[d.InputOffset():]), " "); rest != "" {
		return nil, nil, errors.New("something follows the object")
	}
	slices.SortFunc(f.Tensors, func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
	entries := make([]entry, len(f.Tensors))
	for i := range entries {
		entries[i] = found[f.Tensors[i].Name]
	}
	return f, entries, nil
}

// parseEntry reads the description of a tensor: type, shape and place, and no more.
func parseEntry(d *json.Decoder) (e entry, err error) {
	fields := 0
	err = object(d, func(name string) (err error) {
		fields++
		switch name {
		case "dtype":
			e.Type, err = value[string](d)
		case "shape":
			e.Shape, err = values[int](d)
		case "data_offsets":
			var ends []int64
			if ends, err = values[int64](d); err == nil && len(ends) != 2 {
				err = fmt.Errorf("data_offsets are %d numbers, not 2", len(ends))
			}
			copy(e.Offsets[:], ends)
		default:
			err = fmt.Errorf("there is an entry %q", name)
		}
		return err
	})
	switch {
	case err != nil:
		return e, err
	case fields != 3:
		return e, errors.New("it must have dtype, shape and data_offsets")
	case e.size() == 0:
		return e, fmt.Errorf("it has the type %q; only F64 and F32 are read", e.Type)
	}
	return e, nil
}

// object reads an object: it calls each, which reads the value, for every name.
func object(d *json.Decoder, each func(name string) error) error {
	if err := delimiter(d, '{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name := token.(string) // a key is one
		if seen[name] {
			return fmt.Errorf("the name %q is there twice", name)
		}
		seen[name] = true
		if err := each(name); err != nil {
			return err
		}
	}
	return delimiter(d, '}')
}

// value reads a value that is not null.
func value[T any](d *json.Decoder) (v T, err error) {
	var p *T
	if err := d.Decode(&p); err != nil {
		return v, err
	}
	if p == nil {
		return v, errors.New("null stands for a value")
	}
	return *p, nil
}

// values reads a list of values, none of which is null.
func values[T any](d *json.Decoder) ([]T, error) {
	list, err := value[[]*T](d)
	if err != nil {
		return nil, err
	}
	v := make([]T, len(list))
	for i, p := range list {
		if p == nil {
			return nil, errors.New("null stands for a number")
		}
		v[i] = *p
	}
	return v, nil
}

func delimiter(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%v is there instead of %v", token, want)
	}
	return nil
}
