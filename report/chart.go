package report

import (
	"fmt"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A Line is a sequence of points and its name in the legend. Low and High, if
// set, are the ends of an interval about every Y. NaN is a gap.
type Line struct {
	Name      string
	X, Y      []float64
	Low, High []float64 // of the length of Y, or nil
	Points    bool      // draw points
}

// A Chart draws lines, with their intervals as bands, or if Points is set, for all
// or for one, points, with their intervals as bars. Values that are not positive have no
// place on a logarithmic axis: they are left out like NaN, and infinite ones on
// any axis, and a caption counts them.
type Chart struct {
	Title, XLabel, YLabel string
	LogX, LogY            bool
	Lines                 []Line
	Points                bool
	Caption               string // written below the chart, optional
}

const chartWidth, chartHeight = 7.5 * vg.Inch, 4.5 * vg.Inch

// WriteTo draws the chart in the format "svg" or "png".
func (c *Chart) WriteTo(w io.Writer, format string) error {
	for i := range c.Lines {
		if err := c.Lines[i].check(); err != nil {
			return fmt.Errorf("report: line %d, %q: %w", i, c.Lines[i].Name, err)
		}
	}
	return write(w, format, chartWidth, chartHeight, c.draw)
}

func (l *Line) check() error {
	switch {
	case len(l.X) != len(l.Y):
		return fmt.Errorf("there are %d values of x and %d of y", len(l.X), len(l.Y))
	case (l.Low == nil) != (l.High == nil):
		return fmt.Errorf("an interval needs both ends")
	case l.Low != nil && (len(l.Low) != len(l.Y) || len(l.High) != len(l.Y)):
		return fmt.Errorf("there are %d values of y, and %d and %d ends of intervals", len(l.Y), len(l.Low), len(l.High))
	}
	return nil
}

// losses counts what a chart does not show.
type losses struct {
	infinite, notPositive int // points
	open                  int // intervals that the frame cuts
}

func (c *Chart) draw(dc draw.Canvas) {
	x, y := newAxis(c.XLabel, c.LogX), newAxis(c.YLabel, c.LogY)
	var lost losses
	points := 0
	for i := range c.Lines {
		points += c.Lines[i].measure(&x, &y, &lost)
	}
	x.fit()
	y.fit()
	p := newPlot()
	x.apply(&p.X, 7)
	y.apply(&p.Y, 7)
	p.Add(grid{})
	legend := newLegend()
	for i := range c.Lines {
		s := &series{line: &c.Lines[i], look: lookOf(i), x: x, y: y, points: c.Points || c.Lines[i].Points}
		p.Add(s)
		if c.Lines[i].Name != "" {
			legend.Add(entry(c.Lines[i].Name), s)
		}
	}
	dc = draw.Crop(dc, margin, -margin, margin, -margin)
	dc = writeRows(dc, style(titleSize, black), wrap(style(titleSize, black), c.Title, dc.Size().X))
	dc = footer(dc, c.captions(points, lost))
	if width := legendWidth(&legend, c.Lines); width > 0 {
		legend.Draw(draw.Crop(dc, dc.Size().X-width, 0, 0, -margin))
		dc = draw.Crop(dc, 0, -width-margin, 0, 0)
	}
	drawPlot(p, draw.Crop(dc, 0, 0, 0, -margin), c.XLabel, c.YLabel)
}

// measure widens the axes to the line's points, counts those that cannot be
// drawn, and returns how many can.
func (l *Line) measure(x, y *axis, lost *losses) (points int) {
	for i := range l.X {
		switch {
		case math.IsNaN(l.X[i]) || math.IsNaN(l.Y[i]):
		case math.Abs(l.X[i]) > limit || math.Abs(l.Y[i]) > limit:
			lost.infinite++
		case !x.shows(l.X[i]) || !y.shows(l.Y[i]):
			lost.notPositive++
		default:
			points++
			x.include(l.X[i])
			y.include(l.Y[i])
			if l.Low == nil {
				continue
			}
			y.include(l.Low[i])
			y.include(l.High[i])
			if lo, hi := l.Low[i], l.High[i]; !math.IsNaN(lo) && !y.shows(lo) || !math.IsNaN(hi) && !y.shows(hi) {
				lost.open++
			}
		}
	}
	return points
}

// captions are the sentences below the chart.
func (c *Chart) captions(points int, lost losses) (s []string) {
	if c.Caption != "" {
		s = append(s, c.Caption)
	}
	if points == 0 {
		s = append(s, "There is nothing to draw.")
	}
	if lost.notPositive > 0 {
		s = append(s, "Left out: "+count(lost.notPositive, "point")+" not positive, which a logarithmic axis cannot show.")
	}
	if lost.infinite > 0 {
		s = append(s, "Left out: "+count(lost.infinite, "infinite point")+".")
	}
	if lost.open > 0 {
		s = append(s, count(lost.open, "interval")+" ended by the frame, not by a value that the axis could show.")
	}
	return s
}

// footer writes sentences at the bottom of c and returns what is above them.
func footer(c draw.Canvas, sentences []string) draw.Canvas {
	s := style(smallSize, grey)
	var rows []string
	for _, sentence := range sentences {
		rows = append(rows, wrap(s, sentence, c.Size().X)...)
	}
	height := vg.Length(len(rows)) * s.Font.Size * leading
	below := c
	below.Max.Y = c.Min.Y + height
	writeRows(below, s, rows)
	c.Min.Y += height
	return c
}

// newPlot returns a plot with the axes in this package's style.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.TextStyle = style(labelSize, black)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = draw.XCenter, draw.YTop
	return p
}

