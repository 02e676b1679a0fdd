"""A TLS 1.2 client that identifies itself, renegotiates with another certificate, and asks again.

argv: port, then PEM files: first certificate (or "-" for none), its key, second certificate, its key, and when:
  between   renegotiates after the first answer, then asks again
  at-once   renegotiates before it asks anything
  in-flight asks (the server is slow), renegotiates without waiting for the answer, and asks again
  never     asks twice
  half      sends half of the first request, renegotiates, sends the rest, and asks again

A seventh argument is the protocol: http/1.1 (as is without it), h2, or upgrade (the first request asks to be upgraded).

Prints one line of JSON: the answers' status lines and bodies, whether the server agreed to renegotiate (it answered the second ClientHello
with a ServerHello: RFC 5246, section 7.4.1.3), and how the renegotiation ended.
"""
import json
import socket
import struct
import sys
import time

from OpenSSL import SSL, crypto

port, first_cert, first_key, second_cert, second_key, when = sys.argv[1:7]
protocol = sys.argv[7] if len(sys.argv) > 7 else "http/1.1"
seen = {"answers": [], "agreed": False, "renegotiated": False, "error": None}


def pem(path):
    with open(path, "rb") as file:
        return file.read()


def request(path):
    if protocol == "h2":
        return h2_request(path)
    upgrade = b"Connection: Upgrade\r\nUpgrade: who\r\n" if protocol == "upgrade" else b""
    return b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + upgrade + b"\r\n"


def frame(kind, flags, stream, payload=b""):
    """RFC 9113, section 4.1."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


streams = []


def h2_request(path):
    """HEADERS with END_STREAM and END_HEADERS; GET, https, the path and the authority by RFC 7541, sections 6.1 and 6.2.2."""
    preface = b"" if streams else b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
    streams.append(2 * len(streams) + 1)
    fields = b"\x82\x87\x04" + bytes([len(path)]) + path + b"\x01\x09localhost"
    return preface + frame(1, 5, streams[-1], fields)


def h2_answer():
    """The DATA of the last stream; the status is in the body where there is one."""
    read, body = b"", b""
    while True:
        while len(read) < 9 or len(read) < 9 + int.from_bytes(read[:3], "big"):
            read += receive()
        end = 9 + int.from_bytes(read[:3], "big")
        head, payload, read = read[:9], read[9:end], read[end:]
        if head[3] == 0 and int.from_bytes(head[5:9], "big") == streams[-1]:
            body += payload
            if head[4] & 1:
                return {"status": 0, "body": body.decode()}


context = SSL.Context(SSL.TLS_CLIENT_METHOD)
context.set_max_proto_version(SSL.TLS1_2_VERSION)
context.set_alpn_protos([b"h2" if protocol == "h2" else b"http/1.1"])
if first_cert != "-":
    context.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, pem(first_cert)))
    context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, pem(first_key)))


def watch(connection, where, _):
    if where & SSL.SSL_CB_LOOP and connection.get_state_string() == b"SSLv3/TLS read server hello":
        seen["agreed"] = renegotiating


renegotiating = False
context.set_info_callback(watch)

tcp = socket.create_connection(("127.0.0.1", int(port)), timeout=5)
connection = SSL.Connection(context, tcp)
connection.set_tlsext_host_name(b"localhost")
connection.set_connect_state()


def patiently(call):
    """pyOpenSSL makes sockets with a timeout non-blocking."""
    end = time.monotonic() + 4
    while True:
        try:
            return call()
        except (SSL.WantReadError, SSL.WantWriteError):
            if time.monotonic() > end:
                raise TimeoutError("the server is silent")
            time.sleep(0.005)


early = []


def receive():
    return early.pop(0) if early else patiently(lambda: connection.recv(65536))


def answer():
    if protocol == "h2":
        return h2_answer()
    text = b""
    while True:
        text += receive()
        head, separator, body = text.partition(b"\r\n\r\n")
        if not separator:
            continue
        if protocol == "upgrade" and body.endswith(b"}"):
            return {"status": int(head.split(b" ")[1]), "body": body.decode()}
        length = [l for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:")]
        if length and len(body) >= int(length[0].split(b":")[1]):
            return {"status": int(head.split(b" ")[1]), "body": body.decode()}


def change_certificate():
    """By reading: unlike do_handshake(), that lets the server finish what it was saying before it answers the ClientHello."""
    global renegotiating
    renegotiating = True
    connection.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, pem(second_cert)))
    connection.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, pem(second_key)))
    connection.renegotiate()
    # The handshake is complete when the server's Finished was read.
    end = time.monotonic() + 2
    while connection.renegotiate_pending() and time.monotonic() < end:
        try:
            early.append(connection.recv(65536))
        except (SSL.WantReadError, SSL.WantWriteError):
            time.sleep(0.005)
    seen["renegotiated"] = connection.total_renegotiations() > 0 and not connection.renegotiate_pending()


try:
    patiently(connection.do_handshake)
    if when == "between":
        connection.sendall(request(b"/first"))
        seen["answers"].append(answer())
        change_certificate()
    elif when == "never":
        connection.sendall(request(b"/first"))
        seen["answers"].append(answer())
    elif when == "at-once":
        change_certificate()
    elif when == "in-flight":
        connection.sendall(request(b"/slow"))
        time.sleep(0.1)
        change_certificate()
    elif when == "half":
        connection.sendall(b"GET /half HTTP/1.1\r\nHost: localhost\r\n")
        time.sleep(0.1)
        change_certificate()
        connection.sendall(b"\r\n")
        seen["answers"].append(answer())
    connection.sendall(request(b"/second"))
    while len(seen["answers"]) < (1 if when == "at-once" else 2):
        seen["answers"].append(answer())
except Exception as error:  # how it ends is what the test looks at
    seen["error"] = type(error).__name__ + ": " + str(error)[:200]

print(json.dumps(seen))
