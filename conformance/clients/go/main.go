// What a Go program on Google Cloud does with compute/metadata and auth, step by step.
//
// Nothing here knows that an emulator may answer: the metadata server is found through the libraries'
// own environment variables. The addresses of the services beside it, which the libraries would take
// from their built-in defaults, come from TOKENINFO_URL and JWKS_URL, and the audience from AUDIENCE.
//
// Each step prints one JSON document on a line of its own. A token is shown only by its length and the
// beginning of its SHA-256.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/idtoken"
	"cloud.google.com/go/compute/metadata"
)

// Found is what a step found, by name.
type Found map[string]any

func say(step string, found Found) {
	found["step"] = step
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		log.Fatal(err)
	}
}

// must ends the program when a call of a library fails.
func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func redacted(token string) Found {
	sum := sha256.Sum256([]byte(token))
	return Found{"length": len(token), "sha256": hex.EncodeToString(sum[:8])}
}

func main() {
	log.SetFlags(log.Lshortfile)
	ctx := context.Background()

	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if strings.HasPrefix(module.Path, "cloud.google.com/go/") {
			say("library", Found{"name": module.Path, "version": strings.TrimPrefix(module.Version, "v")})
		}
	}
	if folder := os.Getenv("ADC_FOLDER"); folder != "" {
		files(ctx, folder)
		return
	}
	if path := os.Getenv("SUBSCRIBE_TO"); path != "" {
		follow(ctx, path, os.Getenv("UNTIL"))
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "default" {
		found := must(credentials.DetectDefault(&credentials.DetectOptions{
			Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"},
		}))
		accessToken(ctx, found)
		return
	}
	getters(ctx)
	subscribe(ctx)
	authenticate(ctx)
}

// follow prints the values of a key, the first one included, until it changes to one of them.
func follow(ctx context.Context, path, until string) {
	done := errors.New("done")
	var values []string
	err := metadata.SubscribeWithContext(ctx, path,
		func(_ context.Context, value string, ok bool) error {
			values = append(values, value)
			if !ok || (len(values) > 1 && value == until) {
				return done
			}
			return nil
		})
	if !errors.Is(err, done) {
		log.Fatal(err)
	}
	say("follow", Found{"values": values})
}

// files gets a token with each credentials file of ADC_KINDS.
func files(ctx context.Context, folder string) {
	for _, kind := range strings.Fields(os.Getenv("ADC_KINDS")) {
		found := must(credentials.DetectDefault(&credentials.DetectOptions{
			CredentialsFile: filepath.Join(folder, kind+".json"),
			Scopes:          []string{"https://www.googleapis.com/auth/cloud-platform"},
		}))
		token := must(found.Token(ctx))
		say(kind, Found{
			"token":        redacted(token.Value),
			"seconds_left": int(time.Until(token.Expiry).Seconds()),
			"info":         tokeninfo(token),
		})
	}
}

// getters asks for everything that compute/metadata has a function for.
func getters(ctx context.Context) {
	say("detection", Found{"present": metadata.OnGCEWithContext(ctx)})
	say("project", Found{
		"id":     must(metadata.ProjectIDWithContext(ctx)),
		"number": must(metadata.NumericProjectIDWithContext(ctx)),
	})
	say("machine", Found{
		"id":          must(metadata.InstanceIDWithContext(ctx)),
		"name":        must(metadata.InstanceNameWithContext(ctx)),
		"hostname":    must(metadata.HostnameWithContext(ctx)),
		"zone":        must(metadata.ZoneWithContext(ctx)),
		"internal_ip": must(metadata.InternalIPWithContext(ctx)),
		"external_ip": must(metadata.ExternalIPWithContext(ctx)),
		"tags":        must(metadata.InstanceTagsWithContext(ctx)),
	})
	say("attribute", Found{"value": must(metadata.InstanceAttributeValueWithContext(ctx, "color"))})
	say("attributes", Found{
		"instance":         must(metadata.InstanceAttributesWithContext(ctx)),
		"project":          must(metadata.ProjectAttributesWithContext(ctx)),
		"of_project_value": must(metadata.ProjectAttributeValueWithContext(ctx, "team")),
	})
	say("account", Found{
		"email":  must(metadata.EmailWithContext(ctx, "")),
		"scopes": must(metadata.ScopesWithContext(ctx, "")),
	})

	say("universe_by_path", Found{"domain": must(metadata.GetWithContext(ctx, "universe/universe-domain"))})

	_, err := metadata.InstanceAttributeValueWithContext(ctx, "no-such-attribute")
	var missing metadata.NotDefinedError
	say("missing", Found{"not_defined": errors.As(err, &missing)})
}

// subscribe follows an attribute from change to change until it is deleted.
func subscribe(ctx context.Context) {
	var values []string
	deleted := false
	err := metadata.SubscribeWithContext(ctx, "instance/attributes/watched",
		func(_ context.Context, value string, ok bool) error {
			if ok {
				values = append(values, value)
			} else {
				deleted = true
			}
			return nil
		})
	must(0, err)
	say("subscribe", Found{"values": values, "deleted": deleted})
}

func authenticate(ctx context.Context) {
	detected := must(credentials.DetectDefault(&credentials.DetectOptions{
		Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"},
	}))
	// Without a file that says otherwise, they are those of the metadata server, or none.
	say("default", Found{"found": detected != nil, "project": must(detected.ProjectID(ctx))})
	say("universe", Found{"domain": must(detected.UniverseDomain(ctx))})

	accessToken(ctx, detected)

	audience := os.Getenv("AUDIENCE")
	identities := must(idtoken.NewCredentials(&idtoken.Options{
		Audience:           audience,
		ComputeTokenFormat: idtoken.ComputeTokenFormatFull,
	}))
	identity := must(identities.Token(ctx))
	say("id_token", Found{"token": redacted(identity.Value)})

	validator := must(idtoken.NewValidator(&idtoken.ValidatorOptions{
		RS256CertsURL: os.Getenv("JWKS_URL"),
	}))
	payload := must(validator.Validate(ctx, identity.Value, audience))
	say("id_token_verified", Found{"claims": payload.Claims})

	_, err := validator.Validate(ctx, identity.Value, "https://other.example.com")
	say("other_audience", Found{"refused": err != nil})
}

func accessToken(ctx context.Context, found *auth.Credentials) {
	token := must(found.Token(ctx))
	say("access_token", Found{
		"token":        redacted(token.Value),
		"type":         token.Type,
		"seconds_left": time.Until(token.Expiry).Seconds(),
	})
	info := tokeninfo(token)
	say("access_token_info", Found{"email": info["email"], "scope": info["scope"]})
}

func tokeninfo(token *auth.Token) map[string]any {
	query := url.Values{"access_token": {token.Value}}
	response := must(http.Get(os.Getenv("TOKENINFO_URL") + "?" + query.Encode()))
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		log.Fatal(fmt.Errorf("tokeninfo: %s", response.Status))
	}
	var info map[string]any
	must(0, json.NewDecoder(response.Body).Decode(&info))
	return info
}
