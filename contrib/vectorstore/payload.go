package vectorstore

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/qdrant/go-client/qdrant"
)

// maxNested bounds how deep lists and maps of metadata may be nested, so that a map that holds
// itself is an error.
const maxNested = 64

// toValue returns v as Qdrant stores it. Unlike [qdrant.NewValue] it takes lists and maps of any
// type, times and other texts, and gives an error for numbers that would change on their way.
func toValue(v any, depth int) (*qdrant.Value, error) {
	if depth > maxNested {
		return nil, fmt.Errorf("it is nested more than %d deep", maxNested)
	}
	if r := reflect.ValueOf(v); !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil() {
		return qdrant.NewValueNull(), nil
	}
	switch v := v.(type) {
	case json.Number:
		return numberValue(v)
	case []byte:
		return qdrant.NewValueString(base64.StdEncoding.EncodeToString(v)), nil // as qdrant.NewValue does
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			return nil, err
		}
		return stringValue(string(text))
	}
	return reflectedValue(reflect.ValueOf(v), depth)
}

func reflectedValue(r reflect.Value, depth int) (*qdrant.Value, error) {
	switch r.Kind() {
	case reflect.Bool:
		return qdrant.NewValueBool(r.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return qdrant.NewValueInt(r.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if r.Uint() > math.MaxInt64 {
			return nil, fmt.Errorf("%d is more than %d", r.Uint(), int64(math.MaxInt64))
		}
		return qdrant.NewValueInt(int64(r.Uint())), nil //nolint:gosec // it fits, as was just found
	case reflect.Float32, reflect.Float64:
		return floatValue(r.Float())
	case reflect.String:
		return stringValue(r.String())
	case reflect.Slice, reflect.Array:
		return listValue(r, depth)
	case reflect.Map:
		return mapValue(r, depth)
	case reflect.Pointer, reflect.Interface:
		if r.IsNil() {
			return qdrant.NewValueNull(), nil
		}
		return toValue(r.Elem().Interface(), depth+1)
	default:
		return nil, fmt.Errorf("a %s cannot be stored", r.Type())
	}
}

func listValue(r reflect.Value, depth int) (*qdrant.Value, error) {
	values := make([]*qdrant.Value, r.Len())
	for i := range values {
		value, err := toValue(r.Index(i).Interface(), depth+1)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		values[i] = value
	}
	return qdrant.NewValueFromList(values...), nil
}

func mapValue(r reflect.Value, depth int) (*qdrant.Value, error) {
	if r.Type().Key().Kind() != reflect.String {
		return nil, fmt.Errorf("a %s cannot be stored: its keys are no strings", r.Type())
	}
	fields := make(map[string]*qdrant.Value, r.Len())
	for entries := r.MapRange(); entries.Next(); {
		key := entries.Key().String()
		if !utf8.ValidString(key) {
			return nil, fmt.Errorf("the key %q is not UTF-8", key)
		}
		value, err := toValue(entries.Value().Interface(), depth+1)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
		fields[key] = value
	}
	return qdrant.NewValueFromFields(fields), nil
}

func stringValue(s string) (*qdrant.Value, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("%.64q is not UTF-8", s)
	}
	return qdrant.NewValueString(s), nil
}

func floatValue(x float64) (*qdrant.Value, error) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil, fmt.Errorf("%v is no finite number", x)
	}
	return qdrant.NewValueDouble(x), nil
}

func numberValue(n json.Number) (*qdrant.Value, error) {
	i, err := n.Int64()
	switch {
	case err == nil:
		return qdrant.NewValueInt(i), nil
	case errors.Is(err, strconv.ErrRange):
		return nil, fmt.Errorf("%.64s is not in %d to %d", n, int64(math.MinInt64), int64(math.MaxInt64))
	}
	x, err := n.Float64()
	if err != nil {
		return nil, fmt.Errorf("%q is no number", n)
	}
	return floatValue(x)
}

// fromValue is the opposite of toValue.
func fromValue(v *qdrant.Value) any {
	switch kind := v.GetKind().(type) {
	case *qdrant.Value_BoolValue:
		return kind.BoolValue
	case *qdrant.Value_IntegerValue:
		return kind.IntegerValue
	case *qdrant.Value_DoubleValue:
		return kind.DoubleValue
	case *qdrant.Value_StringValue:
		return kind.StringValue
	case *qdrant.Value_ListValue:
		list := make([]any, len(kind.ListValue.GetValues()))
		for i, value := range kind.ListValue.GetValues() {
			list[i] = fromValue(value)
		}
		return list
	case *qdrant.Value_StructValue:
		fields := make(map[string]any, len(kind.StructValue.GetFields()))
		for key, value := range kind.StructValue.GetFields() {
			fields[key] = fromValue(value)
		}
		return fields
	}
	return nil
}
