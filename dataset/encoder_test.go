package dataset

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

func table(t *testing.T, text string) *Table {
	t.Helper()
	table, err := ParseCSV(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

const flats = `area,colour,zip,rooms,one,price
40,red,7,1,x,100
60,green,8,2,x,140
80,red,7,3,x,180
60,blue,8,4,x,220
`

// TestEncoder checks the numbers of a small table, worked out by hand: area has the
// mean 60 and the variance 200, rooms 2.5 and 1.25, price 160 and 2000.
func TestEncoder(t *testing.T) {
	e, err := NewEncoder(table(t, flats), EncoderOptions{Target: "price", Categorical: []string{"zip"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"area", "colour=blue", "colour=green", "colour=red", "zip=7", "zip=8", "rooms"}; !reflect.DeepEqual(e.Names(), want) || e.Width() != len(want) {
		t.Errorf("inputs %q, %d", e.Names(), e.Width())
	}
	if !reflect.DeepEqual(e.Constant, []string{"one"}) {
		t.Errorf("constant: %q", e.Constant)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var again Encoder // as from a model's file
	if err := json.Unmarshal(raw, &again); err != nil || !reflect.DeepEqual(e, &again) {
		t.Errorf("%v: %+v became %+v", err, e, again)
	}
	if err := again.Check(); err != nil {
		t.Error(err)
	}
	// Other columns, another order.
	x, err := again.Inputs(table(t, "other,rooms,zip,price,colour,area\n?,3,8,0,red,70\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{10 / math.Sqrt(200), 0, 0, 1, 0, 1, .5 / math.Sqrt(1.25)}
	for i := range want {
		if math.Abs(x.Data[i]-want[i]) > 1e-15 { // two roundings of numbers near 1
			t.Errorf("input %d is %v, want %v", i, x.Data[i], want[i])
		}
	}
	y, err := e.Targets(table(t, flats))
	if err != nil {
		t.Fatal(err)
	}
	for i, price := range []float64{100, 140, 180, 220} {
		if want := (price - 160) / math.Sqrt(2000); math.Abs(y.Data[i]-want) > 1e-15 {
			t.Errorf("target %d is %v, want %v", i, y.Data[i], want)
		}
	}
	if got, want := e.Typical(), []float64{0, 0, 0, 1, 1, 0, 0}; !reflect.DeepEqual(got, want) {
		t.Errorf("a typical example is %v, want %v", got, want)
	}
	v, err := e.Variances(table(t, "rooms,area\n0.5,10\n"), 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{.5, 0, 0, 0, 0, 0, .2, .5, 0, 0, 0, 0, 0, .2} {
		if math.Abs(v.Data[i]-want) > 1e-15 {
			t.Errorf("variance %d is %v, want %v", i, v.Data[i], want)
		}
	}
}

// TestImpute checks that means and frequencies take the place of what is missing.
func TestImpute(t *testing.T) {
	text := "a,c,y\n1,u,1\nNA,v,2\n3,,3\n5,u,4\n"
	if _, err := NewEncoder(table(t, text), EncoderOptions{Target: "y"}); err == nil || !strings.Contains(err.Error(), `"a" has no value in row 2`) {
		t.Errorf("a missing value: %v", err)
	}
	e, err := NewEncoder(table(t, text), EncoderOptions{Target: "y", Impute: true})
	if err != nil {
		t.Fatal(err)
	}
	x, err := e.Inputs(table(t, text))
	if err != nil {
		t.Fatal(err)
	}
	s := math.Sqrt(8. / 3) // of 1, 3 and 5
	for i, want := range []float64{-2 / s, 1, 0, 0, 0, 1, 0, 2. / 3, 1. / 3, 2 / s, 1, 0} {
		if math.Abs(x.Data[i]-want) > 1e-15 {
			t.Errorf("input %d is %v, want %v", i, x.Data[i], want)
		}
	}
}

func TestClasses(t *testing.T) {
	for text, want := range map[string][]string{
		"x,y\n1,no\n2,yes\n3,no\n": {"no", "yes"},
		"x,y\n1,10\n2,9\n3,10\n":   {"9", "10"},
	} {
		e, err := NewEncoder(table(t, text), EncoderOptions{Target: "y", Classes: true})
		if err != nil || !reflect.DeepEqual(e.Target.Classes, want) {
			t.Errorf("classes %q, %v; want %q", e.Target.Classes, err, want)
		}
		if err := e.Check(); err != nil {
			t.Error(err)
		}
		y, err := e.Targets(table(t, text))
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range table(t, text).Column("y").Text {
			if want[int(y.Data[i])] != s {
				t.Errorf("row %d has class %v, but is %q", i, y.Data[i], s)
			}
		}
	}
}

func TestEncoderErrors(t *testing.T) {
	var ids strings.Builder
	ids.WriteString("id,y\n")
	for i := range maxCategories + 1 {
		ids.WriteString(strings.Repeat("i", i+1) + ",1\n")
	}
	for _, c := range []struct {
		text string
		o    EncoderOptions
		want string
	}{
		{"x,y\n1,2\n", EncoderOptions{Target: "y"}, "at least 2"},
		{"x,y\n1,2\n2,3\n", EncoderOptions{Target: "z"}, `no column "z"; there are "x", "y"`},
		{"x,y\n1,2\n2,3\n", EncoderOptions{Target: "y", Exclude: []string{"u"}}, `no column "u"`},
		{"x,y\n1,2\n2,3\n", EncoderOptions{Target: "y", Exclude: []string{"y"}}, "excluded"},
		{"x,y\n1,2\n2,3\n", EncoderOptions{Target: "y", Exclude: []string{"x"}}, "no columns besides"},
		{"x,y\n1,2\n2,cheap\n", EncoderOptions{Target: "y"}, `"y" is no number in row 2, but "cheap"`},
		{"x,y\n1,2\n2,\n", EncoderOptions{Target: "y", Impute: true}, `"y" is missing in row 2`},
		{"x,y\n1,2\n2,2\n", EncoderOptions{Target: "y"}, "always 2"},
		{"x,y\n1,2\n2,2\n", EncoderOptions{Target: "y", Classes: true}, `always "2"`},
		{"x,z,y\n1,a,2\n1,a,3\n", EncoderOptions{Target: "y"}, "all columns but the target"},
		{"x,y\n1,2\ninf,3\n", EncoderOptions{Target: "y"}, `"x" is not finite in row 2`},
		{"x,y\n1e300,2\n-1e300,3\n", EncoderOptions{Target: "y"}, "scale it"},
		{"x,y\n1,2\n2,1e400\n", EncoderOptions{Target: "y"}, `"y" is not finite in row 2`},
		{ids.String(), EncoderOptions{Target: "y"}, "always 1"},
		{"x,y\n1,1\n2,2\n3,3\n4,4\n5,5\n6,6\n7,7\n8,8\n9,9\n10,10\n11,11\n", EncoderOptions{Target: "y", Classes: true}, "11 different values in 11 rows"},
		{strings.Replace(ids.String(), "i,1", "i,2", 1), EncoderOptions{Target: "y"}, "more than 1000 different values; exclude it"},
	} {
		e, err := NewEncoder(table(t, c.text), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: got %+v, %v; want an error with %q", c.text, e, err, c.want)
		}
	}
	e, err := NewEncoder(table(t, flats), EncoderOptions{Target: "price"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"price,rooms\n1,2\n":                            `missing: "area", "colour", "zip"`,
		"area,colour,zip,rooms\n1,pink,7,2\n":           `"pink" in row 1, which the model has not been trained with; it knows "blue", "green", "red"`,
		"area,colour,zip,rooms\n1,red,7,2\nx,red,7,2\n": `"area" is no number in row 2, but "x"`,
		"area,colour,zip,rooms\n1,red,7,\n":             `"rooms" has no value in row 1`,
		"area,colour,zip,rooms\n1,red,7,inf\n":          `"rooms" is +Inf in row 1`,
	} {
		if x, err := e.Inputs(table(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want an error with %q", text, x, err, want)
		}
	}
	for text, want := range map[string]string{
		"area\n-1\n":      `"area" must be`,
		"area\nx\n":       `"area" must be`,
		"colour\n1\n":     `"colour" has categories`,
		"size\n1\n":       `no column "size"`,
		"area\n1\n2\n3\n": "3 rows of standard deviations for 2",
	} {
		if v, err := e.Variances(table(t, text), 2); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want an error with %q", text, v, err, want)
		}
	}
}
