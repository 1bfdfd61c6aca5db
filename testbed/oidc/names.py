"""Names that server, starter and client share: grants, token types, paths and files."""

AUTHORIZATION_CODE = "authorization_code"
CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
ID_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:id_token"
ID_JAG_TYPE = "urn:ietf:params:oauth:token-type:id-jag"

DISCOVERY_PATH = "/.well-known/openid-configuration"
ROTATION_PATH = "/control/rotation"
"""Not part of OpenID Connect: for the process that started the server only."""

CERTIFICATE_FILE = "server.crt"
KEY_FILE = "server.key"
REGISTRY_FILE = "registry.json"
