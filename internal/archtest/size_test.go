package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"
)

// maxLines is the length beyond which a file holds more than one concept.
const maxLines = 600

func TestFilesAreShort(t *testing.T) {
	walkGo(t, func(file string) {
		src, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(src, []byte("\n"))
		if lines <= maxLines {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if !ast.IsGenerated(f) {
			t.Errorf("%s has %d lines, more than %d: one concept a file", file, lines, maxLines)
		}
	})
}
