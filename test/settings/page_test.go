package settings

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// A word of docs/compatibility.md that looks like a field, e.g. `alarms.initialAlarmPolicy`.
var (
	code  = regexp.MustCompile("`[^`]+`")
	field = regexp.MustCompile(`^[a-z]+[A-Z][A-Za-z]*$`)
	words = regexp.MustCompile(`[A-Za-z-]+`)
)

// Names of AWS that the page says Slipway does not have.
var foreign = []string{"failedTasks", "callBackDelaySeconds"}

// Every setting that the page on compatibility names exists.
func TestThePageNamesSettingsThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(f.Package()), "slipway.") {
			fields(f.Messages(), known)
		}
		return true
	})
	found := 0
	for _, quoted := range code.FindAllString(string(page), -1) {
		for _, word := range words.FindAllString(quoted, -1) {
			if !field.MatchString(word) {
				continue
			}
			if found++; !known[word] && !slices.Contains(foreign, word) {
				t.Errorf("%s: there is no field %s", quoted, word)
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d fields were found", found)
	}
}

func fields(messages protoreflect.MessageDescriptors, into map[string]bool) {
	for i := range messages.Len() {
		m := messages.Get(i)
		for j := range m.Fields().Len() {
			into[m.Fields().Get(j).JSONName()] = true
		}
		fields(m.Messages(), into)
	}
}
