use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use klopf_control::{Client, LONGEST_REPLY, LONGEST_REQUEST, Lines};
use klopf_sys::{Wait, wait};

use super::*;

const LONG: Duration = Duration::from_secs(10);

/// A runtime directory that does not exist yet; removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("klopf-control-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn serve(&self) -> Server {
        Server::bind(&self.0).unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits as the keeper does, until a request comes.
fn asked(server: &mut Server) -> (ConnectionId, Request) {
    loop {
        if let Some(first) = next(server).pop() {
            return first;
        }
    }
}

/// One round of the keeper, which something must begin.
fn next(server: &mut Server) -> Vec<(ConnectionId, Request)> {
    assert_eq!(wait([Wait { fd: server.as_fd(), write: false }], Some(LONG)).unwrap(), [true], "nothing happens");
    server.requests()
}

/// Whether the server would sleep now.
fn rests(server: &Server) -> bool {
    wait([Wait { fd: server.as_fd(), write: false }], Some(Duration::ZERO)).unwrap() == [false]
}

fn done(text: &str) -> Reply {
    Reply::Done { text: text.into() }
}

/// Everything that is said to a client until the connection ends.
fn heard(mut stream: UnixStream) -> Vec<Reply> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let (mut lines, mut replies) = (Lines::new(LONGEST_REPLY), Vec::new());
    lines.push(&bytes);
    while let Some(line) = lines.line().unwrap() {
        replies.push(Reply::read(line).unwrap());
    }
    replies
}

#[test]
fn a_request_is_answered() {
    let dir = Dir::new("answer");
    let mut server = dir.serve();
    assert_eq!(fs::metadata(&dir.0).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::metadata(dir.socket()).unwrap().permissions().mode() & 0o777, 0o600);

    let mut client = Client::ask(&dir.socket(), &Request::Unlock, LONG).unwrap();
    let (id, request) = asked(&mut server);
    assert_eq!(request, Request::Unlock);
    server.reply(id, &done("one"));
    server.reply(id, &done("two"));
    assert_eq!(client.reply(LONG).unwrap(), Some(done("one")));
    server.finish(id);
    assert_eq!(client.reply(LONG).unwrap(), Some(done("two")));
    assert_eq!(client.reply(LONG).unwrap(), None);
    assert!(rests(&server) && server.gone().is_empty() && server.connections.is_empty());
    server.reply(id, &done("three"));
    server.finish(id);

    drop(server);
    assert!(!dir.socket().exists());
}

#[test]
fn a_request_may_come_in_pieces_and_its_sender_may_say_that_it_was_the_last() {
    let dir = Dir::new("pieces");
    let mut server = dir.serve();
    let mut stream = dir.connect();
    let line = Request::Reload { confirm: true }.line();
    let (last, pieces) = line.split_last().unwrap();
    for piece in pieces {
        stream.write_all(&[*piece]).unwrap();
        assert!(next(&mut server).is_empty());
        // The first round only accepts.
        server.requests();
    }
    stream.write_all(&[*last]).unwrap();
    let (id, request) = asked(&mut server);
    assert_eq!(request, Request::Reload { confirm: true });
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(server.requests().is_empty() && rests(&server) && server.gone().is_empty());
    server.reply(id, &done("read"));
    server.finish(id);
    assert_eq!(heard(stream), [done("read")]);
}

#[test]
fn who_goes_is_told_once() {
    let dir = Dir::new("gone");
    let mut server = dir.serve();
    let client = Client::ask(&dir.socket(), &Request::Lock { doors: vec![] }, LONG).unwrap();
    let (id, _) = asked(&mut server);
    let silent = dir.connect();
    next(&mut server);
    assert!(server.gone().is_empty());
    drop((client, silent));
    while !server.connections.is_empty() {
        next(&mut server);
    }
    assert_eq!((server.gone(), server.gone()), (vec![id], vec![]), "one asked nothing");
    assert!(rests(&server));
}

#[test]
fn nonsense_is_answered_and_ends() {
    let dir = Dir::new("nonsense");
    let mut server = dir.serve();
    let endless = vec![b'x'; LONGEST_REQUEST + 1];
    for said in [b"{\"dance\":1}\n".as_slice(), b"\xff\0\n", &endless] {
        let mut stream = dir.connect();
        let said = said.to_vec();
        let client = thread::spawn(move || {
            stream.write_all(&said).unwrap();
            heard(stream)
        });
        while !client.is_finished() {
            assert!(server.requests().is_empty());
        }
        assert!(matches!(client.join().unwrap().as_slice(), [Reply::Failed { .. }]));
    }
    assert!(server.gone().is_empty(), "nobody has heard of them");
}

