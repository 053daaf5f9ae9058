// What a Node program on Google Cloud does with gcp-metadata and google-auth-library, step by step.
//
// Nothing here knows that an emulator may answer: the metadata server is found through the libraries'
// own environment variables. The addresses of the services beside it, which google-auth-library would
// take from its built-in defaults, come from TOKENINFO_URL and CERTS_URL, and the audience from AUDIENCE.
//
// Each step prints one JSON document on a line of its own. A token is shown only by its length and the
// beginning of its SHA-256.

import {createHash} from 'node:crypto';
import {createRequire} from 'node:module';

import gcpMetadata from 'gcp-metadata';
import {Compute, GoogleAuth, OAuth2Client} from 'google-auth-library';

const require = createRequire(import.meta.url);
const {AUDIENCE, CERTS_URL, TOKENINFO_URL} = process.env;

function say(step, found) {
  console.log(JSON.stringify({step, ...found}));
}

function redacted(token) {
  return {
    length: token.length,
    sha256: createHash('sha256').update(token).digest('hex').slice(0, 16),
  };
}

async function tokeninfo(token) {
  const response = await fetch(`${TOKENINFO_URL}?${new URLSearchParams({access_token: token})}`);
  const {email, scope} = await response.json();
  return {email, scope};
}

async function metadata() {
  say('detection', {present: await gcpMetadata.isAvailable()});

  // The same again, without the word of the environment.
  process.env.METADATA_SERVER_DETECTION = 'ping-only';
  gcpMetadata.resetIsAvailableCache();
  say('ping', {present: await gcpMetadata.isAvailable()});

  say('project', {
    id: await gcpMetadata.project('project-id'),
    number: String(await gcpMetadata.project('numeric-project-id')),
  });
  say('machine', {
    id: String(await gcpMetadata.instance('id')),
    zone: await gcpMetadata.instance('zone'),
    tags: await gcpMetadata.instance('tags'),
  });
  say('attribute', {value: await gcpMetadata.instance('attributes/color')});
  const {scopes, ...account} = await gcpMetadata.instance({
    property: 'service-accounts/default/',
    params: {recursive: 'true'},
  });
  say('account', {email: account.email, scopes});
  say('universe', {domain: await gcpMetadata.universe('universe-domain')});
  const {access_token: token, expires_in: left} = await gcpMetadata.instance(
    'service-accounts/default/token',
  );
  const library = 'gcp-metadata';
  say('access_token', {library, token: redacted(token), seconds_left: left});
  say('access_token_info', {library, ...(await tokeninfo(token))});
  say('bulk', {
    found: await gcpMetadata.bulk([
      {metadataKey: 'project/project-id'},
      {metadataKey: 'instance/name'},
    ]),
  });
}

async function authentication() {
  const auth = new GoogleAuth();
  const client = await auth.getClient();
  say('default', {
    compute: client instanceof Compute,
    project: await auth.getProjectId(),
    universe: await auth.getUniverseDomainFromMetadataServer(),
    email: (await auth.getCredentials()).client_email,
  });

  const token = await auth.getAccessToken();
  say('access_token', {
    token: redacted(token),
    seconds_left: (client.credentials.expiry_date - Date.now()) / 1000,
  });
  say('access_token_info', await tokeninfo(token));

  const verifier = new OAuth2Client({
    endpoints: {oauth2FederatedSignonPemCertsUrl: CERTS_URL},
  });

  const identity = await new Compute().fetchIdToken(AUDIENCE);
  say('id_token', {token: redacted(identity)});
  const ticket = await verifier.verifyIdToken({idToken: identity, audience: AUDIENCE});
  say('id_token_verified', {claims: ticket.getPayload()});
  say('other_audience', {
    refused: await verifier
      .verifyIdToken({idToken: identity, audience: 'https://other.example.com'})
      .then(() => false, () => true),
  });

  // A client that sends ID tokens, as used to call Cloud Run.
  const caller = await auth.getIdTokenClient(AUDIENCE);
  const headers = await caller.getRequestHeaders();
  const sent = headers.get('authorization').replace(/^Bearer /, '');
  const {certs} = await verifier.getFederatedSignonCertsAsync();
  const login = await verifier.verifySignedJwtWithCertsAsync(sent, certs, AUDIENCE, [
    'https://accounts.google.com',
  ]);
  say('id_token_client', {claims: login.getPayload()});
}

for (const name of ['gcp-metadata', 'google-auth-library']) {
  say('library', {name, version: require(`${name}/package.json`).version});
}
await metadata();
await authentication();
