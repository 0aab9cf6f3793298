// An OpenID Provider that others wrote, with the clients and people of one test: SETUP is JSON.
import Provider from 'oidc-provider';

const { issuer, port, clients, people } = JSON.parse(process.env.SETUP);
const provider = new Provider(issuer, {
  clients,
  claims: { openid: ['sub', 'role', 'groups', 'email', 'email_verified', 'user', 'tenant'], profile: ['name'] },
  conformIdTokenClaims: false, // as most providers do: claims stand in the ID token itself
  cookies: { keys: ['a secret of these tests alone'] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
});
provider.on('server_error', (_, error) => console.error(error));
provider.on('grant.error', (_, error) => console.error(`grant.error ${error.message} ${error.error_detail ?? ''}`));
provider.listen(port, '127.0.0.1', () => console.log(`listening at ${issuer}`));
