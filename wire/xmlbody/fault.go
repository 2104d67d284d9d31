package xmlbody

import (
	"lambent/wire/fault"
	"lambent/wire/plan"
)

// ErrorResponse appends a fault as awsQuery and most restXml services write it.
func (w *Writer) ErrorResponse(namespace, requestID string, v fault.View) {
	blame := "Sender"
	if !v.Sender {
		blame = "Receiver"
	}
	w.Open("ErrorResponse", plan.Namespace{URI: namespace})
	w.Open("Error", plan.Namespace{})
	w.Text("Type", blame)
	w.Text("Code", v.Code)
	if v.Message != "" {
		w.Text("Message", v.Message)
	}
	w.Rest(v)
	w.Close("Error")
	w.Text("RequestId", requestID)
	w.Close("ErrorResponse")
}

// Rest appends the members of a fault beyond its message.
func (w *Writer) Rest(v fault.View) {
	if v.HasMore {
		w.members(v.Detail, v.MessageName)
	}
}
