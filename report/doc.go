// Package report draws what numbers alone do not show: a [Chart] of lines or
// points, and a [Map] of values over a plane, as SVG or PNG.
//
// The same data make the same bytes. Colours are those of Okabe and Ito (2008)
// and the scale viridis (Smith and van der Walt 2015), which colour-blind
// readers can tell apart; lines differ in their dashes and points in their
// shapes, too. What cannot be drawn is left out, and the picture says so.
package report

import (
	"fmt"
	"image/color"
	"io"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	titleSize = vg.Length(12) // points
	labelSize = vg.Length(10)
	smallSize = vg.Length(8.5)
	margin    = vg.Length(8)
	dpi       = 144 // of a PNG
)

var (
	black = color.NRGBA{A: 255}
	grey  = color.NRGBA{R: 90, G: 90, B: 90, A: 255}
	faint = color.NRGBA{R: 225, G: 225, B: 225, A: 255}
)

// write makes a picture of width w and height h in the format "svg" or "png".
func write(out io.Writer, format string, w, h vg.Length, paint func(draw.Canvas)) error {
	var c vg.CanvasWriterTo
	switch format {
	case "svg":
		c = vgsvg.New(w, h)
	case "png":
		c = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(dpi))}
	default:
		return fmt.Errorf("report: the format %q is neither svg nor png", format)
	}
	dc := draw.New(c)
	dc.SetColor(color.White)
	dc.Fill(dc.Rectangle.Path())
	paint(dc)
	if _, err := c.WriteTo(out); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// style returns the style of text of this size, placed by its left end and its
// base line.
func style(size vg.Length, c color.Color) text.Style {
	return text.Style{
		Color: c, Font: font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size),
		XAlign: draw.XLeft, YAlign: draw.YBottom, Handler: text.Plain{Fonts: font.DefaultCache},
	}
}
