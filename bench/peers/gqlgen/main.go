// Command gqlgen is the server of gqlgen's quick start with bearer tokens, for make bench-peers. Its arguments are the
// address to listen on and, optionally, the path of a new SQLite file:
//
//	go run . 127.0.0.1:8081 /tmp/peer.db
package main

import (
	"crypto/rand"
	"log"
	"net/http"
	"os"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/bench/peers/gqlgen/graph"
	"github.com/graphwarden/graphwarden/bench/peers/gqlgen/graph/generated"
	"github.com/graphwarden/graphwarden/bench/peers/gqlgen/graph/model"
)

func main() {
	resolver := &graph.Resolver{
		Key:   []byte(rand.Text() + rand.Text()),
		Users: map[string]*model.User{"1": {ID: "1", Email: "ada@example.com", Name: "Ada"}},
	}
	if len(os.Args) > 2 {
		database, err := graph.OpenDatabase(os.Args[2], resolver.Users)
		if err != nil {
			log.Fatal(err)
		}
		resolver.Database = database
	}
	srv := handler.New(generated.NewExecutableSchema(generated.Config{Resolvers: resolver}))
	srv.AddTransport(transport.Options{})
	srv.AddTransport(transport.GET{})
	srv.AddTransport(transport.POST{})
	srv.SetQueryCache(lru.New[*ast.QueryDocument](1000))
	srv.Use(extension.Introspection{})
	srv.Use(extension.AutomaticPersistedQuery{Cache: lru.New[string](100)})
	http.Handle("/graphql", resolver.Authenticate(srv))
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
