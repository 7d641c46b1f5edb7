// Program codegen runs gqlgen with one plugin more. It reads the gqlgen.yml of the current folder, as gqlgen does.
package main

import (
	_ "embed"
	"log"
	"path/filepath"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
)

func main() {
	cfg, err := config.LoadConfigFromDefaultLocations()
	if err != nil {
		log.Fatalf("load gqlgen.yml: %v", err)
	}
	if err := api.Generate(cfg, api.AddPlugin(arguments{})); err != nil {
		log.Fatalf("generate: %v", err)
	}
}

// arguments generates the function Arguments beside the executable schema. Execution reads an argument only when it
// reaches the argument's field; with this table all of them are read before the first resolver runs.
type arguments struct{}

//go:embed arguments.gotpl
var argumentsTemplate string

// Name implements plugin.Plugin.
func (arguments) Name() string { return "arguments" }

// GenerateCode implements plugin.CodeGenerator.
func (arguments) GenerateCode(data *codegen.Data) error {
	exec := data.Config.Exec
	folder := exec.DirName
	if exec.Layout == config.ExecLayoutSingleFile {
		folder = filepath.Dir(exec.Filename)
	}
	return templates.Render(templates.Options{
		PackageName:     exec.Package,
		Filename:        filepath.Join(folder, "arguments.generated.go"),
		Data:            data,
		GeneratedHeader: true,
		Packages:        data.Config.Packages,
		Template:        argumentsTemplate,
	})
}
