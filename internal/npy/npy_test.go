package npy

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// npyFile returns a .npy file, version 1, as NumPy writes it.
func npyFile(descr string, fortran bool, shape string, elements ...byte) []byte {
	order := "False"
	if fortran {
		order = "True"
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr, order, shape)
	header += strings.Repeat(" ", 63-(10+len(header))%64) + "\n"
	return append(fmt.Appendf(nil, "\x93NUMPY\x01\x00%c%c%s", len(header)%256, len(header)/256, header), elements...)
}

func TestDecode(t *testing.T) {
	ones := bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, 6) // float32 1, little-endian
	for _, c := range []struct {
		file  []byte
		data  []float64
		shape []int
	}{
		{npyFile("|i1", false, "(2, 3)", 1, 2, 3, 4, 5, 0xff), []float64{1, 2, 3, 4, 5, -1}, []int{2, 3}},
		{npyFile("|u1", true, "(2, 3)", 1, 2, 3, 4, 5, 6), []float64{1, 3, 5, 2, 4, 6}, []int{2, 3}},
		{npyFile("|u1", true, "(2, 1, 3)", 1, 2, 3, 4, 5, 6), []float64{1, 3, 5, 2, 4, 6}, []int{2, 1, 3}},
		{npyFile("<f4", false, "(6,)", ones...), []float64{1, 1, 1, 1, 1, 1}, []int{6}},
		{npyFile(">i2", false, "(1,)", 1, 2), []float64{258}, []int{1}},
		{npyFile("<i4", false, "(1,)", 1, 1, 0, 0), []float64{257}, []int{1}},
		{npyFile(">f8", false, "()", 0x3f, 0xf8, 0, 0, 0, 0, 0, 0), []float64{1.5}, nil},
	} {
		data, shape, err := Decode(c.file, 10)
		if err != nil || !reflect.DeepEqual(data, c.data) || !reflect.DeepEqual(shape, c.shape) {
			t.Errorf("%q: got %v, %v, %v; want %v, %v", c.file, data, shape, err, c.data, c.shape)
		}
	}
}

func TestDecodeBad(t *testing.T) {
	good := npyFile("|u1", false, "(3,)", 1, 2, 3)
	for _, c := range []struct {
		file []byte
		want string
	}{
		{nil, "no numbers"},
		{[]byte("1,2,3\n4,5,6\n"), "not a .npy file"},
		{good[:20], "cut short within its header"},
		{good[:len(good)-1], "cut short"},
		{append(good[:len(good):len(good)], 0), "1 bytes after its array"},
		{npyFile("|u1", false, "(0,)"), "no numbers"},
		{npyFile("|u1", false, "(100000000000, 100000000000)"), "more than the 10 numbers"},
		{npyFile("|u1", false, "(0, 99999999999999999999)"), "dimension"},
		{npyFile("|u1", false, "(-3,)", 1, 2, 3), "header cannot be read"},
		{npyFile("<c8", false, "(1,)", 0, 0, 0, 0, 0, 0, 0, 0), "header cannot be read"},
		{npyFile("|O", false, "(1,)", 0), "header cannot be read"},
		{npyFile("<f2", false, "(1,)", 0, 0), "type f2"},
		{append([]byte("\x93NUMPY\x03\x00"), good[8:]...), "version 3"},
		{append([]byte("\x93NUMPY\x02\x00\xff\xff\xff\xff"), good[12:]...), "cut short within its header"},
	} {
		data, _, err := Decode(c.file, 10)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, %v; want an error with %q", c.file, data, err, c.want)
		}
	}
}

// FuzzDecode checks that there are as many numbers as the shape has, within the
// limit.
func FuzzDecode(f *testing.F) {
	f.Add(npyFile("<f4", true, "(2, 1)", 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x7f))
	f.Add(npyFile("|u1", false, "()", 1))
	f.Add(npyFile(">f8", false, "(1,)", 1, 2, 3, 4, 5, 6, 7, 8))
	f.Add(npyFile("<i8", false, "(100000000000,)", 1))
	f.Add([]byte("\x93NUMPY\x02\x00\xff\xff\xff\xff{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1000
		numbers, shape, err := Decode(data, limit)
		if err != nil {
			return
		}
		n := 1
		for _, d := range shape {
			n *= d
		}
		if len(numbers) != n || n < 1 || n > limit {
			t.Errorf("got %d numbers of the shape %v", len(numbers), shape)
		}
	})
}
