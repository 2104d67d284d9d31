package apigateway

import (
	"encoding/base64"
	"sort"

	"lambent/cloud"
)

const (
	defaultPage = 25
	maxPage     = 500
)

// page cuts the part of a sorted list that follows position, and says where the next one begins.
func page[T any](items []T, id func(*T) string, position *string, limit *int32) ([]T, *string, error) {
	n := int(cloud.Or(limit, defaultPage))
	if n < 1 || n > maxPage {
		n = defaultPage
	}
	if cloud.Val(position) != "" {
		after, err := base64.RawURLEncoding.DecodeString(*position)
		if err != nil {
			return nil, nil, badRequest("Invalid position parameter specified")
		}
		i := sort.Search(len(items), func(i int) bool { return id(&items[i]) > string(after) })
		items = items[i:]
	}
	if len(items) <= n {
		return items, nil, nil
	}
	items = items[:n]
	return items, new(base64.RawURLEncoding.EncodeToString([]byte(id(&items[n-1])))), nil
}
