package dataset

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeMNIST writes a small database, 3 pictures to learn from and 2 to test
// with, and returns its folder. One file is not compressed.
func writeMNIST(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	array := func(shape []int, first byte) []byte {
		b, n := []byte{0, 0, 8, byte(len(shape))}, 1
		for _, d := range shape {
			b = binary.BigEndian.AppendUint32(b, uint32(d))
			n *= d
		}
		for i := range n {
			b = append(b, first+byte(i/MNISTPixels+i%10*20))
		}
		return b
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	labels := func(l ...byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{0, 0, 8, 1}, uint32(len(l))), l...)
	}
	write("train-images-idx3-ubyte.gz", zipped(t, array([]int{3, 28, 28}, 0)))
	write("train-labels-idx1-ubyte", labels(7, 0, 9))
	write("t10k-images-idx3-ubyte.gz", zipped(t, array([]int{2, 28, 28}, 5)))
	write("t10k-labels-idx1-ubyte.gz", zipped(t, labels(1, 2)))
	return dir
}

func TestReadMNIST(t *testing.T) {
	m, err := ReadMNIST(writeMNIST(t))
	if err != nil {
		t.Fatal(err)
	}
	if m.Train.Len() != 3 || !slices.Equal(m.Train.Labels, []byte{7, 0, 9}) {
		t.Errorf("the training part has the labels %v", m.Train.Labels)
	}
	if m.Test.Len() != 2 || !slices.Equal(m.Test.Labels, []byte{1, 2}) {
		t.Errorf("the test part has the labels %v", m.Test.Labels)
	}
	if x := m.Test.Image(1); len(x) != 784 || x[0] != 5+1+784%10*20 || x[783] != 5+1+(2*784-1)%10*20 {
		t.Errorf("picture 1 is %v", x)
	}
}

func TestReadMNISTRefuses(t *testing.T) {
	plain := func(b ...byte) func(string) error {
		return func(path string) error { return os.WriteFile(path, b, 0o666) }
	}
	for name, c := range map[string]struct {
		file   string
		change func(path string) error
		want   []string
	}{
		"missing": {"t10k-labels-idx1-ubyte.gz", os.Remove, []string{"t10k-labels-idx1-ubyte.gz is missing", "LeCun, Cortes and Burges"}},
		"truncated": {
			"train-images-idx3-ubyte.gz", func(path string) error { return os.Truncate(path, 60) },
			[]string{"train-images-idx3-ubyte.gz", "cut short", "download"},
		},
		"web page": {"train-labels-idx1-ubyte", plain([]byte("<html>Not found")...), []string{"train-labels-idx1-ubyte: is not an IDX file", "download"}},
		"swapped": {
			"train-images-idx3-ubyte.gz", plain(0, 0, 8, 1, 0, 0, 0, 1, 5),
			[]string{"train-images-idx3-ubyte.gz", "not of 28 x 28 pictures", "LeCun"},
		},
		"labels": {"t10k-labels-idx1-ubyte.gz", plain(0, 0, 8, 1, 0, 0, 0, 1, 5), []string{"not the labels of 2 pictures", "LeCun"}},
		"label":  {"t10k-labels-idx1-ubyte.gz", plain(0, 0, 8, 1, 0, 0, 0, 2, 5, 10), []string{"label 1 is 10", "LeCun"}},
	} {
		dir := writeMNIST(t)
		if err := c.change(filepath.Join(dir, c.file)); err != nil {
			t.Fatal(err)
		}
		_, err := ReadMNIST(dir)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one with %q", name, err, want)
			}
		}
	}
	_, err := ReadMNIST(filepath.Join(t.TempDir(), "nowhere"))
	if err == nil || !strings.Contains(err.Error(), "nowhere") || !strings.Contains(err.Error(), "LeCun") {
		t.Errorf("a folder that does not exist: %v", err)
	}
	_, err = ReadMNIST(filepath.Join(writeMNIST(t), "train-labels-idx1-ubyte"))
	if err == nil || !strings.Contains(err.Error(), "is not a folder") {
		t.Errorf("a file in place of a folder: %v", err)
	}
}
