#!/usr/bin/env python3
"""A guestbook for the demo: a page with what people have written, and a form for more.

usage: book.py ADDRESS PORT FILE    FILE holds the entries, a line each; each visit is a line in FILE.visits, and
FILE.pid the process
"""
import html
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

ADDRESS, PORT, FILE = sys.argv[1:]
# What is read of an entry, in bytes.
LONGEST = 4096


class Book(BaseHTTPRequestHandler):
    def do_GET(self):
        with open(FILE + ".visits", "a") as visits:
            print(self.client_address[0], file=visits)
        with open(FILE) as entries:
            paragraphs = "".join(f"<p>{html.escape(entry.strip())}</p>\n" for entry in entries)
        page = f"<!doctype html><title>Guestbook</title><h1>Guestbook</h1>\n{paragraphs}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self):
        length = min(int(self.headers.get("Content-Length", 0)), LONGEST)
        fields = parse_qs(self.rfile.read(length).decode())
        author, text = (" ".join(fields.get(name, [""])[0].split()) for name in ("author", "text"))
        with open(FILE, "a") as entries:
            print(f"{author}: {text}", file=entries)
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


with open(FILE + ".pid", "w") as pid:
    print(os.getpid(), file=pid)
HTTPServer((ADDRESS, int(PORT)), Book).serve_forever()
