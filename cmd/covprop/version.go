package main

import (
	"fmt"
	"runtime"

	"github.com/covprop/covprop"
)

type versionCmd struct {
	Format string `enum:"text,json" default:"text" help:"text or json (default: ${default})."`
}

func (c *versionCmd) Run(e *env) error {
	if c.Format == "json" {
		return e.printJSON(struct {
			Schema  int    `json:"schema"`
			Version string `json:"version"`
			Go      string `json:"go"`
		}{1, covprop.Version, runtime.Version()})
	}
	return e.print(fmt.Appendf(nil, "covprop %s\n%s %s/%s\n", covprop.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH))
}
