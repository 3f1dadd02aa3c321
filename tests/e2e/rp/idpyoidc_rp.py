"""idpyoidc: discovery, dynamic registration, code with PKCE, userinfo, refresh, introspection, revocation, logout."""
from urllib.parse import parse_qsl, urlsplit

from idpyoidc.client.defaults import DEFAULT_OIDC_SERVICES
from idpyoidc.client.exception import ResponseError
from idpyoidc.client.rp_handler import RPHandler

import steps

told = steps.told()
handler = RPHandler(
    base_url=told["base_url"],
    httpc_params={"verify": told["ca"]},
    services={
        **DEFAULT_OIDC_SERVICES,
        "end_session": {"class": "idpyoidc.client.oidc.end_session.EndSession"},
        "introspection": {"class": "idpyoidc.client.oauth2.introspection.Introspection"},
        "token_revocation": {"class": "idpyoidc.client.oauth2.token_revocation.TokenRevocation"},
    },
    client_configs={
        "": {
            "client_type": "oidc",
            "client_authn_methods": ["client_secret_basic", "client_secret_post"],
            "preference": {
                "application_type": "web",
                "client_name": "idpyoidc",
                "contacts": ["ops@example.com"],
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access", "api"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            },
            "add_ons": {
                "pkce": {
                    "function": "idpyoidc.client.oauth2.add_on.pkce.add_support",
                    "kwargs": {"code_challenge_length": 64, "code_challenge_method": "S256"},
                }
            },
        }
    },
)

# The steps of `handler.begin`, taken one by one: it has no place for what the registration request should say besides.
signed_out_uri = told["base_url"] + "/signed_out"
client = handler.init_client(told["issuer"])
handler.issuer2rp[told["issuer"]] = client
iss_id = handler.do_provider_info(client)
registration = {"post_logout_redirect_uri": signed_out_uri}
handler.do_client_registration(client, iss_id, request_args=registration)
begun = handler.init_authorization(
    client,
    req_args={"scope": ["openid", "profile", "email", "api", "offline_access"], "prompt": "consent"},
)
arrived = steps.visit(begun)
response = dict(parse_qsl(urlsplit(arrived).query))
state = response["state"]
result = handler.finalize(told["issuer"], response)
assert "error" not in result, result

first = client.get_valid_access_token(state)[0]
refreshed = handler.refresh_access_token(state)
second = refreshed["access_token"]
again = handler.get_user_info(state, access_token=second)
assert again["sub"] == result["userinfo"]["sub"]

# The library's own service for both takes the token as a request argument.
introspected = client.do_request("introspection", request_args={"token": second}, state=state)
try:
    client.do_request("token_revocation", request_args={"token": second}, state=state)
except ResponseError:
    # It takes the empty body of a 200 for a fault; RFC 7009 §2.2 has clients ignore the body.
    pass
after = client.do_request("introspection", request_args={"token": second}, state=state)

signed_out = handler.logout(state, post_logout_redirect_uri=signed_out_uri)
landed = steps.visit(signed_out["url"])
steps.done(
    client_id=client.get_context().get_client_id(),
    id_token=result["id_token"].to_dict(),
    userinfo=result["userinfo"].to_dict(),
    first=first,
    second=second,
    introspected=introspected.to_dict(),
    after=after.to_dict(),
    landed=landed,
)
