package table

import (
	"strings"
	"testing"
)

func TestColumnsStandBelowEachOther(t *testing.T) {
	t.Parallel()
	table := New("NAME", "REASON", "N")
	table.Row("web", "", "1")
	table.Row("größer", "two\nlines", "")
	var b strings.Builder
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME    REASON     N\nweb     -          1\ngrößer  two lines  -\n"
	if b.String() != want || table.Len() != 2 {
		t.Errorf("got %d rows\n%s\nwant\n%s", table.Len(), b.String(), want)
	}
}
