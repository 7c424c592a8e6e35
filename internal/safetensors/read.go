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
// metadata. A name that is there twice is an error, which encoding/json alone would
// not see.
func parseHeader(raw []byte) (*File, []entry, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := delimiter(d, '{'); err != nil {
		return nil, nil, err
	}
	f, found, seen := &File{}, map[string]entry{}, map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		name := token.(string) // a key is one
		if seen[name] {
			return nil, nil, fmt.Errorf("the name %q is there twice", name)
		}
		seen[name] = true
		if name == metadataKey {
			if err := d.Decode(&f.Metadata); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", metadataKey, err)
			}
			continue
		}
		var e entry
		if err := d.Decode(&e); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		if e.size() == 0 {
			return nil, nil, fmt.Errorf("tensor %q has the type %q; only F64 and F32 are read", name, e.Type)
		}
		if e.Shape == nil {
			return nil, nil, fmt.Errorf("tensor %q has no shape", name)
		}
		found[name] = e
		f.Tensors = append(f.Tensors, Tensor{Name: name})
	}
	if err := delimiter(d, '}'); err != nil {
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
