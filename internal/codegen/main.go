// Program codegen runs gqlgen with additional plugins. Like gqlgen, it reads gqlgen.yml from the current folder.
package main

import (
	_ "embed"
	"log"
	"path/filepath"
	"strings"
	"text/template"

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
	// gqlgen reads the arguments of a field just before its resolver runs. Arguments lets package coercion read all of
	// them before the first resolver. Fields lets package guard write plain members of objects without a resolver.
	err = api.Generate(cfg,
		api.AddPlugin(file{"arguments", argumentsTemplate}), api.AddPlugin(file{"fields", fieldsTemplate}))
	if err != nil {
		log.Fatalf("generate: %v", err)
	}
}

var (
	//go:embed arguments.gotpl
	argumentsTemplate string
	//go:embed fields.gotpl
	fieldsTemplate string
)

// file is a plugin that generates one file next to the executable schema.
type file struct{ name, template string }

// Name implements plugin.Plugin.
func (f file) Name() string { return f.name }

// GenerateCode implements plugin.CodeGenerator.
func (f file) GenerateCode(data *codegen.Data) error {
	exec := data.Config.Exec
	folder := exec.DirName
	if exec.Layout == config.ExecLayoutSingleFile {
		folder = filepath.Dir(exec.Filename)
	}
	return templates.Render(templates.Options{
		PackageName:     exec.Package,
		Filename:        filepath.Join(folder, f.name+".generated.go"),
		Data:            data,
		GeneratedHeader: true,
		Packages:        data.Config.Packages,
		Template:        f.template,
		Funcs:           template.FuncMap{"isWritable": isWritable, "isLeaf": isLeaf},
	})
}

// isWritable reports whether the fields of an object have a parent value.
func isWritable(o *codegen.Object) bool {
	return !o.Root && !o.Stream && !o.IsMap() && !strings.HasPrefix(o.Name, "__")
}

// isLeaf reports whether reading a field only means to read a member, or to call a method without context, and to write
// a scalar or an enum value. Resolvers, arguments, errors, directives and lists are left to gqlgen.
func isLeaf(f *codegen.Field) bool {
	t := f.TypeReference
	isRead := f.IsVariable() || f.IsMethod() && f.NoErr && !f.MethodHasContext && !f.VOkFunc
	isWrite := t.IsMarshaler || t.Marshaler != nil && !t.HasEnumValues()
	return isRead && isWrite && t.Definition.IsLeafType() && t.GQL.Elem == nil &&
		!f.IsResolver && !f.HasHaser && !f.HasDirectives() && len(f.Args) == 0 &&
		!t.IsContext && !t.IsPtrToPtr() && !t.IsPtrToSlice() && !t.IsPtrToIntf()
}
