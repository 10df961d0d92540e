package generation

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"github.com/observable-go/toolkit/resilience"
)

// A Stream is an answer that comes bit by bit. It is used by one goroutine. Close it, or read
// it to its end: until then it holds a connection.
type Stream struct {
	chunks *ssestream.Stream[openai.ChatCompletionChunk]
	held   []openai.ChatCompletionChunk // read within the attempt and not handed out yet
	text   strings.Builder
	result Result
	err    error
	ended  bool
}

// GenerateStream generates an answer to a prompt bit by bit. It is [Client.ChatStream] with
// one message of the user.
func (c *Client) GenerateStream(ctx context.Context, prompt string, opts ...option.RequestOption) (*Stream, error) {
	return c.ChatStream(ctx, promptParams(prompt), opts...)
}

// ChatStream is [Client.Chat] with an answer that comes bit by bit.
//
// It returns when the first token is there, and until then repeats what fails: connections,
// statuses, errors that the stream reports, streams that break or, if the policy has a timeout
// for attempts, are silent. Nothing is repeated afterwards. The stream is not bound by that
// timeout, but by ctx and by Config.IdleTimeout; to policies the call is a success by then.
func (c *Client) ChatStream(ctx context.Context, params openai.ChatCompletionNewParams, opts ...option.RequestOption) (*Stream, error) {
	if params.Model == "" {
		params.Model = c.model
	}
	body, err := encode(params)
	if err != nil {
		return nil, err
	}
	opts = c.call(body, opts)
	stream, err := resilience.DoValue(ctx, c.stream, func(ctx context.Context) (*Stream, error) {
		s := &Stream{chunks: c.once.Chat.Completions.NewStreaming(withStream(ctx), params, opts...)}
		if err := s.begin(); err != nil {
			_ = s.Close()
			return nil, err
		}
		return s, nil
	})
	if err != nil {
		if stream != nil {
			_ = stream.Close() // the policy failed after a success
		}
		return nil, err
	}
	return stream, nil
}

// maxHeld bounds how many chunks without a token an attempt takes in.
const maxHeld = 16

// begin reads up to the first token.
func (s *Stream) begin() error {
	for len(s.held) < maxHeld && s.chunks.Next() {
		chunk := s.chunks.Current()
		if err := bareError(chunk); err != nil {
			return err
		}
		s.held = append(s.held, chunk)
		if tells(chunk) {
			return nil
		}
	}
	if len(s.held) == maxHeld {
		return nil
	}
	if err := s.chunks.Err(); err != nil {
		return chunkError(err)
	}
	return &malformed{what: "the stream ended before its first token"}
}

// tells reports whether a chunk has more than the role of who speaks.
func tells(chunk openai.ChatCompletionChunk) bool {
	for _, choice := range chunk.Choices {
		d := choice.Delta
		if choice.FinishReason != "" || d.Content != "" || d.Refusal != "" || len(d.ToolCalls) > 0 ||
			d.JSON.Audio.Valid() || d.JSON.FunctionCall.Valid() {
			return true
		}
		// The thoughts of a model stand in fields that the official client does not know. Some
		// servers have them in all chunks, with nothing in them.
		for _, field := range d.JSON.ExtraFields {
			if !slices.Contains([]string{"", "null", `""`, "[]", "{}"}, field.Raw()) {
				return true
			}
		}
	}
	return false
}

// bareError is the failure that a chunk stands for which the official client does not take for
// one, as nothing is called an error in it. Without it such a stream would be a short success.
func bareError(chunk openai.ChatCompletionChunk) error {
	if len(chunk.Choices) > 0 {
		return nil
	}
	data := []byte(chunk.RawJSON())
	if _, _, failed := report(data); !failed {
		return nil
	}
	return insideError(data, streamError(data))
}

// chunkError is the failure that an error of the official client's stream stands for.
func chunkError(err error) error {
	if failed, ok := errors.AsType[*ssestream.StreamError](err); ok {
		return insideError(failed.Event.Data, failed)
	}
	if err = transportError(err); resilience.Classify(err) == resilience.ClassUnknown { // as that of a decoder
		return &malformed{what: "the stream has an event that is none of the API", err: err}
	}
	return err
}

// All returns the text of the first choice, piece by piece. A stream that fails yields its
// error last, with an empty text; what came until then is in [Stream.Result]. The stream is
// closed when the loop ends, also if it is left.
func (s *Stream) All() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for chunk, err := range s.Chunks() {
			if text := firstText(chunk); (text != "" || err != nil) && !yield(text, err) {
				return
			}
		}
	}
}

// Chunks returns the stream as it comes, with the calls of tools and all choices. Otherwise it
// is as [Stream.All]; both read the same stream.
func (s *Stream) Chunks() iter.Seq2[openai.ChatCompletionChunk, error] {
	return func(yield func(openai.ChatCompletionChunk, error) bool) {
		defer func() { _ = s.Close() }()
		for chunk, more := s.next(); more; chunk, more = s.next() {
			if !yield(chunk, nil) {
				return
			}
		}
		if s.err != nil {
			yield(openai.ChatCompletionChunk{}, s.err)
		}
	}
}

// next returns the next chunk, or false at the end of the stream.
func (s *Stream) next() (chunk openai.ChatCompletionChunk, more bool) {
	switch {
	case s.ended:
		return chunk, false
	case len(s.held) > 0:
		chunk, s.held = s.held[0], s.held[1:]
	case s.chunks.Next():
		chunk = s.chunks.Current()
		if err := bareError(chunk); err != nil {
			return s.end(err)
		}
	default:
		if err := s.chunks.Err(); err != nil {
			return s.end(chunkError(err))
		}
		return s.end(nil)
	}
	s.text.WriteString(firstText(chunk))
	for _, choice := range chunk.Choices {
		if choice.Index == 0 && choice.FinishReason != "" {
			s.result.FinishReason = choice.FinishReason
		}
	}
	if chunk.JSON.Usage.Valid() {
		s.result.Usage = chunk.Usage
	}
	return chunk, true
}

// end notes the end of the stream, and why it failed if it did.
func (s *Stream) end(err error) (openai.ChatCompletionChunk, bool) {
	s.ended = true
	if err != nil {
		s.err = fmt.Errorf("generation: the stream broke off after %d bytes of text: %w", s.text.Len(), err)
	}
	return openai.ChatCompletionChunk{}, false
}

// firstText returns the text of the first choice in a chunk.
func firstText(chunk openai.ChatCompletionChunk) string {
	for _, choice := range chunk.Choices {
		if choice.Index == 0 {
			return choice.Delta.Content
		}
	}
	return ""
}

// Result returns what has been read so far, also of a stream that failed.
func (s *Stream) Result() Result {
	result := s.result
	result.Text = s.text.String()
	return result
}

// Err returns the error of a stream that failed, once it has been read to its end.
func (s *Stream) Err() error { return s.err }

// Close ends the stream and frees its connection. What has not been read is lost. It may be
// called again.
func (s *Stream) Close() error {
	s.ended, s.held = true, nil
	return s.chunks.Close()
}
