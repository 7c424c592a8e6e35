package reproduce

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

func saved(t testing.TB, n *LeNet) []byte {
	t.Helper()
	var b bytes.Buffer
	written, err := n.WriteTo(&b)
	if err != nil || written != int64(b.Len()) {
		t.Fatalf("wrote %d of %d bytes: %v", written, b.Len(), err)
	}
	return b.Bytes()
}

func TestLeNetFile(t *testing.T) {
	n := mustLeNet(t, 2)
	data := saved(t, n)
	got, err := ReadLeNet(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if got.Width != 2 || !slices.Equal(got.params, n.params) {
		t.Error("what is read is not what was written")
	}
	header := string(data[8:][:binary.LittleEndian.Uint64(data)])
	for _, want := range []string{
		`"conv1.weight":{"dtype":"F32","shape":[2,1,5,5],"data_offsets":[0,200]}`,
		`"linear1.weight":{"dtype":"F32","shape":[64,196]`,
	} {
		if !strings.Contains(header, want) {
			t.Errorf("the header has no %s: %s", want, header)
		}
	}
}

func TestReadLeNetRefuses(t *testing.T) {
	good := saved(t, mustLeNet(t, 1))
	edit := func(old, new string) []byte {
		if len(old) != len(new) || !bytes.Contains(good, []byte(old)) {
			t.Fatalf("cannot put %s in place of %s", new, old)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	nan := slices.Clone(good)
	copy(nan[len(nan)-4:], []byte{0, 0, 0xc0, 0x7f})
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":       {nil, "cut short within its header"},
		"header cut":  {good[:100], "cut short within its header"},
		"no header":   {[]byte("PK\x03\x04 a zip archive"), "its header would have"},
		"no JSON":     {edit(`{"conv1`, `["conv1`), "not JSON"},
		"no tensor":   {edit(`"shape":[10]`, `"shape":"10"`), "not that of a tensor"},
		"no width":    {edit(`"conv1.bias"`, `"conv9.bias"`), "has no vector conv1.bias"},
		"width":       {edit(`"conv1.bias":{"dtype":"F32","shape":[1]`, `"conv1.bias":{"dtype":"F32","shape":[0]`), "between 1 and 32, not 0"},
		"other width": {edit(`"conv1.bias":{"dtype":"F32","shape":[1]`, `"conv1.bias":{"dtype":"F32","shape":[2]`), "cut short"},
		"missing":     {edit(`"conv3.weight"`, `"conv5.weight"`), "conv3.weight is missing"},
		"type":        {edit(`"linear2.bias":{"dtype":"F32"`, `"linear2.bias":{"dtype":"F16"`), "holds linear2.bias as F16"},
		"shape":       {edit(`"shape":[32,98]`, `"shape":[98,32]`), "of shape [98 32], want F32 of shape [32 98]"},
		"place":       {edit(`"data_offsets":[0,100]`, `"data_offsets":[0,104]`), "do not hold its 25 elements"},
		"turned":      {edit(`"data_offsets":[14356,14396]`, `"data_offsets":[14396,14356]`), "do not hold its 10 elements"},
		"cut":         {good[:len(good)-1], "cut short"},
		"more":        {append(slices.Clone(good), 0), "more than"},
		"NaN":         {nan, "NaN"},
	} {
		_, err := ReadLeNet(bytes.NewReader(c.data))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func FuzzReadLeNet(f *testing.F) {
	good := saved(f, mustLeNet(f, 1))
	f.Add(good)
	f.Add(good[:500])
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := ReadLeNet(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := ReadLeNet(bytes.NewReader(saved(t, n)))
		if err != nil || !slices.Equal(again.params, n.params) {
			t.Errorf("what was read cannot be written and read again: %v", err)
		}
	})
}
