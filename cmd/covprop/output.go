package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// print writes b to standard output in one piece.
func (e *env) print(b []byte) error {
	if _, err := e.stdout.Write(b); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}

// printJSON writes v to standard output as one line of JSON, in one piece.
func (e *env) printJSON(v any) error {
	var b bytes.Buffer
	if err := encodeJSON(&b, v); err != nil {
		return err
	}
	return e.print(b.Bytes())
}

func encodeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// An outputFile is the value of -o or of another flag that names a file. Its extension says what is written.
type outputFile string

func (o outputFile) ext() string { return strings.ToLower(filepath.Ext(string(o))) }

// UnmarshalText refuses an empty name, such as that of an unset shell variable.
func (o *outputFile) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("the name of the file is empty")
	}
	*o = outputFile(text)
	return nil
}

func (o outputFile) check(exts ...string) error { return o.checkAs("-o", exts...) }

// checkAs reports, before any work is done, an extension that is not among
// exts and a place where no file can be. flag is the one that named the file.
func (o outputFile) checkAs(flag string, exts ...string) error {
	if o == "" {
		return nil
	}
	known := false
	for _, e := range exts {
		known = known || o.ext() == e
	}
	if !known {
		return usagef("%s %s: the name must end in %s", flag, string(o), strings.Join(exts, " or "))
	}
	if info, err := os.Stat(string(o)); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s %s: exists and is not a regular file", flag, string(o))
	}
	dir := filepath.Dir(string(o))
	if info, err := os.Stat(dir); err != nil {
		return fmt.Errorf("%s %s: the folder %s: %w", flag, string(o), dir, bare(err))
	} else if !info.IsDir() {
		return fmt.Errorf("%s %s: %s is not a folder", flag, string(o), dir)
	}
	return nil
}

func (o outputFile) writeWith(fill func(io.Writer) error) error { return o.writeAs("-o", fill) }

// writeAs lets fill write the file, which flag named. The file appears under
// its name whole or not at all: it is written beside it under another name and
// then renamed.
func (o outputFile) writeAs(flag string, fill func(io.Writer) error) (err error) {
	path := string(o)
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s %s: %w", flag, path, bare(err))
		}
	}()
	temporary := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%016x.tmp", filepath.Base(path), rand.Uint64()))
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temporary)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	err = fill(w)
	if e := w.Flush(); err == nil {
		err = e
	}
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// writeJSON writes v as JSON.
func (o outputFile) writeJSON(v any) error {
	return o.writeWith(func(w io.Writer) error { return encodeJSON(w, v) })
}
