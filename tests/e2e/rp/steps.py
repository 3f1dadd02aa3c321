"""The test's end of a relying party: one JSON line out, one JSON line in."""
import json
import sys


def told():
    """What the test says at the start: issuer, base_url, ca."""
    return json.loads(sys.argv[1])


def visit(url):
    """Asks the test to send its browser to `url`; the address where the browser arrived at us."""
    print(json.dumps({"visit": url}), flush=True)
    return json.loads(sys.stdin.readline())["arrived"]


def done(**facts):
    print(json.dumps({"done": facts}, default=str), flush=True)
