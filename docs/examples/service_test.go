// A test of a Go service: gce-auth exec --project my-project -- go test ./...
package service

import (
	"context"
	"testing"

	"cloud.google.com/go/compute/metadata"
)

func TestProject(t *testing.T) {
	project, err := metadata.ProjectIDWithContext(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if project != "my-project" {
		t.Errorf("project %q", project)
	}
}
