// openid-client 6 with jose 6: every kind of flow the library speaks, each with a client registered for it. One script for
// all, since they share the issuer and the browser; what each one found is told at the end by its name.
import { createRequire } from "node:module";
import readline from "node:readline";

const require = createRequire(process.env.OIDCOP_TEST_NODE_MODULES + "/");
const client = require("openid-client");
const jose = require("jose");

const told = JSON.parse(process.argv[2]);
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");
const hear = async () => JSON.parse((await lines.next()).value);
// Sends the browser to `url`; the address it arrived at, and what it posted there.
const visit = async (url) => {
  say({ visit: url.href });
  return hear();
};
// Has the test publish `text` at the relying party's `path`; its address.
const publish = async (path, text) => {
  say({ publish: path, text });
  return (await hear()).url;
};

const redirect_uri = `${told.base_url}/callback`;
const issuer = new URL(told.issuer);

async function pair(alg, use = "sig") {
  const options = { extractable: true };
  const { publicKey, privateKey } = await jose.generateKeyPair(alg, options);
  const jwk = { ...(await jose.exportJWK(publicKey)), alg, use };
  jwk.kid = await jose.calculateJwkThumbprint(jwk);
  return { jwk, privateKey, kid: jwk.kid };
}

const register = (metadata, auth, options) =>
  client.dynamicClientRegistration(
    issuer,
    {
      client_name: "openid-client",
      redirect_uris: [redirect_uri],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      ...metadata,
    },
    auth,
    options,
  );

// The parameters of a request, and what its answer is checked against.
async function request(scope = "openid email api") {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  return {
    params: {
      redirect_uri,
      scope,
      state,
      nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    },
    checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true },
  };
}

const arrivedAs = ({ arrived, posted }) =>
  posted == null
    ? new URL(arrived)
    : new Request(arrived, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: posted,
      });

// From the address of the request to tokens and userinfo.
async function through(config, url, checks, options) {
  const back = arrivedAs(await visit(url));
  const tokens = await client.authorizationCodeGrant(config, back, checks, undefined, options);
  const claims = tokens.claims();
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub, options);
  return { tokens, claims, userinfo };
}

const found = (client_id, { claims, userinfo, tokens }) => ({
  client_id,
  id_token: claims,
  userinfo,
  access_token: tokens.access_token,
  token_type: tokens.token_type,
});

async function plain(metadata, auth, more = {}) {
  const config = await register(metadata, auth);
  const { params, checks } = await request();
  const url = client.buildAuthorizationUrl(config, { ...params, ...more });
  return found(config.clientMetadata().client_id, await through(config, url, checks));
}

