"""A guestbook of the old kind: an HTML form whose entries stand on the page below it.

usage: DIRECTORY ADDRESS PORT CERTIFICATE KEY

The file "answer" of the directory, if there is one, has the status with which all entries are refused.
"""

import html
import http.server
import os
import ssl
import sys
import urllib.parse

directory, address, port, certificate, key = sys.argv[1:]
entries = []


class Guestbook(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = "".join("<li><b>%s</b>: %s</li>\n" % entry for entry in reversed(entries))
        self.answer(200, "<h1>Guestbook</h1><form method='post'></form><ul>\n%s</ul>" % said)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open(os.path.join(directory, "asked"), "a") as file:
            file.write("%s\n%s\n%s\n" % (self.path, self.headers, body))
        try:
            with open(os.path.join(directory, "answer")) as file:
                return self.answer(int(file.read()), "no")
        except FileNotFoundError:
            pass
        form = {name: values[0] for name, values in urllib.parse.parse_qs(body, strict_parsing=True).items()}
        # As books do: white space is folded, quotes are made round, what is markup is none.
        text = html.escape(" ".join(form["message"].split()), quote=True).replace("&#x27;", "&rsquo;")
        entries.append((html.escape(form["name"]), text))
        self.answer(303, "", ("Location", "/"))

    def answer(self, status, page, *more):
        body = page.encode()
        self.send_response(status)
        for field in (("Content-Type", "text/html; charset=utf-8"), ("Content-Length", len(body)), *more):
            self.send_header(*map(str, field))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer((address, int(port)), Guestbook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", flush=True)
server.serve_forever()
