package main

import (
	"os"
	"runtime/debug"
	"strings"
)

// processorModel returns the name of the processor, "" where it is not known:
// it is read from Linux's /proc/cpuinfo.
func processorModel() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// commit returns the commit that the command was built from, with a plus sign
// if files had been changed since; "" where the build did not note it, as that
// of a released version does not.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	c := settings["vcs.revision"]
	if c = c[:min(len(c), 12)]; settings["vcs.modified"] == "true" {
		c += "+"
	}
	return c
}
