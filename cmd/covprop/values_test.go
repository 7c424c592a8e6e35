package main

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"codeberg.org/sbinet/npyio"
	"gonum.org/v1/gonum/mat"
)

func TestLiterals(t *testing.T) {
	for arg, want := range map[string][]float64{
		"0.1":           {0.1},
		"0.1,0.2, -3e2": {0.1, 0.2, -300},
		"-1":            {-1},
	} {
		v, err := readValues("--mean", arg, 10)
		if err != nil || !reflect.DeepEqual(v.data, want) {
			t.Errorf("%q: got %v, %v; want %v", arg, v.data, err, want)
		}
	}
}

func TestBadLiterals(t *testing.T) {
	for arg, usage := range map[string]bool{
		"":         true,
		"abc":      true,
		"0.1,":     true,
		"0.1;0.2":  true,
		"--std":    true,
		"data.txt": true,
		"nan":      false, // a number, but not one that can be used
		"1,-inf":   false,
		"1e999":    false,
	} {
		_, err := readValues("--mean", arg, 10)
		if err == nil || !strings.Contains(err.Error(), "--mean") {
			t.Errorf("%q: got %v; want an error that names the flag", arg, err)
		}
		var u usageError
		if errors.As(err, &u) != usage {
			t.Errorf("%q: got usage error %v, want %v (%v)", arg, !usage, usage, err)
		}
	}
}

func TestDecodeCSV(t *testing.T) {
	for text, want := range map[string]struct {
		data  []float64
		shape []int
	}{
		"1,2\n3,4\n":             {[]float64{1, 2, 3, 4}, []int{2, 2}},
		"1\n2\n3":                {[]float64{1, 2, 3}, []int{3, 1}},
		"\ufeff1;2\r\n\r\n3; 4 ": {[]float64{1, 2, 3, 4}, []int{2, 2}},
		" 1  2\t3\n":             {[]float64{1, 2, 3}, []int{1, 3}},
		"1e-3 , -2.5E+1":         {[]float64{1e-3, -25}, []int{1, 2}},
	} {
		data, shape, err := decodeCSV([]byte(text), 10)
		if err != nil || !reflect.DeepEqual(data, want.data) || !reflect.DeepEqual(shape, want.shape) {
			t.Errorf("%q: got %v, %v, %v; want %v, %v", text, data, shape, err, want.data, want.shape)
		}
	}
}

func TestDecodeBadCSV(t *testing.T) {
	for text, want := range map[string]string{
		"":                "no numbers",
		" \n\n":           "no numbers",
		"a,b\n1,2":        `row 1, column 1: "a" is not a number`,
		"1,2\n\n3,x\n":    `row 2, column 2: "x" is not a number`,
		"1,,2":            "row 1, column 2: is empty",
		"1,2,\n":          "row 1, column 3: is empty",
		"1,2\n3\n":        "row 2 has 1 numbers, but row 1 has 2",
		"1,2\n3;4\n":      "row 2 mixes separators",
		"0,5;0,6":         `row 1, column 1: "0,5" is not a number`,
		"1 2,3 4":         `row 1, column 1: "1 2" is not a number`,
		"1,1e999":         "row 1, column 2: 1e999 is too large",
		"# 1\n":           `"#" is not a number`,
		"1,2,3\n4,5,6\n7": "more than the 5 numbers",
	} {
		data, _, err := decodeCSV([]byte(text), 5)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want an error with %q", text, data, err, want)
		}
	}
}

func TestDecodeJSON(t *testing.T) {
	for text, want := range map[string]struct {
		data  []float64
		shape []int
	}{
		"0.5":               {[]float64{0.5}, nil},
		" [1, 2.5e-3]\n":    {[]float64{1, 2.5e-3}, []int{2}},
		"[[1,2,3],[4,5,6]]": {[]float64{1, 2, 3, 4, 5, 6}, []int{2, 3}},
		"[[[1]],[[2]]]":     {[]float64{1, 2}, []int{2, 1, 1}},
	} {
		data, shape, err := decodeJSON([]byte(text), 10)
		if err != nil || !reflect.DeepEqual(data, want.data) || !reflect.DeepEqual(shape, want.shape) {
			t.Errorf("%s: got %v, %v, %v; want %v, %v", text, data, shape, err, want.data, want.shape)
		}
	}
}

