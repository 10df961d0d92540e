package generation

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/observable-go/toolkit/resilience"
)

// A Result is what a model generated.
type Result struct {
	// Text is the text of the first choice. It is empty if the model called tools instead.
	Text string
	// FinishReason says why the model stopped: "stop", "length" if the text is cut off as it
	// became too long, "tool_calls" or "content_filter".
	FinishReason string
	// Usage is the number of tokens, if the server told it. Of a stream it tells only if
	// asked: by StreamOptions of the parameters.
	Usage openai.CompletionUsage
	// Completion is the whole answer, or nil for a stream.
	Completion *openai.ChatCompletion
}

// Generate generates an answer to a prompt. It is [Client.Chat] with one message of the user.
func (c *Client) Generate(ctx context.Context, prompt string, opts ...option.RequestOption) (Result, error) {
	return c.Chat(ctx, promptParams(prompt), opts...)
}

// Chat generates the next message of a conversation. Where params names no model it is that of
// the Config.
//
// A server's failure is an [*Error], an answer that makes no sense is [ErrMalformed]; if the
// retries did not help there is a *retry.Error around it. The options are those of the
// official client, as option.WithJSONSet for parameters that only your server knows. Not all
// of them make sense here: its own retries are always off, and the answer must come as a completion.
func (c *Client) Chat(ctx context.Context, params openai.ChatCompletionNewParams, opts ...option.RequestOption) (Result, error) {
	if params.Model == "" {
		params.Model = c.model
	}
	body, err := encode(params)
	if err != nil {
		return Result{}, err
	}
	opts = c.call(body, opts)
	completion, err := resilience.DoValue(ctx, c.generate, func(ctx context.Context) (*openai.ChatCompletion, error) {
		completion, err := exchange(ctx, func(ctx context.Context) (*openai.ChatCompletion, error) {
			return c.once.Chat.Completions.New(ctx, params, opts...)
		})
		if err == nil && len(completion.Choices) == 0 {
			return nil, noAnswer(completion.RawJSON(), "it has no choices")
		}
		return completion, err
	})
	if err != nil {
		return Result{}, err
	}
	first := completion.Choices[0]
	return Result{
		Text: first.Message.Content, FinishReason: first.FinishReason, Usage: completion.Usage, Completion: completion,
	}, nil
}

func promptParams(prompt string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(prompt)},
	}
}

// encode encodes the parameters of a call.
func encode(params json.Marshaler) ([]byte, error) {
	body, err := params.MarshalJSON()
	if err != nil {
		return nil, resilience.Permanent(fmt.Errorf("generation: the parameters cannot be encoded: %w", err))
	}
	return body, nil
}

// exchange makes one attempt of a call that returns a whole answer, and judges what the official
// client makes of that.
func exchange[T any](ctx context.Context, send func(context.Context) (*T, error)) (*T, error) {
	answered := false
	answer, err := send(context.WithValue(ctx, answeredKey{}, &answered))
	switch {
	case err != nil && answered && resilience.Classify(err) == resilience.ClassUnknown:
		return nil, &malformed{what: "it is not of the form of the API", err: err}
	case err != nil:
		return nil, err
	case answer == nil:
		return nil, &malformed{what: "it is null"}
	}
	return answer, nil
}
