package social

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/web"
)

const (
	// callbackTimeout bounds all requests to the provider after the user came back.
	callbackTimeout = 10 * time.Second
	// maxForm bounds the answer of a provider that posts it, in bytes.
	maxForm = 64 << 10
)

// The fragments with which a browser is sent back.
const (
	fragmentCode  = "#sign-in="
	fragmentError = "#sign-in-error="
)

// succeeded is the outcome of a return with a code. Others are reasons.
const succeeded = "SUCCEEDED"

// Handler serves /auth/{provider}/start and /auth/{provider}/callback.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth/{provider}/start", s.start)
	mux.HandleFunc("/auth/{provider}/callback", s.callback)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

func (s *Service) site(r *http.Request) (site, bool) {
	for _, one := range s.sites {
		if one.name == r.PathValue("provider") {
			return one, true
		}
	}
	return site{}, false
}

// start sends the browser to the provider.
func (s *Service) start(w http.ResponseWriter, r *http.Request) {
	one, known := s.site(r)
	query := r.URL.Query()
	returnTo, pageChallenge := query.Get("return_to"), query.Get("challenge")
	switch {
	case !known:
		s.refuse(w, http.StatusNotFound, "This server does not offer this way to sign in.")
		return
	case len(query["return_to"]) != 1 || !s.admits(returnTo):
		s.refuse(w, http.StatusBadRequest, "The application that sent you here is not known to this server.")
		return
	case !isChallenge(pageChallenge):
		s.refuse(w, http.StatusBadRequest, "The application that sent you here has left out its challenge.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callbackTimeout)
	defer cancel()
	f := s.newFlow(one.name, returnTo, pageChallenge)
	page, err := one.begin(ctx, f)
	if err = blame(err); err == nil {
		err = s.keep(w, one.provider, f)
	}
	if err != nil {
		s.fail(ctx, w, one, f, err)
		return
	}
	redirect(w, page)
}

// callback takes the answer of the provider.
func (s *Service) callback(w http.ResponseWriter, r *http.Request) {
	one, known := s.site(r)
	answer, ok := answerOf(w, r, known && one.formPost)
	if !known || !ok {
		s.refuse(w, http.StatusBadRequest, "This server does not understand the answer of the provider.")
		return
	}
	f := s.resume(r, one.provider, answer.Get("state"))
	if f == nil {
		// The flow in the cookie stays: a page of another site may have opened this address.
		s.refuse(w, http.StatusBadRequest, "This sign-in has expired, or began in another browser.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callbackTimeout)
	defer cancel()
	code, err := s.finish(ctx, w, one, f, answer)
	if err != nil {
		s.fail(ctx, w, one, f, err)
		return
	}
	s.onEnd(one.name, succeeded)
	redirect(w, f.ReturnTo+fragmentCode+code)
}

// finish uses a flow up and returns the code for the page.
func (s *Service) finish(ctx context.Context, w http.ResponseWriter, one site, f *flow, answer url.Values) (
	code string, err error) {
	if err := s.keep(w, one.provider, nil); err != nil {
		return "", err
	}
	if err := s.spend(ctx, f); err != nil {
		return "", err
	}
	claims, err := judge(ctx, one, f, answer)
	if err != nil {
		return "", blame(err)
	}
	return s.issue(ctx, claims, f.Challenge)
}

// answerOf returns the parameters of an answer: of the query, or of the form of a provider that posts.
func answerOf(w http.ResponseWriter, r *http.Request, formPost bool) (answer url.Values, ok bool) {
	switch {
	case r.Method == http.MethodGet && !formPost:
		answer = r.URL.Query()
	case r.Method == http.MethodPost && formPost:
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if r.ParseForm() != nil {
			return nil, false
		}
		answer = r.PostForm
	default:
		return nil, false
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(answer[name]) > 1 { // RFC 6749, section 3.1
			return nil, false
		}
	}
	return answer, true
}

// spend uses up the state of a flow. It is in a cookie, so that only the database knows whether it was used before.
func (s *Service) spend(ctx context.Context, f *flow) error {
	if err := s.throttle.Take(ctx, throttle.Redeem, web.Network(web.RequestFrom(ctx).IP)); err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *store.Tx) error { return challenge.Spend(tx, challenge.FederatedState, f.State) })
}

var (
	errCanceled    = fault.New(fault.Unauthenticated, fault.SignInCanceled, "the user has canceled the sign-in")
	errDoesNotWork = fault.New(fault.Unavailable, fault.ProviderUnavailable, "the provider does not answer")
	errUnverified  = fault.New(fault.Unavailable, fault.ProviderInvalid, "the answer of the provider is not valid")
)

// blame returns the refusal for an error of a provider.
func blame(err error) error {
	switch {
	case err == nil, errors.Is(err, errCanceled):
		return err
	case isUnavailable(err):
		return errDoesNotWork.Because(err)
	}
	return errUnverified.Because(err)
}

// judge returns the verified claims in an answer.
func judge(ctx context.Context, one site, f *flow, answer url.Values) (*Claims, error) {
	if answer.Has("iss") && answer.Get("iss") != one.issuer {
		return nil, errors.New("the answer is from another issuer")
	}
	if err := one.issues(ctx, answer); err != nil {
		return nil, err
	}
	switch refusal := answer.Get("error"); refusal {
	case "":
		return one.claims(ctx, f, answer.Get("code"))
	case "access_denied", "user_cancelled_authorize": //nolint:misspell // Apple's
		return nil, errCanceled
	case "server_error", "temporarily_unavailable":
		return nil, fmt.Errorf("%w: %s", errUnavailable, refusal)
	default:
		return nil, fmt.Errorf("the provider refused: %.40q", refusal)
	}
}

// fail sends the browser back with the reason of err.
func (s *Service) fail(ctx context.Context, w http.ResponseWriter, one site, f *flow, err error) {
	refusal := fault.Of(err)
	if refusal.Err != nil {
		s.log.WarnContext(ctx, "a sign-in with a provider failed", "provider", one.name, "error", refusal)
	}
	reason := cmp.Or(string(refusal.Reason), string(refusal.Code))
	s.onEnd(one.name, reason)
	redirect(w, f.ReturnTo+fragmentError+reason)
}

// redirect sends the browser on, with a GET.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

//go:embed refusal.html
var refusalPage string

var refusalTemplate = template.Must(template.New("refusal").Parse(refusalPage))

// refuse shows a page to a user whose browser cannot be sent back to an application.
func (s *Service) refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = refusalTemplate.Execute(w, map[string]string{"Message": message, "Home": s.publicURL + "/"})
}
