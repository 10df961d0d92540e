package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"gopkg.in/yaml.v3"
)

// MaxFile is how many bytes a file of a scenario may have.
const MaxFile = 1 << 20

// Parse reads a scenario from YAML or JSON, and validates it. A field that it does not know is
// an error.
func Parse(text []byte) (*Scenario, error) {
	if len(text) > MaxFile {
		return nil, fmt.Errorf("scenario: %d bytes are not allowed: want %d at most", len(text), MaxFile)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	s := &Scenario{}
	if err := decoder.Decode(s); err != nil { //nolint:musttag // a retry.Config reads itself
		if errors.Is(err, io.EOF) {
			return nil, errors.New("scenario: it is empty")
		}
		return nil, fmt.Errorf("scenario: %w", err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("scenario: want one document")
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return s, nil
}
