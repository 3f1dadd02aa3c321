// openid-client 6: discovery, dynamic registration, code with PKCE, userinfo, refresh, introspection, revocation, logout.
import { createRequire } from "node:module";
import readline from "node:readline";

const require = createRequire(process.env.OIDCOP_TEST_NODE_MODULES + "/");
const client = require("openid-client");

const told = JSON.parse(process.argv[2]);
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");
const visit = async (url) => {
  say({ visit: url.href });
  return JSON.parse((await lines.next()).value).arrived;
};

const redirect_uri = `${told.base_url}/callback`;
const post_logout_redirect_uri = `${told.base_url}/signed-out`;
const config = await client.dynamicClientRegistration(
  new URL(told.issuer),
  {
    client_name: "openid-client",
    redirect_uris: [redirect_uri],
    post_logout_redirect_uris: [post_logout_redirect_uri],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "client_secret_basic",
  },
  client.ClientSecretBasic(),
);

const code_verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
const arrived = await visit(
  client.buildAuthorizationUrl(config, {
    redirect_uri,
    scope: "openid profile email api offline_access",
    prompt: "consent",
    code_challenge: await client.calculatePKCECodeChallenge(code_verifier),
    code_challenge_method: "S256",
    state,
    nonce,
  }),
);
const tokens = await client.authorizationCodeGrant(config, new URL(arrived), {
  pkceCodeVerifier: code_verifier,
  expectedState: state,
  expectedNonce: nonce,
  idTokenExpected: true,
});
const claims = tokens.claims();
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token);
await client.fetchUserInfo(config, refreshed.access_token, claims.sub);
const introspected = await client.tokenIntrospection(config, refreshed.access_token);
await client.tokenRevocation(config, refreshed.access_token);
const after = await client.tokenIntrospection(config, refreshed.access_token);
const landed = await visit(
  client.buildEndSessionUrl(config, { post_logout_redirect_uri, id_token_hint: tokens.id_token, state: "bye" }),
);
say({
  done: {
    client_id: config.clientMetadata().client_id,
    id_token: claims,
    userinfo,
    first: tokens.access_token,
    second: refreshed.access_token,
    introspected,
    after,
    landed,
  },
});
process.exit(0);
