package vtl

// A node is a piece of a template's body.
type node interface{}

type (
	// text stands for itself.
	text string

	// setNode is #set(target = value).
	setNode struct {
		target *reference
		value  expr
	}

	// ifNode is #if … #elseif … #else … #end; the else branch has a nil condition.
	ifNode struct{ branches []branch }

	branch struct {
		condition expr
		body      []node
	}

	// foreachNode is #foreach($name in list) … #end.
	foreachNode struct {
		name string
		list expr
		body []node
	}

	// defineNode is #define($name) … #end.
	defineNode struct {
		name string
		body []node
	}

	breakNode struct{}
	stopNode  struct{}
)

// An expr is what has a value.
type expr interface{}

type (
	literal struct{ value any }

	// interpolated is a double-quoted string with references in it.
	interpolated struct{ body []node }

	listLiteral struct{ items []expr }
	mapLiteral  struct{ keys, values []expr }
	rangeExpr   struct{ from, to expr }
	notExpr     struct{ x expr }

	binary struct {
		op   string
		l, r expr
	}

	// reference is a node too: $name.steps.
	reference struct {
		name    string
		steps   []step
		quiet   bool
		escapes int    // backslashes before it
		source  string // as written, for \$x
	}
)

// A step leads from a value to a property, a method's result or an element.
type step struct {
	name  string
	call  bool
	args  []expr
	index expr // [x]; name is empty
}
