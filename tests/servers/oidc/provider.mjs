// An OpenID Connect provider, https://github.com/panva/node-oidc-provider: any name and password signs in.
// node provider.mjs FOLDER PORT SITE: its packages are in FOLDER. Of one client, a site, people come back to
// SITE/oidc/callback; the other is a machine.
// SIGHUP gives it another key. It prints each path that it is asked for.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, port, site] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(createRequire(`${folder}/`).resolve('oidc-provider')));
const issuer = `http://127.0.0.1:${port}`;

function newKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'ES256' };
}

function newProvider() {
  return new Provider(issuer, {
    jwks: { keys: [newKey()] },
    clients: [
      {
        client_id: 'site',
        client_secret: 'a secret of the site, & no other',
        redirect_uris: [`${site}/oidc/callback`],
        post_logout_redirect_uris: [`${site}/oidc/signed-out`],
        id_token_signed_response_alg: 'ES256',
      },
      {
        client_id: 'machine',
        client_secret: 'a secret of the machine',
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    pkce: { required: () => true },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    findAccount: (context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: id, email: `${id}@example.com`, email_verified: id !== 'mallory' }),
    }),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (context, resource) => ({
          scope: 'conversions:write conversions:read',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    cookies: { keys: ['of the provider of the tests'] },
  });
}

let answer = newProvider().callback();
process.on('SIGHUP', () => {
  answer = newProvider().callback();
  console.log('rotated');
});
createServer((request, response) => {
  console.log(request.url.split('?')[0]);
  answer(request, response);
}).listen(port, '127.0.0.1', () => console.log('ready'));
