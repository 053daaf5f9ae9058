// What a program does that leaves everything to GoogleAuth.

import {createHash} from 'node:crypto';
import {createRequire} from 'node:module';

import {GoogleAuth} from 'google-auth-library';

const require = createRequire(import.meta.url);

function say(step, found) {
  console.log(JSON.stringify({step, ...found}));
}

say('library', {
  name: 'google-auth-library',
  version: require('google-auth-library/package.json').version,
});
const auth = new GoogleAuth({
  scopes: 'https://www.googleapis.com/auth/cloud-platform',
});
const {token} = await (await auth.getClient()).getAccessToken();
say('access_token', {
  token: {
    length: token.length,
    sha256: createHash('sha256').update(token).digest('hex').slice(0, 16),
  },
});
const query = new URLSearchParams({access_token: token});
const response = await fetch(`${process.env.TOKENINFO_URL}?${query}`);
say('access_token_info', await response.json());
