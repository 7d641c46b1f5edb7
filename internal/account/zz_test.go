package account_test
import ("testing";"log/slog";"os";"github.com/graphwarden/graphwarden/graph/graphtest")
func TestZZ(t *testing.T){ srv := graphtest.Start(t, func(o *graphtest.Options){ o.Log = slog.New(slog.NewTextHandler(os.Stderr,nil))}); srv.As(t) }
