package generation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/observable-go/toolkit/contrib/generation"
	"github.com/observable-go/toolkit/resilience/retry"
)

// A server that fails once, for the examples.
func flaky() *httptest.Server {
	s := &server{script: script(fails(503, "server_is_overloaded", "Retry-After-Ms: 1"), says("There was a king."))}
	return httptest.NewServer(s.handler())
}

func Example() {
	server := flaky()
	defer server.Close()

	client, err := generation.New(generation.Config{BaseURL: server.URL + "/v1", Model: "gpt2"})
	if err != nil {
		panic(err)
	}
	result, err := client.Generate(context.Background(), "Once upon a time")
	fmt.Println(result.Text, err)
	// Output: There was a king. <nil>
}

func ExampleConfig() {
	var c generation.Config
	err := json.Unmarshal([]byte(`{
		"base_url": "http://localhost:8000/v1",
		"api_key": "sk-secret",
		"model_name": "gpt2",
		"retry": {"max_retries": 2, "initial_delay": "500ms", "max_delay": "10s"}
	}`), &c)
	fmt.Println(c.Model, c.APIKey, c.Retry.MaxDelay, err)
	err = json.Unmarshal([]byte(`{"retry": {"max_retries": -1}}`), &c)
	fmt.Println(err)
	// Output:
	// gpt2 *** 10s <nil>
	// generation: config: retry.max_retries: -1 is not allowed: want 0 to 1000000000
}

func ExampleClient_GenerateStream() {
	s := &server{script: script(streams(role, token("There"), token(" was")))} // and no end
	server := httptest.NewServer(s.handler())
	defer server.Close()
	client, err := generation.New(generation.Config{BaseURL: server.URL + "/v1", Model: "gpt2"})
	if err != nil {
		panic(err)
	}

	stream, err := client.GenerateStream(context.Background(), "Once upon a time")
	if err != nil {
		panic(err)
	}
	defer func() { _ = stream.Close() }()
	for text, err := range stream.All() {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Printf("%q\n", text)
	}
	fmt.Printf("%q\n", stream.Result().Text)
	// Output:
	// "There"
	// " was"
	// generation: the stream broke off after 9 bytes of text: unexpected EOF
	// "There was"
}

func ExampleOptions() {
	server := flaky()
	defer server.Close()
	policy := retry.MustNew("openai", retry.WithConfig(retry.LLMGeneration()))

	client := openai.NewClient(append(generation.Options(policy),
		option.WithBaseURL(server.URL+"/v1"), option.WithAPIKey("sk-secret"))...)
	completion, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
		Model:    "gpt2",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Once upon a time")},
	})
	fmt.Println(completion.Choices[0].Message.Content, err)
	// Output: There was a king. <nil>
}

func ExampleError() {
	s := &server{script: script(fails(429, "insufficient_quota"))}
	server := httptest.NewServer(s.handler())
	defer server.Close()
	client, err := generation.New(generation.Config{BaseURL: server.URL + "/v1", Model: "gpt2"})
	if err != nil {
		panic(err)
	}

	_, err = client.Generate(context.Background(), "Once upon a time")
	fmt.Println(err)
	if failed, ok := errors.AsType[*generation.Error](err); ok {
		fmt.Println(failed.Status, failed.Code, failed.Retryable())
	}
	// Output:
	// generation: the server answers 429 Too Many Requests (insufficient_quota)
	// 429 insufficient_quota false
}
