// Package check tests the manifests of deploy with the parsers of Kubernetes, Kustomize and Compose. It is a module of
// its own, so that these do not become dependencies of the server.
package check

import (
	"os"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Kubernetes knows each object and each of its fields.
func TestKubernetes(t *testing.T) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile("../kubernetes/secret.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects := [][]byte{secret}
	for _, resource := range built.Resources() {
		object, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var kinds []string
	for _, object := range objects {
		_, kind, err := decoder.Decode(object, nil, nil)
		if err != nil {
			t.Errorf("%v in\n%s", err, object)
			continue
		}
		kinds = append(kinds, kind.Kind)
	}
	slices.Sort(kinds)
	want := []string{
		"Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "Secret", "Service",
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("got %v, want %v", kinds, want)
	}
}

// The Compose file is valid, and asks for what must not have a default.
func TestCompose(t *testing.T) {
	load := func(variables ...string) error {
		options, err := cli.NewProjectOptions([]string{"../compose.yaml"}, cli.WithName("graphwarden"), cli.WithEnv(variables))
		if err != nil {
			t.Fatal(err)
		}
		_, err = options.LoadProject(t.Context())
		return err
	}
	required := []string{"GRAPHWARDEN_SECRET=s", "GRAPHWARDEN_PUBLIC_URL=https://api.example.com", "POSTGRES_PASSWORD=p"}
	if err := load(required...); err != nil {
		t.Error(err)
	}
	for i, variable := range required {
		if err := load(slices.Delete(slices.Clone(required), i, i+1)...); err == nil {
			t.Errorf("accepted without %s", variable)
		}
	}
}
