// Package archtest holds tests of the module's structure: the order in which
// its packages may depend on each other, and the length of its files.
package archtest
