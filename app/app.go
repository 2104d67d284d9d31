// Package app wires a cloud together: it reads the configuration, opens the stores, builds every room
// with plain constructors, fits their small interfaces to each other, runs them, and closes them in the
// reverse order. It is the only package that may import every other.
package app
