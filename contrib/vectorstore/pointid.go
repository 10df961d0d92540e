package vectorstore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/qdrant/go-client/qdrant"
)

// pointID returns the ID of a point that text means: Qdrant has UUIDs and numbers of 64 bits.
func pointID(text string) (*qdrant.PointId, error) {
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return qdrant.NewIDNum(n), nil
	}
	if isUUID(text) {
		return qdrant.NewIDUUID(strings.ToLower(text)), nil
	}
	return nil, notAllowed("id", strconv.Quote(text), fmt.Sprintf("a UUID or a whole number of 0 to %d", uint64(1<<64-1)))
}

func pointIDs(texts []string) ([]*qdrant.PointId, error) {
	ids := make([]*qdrant.PointId, len(texts))
	for i, text := range texts {
		id, err := pointID(text)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

// isUUID reports whether text has the form of RFC 9562, section 4.
func isUUID(text string) bool {
	if len(text) != len("00000000-0000-0000-0000-000000000000") {
		return false
	}
	for i, r := range text {
		switch i {
		case 8, 13, 18, 23:
			if r != '-' {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdefABCDEF", r) {
				return false
			}
		}
	}
	return true
}

// textOfID is the opposite of pointID.
func textOfID(id *qdrant.PointId) string {
	switch of := id.GetPointIdOptions().(type) {
	case *qdrant.PointId_Num:
		return strconv.FormatUint(of.Num, 10)
	case *qdrant.PointId_Uuid:
		return of.Uuid
	}
	return ""
}

// derivedID returns an ID that follows from what a document says, so that to add it again, in
// this process or another, overwrites it. It is a UUID of version 8, which RFC 9562, section 5.8,
// leaves to each application, over a SHA-256. Documents with the same content and other metadata
// are two.
func derivedID(content string, metadata *qdrant.Value) (string, error) {
	said, err := json.Marshal([]any{content, fromValue(metadata)}) // which sorts keys
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(said)
	sum[6] = sum[6]&0x0f | 0x80 // version 8
	sum[8] = sum[8]&0x3f | 0x80 // the variant of the RFC
	text := hex.EncodeToString(sum[:16])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:], nil
}
