package dataset

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
)

// idx writes an IDX file by hand: 2 x 3 unsigned bytes.
var idx = []byte{0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 11, 12, 13, 14, 255}

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadIDX(t *testing.T) {
	for name, data := range map[string][]byte{"plain": idx, "gzip": zipped(t, idx)} {
		x, err := ReadIDX(bytes.NewReader(data), 6)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(x.Shape, []int{2, 3}) || !slices.Equal(x.Data, []byte{10, 11, 12, 13, 14, 255}) {
			t.Errorf("%s: got %v of shape %v", name, x.Data, x.Shape)
		}
	}
}

func TestReadIDXRefuses(t *testing.T) {
	edit := func(at int, b byte) []byte {
		c := slices.Clone(idx)
		c[at] = b
		return c
	}
	gz := zipped(t, idx)
	broken := slices.Clone(gz)
	broken[len(broken)-8]++ // the checksum
	corrupt := slices.Clone(gz)
	corrupt[10] = 0xff // the first block: its type does not exist
	for name, c := range map[string]struct {
		data  []byte
		limit int
		want  string
	}{
		"empty":          {nil, 6, "cut short"},
		"magic cut":      {idx[:3], 6, "cut short"},
		"wrong magic":    {edit(0, 'P'), 6, "not an IDX file"},
		"type":           {edit(2, 0x0d), 6, "type 0x0d"},
		"no dimension":   {edit(3, 0), 6, "0 dimensions"},
		"dimensions":     {edit(3, 200), 6, "200 dimensions"},
		"header cut":     {idx[:10], 6, "cut short"},
		"zero dimension": {edit(7, 0), 6, "dimension 0 of size 0"},
		"limit":          {idx, 5, "between 1 and 5 elements"},
		"overflow": {
			[]byte{0, 0, 8, 4, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
			1 << 40, "elements are read",
		},
		"data cut":      {idx[:len(idx)-1], 6, "5 of the 6 bytes"},
		"huge claim":    {edit(4, 0x7f), 1 << 40, "cut short"},
		"data after":    {append(slices.Clone(idx), 0), 6, "more than the 6 bytes"},
		"gzip cut":      {gz[:len(gz)-9], 6, "cut short"},
		"gzip header":   {gz[:5], 6, "cut short"},
		"gzip damaged":  {append([]byte{0x1f, 0x8b, 9}, gz[3:]...), 6, "damaged"},
		"gzip block":    {corrupt, 6, "damaged"},
		"gzip checksum": {broken, 6, "damaged"},
	} {
		_, err := ReadIDX(bytes.NewReader(c.data), c.limit)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has more than one line: %v", name, err)
		}
	}
}

func FuzzReadIDX(f *testing.F) {
	f.Add(idx)
	f.Add(zipped(f, idx))
	f.Add(idx[:7])
	const limit = 1 << 10
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := ReadIDX(bytes.NewReader(data), limit)
		if err != nil {
			return
		}
		n := 1
		for _, d := range x.Shape {
			n *= d
		}
		if n != len(x.Data) || n < 1 || n > limit {
			t.Errorf("%d elements of shape %v", len(x.Data), x.Shape)
		}
	})
}
