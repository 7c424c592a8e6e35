package safetensors

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Write writes f: the same contents make the same bytes. Names must be distinct,
// and shapes must fit the data.
func Write(w io.Writer, f *File) error {
	tensors := slices.Clone(f.Tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
	header := map[string]any{} // which encoding/json sorts
	if len(f.Metadata) > 0 {
		header[metadataKey] = f.Metadata
	}
	at := int64(0)
	for i := range tensors {
		t := &tensors[i]
		n, err := elements(t.Shape)
		switch {
		case err != nil:
			return fmt.Errorf("safetensors: tensor %q: %w", t.Name, err)
		case n != int64(len(t.Data)):
			return fmt.Errorf("safetensors: tensor %q has %d numbers, but the shape %v", t.Name, len(t.Data), t.Shape)
		case t.Name == metadataKey || i > 0 && t.Name == tensors[i-1].Name:
			return fmt.Errorf("safetensors: two entries have the name %q", t.Name)
		}
		e := entry{Type: "F64", Shape: append([]int{}, t.Shape...)}
		if t.Narrow {
			e.Type = "F32"
		}
		e.Offsets = [2]int64{at, at + n*int64(e.size())}
		at = e.Offsets[1]
		header[t.Name] = e
	}
	head, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	for len(head)%8 != 0 { // so that numbers are aligned
		head = append(head, ' ')
	}
	if len(head) > maxHeader {
		return fmt.Errorf("safetensors: the header has %d bytes, more than %d", len(head), maxHeader)
	}
	b := bufio.NewWriter(w)
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], uint64(len(head)))
	b.Write(word[:]) // an error stays until Flush
	b.Write(head)
	for i := range tensors {
		for _, x := range tensors[i].Data {
			if tensors[i].Narrow {
				binary.LittleEndian.PutUint32(word[:], math.Float32bits(float32(x)))
				b.Write(word[:4])
				continue
			}
			binary.LittleEndian.PutUint64(word[:], math.Float64bits(x))
			b.Write(word[:])
		}
	}
	return b.Flush()
}
