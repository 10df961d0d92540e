package web_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answerLimit bounds each thing that is asked of the browser, which sometimes hangs.
const answerLimit = 30 * time.Second

// A browser is a Chromium without a window and with one tab. It is driven by the DevTools protocol
// over pipes: messages in JSON, each with a zero byte at its end.
type browser struct {
	t        *testing.T
	commands *os.File
	session  string
	last     int
	answers  chan message
	dir      string // of screenshots

	mu       sync.Mutex
	problems []string
}

type message struct {
	ID      int             `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Session string          `json:"sessionId,omitempty"` //nolint:tagliatelle // the protocol names it so
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// startBrowser starts a browser that ends with the test. Without a Chromium the test is skipped,
// or fails if CI is true.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			require.NoError(t, err, "the package chromium of Debian has it")
		}
		t.Skip("there is no chromium: the package chromium of Debian has it")
	}
	in, commands, err := os.Pipe()
	require.NoError(t, err)
	events, out, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--hide-scrollbars",
		"--no-first-run", "--disable-extensions", "--disable-background-networking", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir())
	cmd.ExtraFiles = []*os.File{in, out} // 3 and 4, as it wants them
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	require.NoError(t, in.Close())
	require.NoError(t, out.Close())
	b := &browser{t: t, commands: commands, answers: make(chan message, 16), dir: t.ArtifactDir()}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.listen(bufio.NewReader(events))
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its whole group
		_ = cmd.Wait()
		_ = commands.Close()
		_ = events.Close()
		<-read
	})
	var target struct {
		ID string `json:"targetId"` //nolint:tagliatelle // the protocol names it so
	}
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		ID string `json:"sessionId"` //nolint:tagliatelle // the protocol names it so
	}
	b.call("Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	b.session = attached.ID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// listen hands answers on, and keeps what a reader of the console would see.
func (b *browser) listen(events *bufio.Reader) {
	for {
		text, err := events.ReadBytes(0)
		if err != nil {
			close(b.answers)
			return
		}
		var m message
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			continue
		}
		switch m.Method {
		case "":
			b.answers <- m
		case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded":
			b.mu.Lock()
			b.problems = append(b.problems, string(text[:len(text)-1]))
			b.mu.Unlock()
		}
	}
}

// call asks the browser for something.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	b.last++
	text, err := json.Marshal(message{ID: b.last, Method: method, Session: b.session, Params: params})
	require.NoError(b.t, err)
	_, err = b.commands.Write(append(text, 0))
	require.NoError(b.t, err)
	late := time.NewTimer(answerLimit)
	defer late.Stop()
	for {
		select {
		case m, ok := <-b.answers:
			require.True(b.t, ok, "chromium has ended before it answered %s", method)
			if m.ID != b.last {
				continue
			}
			require.Nil(b.t, m.Error, "%s: %+v", method, m.Error)
			if result != nil {
				require.NoError(b.t, json.Unmarshal(m.Result, result))
			}
			return
		case <-late.C:
			require.Fail(b.t, "chromium does not answer", method)
		}
	}
}

// A look is how somebody looks at a page.
type look struct {
	width int
	dark  bool
}

func (l look) String() string {
	if l.dark {
		return fmt.Sprintf("dark-%d", l.width)
	}
	return fmt.Sprintf("light-%d", l.width)
}

const windowHeight, longestPicture = 900, 6000

// as looks at the page in another way.
func (b *browser) as(l look) {
	b.t.Helper()
	b.size(l.width, windowHeight)
	scheme := map[bool]string{false: "light", true: "dark"}[l.dark]
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}},
		nil)
}

func (b *browser) size(width, height int) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false},
		nil)
}

func (b *browser) open(address string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": address}, nil)
	b.shows("complete", "document.readyState")
}

// value returns what a JavaScript expression gives.
func (b *browser) value(expression string) any {
	b.t.Helper()
	var got struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string         `json:"text"`
			Exception map[string]any `json:"exception"`
		} `json:"exceptionDetails"` //nolint:tagliatelle // the protocol names it so
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &got)
	require.Nil(b.t, got.Exception, "%s: %+v", expression, got.Exception)
	return got.Result.Value
}

// text is what an element shows.
func (b *browser) text(selector string) string {
	b.t.Helper()
	text, _ := b.value(fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector)).(string)
	return text
}

// shows waits until a JavaScript expression gives a value.
func (b *browser) shows(want any, expression string) {
	b.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for began := time.Now(); ; <-again.C {
		got := b.value(expression)
		if assert.ObjectsAreEqual(want, got) {
			return
		}
		if time.Since(began) > answerLimit {
			require.Equal(b.t, want, got, expression)
		}
	}
}

// click clicks in the middle of an element, once it is there.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.shows(true, fmt.Sprintf(`document.querySelector(%q) !== null`, selector))
	const middle = `(() => { const e = document.querySelector(%q); e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2] })()`
	at, ok := b.value(fmt.Sprintf(middle, selector)).([]any)
	require.True(b.t, ok, selector)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		b.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1}, nil)
	}
}

// write replaces the text of a field, as somebody does who then goes on.
func (b *browser) write(selector, text string) {
	b.t.Helper()
	b.click(selector)
	b.value(fmt.Sprintf(`document.querySelector(%q).select()`, selector))
	b.call("Input.insertText", map[string]any{"text": text}, nil)
	b.value(`document.activeElement.blur()`)
}

// picture leaves a screenshot of the whole page, if `go test -artifacts` asks for it. The page is
// no wider than its window.
func (b *browser) picture(name string) {
	b.t.Helper()
	size, ok := b.value(`[innerWidth, document.documentElement.scrollWidth, document.documentElement.scrollHeight]`).([]any)
	require.True(b.t, ok)
	width, _ := size[0].(float64)
	wide, _ := size[1].(float64)
	long, _ := size[2].(float64)
	assert.LessOrEqual(b.t, wide, width, "%s: the page is wider than its window", name)
	b.size(int(width), max(windowHeight, min(int(long), longestPicture)))
	b.value(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
	var shot struct {
		Data string `json:"data"`
	}
	b.call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	b.size(int(width), windowHeight)
	bytes, err := base64.StdEncoding.DecodeString(shot.Data)
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(b.dir, name+".png"), bytes, 0o644))
}

// clean checks that the console is empty.
func (b *browser) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	assert.Empty(b.t, b.problems, strings.Join(b.problems, "\n"))
}
