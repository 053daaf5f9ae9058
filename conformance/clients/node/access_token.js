// Prints an access token of the machine, in the shortest way that google-auth-library has.

import {Compute} from 'google-auth-library';

const {token} = await new Compute().getAccessToken();
console.log(token);
