"""What server, starter and client call the same: grants, kinds of tokens, paths and files. Values alone."""

AUTHORIZATION_CODE = "authorization_code"
CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
ID_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:id_token"

DISCOVERY_PATH = "/.well-known/openid-configuration"
ROTATION_PATH = "/control/rotation"
"""No part of OpenID Connect: for who started the server, and nobody else."""

CERTIFICATE_FILE = "server.crt"
KEY_FILE = "server.key"
REGISTRY_FILE = "registry.json"
