package report

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A Map draws functions of two variables as colours, in panels side by side
// that share one scale, which a bar at their right explains. What has no colour
// is grey, and a caption counts it: NaN, infinite values, and on a logarithmic
// scale those that are not positive.
type Map struct {
	Title, XLabel, YLabel string
	ZLabel                string // of the colour bar
	X, Y                  []float64
	// Z holds the panels. Z[k][i*len(X)+j] is the value at X[j], Y[i]; a nil
	// panel leaves its place empty.
	Z      [][]float64
	Labels []string // titles of the panels, or nil
	Log    bool     // the scale of the colours is logarithmic
	// Min and Max are the ends of the scale if Min < Max; otherwise it covers
	// the values. Values beyond have the colours of the ends.
	Min, Max float64
	Caption  string // written below the panels, optional
}

const (
	panelWidth, panelHeight = 1.9 * vg.Inch, 2.05 * vg.Inch // with labels
	barWidth                = 1.1 * vg.Inch
)

// WriteTo draws the map in the format "svg" or "png".
func (m *Map) WriteTo(w io.Writer, format string) error { return WriteMaps(w, format, m) }

// WriteMaps draws maps one below the other in one picture.
func WriteMaps(w io.Writer, format string, maps ...*Map) error {
	columns := 1
	for i, m := range maps {
		if err := m.check(); err != nil {
			return fmt.Errorf("report: map %d, %q: %w", i, m.Title, err)
		}
		columns = max(columns, len(m.Z))
	}
	width, height := vg.Length(columns)*panelWidth+barWidth, vg.Length(0)
	for _, m := range maps {
		height += m.height(width)
	}
	return write(w, format, width+2*margin, height+2*margin, func(c draw.Canvas) {
		c = draw.Crop(c, margin, -margin, margin, -margin)
		for _, m := range maps {
			h := m.height(width)
			m.draw(draw.Crop(c, 0, 0, c.Size().Y-h, 0))
			c.Max.Y -= h
		}
	})
}

// height is that of the title, the panels and the captions across a width.
func (m *Map) height(width vg.Length) vg.Length {
	rows := len(m.footnotes(m.scale(), width))
	return titleSize*leading + panelHeight + vg.Length(rows)*smallSize*leading + margin
}

func (m *Map) check() error {
	for _, side := range [][]float64{m.X, m.Y} {
		if len(side) < 2 {
			return fmt.Errorf("a side has %d values, and needs 2", len(side))
		}
		for i, v := range side {
			if !(math.Abs(v) <= limit) || i > 0 && v <= side[i-1] {
				return fmt.Errorf("the values of a side must be finite and increase; value %d is %v", i, v)
			}
		}
	}
	for k, z := range m.Z {
		if z != nil && len(z) != len(m.X)*len(m.Y) {
			return fmt.Errorf("panel %d has %d values, want %d x %d", k, len(z), len(m.Y), len(m.X))
		}
	}
	switch {
	case len(m.Z) == 0:
		return fmt.Errorf("there is no panel")
	case m.Labels != nil && len(m.Labels) != len(m.Z):
		return fmt.Errorf("there are %d panels and %d labels", len(m.Z), len(m.Labels))
	case m.Min < m.Max && (math.Abs(m.Min) > limit || math.Abs(m.Max) > limit || m.Log && m.Min <= 0):
		return fmt.Errorf("a scale from %v to %v cannot be drawn", m.Min, m.Max)
	}
	return nil
}

// A scale gives values their colours.
type scale struct {
	axis
	grey, below, above int // values without a colour, or beyond the ends
}

func (m *Map) scale() *scale {
	s := &scale{axis: newAxis(m.ZLabel, m.Log)}
	for _, z := range m.Z {
		for _, v := range z {
			s.include(v)
		}
	}
	switch {
	case m.Min < m.Max:
		s.lo, s.hi = m.Min, m.Max
	case !(s.lo < s.hi) || !m.Log && s.hi-s.lo <= 1e-9*math.Max(math.Abs(s.lo), math.Abs(s.hi)):
		s.fit() // one value, or none
	}
	for _, z := range m.Z {
		for _, v := range z {
			switch {
			case !s.shows(v):
				s.grey++
			case v < s.lo:
				s.below++
			case v > s.hi:
				s.above++
			}
		}
	}
	return s
}

// colour returns the colour of v.
func (s *scale) colour(v float64) color.Color {
	if !s.shows(v) {
		return noColour
	}
	f := plot.Normalizer(plot.LinearScale{})
	if s.log {
		f = logScale{}
	}
	at := math.Min(math.Max(f.Normalize(s.lo, s.hi, v), 0), 1) * float64(len(viridis)-1)
	i := min(int(at), len(viridis)-2)
	return between(viridis[i], viridis[i+1], at-float64(i))
}

var noColour = color.NRGBA{R: 190, G: 190, B: 190, A: 255}

// viridis at every eighth of the scale (van der Walt & Smith 2015).
var viridis = []color.NRGBA{
	{0x44, 0x01, 0x54, 255},
	{0x47, 0x2D, 0x7B, 255},
	{0x3B, 0x52, 0x8B, 255},
	{0x2C, 0x72, 0x8E, 255},
	{0x21, 0x90, 0x8C, 255},
	{0x27, 0xAD, 0x81, 255},
	{0x5D, 0xC8, 0x63, 255},
	{0xAA, 0xDC, 0x32, 255},
	{0xFD, 0xE7, 0x25, 255},
}

