//! A web server of which each connection does what a test says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What becomes of one connection, whose request was read.
pub(super) type Deed = Box<dyn FnOnce(&mut dyn Write, &TcpStream) + Send>;

pub(super) struct Server {
    pub(super) port: u16,
    /// The requests, in their order.
    pub(super) requests: Receiver<String>,
}

/// Starts a server that does each deed once, one connection after another, and then is gone.
pub(super) fn serve(deeds: Vec<Deed>) -> Server {
    start(deeds, None)
}

/// The same with TLS, for 127.0.0.1, by the certificate in `tls/server.pem`.
pub(super) fn serve_tls(deeds: Vec<Deed>) -> Server {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(crate::tls::provider()).with_safe_default_protocol_versions();
    let config = config.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    start(deeds, Some(Arc::new(config)))
}

fn start(deeds: Vec<Deed>, tls: Option<Arc<ServerConfig>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, (heard, requests)) = (listener.local_addr().unwrap().port(), channel());
    std::thread::spawn(move || {
        for deed in deeds {
            let (mut stream, _) = listener.accept().unwrap();
            match tls.clone() {
                None => {
                    let _ = heard.send(request(&mut stream));
                    let other = stream.try_clone().unwrap();
                    deed(&mut stream, &other);
                }
                Some(tls) => {
                    let other = stream.try_clone().unwrap();
                    let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
                    let _ = heard.send(request(&mut stream));
                    deed(&mut stream, &other);
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            }
        }
    });
    Server { port, requests }
}

/// Reads up to the empty line; what comes by TLS and is none ends there, too.
fn request(stream: &mut impl Read) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") && !text.starts_with(&[22]) {
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Sends something and ends.
pub(super) fn send(bytes: impl Into<Vec<u8>>) -> Deed {
    let bytes = bytes.into();
    Box::new(move |stream, _| drop(stream.write_all(&bytes)))
}

/// A page with these headers more.
pub(super) fn page(headers: &str, body: impl AsRef<[u8]>) -> Deed {
    let body = body.as_ref();
    let mut all = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    all.extend(body);
    send(all)
}

/// An answer that is no page.
pub(super) fn status(line: &str, headers: &str) -> Deed {
    send(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n{headers}\r\n"))
}

/// Sends a beginning, and then the same for ever, as fast as the other end reads.
pub(super) fn flood(start: &str, more: &'static [u8]) -> Deed {
    let start = start.to_owned();
    Box::new(move |stream, _| {
        let mut going = stream.write_all(start.as_bytes());
        while going.is_ok() {
            going = stream.write_all(more);
        }
    })
}

/// Sends a beginning, and then a byte now and then, for as long as the other end is there.
pub(super) fn trickle(start: &str) -> Deed {
    let start = start.to_owned();
    Box::new(move |stream, other| {
        other.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let mut going = stream.write_all(start.as_bytes());
        while going.is_ok() {
            // The other end says nothing more, so this is only a pause; 0 bytes mean that it is gone.
            if matches!((&mut &*other).read(&mut [0]), Ok(0)) {
                return;
            }
            going = stream.write_all(b"x");
        }
    })
}

/// Waits until the other end is gone.
pub(super) fn silence() -> Deed {
    Box::new(|_, mut other| drop(other.read(&mut [0])))
}
