package backend

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A Browser is a Chromium without a window.
type Browser struct {
	ctx  context.Context
	stop func()
}

// StartBrowser starts a Chromium.
func StartBrowser() (*Browser, error) {
	dir, err := Artifacts()
	if err != nil {
		return nil, err
	}
	output, err := os.Create(filepath.Join(dir, "chromium.log")) //nolint:gosec // the folder is for that
	if err != nil {
		return nil, err
	}
	var started *exec.Cmd
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // all pages are ours, and few containers let it build one
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			cmd.SysProcAttr = ownGroup()
			started = cmd
		}),
		chromedp.CombinedOutput(output))
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	b := &Browser{ctx: ctx, stop: func() {
		cancel() // which asks it to end
		release()
		if started != nil && started.Process != nil {
			_ = kill(started.Process) // what is left of its group
		}
		_ = output.Close()
	}}
	if err := chromedp.Do(ctx); err != nil {
		b.stop()
		return nil, fmt.Errorf("start chromium, which the package chromium of Debian has: %w", err)
	}
	return b, nil
}

// Stop ends the browser.
func (b *Browser) Stop() { b.stop() }

// A Page is a tab of the browser.
type Page struct {
	ctx    context.Context
	cancel func()

	mu       sync.Mutex
	problems []string
}

// Open opens a tab and goes to an address.
func (b *Browser) Open(address string) (*Page, error) {
	p := &Page{}
	p.ctx, p.cancel = chromedp.NewContext(b.ctx)
	if err := chromedp.Listen(p.ctx, p.listen); err != nil { // which opens the tab
		p.cancel()
		return nil, fmt.Errorf("open a tab: %w", err)
	}
	if err := p.each(chromedp.Navigate(address)); err != nil {
		p.cancel()
		return nil, fmt.Errorf("open %s: %w", address, err)
	}
	return p, nil
}

// listen keeps what a reader of the console would see: errors, also those of requests and of the
// content security policy, and warnings.
func (p *Page) listen(event any) {
	problem := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		problem = exception(e.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		switch e.Type {
		case runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert:
			words := make([]string, 0, len(e.Args))
			for _, argument := range e.Args {
				words = append(words, string(argument.Value)+argument.Description)
			}
			problem = fmt.Sprintf("console.%s: %s", e.Type, strings.Join(words, " "))
		default: // it is for developers
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			problem = fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	}
	if problem == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, problem)
}

func exception(e *runtime.ExceptionDetails) string {
	if e.Exception != nil {
		return e.Text + " " + e.Exception.Description
	}
	return e.Text
}

// Problems returns what was wrong so far, and forgets it.
func (p *Page) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	problems := p.problems
	p.problems = nil
	return problems
}

// Close closes the tab.
func (p *Page) Close() { p.cancel() }

// do runs an action in the tab, in bounded time.
func do[T any](p *Page, action chromedp.Action[T]) (T, error) {
	const limit = 20 * time.Second
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	return chromedp.Run(ctx, action)
}

// each runs actions one after the other.
func (p *Page) each(actions ...chromedp.Action[chromedp.Void]) error {
	_, err := do(p, chromedp.Steps(actions...))
	return err
}

// Value returns what a JavaScript expression gives, as encoding/json would.
func (p *Page) Value(expression string) (value any, err error) {
	return do(p, chromedp.Evaluate[any](expression))
}

// Text returns the text of the first element that a selector finds, or "" if there is none.
func (p *Page) Text(selector string) (string, error) {
	value, err := p.Value(fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
	text, _ := value.(string)
	return text, err
}

// Click clicks on the first element that a selector finds.
func (p *Page) Click(selector string) error {
	return p.each(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Press presses keys, where the focus is. Each brings its character with it, as from a keyboard: a
// page that prevents the key prevents the character too.
func (p *Page) Press(keys string) error {
	return p.each(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for _, r := range keys {
			events := kb.Encode(r) // down, perhaps a character, up
			down, up := events[0], events[len(events)-1]
			if len(events) > 2 {
				down.Text, down.UnmodifiedText = events[1].Text, events[1].UnmodifiedText
			}
			for _, event := range []*input.DispatchKeyEventParams{down, up} {
				if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, *event); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// A Look is how somebody looks at a page.
type Look struct {
	Width int64
	Dark  bool
}

const (
	height  = 900  // of the window, in pixels
	longest = 5000 // picture
)

// String returns a look as it stands in the names of screenshots.
func (l Look) String() string {
	theme := "light"
	if l.Dark {
		theme = "dark"
	}
	return fmt.Sprintf("%s-%d", theme, l.Width)
}

// As looks at the page in another way.
func (p *Page) As(l Look) error {
	scheme := "light"
	if l.Dark {
		scheme = "dark"
	}
	theme := emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}
	return p.each(chromedp.EmulateViewport(l.Width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, theme)
		return err
	}))
}

// Screenshot leaves a picture of the page, of a long one its beginning, as NAME.png among the
// artefacts.
func (p *Page) Screenshot(name string) error {
	dir, err := Artifacts()
	if err != nil {
		return err
	}
	size, err := do(p, chromedp.Evaluate[[2]int64](`[innerWidth, document.documentElement.scrollHeight]`))
	if err != nil {
		return err
	}
	// The window is made as long as the picture, since a page need not draw what is not in it, and
	// is given two frames to draw.
	const drawn = `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`
	if err := p.each(
		chromedp.EmulateViewport(size[0], max(height, min(size[1], longest))),
		chromedp.Evaluate[chromedp.Void](drawn, chromedp.EvalAwaitPromise),
	); err != nil {
		return err
	}
	picture, err := do(p, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	if err := p.each(chromedp.EmulateViewport(size[0], height)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644) //nolint:gosec // others may look at it
}
