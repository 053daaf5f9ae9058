import com.google.api.client.http.GenericUrl;
import com.google.api.client.http.HttpRequest;
import com.google.api.client.http.javanet.NetHttpTransport;
import com.google.api.client.json.GenericJson;
import com.google.api.client.json.JsonObjectParser;
import com.google.api.client.json.gson.GsonFactory;
import com.google.auth.oauth2.AccessToken;
import com.google.auth.oauth2.ComputeEngineCredentials;
import com.google.auth.oauth2.GoogleCredentials;
import com.google.auth.oauth2.IdToken;
import com.google.auth.oauth2.IdTokenCredentials;
import com.google.auth.oauth2.IdTokenProvider;
import com.google.auth.oauth2.TokenVerifier;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * What a Java program on Google Cloud does with google-auth-library-oauth2-http, step by step.
 *
 * <p>Nothing here knows that an emulator may answer: the metadata server is found through the
 * library's own environment variables. The addresses of the services beside it, which the library
 * would take from its built-in defaults, come from TOKENINFO_URL, CERTS_URL and JWKS_URL, and the
 * audience from AUDIENCE.
 *
 * <p>Each step prints one JSON document on a line of its own. A token is shown only by its length
 * and the beginning of its SHA-256.
 */
public final class Client {
  private static final String AUDIENCE = System.getenv("AUDIENCE");

  public static void main(String[] arguments) throws Exception {
    String library = "com.google.auth:google-auth-library-oauth2-http";
    String version = ComputeEngineCredentials.class.getPackage().getImplementationVersion();
    say("library", "name", library, "version", version);
    library = "com.google.http-client:google-http-client";
    say("library", "name", library, "version", HttpRequest.class.getPackage().getImplementationVersion());

    if (System.getenv("ADC_FOLDER") != null) {
      files(System.getenv("ADC_FOLDER"));
      return;
    }
    GoogleCredentials found = GoogleCredentials.getApplicationDefault();
    if (List.of(arguments).contains("default")) {
      accessToken(found.createScoped("https://www.googleapis.com/auth/cloud-platform"));
      return;
    }
    say("detection", "present", found instanceof ComputeEngineCredentials);
    ComputeEngineCredentials credentials = (ComputeEngineCredentials) found;

    say("project", "id", credentials.getProjectId(), "number", value("project/numeric-project-id"));
    say("machine", "id", value("instance/id"), "zone", value("instance/zone"));
    say("attribute", "value", value("instance/attributes/color"));
    say(
        "account",
        "email", credentials.getAccount(),
        "scopes", lines(value("instance/service-accounts/default/scopes")));
    say("universe", "domain", credentials.getUniverseDomain());

    accessToken(credentials);
    idToken(credentials);
  }

  /** Gets a token with each credentials file of ADC_KINDS. */
  private static void files(String folder) throws Exception {
    for (String kind : System.getenv("ADC_KINDS").split(" ")) {
      GoogleCredentials made;
      try (InputStream file = Files.newInputStream(Path.of(folder, kind + ".json"))) {
        made =
            GoogleCredentials.fromStream(file)
                .createScoped("https://www.googleapis.com/auth/cloud-platform");
      }
      made.refresh();
      AccessToken token = made.getAccessToken();
      double left = (token.getExpirationTime().getTime() - System.currentTimeMillis()) / 1000.0;
      say(
          kind,
          "token", redacted(token.getTokenValue()),
          "seconds_left", left,
          "info", info(token.getTokenValue()));
    }
  }

  private static GenericJson info(String token) throws IOException {
    GenericUrl url = new GenericUrl(System.getenv("TOKENINFO_URL"));
    url.set("access_token", token);
    return get(url)
        .setParser(new JsonObjectParser(GsonFactory.getDefaultInstance()))
        .execute()
        .parseAs(GenericJson.class);
  }

  private static void accessToken(GoogleCredentials credentials) throws Exception {
    credentials.refresh();
    AccessToken token = credentials.getAccessToken();
    double left = (token.getExpirationTime().getTime() - System.currentTimeMillis()) / 1000.0;
    say("access_token", "token", redacted(token.getTokenValue()), "seconds_left", left);

    String authorization =
        credentials.getRequestMetadata().get("Authorization").get(0).replace("Bearer ", "");
    say("headers", "carry_the_token", authorization.equals(token.getTokenValue()));

    GenericJson info = info(token.getTokenValue());
    say("access_token_info", "email", info.get("email"), "scope", info.get("scope"));
  }

  private static void idToken(ComputeEngineCredentials credentials) throws Exception {
    IdToken token =
        credentials.idTokenWithAudience(
            AUDIENCE, Arrays.asList(IdTokenProvider.Option.FORMAT_FULL));
    say("id_token", "token", redacted(token.getTokenValue()));

    String value = token.getTokenValue();
    say("id_token_verified", "claims", verifier(AUDIENCE, "JWKS_URL").verify(value).getPayload());
    say("id_token_by_certs", "claims", verifier(AUDIENCE, "CERTS_URL").verify(value).getPayload());
    say("other_audience", "refused", refuses(verifier("https://other.example.com", "JWKS_URL"), value));

    // Credentials that send ID tokens, as used to call Cloud Run.
    IdTokenCredentials caller =
        IdTokenCredentials.newBuilder()
            .setIdTokenProvider(credentials)
            .setTargetAudience(AUDIENCE)
            .setOptions(Arrays.asList(IdTokenProvider.Option.LICENSES_TRUE))
            .build();
    caller.refresh();
    String licensed = caller.getIdToken().getTokenValue();
    say("licensed", "claims", verifier(AUDIENCE, "JWKS_URL").verify(licensed).getPayload());
  }

  private static TokenVerifier verifier(String audience, String keys) {
    return TokenVerifier.newBuilder()
        .setAudience(audience)
        .setIssuer("https://accounts.google.com")
        .setCertificatesLocation(System.getenv(keys))
        .build();
  }

  private static boolean refuses(TokenVerifier verifier, String token) {
    try {
      verifier.verify(token);
      return false;
    } catch (TokenVerifier.VerificationException e) {
      return true;
    }
  }

  /** Reads what the library has no method for, where the library says that the server is. */
  private static String value(String path) throws IOException {
    String root = ComputeEngineCredentials.getMetadataServerUrl();
    HttpRequest request = get(new GenericUrl(root + "/computeMetadata/v1/" + path));
    request.getHeaders().set("Metadata-Flavor", "Google");
    return request.execute().parseAsString();
  }

  private static HttpRequest get(GenericUrl url) throws IOException {
    return new NetHttpTransport().createRequestFactory().buildGetRequest(url);
  }

  private static List<String> lines(String text) {
    return Arrays.asList(text.trim().split("\n"));
  }

  private static Map<String, Object> redacted(String token) throws GeneralSecurityException {
    byte[] sum = MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.UTF_8));
    return Map.of(
        "length", token.length(), "sha256", HexFormat.of().formatHex(sum).substring(0, 16));
  }

  private static void say(String step, Object... found) throws IOException {
    GenericJson document = new GenericJson();
    document.setFactory(GsonFactory.getDefaultInstance());
    document.set("step", step);
    for (int i = 0; i < found.length; i += 2) {
      document.set((String) found[i], found[i + 1]);
    }
    System.out.println(document);
  }
}
