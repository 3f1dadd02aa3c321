"""oidcrp: the response types that put tokens into the front channel (it registers no redirect URI for `code id_token`), each with a client of its own."""
import traceback
from urllib.parse import parse_qsl, urlsplit

from oidcrp.defaults import DEFAULT_OIDC_SERVICES
from oidcrp.rp_handler import RPHandler

import steps

told = steps.told()


def through(response_type):
    """A whole flow; what it brought."""
    handler = RPHandler(
        f"{told['base_url']}/{response_type.replace(' ', '_')}",
        httpc_params={"verify": told["ca"]},
        services=DEFAULT_OIDC_SERVICES,
        client_configs={
            "": {
                "client_preferences": {
                    "application_name": "rphandler",
                    "application_type": "web",
                    "response_types": [response_type],
                    "grant_types": ["authorization_code", "implicit"],
                    "scope": ["openid", "email"],
                    "token_endpoint_auth_method": "client_secret_basic",
                },
                "add_ons": {},
            }
        },
    )
    begun = handler.begin(told["issuer"], req_args={"scope": ["openid", "email"], "response_type": response_type})
    arrived = urlsplit(steps.visit(begun["url"]))
    assert arrived.fragment, arrived
    result = handler.finalize(told["issuer"], dict(parse_qsl(arrived.fragment)))
    assert "error" not in result, result
    client_id = handler.get_client_from_session_key(result["state"]).client_get("service_context").get("client_id")
    # The library does not redeem the code of `code token`, so there no ID token is seen.
    id_token = plain(result["id_token"])
    # Without an access token there is no userinfo: what the person is called stands in the ID token.
    userinfo = plain(result.get("userinfo")) or id_token
    assert "email" in userinfo, userinfo
    if id_token:
        [id_token["aud"]] = id_token["aud"] if isinstance(id_token["aud"], list) else [id_token["aud"]]
    return {"client_id": client_id, "id_token": id_token, "userinfo": userinfo}


def plain(message):
    return message.to_dict() if hasattr(message, "to_dict") else message


found = {}
for name in ["id_token", "id_token token", "code token", "code id_token token"]:
    try:
        found[name] = through(name)
    except Exception:  # whatever went wrong is told by the flow's name
        found[name] = {"failed": traceback.format_exc()}
steps.done(**found)
