// What a Node service does with google-auth-library when a request carries an ID token.
//
// The file that TOKENS names holds tokens by name, for AUDIENCE. The keys are certificates at CERTS_URL.

import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

import {OAuth2Client} from 'google-auth-library';

const require = createRequire(import.meta.url);
const {AUDIENCE, CERTS_URL, TOKENS} = process.env;

function say(step, found) {
  console.log(JSON.stringify({step, ...found}));
}

const {version} = require('google-auth-library/package.json');
say('library', {name: 'google-auth-library', version});
const client = new OAuth2Client({
  endpoints: {oauth2FederatedSignonPemCertsUrl: CERTS_URL},
});
for (const {name, token} of JSON.parse(readFileSync(TOKENS, 'utf8'))) {
  const verified = {verifier: 'google-auth-library', name};
  try {
    const ticket = await client.verifyIdToken({idToken: token, audience: AUDIENCE});
    say('verified', {...verified, accepted: true, claims: ticket.getPayload()});
  } catch (refusal) {
    say('verified', {...verified, accepted: false, why: String(refusal).slice(0, 200)});
  }
}
