package servicetest

import "strings"

// A section is one file of a txtar archive: a line "-- NAME --" and what follows up to the next such line.
type section struct{ name, text string }

// parseArchive splits a txtar archive into its comment and its sections. The format is that of
// golang.org/x/tools/txtar; only the few lines that are needed of it are here.
func parseArchive(text string) (comment string, sections []section) {
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "-- ")
		if ok {
			name, ok = strings.CutSuffix(name, " --")
		}
		switch {
		case ok:
			sections = append(sections, section{name: strings.TrimSpace(name)})
		case len(sections) == 0:
			comment += line
		default:
			sections[len(sections)-1].text += line
		}
	}
	return comment, sections
}

func formatArchive(comment string, sections []section) string {
	var b strings.Builder
	b.WriteString(comment)
	for _, s := range sections {
		b.WriteString("-- " + s.name + " --\n" + s.text)
	}
	return b.String()
}
