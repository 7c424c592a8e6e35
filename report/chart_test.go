package report

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
)

// svg draws c as SVG and returns what it says, line by line of text.
func svg(t *testing.T, c *Chart) (source string, texts []string) {
	t.Helper()
	var b bytes.Buffer
	if err := c.WriteTo(&b, "svg"); err != nil {
		t.Fatal(err)
	}
	return b.String(), svgTexts(t, b.Bytes())
}

// svgTexts checks that b is well-formed XML without NaN or Inf, and returns its
// text elements.
func svgTexts(t *testing.T, b []byte) (texts []string) {
	t.Helper()
	if m := regexp.MustCompile(`"[^";:]*(NaN|Inf)[^";:]*"`).Find(b); m != nil {
		t.Fatalf("a coordinate is not finite: %s", m)
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	inText := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			inText = x.Name.Local == "text"
		case xml.EndElement:
			inText = false
		case xml.CharData:
			if inText {
				texts = append(texts, string(x))
			}
		}
	}
}

func has(texts []string, part string) bool {
	return strings.Contains(strings.Join(texts, "\n"), part)
}

// example has a gap, a band, a zero and a bound below zero.
func example() *Chart {
	return &Chart{
		Title: "Error against time", XLabel: "time [ms]", YLabel: "error [std]", LogX: true, LogY: true,
		Lines: []Line{
			{
				Name: "moment", X: []float64{1, 2, 4, 8, 16}, Y: []float64{.1, .05, math.NaN(), .02, .01},
				Low: []float64{.05, .02, 0, .01, -.01}, High: []float64{.2, .1, 0, .04, .03},
			},
			{Name: "none & <others>", X: []float64{1, 10, 20}, Y: []float64{0, .5, math.Inf(1)}},
		},
	}
}

func TestChartSaysWhatItLeavesOut(t *testing.T) {
	_, texts := svg(t, example())
	for _, want := range []string{
		"Error against time", "time [ms]", "error [std]", "moment", "none & <others>",
		"Left out: 1 point not positive", "Left out: 1 infinite point.", "1 interval ended by the frame",
	} {
		if !has(texts, want) {
			t.Errorf("the chart does not say %q; it says %q", want, texts)
		}
	}
	linear := example()
	linear.LogX, linear.LogY = false, false
	if _, texts := svg(t, linear); has(texts, "not positive") || has(texts, "interval") {
		t.Errorf("a linear chart complains: %q", texts)
	}
}

// TestChartPlaces reads the coordinates of a line back: the distances between
// its points must be those of the values or of their logarithms.
func TestChartPlaces(t *testing.T) {
	for _, log := range []bool{false, true} {
		c := &Chart{LogX: log, LogY: log, Lines: []Line{{X: []float64{1, 3, 10}, Y: []float64{2, 50, 4}}}}
		source, _ := svg(t, c)
		m := regexp.MustCompile(`<path d="M([\d.]+),([\d.]+)L([\d.]+),([\d.]+)L([\d.]+),([\d.]+)"\s+style="[^"]*#0072B2`).FindStringSubmatch(source)
		if m == nil {
			t.Fatalf("no path of the line's colour in %s", source)
		}
		var at [6]float64
		for i := range at {
			at[i] = parse(t, m[i+1])
		}
		of := func(x float64) float64 {
			if log {
				return math.Log(x)
			}
			return x
		}
		// The coordinates are written with five digits, so two points of the
		// 500 across are off by 1e-2 together.
		gotX, wantX := (at[2]-at[0])/(at[4]-at[0]), (of(3)-of(1))/(of(10)-of(1))
		gotY, wantY := (at[5]-at[1])/(at[3]-at[1]), (of(4)-of(2))/(of(50)-of(2))
		if math.Abs(gotX-wantX) > 1e-3 || math.Abs(gotY-wantY) > 1e-3 {
			t.Errorf("log %v: the middle point is at %g, %g of the line, want %g, %g", log, gotX, gotY, wantX, wantY)
		}
	}
}

func TestLongNames(t *testing.T) {
	_, texts := svg(t, &Chart{Lines: []Line{{Name: strings.Repeat("ü", 41)}, {Name: strings.Repeat("n", 40)}}})
	if want := strings.Repeat("ü", 39) + "…"; !has(texts, want) || !has(texts, strings.Repeat("n", 40)) {
		t.Errorf("the legend says %q", texts)
	}
}

func TestChartGaps(t *testing.T) {
	source, _ := svg(t, &Chart{Lines: []Line{{X: []float64{1, 2, 3, 4, 5}, Y: []float64{1, 2, math.NaN(), 2, 1}}}})
	if n := strings.Count(source, "#0072B2"); n != 2 {
		t.Errorf("a line with one gap has %d parts, want 2", n)
	}
}

func TestChartIsDeterministic(t *testing.T) {
	for _, format := range []string{"svg", "png"} {
		var a, b bytes.Buffer
		if err := errors.Join(example().WriteTo(&a, format), example().WriteTo(&b, format)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("two %s of the same chart differ", format)
		}
		if format == "png" {
			if _, err := png.Decode(&a); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestChartErrors(t *testing.T) {
	two := []float64{1, 2}
	for name, c := range map[string]*Chart{
		"2 values of x and 1 of y": {Lines: []Line{{X: two, Y: two[:1]}}},
		"both ends":                {Lines: []Line{{X: two, Y: two, Low: two}}},
		"ends of intervals":        {Lines: []Line{{X: two, Y: two, Low: two, High: two[:1]}}},
	} {
		if err := c.WriteTo(io.Discard, "svg"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got the error %v, want one with %q", err, name)
		}
	}
	if err := new(Chart).WriteTo(io.Discard, "pdf"); err == nil || !strings.Contains(err.Error(), "pdf") {
		t.Errorf("format pdf: got the error %v", err)
	}
	if err := new(Chart).WriteTo(full{}, "png"); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a full disk: got the error %v", err)
	}
	if _, texts := svg(t, new(Chart)); !has(texts, "There is nothing to draw.") {
		t.Errorf("an empty chart says %q", texts)
	}
}

// full is a writer that has no room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// FuzzChart draws any numbers: there is no panic and the SVG is well-formed.
func FuzzChart(f *testing.F) {
	extremes := []float64{0, -1, 1, math.Inf(1), math.NaN(), math.MaxFloat64, math.SmallestNonzeroFloat64, -math.MaxFloat64, 1e299, -1e299, 1 + 0x1p-52}
	for i, x := range extremes {
		for _, y := range extremes[i:] {
			for _, flags := range []uint8{0, 3, 7, 11, 15} {
				var b []byte
				for _, v := range []float64{x, y, y, x} {
					b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
				}
				f.Add(b, flags, "a\x00<&\xff")
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, flags uint8, name string) {
		if len(data) > 1<<10 || len(name) > 200 {
			return
		}
		var v []float64
		for ; len(data) >= 8; data = data[8:] {
			v = append(v, math.Float64frombits(binary.LittleEndian.Uint64(data)))
		}
		n := len(v) / 2
		l := Line{Name: name, X: v[:n], Y: v[n : 2*n]}
		if flags&8 != 0 {
			l.Low, l.High = l.X, l.Y
		}
		svg(t, &Chart{Title: name, XLabel: name, Lines: []Line{l, l}, LogX: flags&1 != 0, LogY: flags&2 != 0, Points: flags&4 != 0})
	})
}
