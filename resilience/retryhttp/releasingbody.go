package retryhttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// releaseAfter returns body such that release is called when it has been read or closed. What
// can be written to, as the connection after a change of protocols, still can.
func releaseAfter(body io.ReadCloser, release context.CancelFunc) io.ReadCloser {
	if body == nil || body == http.NoBody {
		release()
		return body
	}
	b := &releasingBody{ReadCloser: body, release: release}
	if w, ok := body.(io.Writer); ok {
		return &releasingConn{b, w}
	}
	return b
}

type releasingBody struct {
	io.ReadCloser
	release context.CancelFunc
}

func (b *releasingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.release()
	}
	return n, err
}

func (b *releasingBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// releasingConn is a connection: its end of reading is not yet that of writing.
type releasingConn struct {
	*releasingBody
	io.Writer
}

func (c *releasingConn) Read(p []byte) (int, error) { return c.ReadCloser.Read(p) }

// CloseWrite ends what is written, as [net.TCPConn.CloseWrite] does.
func (c *releasingConn) CloseWrite() error {
	if half, ok := c.ReadCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return fmt.Errorf("retryhttp: CloseWrite: %w", http.ErrNotSupported)
}