const flows = {
  async form_post() {
    return plain({}, client.ClientSecretBasic(), { response_mode: "form_post" });
  },
  async client_secret_post() {
    return plain({ token_endpoint_auth_method: "client_secret_post" }, client.ClientSecretPost());
  },
  async client_secret_jwt() {
    const metadata = { token_endpoint_auth_method: "client_secret_jwt", token_endpoint_auth_signing_alg: "HS256" };
    return plain(metadata, client.ClientSecretJwt());
  },
  async public_client() {
    return plain({ token_endpoint_auth_method: "none" }, client.None());
  },
  async pairwise() {
    return plain({ subject_type: "pairwise" }, client.ClientSecretBasic());
  },
  async public_subject() {
    return plain({ subject_type: "public" }, client.ClientSecretBasic());
  },

  async id_token_algorithms() {
    const all = {};
    for (const alg of (await client.discovery(issuer, "nobody", undefined, client.None())).serverMetadata()
      .id_token_signing_alg_values_supported) {
      if (alg.startsWith("HS")) continue; // the library takes no symmetric ones
      all[alg] = await plain({ id_token_signed_response_alg: alg }, client.ClientSecretBasic());
    }
    return all;
  },

  async code_id_token() {
    const config = await register(
      { response_types: ["code id_token"], grant_types: ["authorization_code", "implicit"] },
      client.ClientSecretBasic(),
    );
    client.useCodeIdTokenResponseType(config);
    const { params, checks } = await request();
    const url = client.buildAuthorizationUrl(config, params);
    return found(config.clientMetadata().client_id, await through(config, url, checks));
  },

  async code_id_token_detached_form_post() {
    const config = await register(
      { response_types: ["code id_token"], grant_types: ["authorization_code", "implicit"] },
      client.ClientSecretBasic(),
    );
    client.useCodeIdTokenResponseType(config);
    const { params, checks } = await request();
    const url = client.buildAuthorizationUrl(config, { ...params, response_mode: "form_post" });
    return found(config.clientMetadata().client_id, await through(config, url, checks));
  },

  async id_token() {
    const config = await register({ response_types: ["id_token"], grant_types: ["implicit"] }, client.ClientSecretBasic());
    client.useIdTokenResponseType(config);
    const state = client.randomState();
    const nonce = client.randomNonce();
    const url = client.buildAuthorizationUrl(config, { redirect_uri, scope: "openid email", state, nonce });
    const back = arrivedAs(await visit(url));
    const claims = await client.implicitAuthentication(config, back, nonce, { expectedState: state });
    return { client_id: config.clientMetadata().client_id, id_token: claims, userinfo: claims };
  },

  async par() {
    const metadata = { require_pushed_authorization_requests: true };
    const config = await register(metadata, client.ClientSecretBasic());
    const { params, checks } = await request();
    const url = await client.buildAuthorizationUrlWithPAR(config, params);
    return found(config.clientMetadata().client_id, await through(config, url, checks));
  },

  async jar() {
    const key = await pair("ES256");
    const metadata = { jwks: { keys: [key.jwk] }, request_object_signing_alg: "ES256", require_signed_request_object: true };
    const config = await register(metadata, client.ClientSecretBasic());
    const { params, checks } = await request();
    const url = await client.buildAuthorizationUrlWithJAR(config, params, { key: key.privateKey, kid: key.kid });
    return found(config.clientMetadata().client_id, await through(config, url, checks));
  },

  async jar_through_par() {
    const key = await pair("PS256");
    const config = await register(
      { jwks: { keys: [key.jwk] }, request_object_signing_alg: "PS256" },
      client.ClientSecretBasic(),
    );
    const { params, checks } = await request();
    const jar = await client.buildAuthorizationUrlWithJAR(config, params, { key: key.privateKey, kid: key.kid });
    const url = await client.buildAuthorizationUrlWithPAR(config, jar.searchParams);
    return found(config.clientMetadata().client_id, await through(config, url, checks));
  },

  async jar_encrypted() {
    const all = {};
    const { jwks_uri } = (await client.discovery(issuer, "nobody", undefined, client.None())).serverMetadata();
    const { keys } = await (await fetch(jwks_uri)).json();
    for (const [alg, enc] of [
      ["RSA-OAEP-256", "A256GCM"],
      ["RSA-OAEP", "A128CBC-HS256"],
      ["ECDH-ES", "A128GCM"],
      ["ECDH-ES+A256KW", "A256CBC-HS512"],
    ]) {
      const key = await pair("RS256");
      const config = await register(
        {
          jwks: { keys: [key.jwk] },
          request_object_signing_alg: "RS256",
          request_object_encryption_alg: alg,
          request_object_encryption_enc: enc,
        },
        client.ClientSecretBasic(),
      );
      const { params, checks } = await request();
      const url = await client.buildAuthorizationUrlWithJAR(config, params, { key: key.privateKey, kid: key.kid });
      const theirs = keys.find((jwk) => jwk.use === "enc" && jwk.kty === (alg.startsWith("RSA") ? "RSA" : "EC"));
      const sealed = await new jose.CompactEncrypt(new TextEncoder().encode(url.searchParams.get("request")))
        .setProtectedHeader({ alg, enc, cty: "JWT", kid: theirs.kid })
        .encrypt(await jose.importJWK(theirs, alg));
      url.searchParams.set("request", sealed);
      all[`${alg} ${enc}`] = found(config.clientMetadata().client_id, await through(config, url, checks));
    }
    return all;
  },

  async request_uri() {
    const key = await pair("RS256");
    const config = await register(
      { jwks: { keys: [key.jwk] }, request_object_signing_alg: "RS256", request_uris: [`${told.fetch_url}/request.jwt`] },
      client.ClientSecretBasic(),
    );
    const { params, checks } = await request();
    const jar = await client.buildAuthorizationUrlWithJAR(config, params, { key: key.privateKey, kid: key.kid });
    const request_uri = await publish("/request.jwt", jar.searchParams.get("request"));
    const { client_id } = config.clientMetadata();
    const url = new URL(config.serverMetadata().authorization_endpoint);
    const outside = { client_id, request_uri, scope: "openid", response_type: "code" };
    for (const [name, value] of Object.entries(outside)) url.searchParams.set(name, value);
    return found(client_id, await through(config, url, checks));
  },

  async jarm() {
    const config = await register({ authorization_signed_response_alg: "ES256" }, client.ClientSecretBasic());
    client.useJwtResponseMode(config);
    const { params, checks } = await request();
    const url = client.buildAuthorizationUrl(config, params);
    return found(config.clientMetadata().client_id, await through(config, url, checks));
  },

  async dpop() {
    const all = {};
    for (const [name, metadata, auth] of [
      ["confidential", { dpop_bound_access_tokens: true }, client.ClientSecretBasic()],
      ["public", { token_endpoint_auth_method: "none", dpop_bound_access_tokens: true }, client.None()],
    ]) {
      const config = await register(metadata, auth);
      const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
      const { params, checks } = await request("openid email api offline_access");
      const url = await client.buildAuthorizationUrlWithPAR(config, { ...params, prompt: "consent" }, { DPoP });
      const gained = await through(config, url, checks, { DPoP });
      const { tokens } = gained;
      const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
      const api = new URL("/api/", issuer);
      const bound = { DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256")) };
      const call = (options) =>
        client
          .fetchProtectedResource(config, refreshed.access_token, api, "GET", undefined, undefined, options)
          .then((response) => response.status)
          .catch((error) => error.response?.status ?? error.cause?.status ?? String(error));
      all[name] = {
        ...found(config.clientMetadata().client_id, gained),
        with_its_key: await call({ DPoP }),
        with_another: await call(bound),
        as_bearer: (await fetch(api, { headers: { authorization: `Bearer ${refreshed.access_token}` } })).status,
      };
    }
    return all;
  },

  async encrypted() {
    const all = {};
    for (const [alg, enc] of [
      ["RSA-OAEP-256", "A256GCM"],
      ["RSA-OAEP", "A128CBC-HS256"],
      ["ECDH-ES", "A128GCM"],
      ["ECDH-ES+A128KW", "A256CBC-HS512"],
    ]) {
      const key = await pair(alg, "enc");
      const config = await register(
        {
          jwks: { keys: [key.jwk] },
          id_token_encrypted_response_alg: alg,
          id_token_encrypted_response_enc: enc,
          userinfo_signed_response_alg: "ES256",
          userinfo_encrypted_response_alg: alg,
          userinfo_encrypted_response_enc: enc,
        },
        client.ClientSecretBasic(),
      );
      client.enableDecryptingResponses(config, [enc], { key: key.privateKey, alg, kid: key.kid });
      client.enableNonRepudiationChecks(config);
      const { params, checks } = await request();
      const url = client.buildAuthorizationUrl(config, params);
      const gained = await through(config, url, checks);
      all[`${alg} ${enc}`] = {
        ...found(config.clientMetadata().client_id, gained),
        sealed: gained.tokens.id_token.split(".").length,
      };
    }
    return all;
  },

  async introspection_jwt() {
    const config = await register({ introspection_signed_response_alg: "RS256" }, client.ClientSecretBasic());
    client.enableNonRepudiationChecks(config);
    const { params, checks } = await request();
    const gained = await through(config, client.buildAuthorizationUrl(config, params), checks);
    const introspected = await client.tokenIntrospection(config, gained.tokens.access_token);
    return { ...found(config.clientMetadata().client_id, gained), introspected };
  },

  // The client's keys change while its refresh token lives: the old assertion key is gone, the new one is at jwks_uri.
  async private_key_jwt_rotation() {
    const [first, second] = [await pair("ES256"), await pair("ES256")];
    const jwks_uri = await publish("/jwks.json", JSON.stringify({ keys: [first.jwk] }));
    const config = await register(
      { jwks_uri, token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: "ES256" },
      client.PrivateKeyJwt({ key: first.privateKey, kid: first.kid }),
    );
    const { params, checks } = await request("openid email api offline_access");
    const url = client.buildAuthorizationUrl(config, { ...params, prompt: "consent" });
    const gained = await through(config, url, checks);
    await publish("/jwks.json", JSON.stringify({ keys: [second.jwk] }));
    const { client_id } = config.clientMetadata();
    const auth = client.PrivateKeyJwt({ key: second.privateKey, kid: second.kid });
    const rotated = new client.Configuration(config.serverMetadata(), client_id, {}, auth);
    const refreshed = await client.refreshTokenGrant(rotated, gained.tokens.refresh_token);
    const userinfo = await client.fetchUserInfo(rotated, refreshed.access_token, gained.claims.sub);
    return { ...found(client_id, gained), userinfo };
  },
};

const all = {};
for (const name of told.flows ?? Object.keys(flows)) {
  try {
    all[name] = await flows[name]();
  } catch (error) {
    all[name] = { failed: `${error}`, cause: `${error.cause?.stack ?? JSON.stringify(error.cause)}`, stack: error.stack };
  }
}
say({ done: all });
process.exit(0);
