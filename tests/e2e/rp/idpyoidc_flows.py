"""idpyoidc: code, code id_token, DPoP; each with a client of its own. (Its pushed requests take the 201 of RFC 9126 §2.2 for a
failure.)"""
import traceback
from urllib.parse import parse_qsl, urlsplit

from idpyoidc.client.defaults import DEFAULT_OIDC_SERVICES
from idpyoidc.client.rp_handler import RPHandler

import steps

told = steps.told()
KEYS = [{"type": "RSA", "use": ["sig"]}, {"type": "EC", "crv": "P-256", "use": ["sig"]}]


def through(name, response_type, add_ons=None, preference=None, **request):
    """A whole flow; what it brought."""
    base_url = f"{told['base_url']}/{name}"
    handler = RPHandler(
        base_url=base_url,
        httpc_params={"verify": told["ca"]},
        services=DEFAULT_OIDC_SERVICES,
        client_configs={
            "": {
                "client_type": "oidc",
                "key_conf": {"key_defs": KEYS},
                "client_authn_methods": ["client_secret_basic"],
                "preference": {
                    "application_type": "web",
                    "client_name": "idpyoidc",
                    "response_types_supported": [response_type],
                    "grant_types_supported": ["authorization_code", "implicit"],
                    "scopes_supported": ["openid", "profile", "email"],
                    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                    **(preference or {}),
                },
                "add_ons": add_ons or {},
            }
        },
    )
    begun = handler.begin(told["issuer"], req_args={"scope": ["openid", "email"], "response_type": response_type, **request})
    arrived = urlsplit(steps.visit(begun))
    response = dict(parse_qsl(arrived.fragment or arrived.query))
    result = handler.finalize(told["issuer"], response)
    assert "error" not in result, result
    client = handler.get_client_from_session_key(response["state"])
    id_token = result["id_token"].to_dict()
    # Without an access token there is no userinfo: what the person is called stands in the ID token.
    userinfo = result["userinfo"].to_dict() if result.get("userinfo") else id_token
    assert "email" in userinfo, userinfo
    # The library's own `aud` is a list.
    [id_token["aud"]] = id_token["aud"] if isinstance(id_token["aud"], list) else [id_token["aud"]]
    return {"client_id": client.get_context().get_client_id(), "id_token": id_token, "userinfo": userinfo}


FLOWS = {
    "code": lambda: through("code", "code"),
    "code id_token": lambda: through("code_id_token", "code id_token"),
    "dpop": lambda: through(
        "dpop",
        "code",
        add_ons={
            "dpop": {
                "function": "idpyoidc.client.oauth2.add_on.dpop.add_support",
                "kwargs": {"dpop_signing_alg_values_supported": ["ES256"], "with_dpop_header": ["userinfo"]},
            }
        },
    ),
}

found = {}
for name, flow in FLOWS.items():
    try:
        found[name] = flow()
    except Exception:  # whatever went wrong is told by the flow's name
        found[name] = {"failed": traceback.format_exc()}
steps.done(**found)
