package dataset

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"codeberg.org/sbinet/npyio"
	"github.com/parquet-go/parquet-go"
	"gonum.org/v1/gonum/mat"
)

var nan = math.NaN()

// same compares numbers, of which NaN are the same.
func same(a, b []float64) bool {
	if len(a) != len(b) || (a == nil) != (b == nil) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !(math.IsNaN(a[i]) && math.IsNaN(b[i])) {
			return false
		}
	}
	return true
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadCSV(t *testing.T) {
	want := []Column{
		{Name: "a, b", Numbers: []float64{1, nan, -2.5e3}, Text: []string{"1", "NA", "-2.5e3"}},
		{Name: "colour", Text: []string{`dark "red"`, "", "two\nlines"}},
		{Name: "all missing", Numbers: []float64{nan, nan, nan}, Text: []string{"", "?", "null"}},
	}
	comma := "\ufeff\"a, b\",colour , all missing\r\n1,\"dark \"\"red\"\"\",\r\nNA, ,?\n-2.5e3,\"two\nlines\",null"
	for name, text := range map[string]string{
		"comma.csv":     comma,
		"semicolon.CSV": "\"a, b\";colour;all missing\n1;\"dark \"\"red\"\"\";\nNA;;?\n-2.5e3;\"two\nlines\";null\n",
		"tab.tsv":       "a, b\tcolour\tall missing\n1\t\"dark \"\"red\"\"\"\t\nNA\t\t?\n-2.5e3\t\"two\nlines\"\tnull\n",
	} {
		table, err := ReadTable(write(t, name, []byte(text)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if table.Rows() != 3 || len(table.Columns) != len(want) {
			t.Fatalf("%s: %d rows of %q", name, table.Rows(), table.Names())
		}
		for i, c := range table.Columns {
			if c.Name != want[i].Name || !same(c.Numbers, want[i].Numbers) || !reflect.DeepEqual(c.Text, want[i].Text) {
				t.Errorf("%s: got %+v, want %+v", name, c, want[i])
			}
		}
	}
}

func TestReadNPY(t *testing.T) {
	var b bytes.Buffer
	if err := npyio.Write(&b, mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})); err != nil {
		t.Fatal(err)
	}
	table, err := ReadTable(write(t, "x.npy", b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	want := []Column{{Name: "0", Numbers: []float64{1, 4}}, {Name: "1", Numbers: []float64{2, 5}}, {Name: "2", Numbers: []float64{3, 6}}}
	if !reflect.DeepEqual(table.Columns, want) {
		t.Errorf("got %v, want %v", table.Columns, want)
	}
}

// TestReadParquet reads a file that pyarrow 26 wrote, with two groups of rows.
func TestReadParquet(t *testing.T) {
	table, err := ReadTable("testdata/pyarrow.parquet")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Column{
		{Name: "area", Numbers: []float64{50.5, nan, 80.25, 120}},
		{Name: "rooms", Numbers: []float64{2, 3, nan, 5}},
		{Name: "small", Numbers: []float64{1.5, 2.5, 3.5, -4.5}},
		{Name: "count", Numbers: []float64{1, 2, 3, 1 << 63}},
		{Name: "price", Numbers: []float64{1.25, -2.5, nan, 3.75}},
		{Name: "garden", Numbers: []float64{1, 0, nan, 1}},
		{Name: "colour", Text: []string{"red", "green", "", "red"}},
		{Name: "zip", Numbers: []float64{10115, 20095, 80331, 50667}, Text: []string{"10115", "20095", "80331", "50667"}},
		{Name: "built", Numbers: []float64{1, nan, -1, 10957}},
		{Name: "tags.list.element", Unusable: "lists"},
		{Name: "key", Unusable: "type"},
	} {
		c := table.Columns[i]
		if c.Name != want.Name || !same(c.Numbers, want.Numbers) || !reflect.DeepEqual(c.Text, want.Text) ||
			!strings.Contains(c.Unusable, want.Unusable) || (c.Unusable == "") != (want.Unusable == "") {
			t.Errorf("got %+v, want %+v", c, want)
		}
	}
}

func TestReadTableErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"x.txt", "a\n1", "must end in .csv"},
		{"a.csv", "", "is empty"},
		{"b.csv", "a,b\n", "no rows"},
		{"c.csv", "1,2\n3,4\n", "add a header"},
		{"d.csv", "a,b,a\n1,2,3\n", `two columns have the name "a"`},
		{"e.csv", "a,,c\n1,2,3\n", "column 2 has no name"},
		{"f.csv", "a,b\n1,2\n1,2,3\n", "row 2 has 3 fields, but the header has 2"},
		{"g.csv", "a,b\n1,\"2\n", `extraneous or missing "`},
		{"h.npy", "a,b", "not a .npy file"},
		{"i.parquet", "PAR1", "Parquet"},
		{"j.parquet", "", "Parquet"},
		{"k.parquet", "PAR1\x15\x06\x15 \x15 \x15\xd1\xf2PAR1", "too few for"},
		{"l.parquet", "PAR1\x19\xfc\xff\xff\xff\xff\x07\x07\x00\x00\x00PAR1", "a list of 2147483647 elements"},
	} {
		path := write(t, c.name, []byte(c.text))
		table, err := ReadTable(path)
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v; want an error with %q", c.name, table, err, c.want)
		}
	}
	for path, want := range map[string]string{"none.csv": "no such file", t.TempDir() + "/../x.csv/": "", "testdata/none.parquet": "no such file"} {
		if table, err := ReadTable(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v; want an error with %q", path, table, err, want)
		}
	}
}

// FuzzTable checks that whatever is read is a table: columns of equal length with
// different names.
func FuzzTable(f *testing.F) {
	f.Add([]byte("a,b\n1,x\n2,y\n"), false)
	f.Add([]byte("a;\"b\"\n1;\"x\ny\"\n"), false)
	pyarrow, err := os.ReadFile("testdata/pyarrow.parquet")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pyarrow, true)
	var b bytes.Buffer
	if err := parquet.Write(&b, []struct{ X, Y float64 }{{1, 2}, {3, 4}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes(), true)
	f.Fuzz(func(t *testing.T, data []byte, columns bool) {
		table, err := ParseCSV(bytes.NewReader(data))
		if columns {
			table, err = parseParquet(bytes.NewReader(data), int64(len(data)))
		}
		if err != nil {
			return
		}
		if err := table.checkNames(); err != nil {
			t.Error(err)
		}
		for _, c := range table.Columns {
			if c.Unusable == "" && (c.Text == nil && c.Numbers == nil || c.Text != nil && len(c.Text) != table.Rows() || c.Numbers != nil && len(c.Numbers) != table.Rows()) {
				t.Errorf("column %q has %d texts and %d numbers in %d rows", c.Name, len(c.Text), len(c.Numbers), table.Rows())
			}
		}
	})
}
