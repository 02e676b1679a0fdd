"""Asks once, with the library named first: ask.py requests|http.client URL METHOD CAFILE [CERT KEY]. Prints status and body."""
import http.client
import ssl
import sys
from urllib.parse import urlsplit

library, url, method, ca, *pair = sys.argv[1:]

if library == "requests":
    import requests

    session = requests.Session()
    session.trust_env = False
    answer = session.request(method, url, verify=ca, cert=tuple(pair) or None)
    print(answer.status_code, answer.text, sep="\n")
else:
    context = ssl.create_default_context(cafile=ca)
    if pair:
        context.load_cert_chain(*pair)
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=context)
    connection.request(method, parts.path)
    answer = connection.getresponse()
    print(answer.status, answer.read().decode(), sep="\n")
