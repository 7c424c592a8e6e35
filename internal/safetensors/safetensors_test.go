package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestReadPython reads a file of the Python package.
func TestReadPython(t *testing.T) {
	raw, err := os.ReadFile("testdata/python.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(bytes.NewReader(raw), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	want := &File{Metadata: map[string]string{"version": "1", "note": `by Python "ü"`}, Tensors: []Tensor{
		{Name: "a.weight", Shape: []int{1, 2, 3}, Narrow: true, Data: []float64{0, float64(float32(1) / 7), float64(float32(2) / 7), float64(float32(3) / 7), float64(float32(4) / 7), float64(float32(5) / 7)}},
		{Name: "b", Shape: []int{2, 2}, Data: []float64{1.5, -2.25, 3, 1e-300}},
		{Name: "empty", Shape: []int{0, 3}, Data: []float64{}},
		{Name: "scalar", Shape: []int{}, Data: []float64{2}},
	}}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got %+v", f)
	}
	if f.Tensor("b") != &f.Tensors[1] || f.Tensor("c") != nil {
		t.Error("a tensor is not found by its name, or one that is not there")
	}
}

// TestRoundTrip: what is written is read again, the same contents make the same
// bytes in whatever order they come, and numbers begin at multiples of eight.
func TestRoundTrip(t *testing.T) {
	f := &File{Metadata: map[string]string{"b": "2", "a": "1"}, Tensors: []Tensor{
		{Name: "a", Shape: []int{2, 1}, Data: []float64{math.Inf(1), 0x1p-1074}},
		{Name: "half", Shape: []int{3}, Data: []float64{1, .5, float64(float32(.1))}, Narrow: true},
		{Name: "none", Shape: []int{2, 0}, Data: []float64{}},
	}}
	var b bytes.Buffer
	if err := Write(&b, f); err != nil {
		t.Fatal(err)
	}
	if got, err := Parse(b.Bytes()); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("got %+v, %v", got, err)
	}
	if n := binary.LittleEndian.Uint64(b.Bytes()); n%8 != 0 {
		t.Errorf("the header has %d bytes", n)
	}
	turned := &File{Metadata: f.Metadata, Tensors: []Tensor{f.Tensors[2], f.Tensors[0], f.Tensors[1]}}
	var c bytes.Buffer
	if err := Write(&c, turned); err != nil || !bytes.Equal(b.Bytes(), c.Bytes()) {
		t.Errorf("another order makes other bytes (%v)", err)
	}
	b.Reset()
	if err := Write(&b, &File{}); err != nil {
		t.Fatal(err)
	}
	if got, err := Parse(b.Bytes()); err != nil || len(got.Tensors) != 0 {
		t.Errorf("an empty file: %+v, %v", got, err)
	}
}

func TestWriteRefuses(t *testing.T) {
	one := []float64{1}
	for want, f := range map[string]*File{
		"has 1 numbers":      {Tensors: []Tensor{{Name: "a", Shape: []int{2}, Data: one}}},
		"negative dimension": {Tensors: []Tensor{{Name: "a", Shape: []int{-1}, Data: one}}},
		`the name "a"`:       {Tensors: []Tensor{{Name: "a", Shape: []int{1}, Data: one}, {Name: "a", Shape: []int{1}, Data: one}}},
		"__metadata__":       {Tensors: []Tensor{{Name: "__metadata__", Shape: []int{1}, Data: one}}},
		"more than 2^31":     {Tensors: []Tensor{{Name: "a", Shape: []int{1 << 20, 1 << 20}, Data: one}}},
	} {
		if err := Write(&bytes.Buffer{}, f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// file returns a file with the header and so many bytes of data.
func file(header string, data int) []byte {
	raw := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(raw, header...), make([]byte, data)...)
}

func TestParseRefuses(t *testing.T) {
	const a = `"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}`
	for want, raw := range map[string][]byte{
		"fewer than the 8":          {1, 2, 3},
		"should have 100 bytes":     append(binary.LittleEndian.AppendUint64(nil, 100), '{', '}'),
		"should have 1844674":       binary.LittleEndian.AppendUint64(nil, math.MaxUint64),
		"header":                    file(`{`, 0),
		"instead of {":              file(`[]`, 0),
		"something follows":         file(`{}x`, 0),
		"is there twice":            file(`{`+a+`,`+a+`}`, 8),
		`type "I64"`:                file(`{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`, 8),
		"is not UTF-8":              file("{\"__metadata__\":{\"a\":\"\xff\"}}", 0),
		"are 3 numbers, not 2":      file(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8,99]}}`, 8),
		"are 0 numbers, not 2":      file(`{"a":{"dtype":"F64","shape":[0],"data_offsets":[]}}`, 0),
		`"shape" is there twice`:    file(`{"a":{"dtype":"F64","shape":[2],"shape":[1],"data_offsets":[0,8]}}`, 8),
		`there is an entry "Shape"`: file(`{"a":{"dtype":"F64","shape":[2],"Shape":[1],"data_offsets":[0,8]}}`, 8),
		"null stands for a number":  file(`{"a":{"dtype":"F64","shape":[null],"data_offsets":[0,0]}}`, 0),
		"null stands for a value":   file(`{"__metadata__":{"a":null}}`, 0),
		"must have dtype, shape":    file(`{"a":{"dtype":"F64","data_offsets":[0,8]}}`, 8),
		"negative dimension":        file(`{"a":{"dtype":"F64","shape":[-1],"data_offsets":[0,8]}}`, 8),
		"more than 2^31":            file(`{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, 8),
		"takes bytes 8 to 16":       file(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}}`, 16),
		"takes bytes 0 to 9":        file(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,9]}}`, 9),
		"takes bytes 0 to 8":        file(`{`+a+`}`, 7),
		"begin at 8":                file(`{`+a+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8),
		"1 bytes follow":            file(`{`+a+`}`, 9),
		"__metadata__":              file(`{"__metadata__":{"a":1}}`, 0),
		"tensor \"a\": json":        file(`{"a":{"dtype":"F64","shape":["x"],"data_offsets":[0,8]}}`, 8),
		"the file has more than 3":  nil,
	} {
		var err error
		if raw == nil {
			_, err = Read(strings.NewReader("1234"), 3)
		} else {
			_, err = Parse(raw)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// FuzzParse: whatever is read can be written and read again.
func FuzzParse(f *testing.F) {
	raw, err := os.ReadFile("testdata/python.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(file(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, 8))
	f.Fuzz(func(t *testing.T, raw []byte) {
		parsed, err := Parse(raw)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := Write(&b, parsed); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(b.Bytes())
		if err != nil || len(again.Tensors) != len(parsed.Tensors) {
			t.Fatalf("%v, %d tensors for %d", err, len(again.Tensors), len(parsed.Tensors))
		}
	})
}
