package vectorstore

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What is taken for an ID is the same ID when Qdrant says it.
func FuzzPointID(f *testing.F) {
	for _, text := range []string{
		"", "0", "42", "042", "-1", "18446744073709551615", "18446744073709551616", "a987fbc9-4bed-4078-8f07-9141ba07c9f3",
		"A987FBC9-4BED-4078-8F07-9141BA07C9F3", "a987fbc94bed40788f079141ba07c9f3", "a987fbc9-4bed-4078-8f07-9141ba07c9fg", "é987fbc9-4bed-4078-8f07-9141ba07c9",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := pointID(text)
		if err != nil {
			assert.Nil(t, id)
			return
		}
		said := textOfID(id)
		assert.True(t, said == strings.ToLower(text) || said == strings.TrimLeft(text, "0") || said == "0", "%q became %q", text, said)
		again, err := pointID(said)
		assert.NoError(t, err)
		assert.Equal(t, said, textOfID(again))
	})
}
