//! Standard input and output, and a connection, both ways.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;

/// Bytes that are passed on at once.
const BUFFER: usize = 64 * 1024;

/// Passes on what comes from standard input, and to standard output what comes back, until both have ended. The end of one
/// direction does not end the other one, as neither does it in TCP.
///
/// # Errors
/// If the connection breaks.
pub(crate) fn pipe(stream: &TcpStream) -> io::Result<()> {
    let (input, output) = (standard_input()?, standard_output()?);
    let waits = !io::stdin().is_terminal();
    both_ways(stream, input, output, waits, end_output)
}

/// `waits`: whether the input is passed on after the connection has nothing more to say. A person at a terminal would have to
/// end it by hand.
fn both_ways(
    stream: &TcpStream,
    input: impl Read + Send + 'static,
    mut output: impl Write,
    waits: bool,
    end_output: impl FnOnce(),
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel();
    let to_host = stream.try_clone()?;
    thread::spawn(move || {
        let _ = sender.send(outwards(input, &to_host));
    });
    inwards(stream, &mut output)?;
    drop(output);
    end_output();
    if !waits {
        return Ok(());
    }
    receiver.recv().unwrap_or(Ok(()))
}

/// Joins two connections until both directions have ended.
///
/// # Errors
/// If one of them breaks.
pub(crate) fn join(one: &TcpStream, other: &TcpStream) -> io::Result<()> {
    thread::scope(|scope| {
        let there = thread::Builder::new().spawn_scoped(scope, || outwards(one, other))?;
        let back = outwards(other, one);
        if back.is_err() {
            // The other direction would wait for somebody who has gone.
            let _ = (one.shutdown(Shutdown::Both), other.shutdown(Shutdown::Both));
        }
        there.join().unwrap_or(Ok(())).and(back)
    })
}

/// From the input to the host.
fn outwards(mut input: impl Read, mut to: &TcpStream) -> io::Result<()> {
    let copied = copy(&mut input, &mut to);
    // What was read has been passed on; the host may still have something to say.
    let ended = to.shutdown(Shutdown::Write);
    match copied {
        Err(Side::To(error)) if is_gone(&error) => Ok(()),
        Err(Side::From(error) | Side::To(error)) => Err(error),
        Ok(()) => ended.or_else(|error| if error.kind() == io::ErrorKind::NotConnected { Ok(()) } else { Err(error) }),
    }
}

/// From the host to the output.
fn inwards(mut from: &TcpStream, output: &mut impl Write) -> io::Result<()> {
    match copy(&mut from, output) {
        // Nobody reads any more.
        Err(Side::To(error)) if is_gone(&error) => Ok(()),
        Err(Side::From(error) | Side::To(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

/// Which side has failed.
enum Side {
    From(io::Error),
    To(io::Error),
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<(), Side> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return to.flush().map_err(Side::To),
            Ok(length) => to.write_all(buffer.get(..length).unwrap_or_default()).map_err(Side::To)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Side::From(error)),
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    )
}

/// Standard input and output themselves: what the library has for them keeps bytes back until a line ends.
#[cfg(unix)]
fn standard_input() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

#[cfg(unix)]
fn standard_output() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn standard_input() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn standard_output() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
}

/// Tells whoever reads the output that there is no more.
#[cfg(unix)]
fn end_output() {
    if let Ok(nothing) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(nothing);
    }
}

/// It ends with the process.
#[cfg(not(unix))]
fn end_output() {}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    /// Bytes that are not all the same.
    fn bytes(many: usize) -> Vec<u8> {
        (0..many).map(|at| u8::try_from(at % 251).unwrap()).collect()
    }

    #[test]
    fn nothing_is_lost_in_either_direction() {
        let (near, mut far) = pair();
        let sent = bytes(3_000_001);
        let host = thread::spawn(move || {
            // Reads all before it answers: the end of the input must arrive, and the answer after it.
            let mut got = Vec::new();
            far.read_to_end(&mut got).unwrap();
            far.write_all(&got).unwrap();
        });
        let mut got = Vec::new();
        both_ways(&near, io::Cursor::new(sent.clone()), &mut got, true, || {}).unwrap();
        host.join().unwrap();
        assert!(got == sent, "{} of {}", got.len(), sent.len());
    }

    #[test]
    fn the_host_may_end_first() {
        let (near, mut far) = pair();
        far.write_all(b"bye").unwrap();
        far.shutdown(Shutdown::Write).unwrap();
        let (input, mut typed) = io::pipe().unwrap();
        let (ended, has_ended) = mpsc::channel();
        let client = thread::spawn(move || {
            let mut got = Vec::new();
            both_ways(&near, input, &mut got, true, move || ended.send(()).unwrap()).unwrap();
            got
        });
        has_ended.recv().unwrap();
        typed.write_all(b"still here").unwrap();
        drop(typed);
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        assert_eq!((got, client.join().unwrap()), (b"still here".to_vec(), b"bye".to_vec()));
    }

    #[test]
    fn a_person_need_not_end_it_by_hand() {
        let (near, far) = pair();
        drop(far);
        let (input, _typed) = io::pipe().unwrap();
        both_ways(&near, input, io::sink(), false, || {}).unwrap();
    }

    #[test]
    fn a_connection_that_breaks_is_an_error() {
        let (near, far) = pair();
        socket2::SockRef::from(&far).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(far);
        let (input, _typed) = io::pipe().unwrap();
        let error = both_ways(&near, input, io::sink(), true, || {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
