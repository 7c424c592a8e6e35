package report

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A series draws one line of a chart.
type series struct {
	line   *Line
	look   look
	x, y   axis
	points bool
}

// Plot implements plot.Plotter.
func (s *series) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	place := func(i int) vg.Point { return vg.Point{X: trX(s.line.X[i]), Y: trY(s.line.Y[i])} }
	// end returns where the interval of point i ends: at its value, or at the
	// frame if the axis cannot show that.
	end := func(v, frame float64) vg.Length {
		if s.y.shows(v) {
			return trY(v)
		}
		return trY(frame)
	}
	for _, run := range s.runs() {
		var path, low, high []vg.Point
		for i := run[0]; i < run[1]; i++ {
			at := place(i)
			path = append(path, at)
			if s.hasInterval(i) {
				low = append(low, vg.Point{X: at.X, Y: end(s.line.Low[i], s.y.lo)})
				high = append(high, vg.Point{X: at.X, Y: end(s.line.High[i], s.y.hi)})
			} else if !s.points {
				s.band(c, low, high)
				low, high = nil, nil
			}
		}
		if s.points {
			s.bars(c, low, high)
			for _, at := range path {
				c.DrawGlyph(s.glyph(), at)
			}
			continue
		}
		s.band(c, low, high)
		if len(path) == 1 { // a line of one point would not be seen
			c.DrawGlyph(s.glyph(), path[0])
			continue
		}
		c.StrokeLines(s.stroke(), path)
	}
}

// runs returns the half-open ranges of points between gaps.
func (s *series) runs() (runs [][2]int) {
	start := -1
	for i := range s.line.X {
		switch shown := s.x.shows(s.line.X[i]) && s.y.shows(s.line.Y[i]); {
		case shown && start < 0:
			start = i
		case !shown && start >= 0:
			runs, start = append(runs, [2]int{start, i}), -1
		}
	}
	if start >= 0 {
		runs = append(runs, [2]int{start, len(s.line.X)})
	}
	return runs
}

func (s *series) hasInterval(i int) bool {
	return s.line.Low != nil && !math.IsNaN(s.line.Low[i]) && !math.IsNaN(s.line.High[i])
}

// band fills the space between low and high.
func (s *series) band(c draw.Canvas, low, high []vg.Point) {
	if len(low) < 2 {
		s.bars(c, low, high)
		return
	}
	outline := append([]vg.Point(nil), low...)
	for i := len(high) - 1; i >= 0; i-- {
		outline = append(outline, high[i])
	}
	shade := s.look.colour
	shade.A = 50
	c.FillPolygon(shade, outline)
}

// bars draws the intervals between low and high as bars with caps.
func (s *series) bars(c draw.Canvas, low, high []vg.Point) {
	const cap = 2.5
	stroke := draw.LineStyle{Color: s.look.colour, Width: 1}
	for i := range low {
		lo, hi := low[i], high[i]
		c.StrokeLine2(stroke, lo.X, lo.Y, hi.X, hi.Y)
		c.StrokeLine2(stroke, lo.X-cap, lo.Y, lo.X+cap, lo.Y)
		c.StrokeLine2(stroke, hi.X-cap, hi.Y, hi.X+cap, hi.Y)
	}
}

func (s *series) stroke() draw.LineStyle {
	return draw.LineStyle{Color: s.look.colour, Width: 1.5, Dashes: s.look.dashes}
}

func (s *series) glyph() draw.GlyphStyle {
	return draw.GlyphStyle{Color: s.look.colour, Radius: 3, Shape: s.look.shape}
}

// Thumbnail implements plot.Thumbnailer: the line or the point in the legend.
func (s *series) Thumbnail(c *draw.Canvas) {
	if s.points {
		c.DrawGlyph(s.glyph(), c.Center())
		return
	}
	y := c.Center().Y
	c.StrokeLine2(s.stroke(), c.Min.X, y, c.Max.X, y)
}
