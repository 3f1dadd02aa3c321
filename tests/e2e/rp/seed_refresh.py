"""The refresh that oidc-op's documentation shows: credentials in the body, no certificate check, nothing but `requests`."""
import json
import sys

import requests

told = json.loads(sys.argv[1])
response = requests.post(
    told["token_endpoint"],
    verify=False,
    data={
        "grant_type": "refresh_token",
        "client_id": told["client_id"],
        "client_secret": told["client_secret"],
        "refresh_token": told["refresh_token"],
    },
    headers={"Content-Type": "application/x-www-form-urlencoded"},
)
print(json.dumps({"status": response.status_code, "body": response.json()}))
