package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// site is the HTTP server. It listens before the database can be reached, so
// that Zalo and the load balancer get an honest answer at once.
type site struct {
	echo *echo.Echo
	srv  *http.Server
	ln   net.Listener
	// door answers POST /webhooks/zalo once everything behind it is there.
	door atomic.Pointer[echo.HandlerFunc]
	// hook answers POST /webhooks/procedures; nil also where no secret is set.
	hook atomic.Pointer[echo.HandlerFunc]
	// link answers GET /l/CODE.
	link  atomic.Pointer[echo.HandlerFunc]
	ready atomic.Pointer[func(context.Context) error]
}

var errStarting = errors.New("starting")

// hooked: pushes of the procedure system are signed, so that path exists.
func newSite(addr string, reg *prometheus.Registry, web, hooked bool) (*site, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &site{echo: echo.New(), ln: ln}
	e := s.echo
	e.HideBanner, e.HidePort = true, true
	e.Use(middleware.Recover())
	e.GET("/healthz", func(c echo.Context) error { return c.JSONBlob(http.StatusOK, []byte(`{"status":"alive"}`)) })
	e.GET("/readyz", s.readyz)
	metrics := echo.WrapHandler(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	e.GET("/metrics", func(c echo.Context) error {
		for _, h := range []string{"X-Forwarded-For", "Forwarded", "Via", "X-Real-Ip"} {
			if c.Request().Header.Get(h) != "" {
				return echo.ErrNotFound // figures are for the operators' network only
			}
		}
		return metrics(c)
	})
	if web {
		later := func(handler *atomic.Pointer[echo.HandlerFunc]) echo.HandlerFunc {
			return func(c echo.Context) error {
				if handle := handler.Load(); handle != nil {
					return (*handle)(c)
				}
				return c.JSON(http.StatusServiceUnavailable, map[string]string{"error": "starting"})
			}
		}
		e.POST("/webhooks/zalo", later(&s.door))
		if hooked {
			e.POST("/webhooks/procedures", later(&s.hook))
		}
		e.Match([]string{http.MethodGet, http.MethodHead}, "/l/:code", later(&s.link))
	}
	s.srv = &http.Server{
		Handler:           e,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    32 << 10,
	}
	return s, nil
}

// URL is the address of the listener, for people on this machine.
func (s *site) URL() string {
	addr := s.ln.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, itoa(addr.Port))
}

// serve answers requests until shut down.
func (s *site) serve() error {
	if err := s.srv.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// readyz tells whether this instance can serve, and why not.
func (s *site) readyz(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), 2*time.Second)
	defer cancel()
	err := errStarting
	if ready := s.ready.Load(); ready != nil {
		err = (*ready)(ctx)
	}
	if err != nil {
		raw, _ := json.Marshal(map[string]string{"status": "not ready", "why": mask(err.Error())}) // strings always encode
		return c.JSONBlob(http.StatusServiceUnavailable, raw)
	}
	return c.JSONBlob(http.StatusOK, []byte(`{"status":"ready"}`))
}
