use std::cell::RefCell;
use std::net::{TcpListener, UdpSocket};

use super::*;

/// Counts the knocks, and does something at each.
struct Counted<F: Fn(usize)>(RefCell<usize>, F);

impl<F: Fn(usize)> Counted<F> {
    fn new(at: F) -> Self {
        Self(RefCell::default(), at)
    }
}

impl<F: Fn(usize)> Knocking for Counted<F> {
    fn knock(&self, target: &Target) -> Result<Vec<Sent>, Failure> {
        *self.0.borrow_mut() += 1;
        (self.1)(*self.0.borrow());
        let sent = |to: &SocketAddr| Sent { to: *to, allow: None, socket: UdpSocket::bind("127.0.0.1:0").unwrap() };
        Ok(target.addresses.iter().map(sent).collect())
    }
}

fn reach<'a>(knocking: Option<&'a dyn Knocking>, endpoints: &'a [String], port: u16, ms: u64) -> Reach<'a> {
    Reach { knocking, endpoints, port, family: Family::Any, patience: Duration::from_millis(ms) }
}

fn loopback() -> [String; 1] {
    ["127.0.0.1".to_owned()]
}

/// A port at which nobody listens.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn an_open_port_is_reached_with_one_knock() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let counted = Counted::new(|_| ());
    let stream = reach(Some(&counted), &loopback(), port, 5000).connect().unwrap();
    assert_eq!((stream.peer_addr().unwrap().port(), *counted.0.borrow()), (port, 1));
    assert!(stream.nodelay().unwrap());
}

#[test]
fn a_port_that_opens_late_is_reached_by_knocking_again() {
    let to = free();
    let opened = RefCell::new(None);
    let counted = Counted::new(|knocks| {
        if knocks == 2 {
            opened.replace(Some(TcpListener::bind(to).unwrap()));
        }
    });
    let begun = Instant::now();
    reach(Some(&counted), &loopback(), to.port(), 10_000).connect().unwrap();
    assert_eq!(*counted.0.borrow(), 2);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_refusing_port_is_told_as_such() {
    let port = free().port();
    let counted = Counted::new(|_| ());
    let unreached = reach(Some(&counted), &loopback(), port, 300).connect().unwrap_err();
    assert!(unreached.refused && unreached.unanswered && unreached.failure.code == 69, "{unreached:?}");
    assert!(unreached.failure.to_string().contains("127.0.0.1 refuses connections to port"), "{}", unreached.failure);
    // Without a door there is nothing to wait for.
    let begun = Instant::now();
    let unreached = reach(None, &loopback(), port, 10_000).connect().unwrap_err();
    assert!(unreached.refused && !unreached.unanswered);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn endpoints_are_tried_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let all = ["no-such-host.invalid".to_owned(), "127.0.0.1".to_owned()];
    let counted = Counted::new(|_| ());
    reach(Some(&counted), &all, port, 5000).connect().unwrap();
    assert_eq!(*counted.0.borrow(), 1, "nobody knocks at a host that is not there");
    let unreached = reach(Some(&counted), &all[..1], port, 5000).connect().unwrap_err();
    assert_eq!(unreached.failure.code, 68);
    drop(listener);
    let unreached = reach(Some(&counted), &all, port, 300).connect().unwrap_err();
    let said = unreached.failure.to_string();
    assert!(unreached.failure.code == 69 && said.contains("is unknown") && said.contains("refuses"), "{said}");
}

#[test]
fn a_knock_that_cannot_be_sent_is_the_reason() {
    struct Never;
    impl Knocking for Never {
        fn knock(&self, _: &Target) -> Result<Vec<Sent>, Failure> {
            Err(Failure::new(code::CANNOT_WRITE, "no counter"))
        }
    }
    let unreached = reach(Some(&Never), &loopback(), 7, 5000).connect().unwrap_err();
    assert_eq!((unreached.failure.code, unreached.unanswered), (73, false));
}
