// Package report draws what numbers alone do not show: line charts and maps,
// as SVG or PNG.
package report

import _ "gonum.org/v1/plot" // the pictures
