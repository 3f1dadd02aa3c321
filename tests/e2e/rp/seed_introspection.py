"""The introspection that oidc-op's documentation shows: Basic as it comes, at an address outside the mount."""
import base64
import json
import sys

import requests

told = json.loads(sys.argv[1])
pair = base64.b64encode(f"{told['client_id']}:{told['client_secret']}".encode())
response = requests.post(
    told["introspection_endpoint"],
    verify=False,
    data={"token": told["token"], "token_type_hint": "access_token"},
    headers={"Authorization": f"Basic {pair.decode()}"},
)
print(json.dumps({"status": response.status_code, "body": response.json()}))
