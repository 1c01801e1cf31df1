//! The real isso, a comment server, which plays the guestbook: behind nginx, as it wants to be.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::{Elsewhere, Need, Nginx, Result, Running, Stage, built_in, ensure, until};

/// Asks by HTTPS what each line of standard input says, as this authority's friend, and prints the answers, a line each.
const ASK: &str = r#"
import json, ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[1])
for line in sys.stdin:
    ask = json.loads(line)
    data = json.dumps(ask["body"]).encode() if "body" in ask else None
    headers = {"Content-Type": "application/json", "Origin": "https://book.test"}
    with urllib.request.urlopen(urllib.request.Request(ask["url"], data, headers), context=context, timeout=20) as answer:
        print(json.dumps(answer.read().decode()))
"#;

/// An isso with any number of books.
#[derive(Debug)]
pub struct Isso<'a> {
    stage: &'a Stage,
    elsewhere: &'a Elsewhere,
    _running: Running,
}

impl<'a> Isso<'a> {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 4] = [Need::Isso, Nginx::NEEDS[0], Elsewhere::NEEDS[0], Elsewhere::NEEDS[1]];

    /// Starts it, and waits until it listens; nginx asks it.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn start(stage: &'a Stage, elsewhere: &'a Elsewhere, _nginx: &Nginx) -> Result<Self> {
        let directory = stage.path("isso");
        let config = stage.write(
            "isso/isso.cfg",
            &format!(
                "[general]\ndbpath = {0}/comments.db\nhost = https://book.test/\n[server]\nlisten = unix://{0}/socket\n\
                 [guard]\nenabled = false\n[markup]\nrenderer = mistune\n[rss]\nbase = https://book.test\n\
                 [hash]\nalgorithm = none\n",
                directory.display()
            ),
        )?;
        // It looks for its own site at the start.
        let mut command = elsewhere.command(&built_in("isso/bin/python3")?.to_string_lossy());
        command.arg(built_in("isso/bin/isso")?).arg("-c").arg(config).arg("run");
        let running = Running::start(command, &stage.path("isso.out"))?;
        until("isso listens", || {
            ensure!(!crate::gone(running.pid()), "isso has ended: {}", stage.text("isso.out"));
            Ok(UnixStream::connect(stage.path("isso/socket")).is_ok())
        })?;
        Ok(Self { stage, elsewhere, _running: running })
    }

    /// Writes entries into a book, one after the other.
    ///
    /// # Errors
    /// If isso takes one of them not.
    pub fn write(&self, book: &str, entries: &[&str]) -> Result {
        let url = url(&format!("new?uri=/{book}"));
        let ask = |text: &&str| json!({"url": url, "body": {"text": text, "author": "Somebody", "title": book}});
        self.ask(&entries.iter().map(ask).collect::<Vec<_>>()).map(drop)
    }

    /// A book's entries as isso says them, newest last: what a page would show.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn entries(&self, book: &str) -> Result<Vec<String>> {
        let answers = self.ask(&[json!({"url": url(&format!("?uri=/{book}"))})])?;
        let whole: Value = serde_json::from_str(answers.first().ok_or("no answer")?)?;
        let replies = whole.get("replies").and_then(Value::as_array).ok_or("no entries")?;
        let text = |reply: &Value| Some(reply.get("text")?.as_str()?.to_owned());
        Ok(replies.iter().filter_map(text).collect())
    }

    /// The page that a site would make of a book.
    ///
    /// # Errors
    /// As [`Isso::entries`].
    pub fn page(&self, book: &str) -> Result<String> {
        let entries = self.entries(book)?;
        let entries: String = entries
            .iter()
            .rev()
            .map(|text| {
                format!("<article class=\"entry\"><header>Somebody <time>just now</time></header>{text}</article>\n")
            })
            .collect();
        Ok(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Our guestbook</title>\
             <style>article {{ margin: 1em }}</style><script>console.log(\"<p>hello</p>\");</script></head>\n\
             <body><nav><a href=\"/\">Home</a> &gt; Guestbook</nav><main>\n{entries}</main>\
             <footer>&copy; the Klopf family</footer></body></html>\n"
        ))
    }

    /// The address of a book's Atom feed.
    #[must_use]
    pub fn feed(book: &str) -> String {
        format!("https://book.test/isso/feed?uri=/{book}")
    }

    /// The address of a book's entries in JSON.
    #[must_use]
    pub fn json(book: &str) -> String {
        format!("https://book.test/isso/?uri=/{book}")
    }

    fn ask(&self, all: &[Value]) -> Result<Vec<String>> {
        let mut command = self.elsewhere.command("python3");
        command
            .args(["-c", ASK])
            .arg(&self.elsewhere.authority.ca)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut input = child.stdin.take().ok_or("no pipe")?;
        for one in all {
            writeln!(input, "{one}")?;
        }
        drop(input);
        let done = child.wait_with_output()?;
        let fault = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "isso was asked in vain: {fault}\n{}", self.stage.text("isso.out"));
        let answers = String::from_utf8(done.stdout)?;
        Ok(answers.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?)
    }
}

fn url(rest: &str) -> String {
    format!("https://book.test/isso/{rest}")
}
