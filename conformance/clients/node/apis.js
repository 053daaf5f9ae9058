// What google-auth-library asks of Google's OAuth endpoints beside tokens: what a token means, and
// its end. It takes the addresses as options.

import {createRequire} from 'node:module';

import {Compute, OAuth2Client} from 'google-auth-library';

const require = createRequire(import.meta.url);
const {EMULATOR_URL} = process.env;

function say(step, found) {
  console.log(JSON.stringify({step, ...found}));
}

async function ask(what, act) {
  try {
    await act();
    say(what, {error: null});
  } catch (error) {
    say(what, {error: error.name, text: String(error.message).slice(0, 300)});
  }
}

// The machine's, as a file's token endpoint is ignored.
async function fresh() {
  return (await new Compute().getAccessToken()).token;
}

say('library', {
  name: 'google-auth-library',
  version: require('google-auth-library/package.json').version,
});
for (const path of ['', '/oauth2/v1', '/oauth2/v2', '/oauth2/v3']) {
  const tokenInfoUrl = `${EMULATOR_URL}${path}/tokeninfo`;
  const client = new OAuth2Client({endpoints: {tokenInfoUrl}});
  const token = await fresh();
  await ask(tokenInfoUrl, () => client.getTokenInfo(token));
  await ask(`${tokenInfoUrl}, unknown`, () => client.getTokenInfo('unknown'));
  const proxied = new OAuth2Client({
    endpoints: {tokenInfoUrl},
    transporterOptions: {headers: {'X-Forwarded-For': '192.0.2.1'}},
  });
  await ask(`${tokenInfoUrl} through a proxy`, () => proxied.getTokenInfo(token));
}
for (const path of ['/revoke', '/o/oauth2/revoke']) {
  const oauth2RevokeUrl = `${EMULATOR_URL}${path}`;
  const client = new OAuth2Client({endpoints: {oauth2RevokeUrl}});
  const token = await fresh();
  await ask(oauth2RevokeUrl, () => client.revokeToken(token));
  await ask(`${oauth2RevokeUrl}, again`, () => client.revokeToken(token));
}
