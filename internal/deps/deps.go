// Package deps is temporary: it pins modules until their users exist.
package deps

import (
	_ "codeberg.org/sbinet/npyio"
	_ "codeberg.org/sbinet/npyio/npz"
	_ "github.com/alecthomas/kong"
	_ "github.com/schollz/progressbar/v3"
	_ "golang.org/x/term"
)