// drawPlot draws p, with labels beside its axes.
func drawPlot(p *plot.Plot, c draw.Canvas, xLabel, yLabel string) {
	s := style(labelSize, black)
	s.XAlign = draw.XCenter
	room := vg.Length(2 * labelSize)
	inner := draw.Crop(c, room, 0, room, 0)
	p.Draw(inner)
	data := p.DataCanvas(inner)
	c.FillText(s, vg.Point{X: data.Center().X, Y: c.Min.Y + labelSize/2}, printable(xLabel))
	s.Rotation = math.Pi / 2
	c.FillText(s, vg.Point{X: c.Min.X + labelSize, Y: data.Center().Y}, printable(yLabel))
}

func newLegend() plot.Legend {
	l := plot.NewLegend()
	l.Top, l.Left = true, true
	l.TextStyle = style(smallSize, black)
	l.ThumbnailWidth = 24
	l.Padding = 4
	l.YPosition = draw.PosCenter
	return l
}

// entry is a name in the legend, shortened where it would push the lines aside.
func entry(name string) string {
	const longest = 40
	if r := []rune(printable(name)); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return printable(name)
}

// legendWidth returns the width of the legend, 0 if there is none.
func legendWidth(l *plot.Legend, names []Line) (width vg.Length) {
	for _, n := range names {
		if n.Name != "" {
			width = max(width, l.ThumbnailWidth+l.TextStyle.Width(" "+entry(n.Name)))
		}
	}
	return width
}

// grid draws faint lines at the labelled ticks.
type grid struct{}

// Plot implements plot.Plotter.
func (grid) Plot(c draw.Canvas, p *plot.Plot) {
	s := draw.LineStyle{Color: faint, Width: 0.5}
	trX, trY := p.Transforms(&c)
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if x := trX(t.Value); t.Label != "" && c.ContainsX(x) {
			c.StrokeLine2(s, x, c.Min.Y, x, c.Max.Y)
		}
	}
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if y := trY(t.Value); t.Label != "" && c.ContainsY(y) {
			c.StrokeLine2(s, c.Min.X, y, c.Max.X, y)
		}
	}
}

// A look tells one line from another.
type look struct {
	colour color.NRGBA
	dashes []vg.Length
	shape  draw.GlyphDrawer
}

// The colours of Okabe and Ito (2008) without yellow, which white hides.
var colours = []color.NRGBA{
	{R: 0x00, G: 0x72, B: 0xB2, A: 255},
	{R: 0xD5, G: 0x5E, B: 0x00, A: 255},
	{R: 0x00, G: 0x9E, B: 0x73, A: 255},
	{R: 0xCC, G: 0x79, B: 0xA7, A: 255},
	{R: 0xE6, G: 0x9F, B: 0x00, A: 255},
	{R: 0x56, G: 0xB4, B: 0xE9, A: 255},
	{A: 255},
}

var dashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 3, 2, 3}}

var shapes = []draw.GlyphDrawer{
	draw.CircleGlyph{},
	draw.SquareGlyph{},
	draw.TriangleGlyph{},
	draw.CrossGlyph{},
	draw.PlusGlyph{},
	draw.RingGlyph{},
	draw.PyramidGlyph{},
	draw.BoxGlyph{},
}

// lookOf returns the look of line i; they repeat after 7 * 4 and 7 * 8.
func lookOf(i int) look {
	return look{
		colour: colours[i%len(colours)],
		dashes: dashes[(i+i/len(colours)/len(dashes))%len(dashes)],
		shape:  shapes[(i+i/len(colours)/len(shapes))%len(shapes)],
	}
}
