// Program codegen runs gqlgen with an additional plugin. Like gqlgen, it reads gqlgen.yml from the current folder.
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

// arguments is a plugin that generates the function Arguments next to the executable schema. gqlgen reads the arguments
// of a field just before its resolver runs; Arguments lets package coercion read all of them before the first resolver.
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
