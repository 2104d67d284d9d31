package cli

import (
	"io"
	"os"
)

// paint colours words for people at a terminal; false leaves them as they are.
//
// A table's columns are as wide as their longest cell, escape codes included: all cells of a painted column are
// painted, those without a colour of their own plain. The codes have the same length.
type paint bool

// Colours, and none.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	plain  = "39"
)

func (p paint) as(colour, word string) string {
	if !p {
		return word
	}
	return "\x1b[" + colour + "m" + word + "\x1b[0m"
}

// paint tells whether w is a terminal whose owner likes colours (https://no-color.org).
func (d *Deps) paint(w io.Writer) paint {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	fi, err := f.Stat()
	if err != nil || fi.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	if no, _ := d.env("NO_COLOR"); no != "" {
		return false
	}
	term, _ := d.env("TERM")
	return term != "" && term != "dumb"
}
