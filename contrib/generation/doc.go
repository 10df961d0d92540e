// Package generation is a client for text generation with retries built in. It speaks to
// every server with the API of OpenAI: OpenAI itself, vLLM, Ollama, Text Generation
// Inference and others.
//
//	client, err := generation.New(generation.Config{
//		BaseURL: "http://localhost:8000/v1",
//		Model:   "gpt2",
//	})
//	result, err := client.Generate(ctx, "Once upon a time")
//	fmt.Println(result.Text)
//
// Without further settings a call is repeated up to 2 times, after at most 2 s and 4 s: that
// is retry.LLMGeneration. Metrics, traces and logs show the operations "generation.generate",
// "generation.stream" and "generation.embed". A [Client] is safe for use by several
// goroutines at once.
//
// It is built on the official client, github.com/openai/openai-go/v3. Its messages, its
// parameters and its request options are used as they are, so that nothing of the API is out
// of reach:
//
//	result, err := client.Chat(ctx, openai.ChatCompletionNewParams{
//		Messages: []openai.ChatCompletionMessageParamUnion{
//			openai.SystemMessage("Answer in one word."),
//			openai.UserMessage("What is the capital of France?"),
//		},
//		Temperature: openai.Float(0),
//	})
//
// [Client.OpenAI] is an openai.Client for everything else, under the same policy, and
// [Options] puts any openai.Client of yours under a policy.
//
// # Streams
//
// A stream is repeated until its first token, and never after it:
//
//	stream, err := client.GenerateStream(ctx, "Once upon a time")
//	if err != nil {
//		return err
//	}
//	defer stream.Close()
//	for text, err := range stream.All() {
//		if err != nil {
//			return err // what came before it is in stream.Result()
//		}
//		fmt.Print(text)
//	}
//
// A stream that ends without the mark of its end is an error, never a short success.
//
// # What is repeated
//
// A generation that is made twice costs tokens and does no harm, so all failures that may
// pass are repeated, also those that do not say whether the server did the work: broken
// connections, timeouts, and the statuses 408, 409, 429 and those from 500 on, but 501. Not
// repeated are requests that the server will never take, and a quota that is used up,
// although its status is 429. An answer that makes no sense counts as a failure of the server, see
// [ErrMalformed]. The whole rule is told at [Error].
//
// When the server says when to come back, the policy waits that long: in retry-after-ms, in
// Retry-After, or by the reset of a rate limit that is used up.
//
// The API key is a secret.Secret, which no form of printing shows. The texts of errors do not repeat
// what the server said, as it may quote keys and prompts; errors.As finds it in the *openai.Error.
package generation
