"""oidcrp as its flask_rp example configures it: WebFinger, discovery, dynamic registration, code with PKCE, userinfo, refresh, logout.

It has no service for introspection or revocation; a plain HTTP request with its credentials stands in for both, as in
oidc-op's documentation.
"""
from urllib.parse import parse_qsl, urlsplit

import requests
from oidcrp.defaults import DEFAULT_OIDC_SERVICES
from oidcrp.rp_handler import RPHandler

import steps

told = steps.told()
scope = ["openid", "profile", "email", "address", "phone", "api", "offline_access"]
handler = RPHandler(
    told["base_url"],
    httpc_params={"verify": told["ca"]},
    services={
        **DEFAULT_OIDC_SERVICES,
        "end_session": {"class": "oidcrp.oidc.end_session.EndSession"},
    },
    client_configs={
        "": {
            "client_preferences": {
                "application_name": "rphandler",
                "application_type": "web",
                "contacts": ["ops@example.com"],
                "response_types": ["code", "id_token", "id_token token", "code id_token", "code id_token token", "code token"],
                "scope": scope,
                "token_endpoint_auth_method": "client_secret_basic",
            },
            # It knows the member in the singular only.
            "post_logout_redirect_uri": told["base_url"] + "/session_logout",
            "add_ons": {
                "pkce": {
                    "function": "oidcrp.oauth2.add_on.pkce.add_support",
                    "kwargs": {"code_challenge_length": 64, "code_challenge_method": "S256"},
                }
            },
        }
    },
)

# WebFinger: all it is told is the name of a person.
person = "acct:alice@" + urlsplit(told["issuer"]).netloc
begun = handler.begin(user_id=person, req_args={"scope": scope, "prompt": "consent", "response_type": "code"})
arrived = steps.visit(begun["url"])
response = dict(parse_qsl(urlsplit(arrived).query))
state = response["state"]
result = handler.finalize(told["issuer"], response)
assert "error" not in result, result

context = handler.get_client_from_session_key(state).client_get("service_context")
first = handler.get_valid_access_token(state)[0]
refreshed = handler.refresh_access_token(state)
second = refreshed["access_token"]
again = handler.get_user_info(state, access_token=second)
assert again["sub"] == result["userinfo"]["sub"]

credentials = (context.get("client_id"), context.get("client_secret"))
endpoints = context.get("provider_info")


def post(endpoint, token):
    return requests.post(endpoints[endpoint], data={"token": token}, auth=credentials, verify=told["ca"])


introspected = post("introspection_endpoint", second).json()
assert post("revocation_endpoint", second).status_code == 200
after = post("introspection_endpoint", second).json()

signed_out = handler.logout(state, post_logout_redirect_uri=told["base_url"] + "/session_logout")
landed = steps.visit(signed_out["url"])
steps.done(
    client_id=credentials[0],
    id_token=result["id_token"].to_dict(),
    userinfo=result["userinfo"].to_dict(),
    first=first,
    second=second,
    introspected=introspected,
    after=after,
    landed=landed,
)