func TestDecodeBadJSON(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "no numbers",
		"[]":                           "empty array",
		"[[1],[]]":                     "empty array",
		"[1,":                          "not JSON",
		"[1 2]":                        "not JSON",
		"[NaN]":                        "not JSON",
		"[1,2] 3":                      "after the first value",
		"[1,2]]":                       "after the first value",
		"null":                         "only numbers",
		`{"mean":[1]}`:                 "only numbers",
		`["1"]`:                        "only numbers",
		"[[1,2],[3]]":                  "ragged",
		"[1,[2]]":                      "ragged",
		"[[1],2]":                      "ragged",
		"[[[1]],[2]]":                  "ragged",
		"[1e999]":                      "too large",
		"[1,2,3,4,5,6]":                "more than the 5 numbers",
		strings.Repeat("[", 1_000_000): "nests more than",
	} {
		data, _, err := decodeJSON([]byte(text), 5)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, %v; want an error with %q", text, data, err, want)
		}
	}
}

// TestFileErrors checks that errors about files name flag, file and place.
func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.csv"):                       "no such file",
		filepath.Join(dir, "folder.csv"):                     "is a folder",
		write("empty.csv", ""):                               "has no numbers",
		write("nan.csv", "1,2\n3,nan\n"):                     "row 2, column 2 is NaN",
		write("infinite.npy", npyFile(2, 1, 1, math.Inf(1))): "element (1,0) is +Inf",
		write("large.json", strings.Repeat(" ", 1_000_000)):  "too many",
	} {
		_, err := readValues("--cov", path, 9)
		if err == nil || !strings.HasPrefix(err.Error(), "--cov "+path+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want an error with %q", path, err, want)
		}
	}
}

// npyFile returns a .npy file of float64.
func npyFile(rows, columns int, numbers ...float64) string {
	var b bytes.Buffer
	if err := npyio.Write(&b, mat.NewDense(rows, columns, numbers)); err != nil {
		panic(err)
	}
	return b.String()
}

// fuzzDecoder checks that a decoder returns as many numbers as the shape it
// reports, within the limit, whatever it is fed.
func fuzzDecoder(f *testing.F, decode decodeFunc) {
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1000
		numbers, shape, err := decode(data, limit)
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

func FuzzValueCSV(f *testing.F) {
	for _, s := range []string{"", "1,2\n3,4\n", "\ufeff1;2\r\n", "1 2\n 3 4", "x,y\n1,2", "1,,2", "1e999", "0x1p4"} {
		f.Add([]byte(s))
	}
	fuzzDecoder(f, decodeCSV)
}

func FuzzValueJSON(f *testing.F) {
	for _, s := range []string{"", "1", "[1,2]", "[[1,2],[3,4]]", "[[1],2]", "[[]]", `{"a":1}`, "[1e999]", "[[[["} {
		f.Add([]byte(s))
	}
	fuzzDecoder(f, decodeJSON)
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{
		"1000": 1000, "8GiB": 8 << 30, "500MB": 500e6, "1.5GB": 15e8, "2 kib": 2048, "10B": 10,
	} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q: got %d, %v; want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "GiB", "0", "-1GiB", "8X", "8GiBGiB", "nan", "1e30", "8 G i B"} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %d; want an error", text, b)
		}
	}
}

func TestSplitNamed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "run=1.csv")
	if err := os.WriteFile(file, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string][2]string{
		"0.1":                      {"", "0.1"},
		"x=0.1":                    {"x", "0.1"},
		"dense/in:0=0.1":           {"dense/in:0", "0.1"},
		"x=" + file:                {"x", file},
		file:                       {"", file},
		"x=" + dir + "/none=1.csv": {"x", dir + "/none=1.csv"},
	} {
		name, value, named := splitNamed(arg)
		if name != want[0] || value != want[1] || named != (want[0] != "") {
			t.Errorf("%q: got %q, %q, %v; want %q", arg, name, value, named, want)
		}
	}
}

func TestKnown(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if known(x) != nil {
			t.Errorf("%v is to be null in JSON", x)
		}
	}
	if p := known(0); p == nil || *p != 0 {
		t.Error("0 is to be 0 in JSON")
	}
}
