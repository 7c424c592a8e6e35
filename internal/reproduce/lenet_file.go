package reproduce

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// A tensorInfo is an entry of the header of a safetensors file, which is
//
//	8 bytes    length n of the header, least significant byte first
//	n bytes    JSON: the name of every tensor, its type, shape and place
//	then       the elements of all tensors
type tensorInfo struct {
	Type    string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"` // of the first byte and of the one after the last
}

const (
	maxHeader  = 1 << 16        // of a safetensors file, in bytes
	metadata   = "__metadata__" // the name of what is no tensor
	firstBias  = "conv1.bias"   // and one whose shape is the width
	fileKind   = "a LeNet in the safetensors format"
	trainHint  = "train the network again and save it"
	typeFloat  = "F32"
	floatBytes = 4
)

// tensors calls f with the name, the shape and the elements of every
// parameter, PyTorch's, in the order of the file.
func (n *LeNet) tensors(f func(name string, shape []int, p []float32)) {
	for i := range n.stages {
		s := &n.stages[i]
		kernel := int(math.Sqrt(float64(s.taps)))
		shape := []int{s.outC, s.inC, kernel, kernel}
		if s.linear() {
			shape = []int{s.outC, s.inC * s.taps}
		}
		f(s.name+".weight", shape, s.w)
		f(s.name+".bias", []int{s.outC}, s.b)
	}
}

// WriteTo writes the parameters as a safetensors file. It implements
// io.WriterTo.
func (n *LeNet) WriteTo(w io.Writer) (written int64, err error) {
	header, data := map[string]tensorInfo{}, []byte(nil)
	n.tensors(func(name string, shape []int, p []float32) {
		begin := len(data)
		for _, v := range p {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		header[name] = tensorInfo{typeFloat, shape, [2]int{begin, len(data)}}
	})
	text, err := json.Marshal(header)
	if err != nil {
		return 0, err
	}
	for len(text)%8 != 0 { // the elements start at a multiple of eight bytes
		text = append(text, ' ')
	}
	for _, b := range [][]byte{binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, data} {
		k, err := w.Write(b)
		written += int64(k)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// ReadLeNet reads a network that WriteTo wrote, or another program with the
// same names and shapes. The width is that of the file.
func ReadLeNet(r io.Reader) (*LeNet, error) {
	header, err := readTensorHeader(r)
	if err != nil {
		return nil, err
	}
	first, ok := header[firstBias]
	if !ok || len(first.Shape) != 1 {
		return nil, fmt.Errorf("is not %s: it has no vector %s; %s", fileKind, firstBias, trainHint)
	}
	n, err := newLeNet(first.Shape[0])
	if err != nil {
		return nil, err
	}
	want := floatBytes * len(n.params)
	data, err := io.ReadAll(io.LimitReader(r, int64(want)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", err)
	case len(data) < want:
		return nil, fmt.Errorf("is cut short: it has %d of %d bytes of parameters; %s", len(data), want, trainHint)
	case len(data) > want:
		return nil, fmt.Errorf("has more than the %d bytes of its parameters; %s", want, trainHint)
	}
	n.tensors(func(name string, shape []int, p []float32) {
		if err == nil {
			err = header.take(name, shape, p, data)
		}
	})
	if err == nil && len(header) > 0 {
		err = fmt.Errorf("is not %s of width %d: it has %d tensors too many; %s", fileKind, n.Width, len(header), trainHint)
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

// A tensorHeader holds the tensors that have not been taken yet.
type tensorHeader map[string]tensorInfo

func readTensorHeader(r io.Reader) (tensorHeader, error) {
	var length [8]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, headerError(err)
	}
	size := binary.LittleEndian.Uint64(length[:])
	if size > maxHeader {
		return nil, fmt.Errorf("is not %s: its header would have %d bytes; %s", fileKind, size, trainHint)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, headerError(err)
	}
	raw := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("is not %s: its header is not JSON; %s", fileKind, trainHint)
	}
	delete(raw, metadata)
	header := tensorHeader{}
	for name, m := range raw {
		var t tensorInfo
		if err := json.Unmarshal(m, &t); err != nil {
			return nil, fmt.Errorf("is not %s: the header's entry %q is not that of a tensor; %s", fileKind, name, trainHint)
		}
		header[name] = t
	}
	return header, nil
}

func headerError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("is cut short within its header; %s", trainHint)
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// take checks a tensor, reads its elements to p and removes it from h.
func (h tensorHeader) take(name string, shape []int, p []float32, data []byte) error {
	t, ok := h[name]
	begin, end := t.Offsets[0], t.Offsets[1]
	switch {
	case !ok:
		return fmt.Errorf("is not %s: the tensor %s is missing; %s", fileKind, name, trainHint)
	case t.Type != typeFloat || fmt.Sprint(t.Shape) != fmt.Sprint(shape):
		return fmt.Errorf("holds %s as %s of shape %v, want %s of shape %v; %s", name, strings.ToValidUTF8(t.Type, "?"), t.Shape, typeFloat, shape, trainHint)
	case begin < 0 || end < begin || end > len(data) || end-begin != floatBytes*len(p):
		return fmt.Errorf("has %s at bytes %d to %d, which do not hold its %d elements; %s", name, begin, end, len(p), trainHint)
	}
	for i := range p {
		p[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[begin+floatBytes*i:]))
		if v := float64(p[i]); math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("holds %v as element %d of %s; %s", v, i, name, trainHint)
		}
	}
	delete(h, name)
	return nil
}
