package report

import (
	"fmt"
	"strings"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// wrap breaks text into lines no wider than width, or of one word.
func wrap(s text.Style, sentence string, width vg.Length) (rows []string) {
	row := ""
	for _, word := range strings.Fields(printable(sentence)) {
		if row != "" && s.Width(row+" "+word) > width {
			rows, row = append(rows, row), ""
		}
		if row != "" {
			row += " "
		}
		row += word
	}
	if row != "" {
		rows = append(rows, row)
	}
	return rows
}

// writeRows writes rows of text down from the top of c and returns what is below.
func writeRows(c draw.Canvas, s text.Style, rows []string) draw.Canvas {
	for _, r := range rows {
		c.Max.Y -= s.Font.Size * leading
		c.FillText(s, vg.Point{X: c.Min.X, Y: c.Max.Y + s.Font.Size*(leading-1)}, r)
	}
	return c
}

// leading is the distance of two rows of text relative to its size.
const leading = 1.3

// printable replaces what XML cannot hold.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '\uFFFE' || r == '\uFFFF' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// count returns "1 value" or "n values".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
