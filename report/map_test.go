package report

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
)

// pictures draws m as SVG and returns its embedded pictures and its text.
func pictures(t *testing.T, m *Map) (images []image.Image, texts []string) {
	t.Helper()
	var b bytes.Buffer
	if err := m.WriteTo(&b, "svg"); err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`base64,([^"]*)"`).FindAllStringSubmatch(b.String(), -1) {
		raw, err := base64.StdEncoding.DecodeString(match[1])
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, img)
	}
	return images, svgTexts(t, b.Bytes())
}

// quarter returns the colour in the middle of a quarter of img, counted from
// the lower left.
func quarter(img image.Image, right, up int) color.Color {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	return color.NRGBAModel.Convert(img.At(w/4+right*w/2, h-1-(h/4+up*h/2)))
}

func TestMap(t *testing.T) {
	m := &Map{
		Title: "Errors", XLabel: "mu1", YLabel: "mu2", ZLabel: "error", X: []float64{0, 1}, Y: []float64{5, 7},
		Z: [][]float64{{0, 4, 2, math.NaN()}, nil, {1, 1, 8, math.Inf(1)}}, Labels: []string{"first", "", "third"}, Caption: "No more.",
	}
	images, texts := pictures(t, m)
	if len(images) != 3 {
		t.Fatalf("%d pictures, want two panels and a bar", len(images))
	}
	// Rows go up, columns to the right; the scale is shared, from 0 to 8.
	for i, want := range []color.NRGBA{viridis[0], viridis[4], viridis[2], noColour} {
		if got := quarter(images[0], i%2, i/2); got != want {
			t.Errorf("panel 0, value %d: colour %v, want %v", i, got, want)
		}
	}
	for i, want := range []color.NRGBA{viridis[1], viridis[1], viridis[8], noColour} {
		if got := quarter(images[1], i%2, i/2); got != want {
			t.Errorf("panel 2, value %d: colour %v, want %v", i, got, want)
		}
	}
	for _, want := range []string{"Errors", "mu1", "mu2", "error", "first", "third", "No more.", "Grey: 2 values not known."} {
		if !has(texts, want) {
			t.Errorf("the map does not say %q; it says %q", want, texts)
		}
	}
}

func TestMapLogScale(t *testing.T) {
	m := &Map{X: []float64{0, 1}, Y: []float64{0, 1}, Z: [][]float64{{1e-9, 1e-2, 0, 1e3}}, Log: true, Min: 1e-4, Max: 1}
	images, texts := pictures(t, m)
	for i, want := range []color.NRGBA{viridis[0], viridis[4], noColour, viridis[8]} {
		if got := quarter(images[0], i%2, i/2); got != want {
			t.Errorf("value %d: colour %v, want %v", i, got, want)
		}
	}
	for _, want := range []string{"Grey: 1 value not known or not positive", "1 value below the scale", "1 value above the scale", "1e-4"} {
		if !has(texts, want) {
			t.Errorf("the map does not say %q; it says %q", want, texts)
		}
	}
}

func TestMapErrors(t *testing.T) {
	two := []float64{0, 1}
	z := [][]float64{{1, 2, 3, 4}}
	for want, m := range map[string]*Map{
		"a side has 1 values":       {X: two[:1], Y: two, Z: z},
		"finite and increase":       {X: []float64{1, 1}, Y: two, Z: z},
		"value 1 is NaN":            {X: two, Y: []float64{1, math.NaN()}, Z: z},
		"panel 0 has 4 values":      {X: two, Y: []float64{1, 2, 3}, Z: z},
		"there is no panel":         {X: two, Y: two},
		"1 panels and 2 labels":     {X: two, Y: two, Z: z, Labels: []string{"", ""}},
		"from -1 to 1 cannot be":    {X: two, Y: two, Z: z, Min: -1, Max: 1, Log: true},
		"from 0 to +Inf cannot be ": {X: two, Y: two, Z: z, Max: math.Inf(1)},
	} {
		if err := m.WriteTo(io.Discard, "svg"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want one with %q", err, want)
		}
	}
}

func TestMapIsDeterministic(t *testing.T) {
	m := &Map{X: []float64{0, 1}, Y: []float64{0, 1}, Z: [][]float64{{1, 2, 3, 4}}}
	for _, format := range []string{"svg", "png"} {
		var a, b bytes.Buffer
		if m.WriteTo(&a, format) != nil || WriteMaps(&b, format, m) != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("two %s of the same map differ", format)
		}
	}
}

// FuzzMap draws any numbers: there is no panic and the SVG is well-formed.
func FuzzMap(f *testing.F) {
	for _, x := range []float64{0, -1, math.Inf(1), math.NaN(), math.MaxFloat64, math.SmallestNonzeroFloat64, 1e299} {
		for _, log := range []bool{false, true} {
			f.Add(x, 1.0, math.Float64frombits(binary.LittleEndian.Uint64([]byte("covprop!"))), 0.0, log)
			f.Add(1.0, x, x, x, log)
		}
	}
	f.Fuzz(func(t *testing.T, a, b, c, d float64, log bool) {
		m := &Map{X: []float64{0, 1}, Y: []float64{0, 1}, Z: [][]float64{{a, b, c, d}}, Log: log}
		if err := m.check(); err != nil {
			t.Fatal(err)
		}
		pictures(t, m)
	})
}
