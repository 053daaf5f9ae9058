// The ID tokens that a Node program makes with google-auth-library, in every way that it has.
//
// KEYS names a file with the private key `rsa`, whose public half TOKEN_URL knows as that of EMAIL. The tokens
// are good for nothing outside of a test, and shown whole: another program verifies them.

import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

import {Compute, GoogleAuth, Impersonated, JWT} from 'google-auth-library';

const require = createRequire(import.meta.url);
const {AUDIENCE, EMAIL, IAM_URL, JWKS_URL, KEYS, TOKEN_URL} = process.env;

function say(step, found) {
  console.log(JSON.stringify({step, ...found}));
}

function made(how, token, byGivenKeys = false) {
  say('made', {how, token, by_given_keys: byGivenKeys});
}

const {version} = require('google-auth-library/package.json');
say('library', {name: 'google-auth-library', version});
const {rsa} = JSON.parse(readFileSync(KEYS, 'utf8'));

made('metadata flow', await new Compute().fetchIdToken(AUDIENCE));

// Its token endpoint is at a fixed address.
const owner = new JWT({email: EMAIL, key: rsa, keyId: 'rsa'});
owner.transporter.interceptors.request.add({
  resolved: async request => {
    if (String(request.url) === 'https://oauth2.googleapis.com/token') {
      request.url = new URL(TOKEN_URL);
    }
    return request;
  },
});
made('key of a service account', await owner.fetchIdToken(AUDIENCE));

const headers = await owner.getRequestHeaders(AUDIENCE);
made('signed here', headers.get('authorization').replace(/^Bearer /, ''), true);

const impersonated = new Impersonated({
  sourceClient: new Compute(),
  targetPrincipal: EMAIL,
  targetScopes: ['https://www.googleapis.com/auth/cloud-platform'],
  delegates: [`projects/-/serviceAccounts/${EMAIL}`],
  endpoint: IAM_URL,
});
made('impersonation', await impersonated.fetchIdToken(AUDIENCE));

// What signBlob signs is any bytes: here, those of a token.
const {keys} = await (await fetch(JWKS_URL)).json();
const now = Math.floor(Date.now() / 1000);
const part = value => Buffer.from(JSON.stringify(value)).toString('base64url');
const message = [
  {alg: 'RS256', kid: keys[0].kid, typ: 'JWT'},
  {
    iss: 'https://accounts.google.com',
    aud: AUDIENCE,
    sub: '1134',
    email: EMAIL,
    email_verified: true,
    iat: now - 1,
    exp: now + 600,
  },
].map(part).join('.');
const auth = new GoogleAuth();
const signature = await auth.sign(message, `${IAM_URL}/v1/projects/-/serviceAccounts/`);
made('signBlob', `${message}.${Buffer.from(signature, 'base64').toString('base64url')}`);
