//! The other end of connections, for the tests of the gate. It runs in a host's namespace.
//!
//! - `peer serve PORT...` echoes what comes to these ports by TCP or UDP, IPv4 or IPv6; says `serving`.
//! - `peer talk` takes a command a line and answers each with a line:
//!   `try tcp|udp FROM TO PORT MS`, `hold ID tcp|udp FROM TO PORT MS` (keeps it if it opens), `say ID MS`, `close ID`.
//! - `peer stream TO_PORT FROM=TO...` sends a datagram from each FROM each millisecond, every one from a new port, so that
//!   it is a connection of its own. `more N` is answered when N more have gone out, with the time,
//!   `end` by what has become of each:
//!   lines `INDEX MICROSECONDS answered|lost`.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, process};

use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Between two probes of a source.
const PERIOD: Duration = Duration::from_millis(1);
/// How long a probe may be under way on a loaded machine.
const GRACE: Duration = Duration::from_secs(1);
/// The first port that probes come from; none is used twice.
const FIRST_PORT: u16 = 10_000;
/// Room for what comes in while a loaded machine does not run this program.
const BUFFER: usize = 8 << 20;

fn main() -> Result {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", ports @ ..] => serve(ports),
        ["talk"] => talk(),
        ["stream", port, pairs @ ..] => stream(port.parse()?, pairs),
        _ => Err("usage: peer serve|talk|stream ...".into()),
    }
}

fn say(line: &str) -> Result {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn serve(ports: &[&str]) -> Result {
    for port in ports {
        let any: SocketAddr = format!("[::]:{port}").parse()?;
        let datagrams = UdpSocket::bind(any)?;
        set_socket_recv_buffer_size_force(&datagrams, BUFFER)?;
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            loop {
                // An error is an old answer that met a closed port.
                let Ok((length, from)) = datagrams.recv_from(&mut buffer) else { continue };
                let _ = datagrams.send_to(buffer.get(..length).unwrap_or_default(), from);
            }
        });
        let connections = TcpListener::bind(any)?;
        thread::spawn(move || {
            for mut connection in connections.incoming().flatten() {
                thread::spawn(move || {
                    let Ok(mut back) = connection.try_clone() else { return };
                    let _ = io::copy(&mut connection, &mut back);
                });
            }
        });
    }
    say("serving")?;
    loop {
        thread::park();
    }
}

fn talk() -> Result {
    let mut held: HashMap<String, Socket> = HashMap::new();
    let mut nonce = 0_u32;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        nonce = nonce.wrapping_add(1);
        match words.as_slice() {
            ["try", kind, from, to, port, limit] => {
                say(&answer(opened(kind, from, to, port, limit)?.map(drop)))?;
            }
            ["hold", id, kind, from, to, port, limit] => {
                let opened = opened(kind, from, to, port, limit)?;
                say(&answer(opened.map(|socket| drop(held.insert((*id).to_owned(), socket)))))?;
            }
            ["say", id, limit] => {
                let socket = held.get(*id).ok_or("no such connection")?;
                say(&answer(echoed(socket, nonce, limit.parse()?)))?;
            }
            ["close", id] => {
                held.remove(*id);
                say("closed")?;
            }
            _ => return Err(format!("what is {line:?}?").into()),
        }
    }
    Ok(())
}

fn answer(outcome: io::Result<()>) -> String {
    match outcome {
        Ok(()) => "open".into(),
        Err(error) => match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => "silent".into(),
            ErrorKind::ConnectionRefused => "refused".into(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => "reset".into(),
            _ => format!("failed: {error}"),
        },
    }
}

/// A connection; for UDP it counts as open when a datagram has come back.
fn opened(kind: &str, from: &str, to: &str, port: &str, limit: &str) -> Result<io::Result<Socket>> {
    let from: IpAddr = from.parse()?;
    let to = SocketAddr::new(to.parse()?, port.parse()?);
    let limit: u64 = limit.parse()?;
    let tcp = kind == "tcp";
    let socket = Socket::new(Domain::for_address(to), if tcp { Type::STREAM } else { Type::DGRAM }, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    let outcome = if tcp {
        socket.connect_timeout(&to.into(), Duration::from_millis(limit))
    } else {
        socket.connect(&to.into()).and_then(|()| echoed(&socket, process::id(), limit))
    };
    Ok(outcome.map(|()| socket))
}

/// Sends a few bytes, and waits until they come back.
fn echoed(mut socket: &Socket, nonce: u32, limit: u64) -> io::Result<()> {
    let nonce = nonce.to_be_bytes();
    socket.write_all(&nonce)?;
    let deadline = Instant::now() + Duration::from_millis(limit);
    let mut seen: Vec<u8> = Vec::new();
    // Late answers to what was said before may come first.
    while seen.last_chunk::<4>() != Some(&nonce) {
        let left = deadline.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut buffer = [0; 64];
        let length = socket.read(&mut buffer)?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        seen.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
    Ok(())
}

struct Probe {
    index: usize,
    sent: Duration,
    socket: UdpSocket,
}

fn stream(port: u16, pairs: &[&str]) -> Result {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let pairs = pairs
        .iter()
        .map(|pair| {
            let (from, to) = pair.split_once('=').ok_or("not FROM=TO")?;
            Ok((from.parse()?, SocketAddr::new(to.parse()?, port)))
        })
        .collect::<Result<Vec<(IpAddr, SocketAddr)>>>()?;
    let commands = commands();
    let begun = Instant::now();
    let mut under_way: VecDeque<Probe> = VecDeque::new();
    let mut seen: Vec<String> = Vec::new();
    let mut more: Option<u16> = None;
    for number in 0..u16::MAX - FIRST_PORT {
        for (index, (from, to)) in pairs.iter().enumerate() {
            let socket = UdpSocket::bind((*from, FIRST_PORT + number))?;
            socket.set_nonblocking(true)?;
            socket.connect(to)?;
            under_way.push_back(Probe { index, sent: begun.elapsed(), socket });
            // A refusal of this very host is told by the answer that does not come.
            if let Some(probe) = under_way.back() {
                let _ = probe.socket.send(b"probe");
            }
        }
        while under_way.front().is_some_and(|probe| probe.sent + GRACE < begun.elapsed()) {
            seen.extend(under_way.pop_front().map(Probe::end));
        }
        if more == Some(number) {
            say(&format!("ok {}", begun.elapsed().as_micros()))?;
            more = None;
        }
        match commands.try_recv() {
            Ok(line) => match line.split_once(' ') {
                Some(("more", count)) => more = Some(number + count.parse::<u16>()?),
                _ => break,
            },
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
        thread::sleep((PERIOD * u32::from(number)).saturating_sub(begun.elapsed()));
    }
    thread::sleep(GRACE);
    seen.extend(under_way.into_iter().map(Probe::end));
    say(&seen.join("\n"))
}

impl Probe {
    fn end(self) -> String {
        let answered = self.socket.recv(&mut [0; 16]).is_ok();
        format!("{} {} {}", self.index, self.sent.as_micros(), if answered { "answered" } else { "lost" })
    }
}

fn commands() -> Receiver<String> {
    let (sender, commands) = mpsc::channel();
    thread::spawn(move || {
        io::stdin().lock().lines().map_while(|line| line.ok()).try_for_each(|line| sender.send(line))
    });
    commands
}
