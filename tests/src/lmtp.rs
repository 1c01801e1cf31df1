//! A client of LMTP (RFC 2033).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use crate::{PATIENCE, Result, ensure};

/// Delivers a mail, its lines ended by `\n` or `\r\n`, to a mail box's address; returns when it was taken.
///
/// # Errors
/// If it was not.
pub fn deliver_by_lmtp(socket: &Path, recipient: &str, mail: &[u8]) -> Result<Instant> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut output, mut input) = (stream.try_clone()?, BufReader::new(stream));
    answered(&mut input, "220")?;
    let lines = [
        ("LHLO tests", "250"),
        ("MAIL FROM:<somebody@example.org>", "250"),
        (&format!("RCPT TO:<{recipient}>"), "250"),
        ("DATA", "354"),
    ];
    for (line, code) in lines {
        write!(output, "{line}\r\n")?;
        answered(&mut input, code)?;
    }
    let mut data = Vec::with_capacity(mail.len() + 1024);
    for line in mail.strip_suffix(b"\n").unwrap_or(mail).split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        data.extend(line.first().filter(|first| **first == b'.'));
        data.extend(line);
        data.extend(b"\r\n");
    }
    data.extend(b".\r\n");
    output.write_all(&data)?;
    answered(&mut input, "250")?;
    let taken = Instant::now();
    output.write_all(b"QUIT\r\n")?;
    Ok(taken)
}

/// Reads a reply of one line or more.
fn answered(input: &mut impl BufRead, code: &str) -> Result {
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        ensure!(line.starts_with(code), "not {code}: {line:?}");
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
