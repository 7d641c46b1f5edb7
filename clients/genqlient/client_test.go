package genqlient_test

import (
	"errors"
	"testing"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/clients/genqlient"
)

func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	url := endpoint(t)
	anonymous := genqlient.New(url, "")
	registered, err := genqlient.Register(t.Context(), anonymous, genqlient.RegisterInput{
		Email: "ada@example.com", Password: "correct horse battery", Delivery: genqlient.TokenDeliveryBody,
	})
	if err != nil {
		t.Fatal(err)
	}
	refreshed, err := genqlient.Refresh(t.Context(), anonymous, genqlient.RefreshTokenInput{RefreshToken: *registered.Register.Auth.RefreshToken})
	if err != nil {
		t.Fatal(err)
	}
	me, err := genqlient.Me(t.Context(), genqlient.New(url, refreshed.RefreshToken.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	if me.Me.Email != "ada@example.com" || len(me.Me.Roles) != 1 || me.Me.Roles[0] != genqlient.RoleUser ||
		len(me.Me.Sessions.Nodes) != 1 || !me.Me.Sessions.Nodes[0].Current || me.Me.CreatedAt.IsZero() {
		t.Errorf("me: %+v", me.Me)
	}

	_, err = genqlient.Me(t.Context(), anonymous)
	refused, ok := errors.AsType[*gqlerror.Error](err)
	if !ok || refused.Extensions["code"] != "UNAUTHENTICATED" {
		t.Errorf("error of an anonymous caller: %v", err)
	}
}
