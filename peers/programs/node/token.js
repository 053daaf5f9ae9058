// Prints a token, of the class that asks the metadata server.
import { Compute } from 'google-auth-library';

console.log((await new Compute().getAccessToken()).token);
