"""A server that means no good. What it does to who connects stands in the file "deed" of its directory.

usage: DIRECTORY web ADDRESS PORT [CERTIFICATE KEY] | DIRECTORY imap ADDRESS PORT UPSTREAM
"""

import gzip
import os
import socket
import ssl
import sys
import threading
import time

directory, kind, address, port, *rest = sys.argv[1:]
MEGABYTE = b"<p>hello, what a fine guestbook</p>\n" * 29128


def read(name):
    with open(os.path.join(directory, name), "rb") as file:
        return file.read()


def head(*lines, status="200 OK"):
    return ("HTTP/1.1 %s\r\n%s\r\n" % (status, "".join(line + "\r\n" for line in lines))).encode()


def page(body, *lines):
    lines = lines or ("Content-Type: text/html; charset=utf-8",)
    return head(*lines, "Content-Length: %d" % len(body), "Connection: close") + body


def request(connection):
    text = b""
    while b"\r\n\r\n" not in text:
        more = connection.recv(4096)
        if not more:
            raise OSError("no request")
        text += more
    return text.split()[1].decode()


# --- what is done to who asks for a page


def good(connection, path):
    connection.sendall(page(read("page")))


def feed(connection, path):
    connection.sendall(page(read("page"), "Content-Type: application/atom+xml"))


def silent(connection, path):
    while connection.recv(4096):
        pass


def trickle(connection, path):
    connection.sendall(head("Content-Type: text/html", "Content-Length: 100000"))
    while True:
        connection.sendall(b"a")
        time.sleep(1)


def endless(connection, path):
    connection.sendall(head("Content-Type: text/html", "Transfer-Encoding: chunked"))
    while True:
        connection.sendall(b"%x\r\n%s\r\n" % (len(MEGABYTE), MEGABYTE))


def headers(connection, path):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: and more\r\n" * 1000)


def bomb(connection, path):
    body = BOMB or make_bomb()
    connection.sendall(page(body, "Content-Type: text/html", "Content-Encoding: gzip"))


BOMB = b""


def make_bomb():
    """A gigabyte in one megabyte: the compressed form of a megabyte, often."""
    global BOMB
    BOMB = gzip.compress(MEGABYTE) * 1024
    return BOMB


def redirects(connection, path):
    place = "/%d" % (int(path.strip("/") or 0) + 1 if path.strip("/").isdigit() else 1)
    connection.sendall(head("Location: " + place, "Content-Length: 0", "Connection: close", status="302 Found"))


def elsewhere(connection, path):
    """To a place of its own choice: the second word of the deed."""
    connection.sendall(head("Location: " + argument(), "Content-Length: 0", "Connection: close", status="302 Found"))


def error(connection, path):
    connection.sendall(head("Content-Length: 0", "Connection: close", status="503 Not Now"))


def garbage(connection, path):
    connection.sendall(os.urandom(100000))


def cut(connection, path):
    connection.sendall(head("Content-Type: text/html", "Content-Length: 100000") + b"<p>hello")


def utf8(connection, path):
    """The page, between bytes that are no UTF-8."""
    broken = b"\xff\xfe<p>\xc3\x28 \xe2\x82 \xf0\x9f</p>\xed\xa0\x80" * 10
    # Not first, for it is a byte order mark.
    connection.sendall(page(b"<p>" + broken + read("page") + broken))


def deep(connection, path):
    connection.sendall(page(b"<div><b><ul><li>" * 100000 + read("page")))


def brackets(connection, path):
    connection.sendall(page(b"[" * 1000000, "Content-Type: application/json"))


def entities(connection, path):
    entity = b'<!ENTITY a0 "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 20)
    )
    text = b"<?xml version='1.0'?><!DOCTYPE feed [%s]><feed><entry><content>&a19;</content></entry></feed>" % entity
    connection.sendall(page(text, "Content-Type: application/atom+xml"))


# --- what is done to who reads mails: what the real server says comes to a point, and then


def relay(connection, disturb):
    upstream = socket.create_connection((rest[0], 143))

    def there():
        try:
            while True:
                said = connection.recv(65536)
                if not said:
                    break
                upstream.sendall(said)
        except OSError:
            pass
        upstream.close()

    threading.Thread(target=there, daemon=True).start()
    while True:
        said = upstream.recv(65536)
        if not said:
            return
        disturb(said)


def imap_good(connection):
    relay(connection, connection.sendall)


def at_literal(connection, then):
    def disturb(said):
        at = said.find(b"}\r\n")
        if at < 0:
            connection.sendall(said)
            return
        then(said, at)
        raise OSError("that is all")

    relay(connection, disturb)


def imap_literal(connection):
    """Drops in the middle of a literal."""
    at_literal(connection, lambda said, at: connection.sendall(said[: at + 5]))


def imap_gigabyte(connection):
    """A literal that is very long, and comes."""

    def flood(said, at):
        connection.sendall(said[: said.rfind(b"{", 0, at)] + b"{4000000000}\r\n")
        while True:
            connection.sendall(MEGABYTE)

    at_literal(connection, flood)


def imap_claims(connection):
    """A literal that is very long, and does not come."""

    def flood(said, at):
        connection.sendall(said[: said.rfind(b"{", 0, at)] + b"{4000000000}\r\n")
        silent(connection, "")

    at_literal(connection, flood)


def imap_silent(connection):
    silent(connection, "")


def imap_trickle(connection):
    while True:
        connection.sendall(b"*")
        time.sleep(1)


def imap_endless(connection):
    connection.sendall(b"* OK ")
    while True:
        connection.sendall(b"a" * 1000000)


def imap_lines(connection):
    """Lines that nobody asked for, without end."""

    def disturb(said):
        connection.sendall(said)
        if b"Logged in" in said:
            while True:
                connection.sendall(b"* 1 EXISTS\r\n* 2 FETCH (FLAGS ())\r\n" * 10000)

    relay(connection, disturb)


def imap_garbage(connection):
    connection.sendall(os.urandom(100000))


def imap_bye(connection):
    connection.sendall(b"* BYE not now\r\n")


# ---


def argument():
    return read("deed").decode().split()[1]


def serve(connection):
    deed = read("deed").decode().split()[0]
    try:
        if len(rest) == 2 and deed != "plain":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*rest)
            if deed == "old":
                context.maximum_version = ssl.TLSVersion.TLSv1_1
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.set_ciphers("ALL:@SECLEVEL=0")
            connection = context.wrap_socket(connection, server_side=True)
        print(deed, flush=True)
        if kind == "imap":
            globals()["imap_" + deed](connection)
        elif deed == "plain":
            connection.sendall(b"hello, who is there?\r\n" * 100)
        else:
            globals()[deed](connection, request(connection))
    except OSError:
        pass
    finally:
        try:
            # Somebody may still read from it, which would keep it open.
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        connection.close()


listener = socket.create_server((address, int(port)), backlog=64)
print("listening", flush=True)
while True:
    new, _ = listener.accept()
    threading.Thread(target=serve, args=(new,), daemon=True).start()