// between returns the colour at the fraction f of the way from a to b.
func between(a, b color.NRGBA, f float64) color.NRGBA {
	mix := func(x, y uint8) uint8 { return uint8(math.Round(float64(x) + f*(float64(y)-float64(x)))) }
	return color.NRGBA{R: mix(a.R, b.R), G: mix(a.G, b.G), B: mix(a.B, b.B), A: 255}
}

func (m *Map) draw(c draw.Canvas) {
	s := m.scale()
	title := style(titleSize, black)
	c = writeRows(c, title, wrap(title, m.Title, c.Size().X))
	panels := draw.Crop(c, 0, 0, c.Size().Y-panelHeight, 0)
	for k, z := range m.Z {
		if z == nil {
			continue
		}
		yLabel := ""
		if k == 0 || m.Z[k-1] == nil {
			yLabel = m.YLabel
		}
		left := vg.Length(k) * panelWidth
		m.panel(draw.Crop(panels, left, left+panelWidth-panels.Size().X, 0, 0), s, k, yLabel)
	}
	left := vg.Length(len(m.Z)) * panelWidth
	s.bar(draw.Crop(panels, left+margin, left+barWidth-panels.Size().X, 0, 0))
	c.Max.Y = panels.Min.Y
	writeRows(c, style(smallSize, grey), m.footnotes(s, c.Size().X))
}

// footnotes are the captions as lines no wider than width.
func (m *Map) footnotes(s *scale, width vg.Length) (rows []string) {
	for _, sentence := range m.captions(s) {
		rows = append(rows, wrap(style(smallSize, grey), sentence, width)...)
	}
	return rows
}

// panel draws panel k.
func (m *Map) panel(c draw.Canvas, s *scale, k int, yLabel string) {
	p := newPlot()
	if m.Labels != nil {
		p.Title.Text = printable(m.Labels[k])
	}
	p.Title.Padding = 3
	x, y := newAxis(m.XLabel, false), newAxis(yLabel, false)
	x.lo, x.hi = m.X[0], m.X[len(m.X)-1]
	y.lo, y.hi = m.Y[0], m.Y[len(m.Y)-1]
	x.apply(&p.X, 5)
	y.apply(&p.Y, 5)
	p.Add(raster(func(u, v float64) color.Color {
		i, j := nearest(m.Y, y.lo+v*(y.hi-y.lo)), nearest(m.X, x.lo+u*(x.hi-x.lo))
		return s.colour(m.Z[k][i*len(m.X)+j])
	}))
	drawPlot(p, c, m.XLabel, yLabel)
}

// nearest returns the index of the element of x, which increases, that is
// nearest to v.
func nearest(x []float64, v float64) int {
	i := 0
	for i+1 < len(x) && v-x[i] > x[i+1]-v {
		i++
	}
	return i
}

// bar draws the colours of the scale beside its values.
func (s *scale) bar(c draw.Canvas) {
	p := newPlot()
	p.Title.Text = " " // so that its top is that of the panels
	p.Title.Padding = 3
	s.apply(&p.Y, 6)
	p.X.Min, p.X.Max = 0, 1
	p.X.Tick.Marker = plot.ConstantTicks{{Value: 0.5, Label: " "}}
	p.X.Tick.Length = 0
	p.X.Tick.Label.Font = style(smallSize, black).Font
	p.X.Width = 0
	p.Add(raster(func(_, v float64) color.Color {
		if s.log {
			return s.colour(math.Exp(math.Log(s.lo) + v*(math.Log(s.hi)-math.Log(s.lo))))
		}
		return s.colour(s.lo + v*(s.hi-s.lo))
	}))
	drawPlot(p, c, "", s.label)
}

// A raster fills a plot with the colours at the fractions u and v of its width
// and its height.
type raster func(u, v float64) color.Color

// pixels is the number of pixels across a raster.
const pixels = 240

// Plot implements plot.Plotter.
func (r raster) Plot(c draw.Canvas, _ *plot.Plot) {
	img := image.NewNRGBA(image.Rect(0, 0, pixels, pixels))
	for i := range pixels {
		for j := range pixels {
			img.Set(j, i, r((float64(j)+0.5)/pixels, 1-(float64(i)+0.5)/pixels))
		}
	}
	c.DrawImage(c.Rectangle, img)
}

// captions are the sentences below the panels.
func (m *Map) captions(s *scale) (sentences []string) {
	if m.Caption != "" {
		sentences = append(sentences, m.Caption)
	}
	switch {
	case s.grey > 0 && m.Log:
		sentences = append(sentences, "Grey: "+count(s.grey, "value")+" not known or not positive, which a logarithmic scale cannot show.")
	case s.grey > 0:
		sentences = append(sentences, "Grey: "+count(s.grey, "value")+" not known.")
	}
	if s.below > 0 {
		sentences = append(sentences, count(s.below, "value")+" below the scale in its lowest colour.")
	}
	if s.above > 0 {
		sentences = append(sentences, count(s.above, "value")+" above the scale in its highest colour.")
	}
	return sentences
}
