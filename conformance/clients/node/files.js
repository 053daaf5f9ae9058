// A token with each kind of credentials file, as any program gets one.
//
// ADC_FOLDER holds files named after their kinds, ADC_KINDS names the kinds.

import {createHash} from 'node:crypto';
import {createRequire} from 'node:module';
import {join} from 'node:path';

import {GoogleAuth} from 'google-auth-library';

const require = createRequire(import.meta.url);
const {ADC_FOLDER, ADC_KINDS, TOKENINFO_URL} = process.env;

function say(step, found) {
  console.log(JSON.stringify({step, ...found}));
}

say('library', {
  name: 'google-auth-library',
  version: require('google-auth-library/package.json').version,
});
for (const kind of ADC_KINDS.split(' ')) {
  const auth = new GoogleAuth({
    keyFilename: join(ADC_FOLDER, `${kind}.json`),
    scopes: 'https://www.googleapis.com/auth/cloud-platform',
  });
  const client = await auth.getClient();
  const {token} = await client.getAccessToken();
  const query = new URLSearchParams({access_token: token});
  const response = await fetch(`${TOKENINFO_URL}?${query}`);
  say(kind, {
    token: {
      length: token.length,
      sha256: createHash('sha256').update(token).digest('hex').slice(0, 16),
    },
    seconds_left: (client.credentials.expiry_date - Date.now()) / 1000,
    info: await response.json(),
  });
}
