package main

import "fmt"

// maxPages bounds how far a listing is read.
const maxPages = 10_000

// pages reads all pages of a listing, or as many as hold limit items; 0 is without limit.
func pages[T any](limit int, fetch func(token string) (items []T, next string, err error)) ([]T, error) {
	var all []T
	token := ""
	for range maxPages {
		items, next, err := fetch(token)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if limit > 0 && len(all) >= limit {
			return all[:limit], nil
		}
		if next == "" {
			return all, nil
		}
		token = next
	}
	return nil, fmt.Errorf("the listing has more than %d pages", maxPages)
}