#[test]
fn there_are_few_connections_and_others_are_sent_away() {
    let dir = Dir::new("few");
    let mut server = dir.serve();
    let mut streams = Vec::new();
    for _ in 0..MOST {
        streams.push(dir.connect());
        server.requests();
    }
    let refused = dir.connect();
    assert!(next(&mut server).is_empty());
    assert!(matches!(heard(refused).as_slice(), [Reply::Failed { .. }]));
    assert_eq!(server.connections.len(), MOST);
    assert!(rests(&server));

    // Who asks nothing makes room in the end.
    server.part_from(clock::monotonic_ms() + PATIENCE + 1);
    assert!(server.connections.is_empty() && server.gone().is_empty());
    let _client = Client::ask(&dir.socket(), &Request::Status, LONG).unwrap();
    assert_eq!(asked(&mut server).1, Request::Status);
}

#[test]
fn who_does_not_read_is_dropped() {
    let dir = Dir::new("deaf");
    let mut server = dir.serve();
    let line = done(&"x".repeat(100_000));
    let deaf = Client::ask(&dir.socket(), &Request::Lock { doors: vec![] }, LONG).unwrap();
    let (id, _) = asked(&mut server);
    let mut said = 0;
    while !server.connections.is_empty() {
        server.reply(id, &line);
        assert!(rests(&server) || server.connections.is_empty(), "awake for someone who does not read");
        said += 1;
        assert!(said < 100, "without bound");
    }
    assert_eq!(server.gone(), [id]);
    drop(deaf);

    let _slow = Client::ask(&dir.socket(), &Request::Status, LONG).unwrap();
    let (id, _) = asked(&mut server);
    while server.connections.first().unwrap().idle(u64::MAX) == 0 {
        server.reply(id, &line);
    }
    server.finish(id);
    server.part_from(clock::monotonic_ms() + PATIENCE / 2);
    assert_eq!(server.connections.len(), 1);
    server.part_from(clock::monotonic_ms() + PATIENCE + 1);
    assert!(server.connections.is_empty());
}

#[test]
fn who_waits_for_the_keeper_is_waited_for() {
    let dir = Dir::new("patient");
    let mut server = dir.serve();
    let _client = Client::ask(&dir.socket(), &Request::Lock { doors: vec![] }, LONG).unwrap();
    asked(&mut server);
    server.part_from(clock::monotonic_ms() + 100 * PATIENCE);
    assert_eq!(server.connections.len(), 1);
}

#[test]
fn a_long_reply_is_written_as_it_is_read() {
    let dir = Dir::new("long");
    let mut server = dir.serve();
    let mut client = Client::ask(&dir.socket(), &Request::Status, LONG).unwrap();
    let (id, _) = asked(&mut server);
    let long = done(&"x".repeat(LONGEST_REPLY - 100));
    server.reply(id, &long);
    server.finish(id);
    let reader = thread::spawn(move || (client.reply(LONG).unwrap(), client.reply(LONG).unwrap()));
    while !server.connections.is_empty() {
        next(&mut server);
    }
    assert_eq!(reader.join().unwrap(), (Some(long), None));
    assert!(server.gone().is_empty());
}

#[test]
fn a_dead_daemons_socket_is_replaced_and_a_living_ones_is_not() {
    let dir = Dir::new("stale");
    fs::create_dir_all(&dir.0).unwrap();
    drop(UnixListener::bind(dir.socket()).unwrap());
    assert!(dir.socket().exists());
    let server = dir.serve();
    assert!(matches!(Server::bind(&dir.0), Err(BindError::InUse(_))));
    assert!(dir.socket().exists());

    // A full queue is a sign of life.
    let others: Vec<_> = (0..bind::QUEUE).map(|_| dir.connect()).collect();
    assert!(matches!(Server::bind(&dir.0), Err(BindError::InUse(_))));
    drop(others);

    // The end of a daemon leaves the socket of the next one alone.
    fs::remove_file(dir.socket()).unwrap();
    let next = dir.serve();
    drop(server);
    assert!(dir.socket().exists());
    drop(next);
    fs::write(dir.socket(), "mine").unwrap();
    assert!(matches!(Server::bind(&dir.0), Err(BindError::NoSocket(_))));
    assert_eq!(fs::read(dir.socket()).unwrap(), b"mine");
}
