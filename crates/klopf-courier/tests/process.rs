//! The courier as a process: its descriptors, its rights, its end.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "in tests a failed assumption may end the test")]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use klopf_brief::{
    Answer, Brief, Format, Guestbook, Maildir, Network, OFFER_SIZE, Offer, REPORT_SIZE, Report, Source, Taken, Verdict,
    What,
};
use klopf_sys::{Pair, Received, Wait, wait};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// A courier and the ends that are not its own.
struct Courier {
    child: Child,
    watch: Pair,
    keeper: Pair,
}

/// Descriptors that the courier inherits.
fn pair() -> (OwnedFd, OwnedFd) {
    let (own, others) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::NONBLOCK, None).unwrap();
    rustix::io::fcntl_setfd(&own, rustix::io::FdFlags::CLOEXEC).unwrap();
    (own, others)
}

fn start(brief: &str) -> Courier {
    // What one courier is to inherit must not go to another one that is started meanwhile.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap();
    let ((watch, his_watch), (keeper, his_keeper)) = (pair(), pair());
    let (read, write) = rustix::pipe::pipe().unwrap();
    rustix::io::fcntl_setfd(&write, rustix::io::FdFlags::CLOEXEC).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_klopf-courier"));
    command.arg("65534:65534").env_clear().stderr(Stdio::null());
    command.args([&read, &his_watch, &his_keeper].map(|fd| fd.as_raw_fd().to_string()));
    let child = command.spawn().unwrap();
    File::from(write).write_all(brief.as_bytes()).unwrap();
    Courier { child, watch: watch.into(), keeper: keeper.into() }
}

impl Courier {
    fn report(&self) -> Option<Report> {
        let mut bytes = [0; REPORT_SIZE];
        let length = receive(&self.keeper, &mut bytes)?;
        Report::decode(bytes.get(..length)?)
    }

    fn offer(&self) -> Option<Offer> {
        let mut bytes = [0; OFFER_SIZE];
        let length = receive(&self.watch, &mut bytes)?;
        Offer::decode(bytes.get(..length)?)
    }
}

/// Waits for a message; none when the other end is gone.
fn receive(from: &Pair, bytes: &mut [u8]) -> Option<usize> {
    loop {
        let [came] = wait([Wait { fd: from.as_fd(), write: false }], Some(Duration::from_secs(20))).unwrap();
        assert!(came, "nothing comes");
        match from.receive(bytes) {
            Received::Message(length) => return Some(length),
            Received::Nothing => {}
            Received::Closed => return None,
        }
    }
}

/// A page at `localhost`, each time it is asked for.
fn serve(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let _ = write!(&stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        }
    });
    port
}

#[test]
fn it_has_no_rights_reports_and_ends_with_its_keeper() {
    let what =
        What::Maildir(Maildir { path: "/nowhere".into(), taken: Taken::Mark, require_dkim: vec![], drop_box: false });
    let brief = Brief { sources: vec![Source { id: 7, name: "s".into(), what }] };
    let mut courier = start(&brief.encode());
    // The first report comes from a thread, which is started after everything was given up.
    assert_eq!(courier.report().unwrap().source, 7);
    let status = std::fs::read_to_string(format!("/proc/{}/status", courier.child.id())).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    assert_eq!(field("CapEff:").trim_matches('0'), "");
    assert!(!root || field("CapBnd:").trim_matches('0').is_empty() && field("Uid:").starts_with("65534"), "{status}");
    assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), ("1".into(), "2".into()));
    drop(courier.keeper);
    assert!(courier.child.wait().unwrap().success());
    drop(courier.watch);
}

#[test]
fn it_starts_with_nothing_but_a_brief_and_by_nobody_but_its_keeper() {
    let mut courier = start("{");
    assert_eq!(courier.report(), None);
    assert_eq!(courier.child.wait().unwrap().code(), Some(71));
    let by_hand = Command::new(env!("CARGO_BIN_EXE_klopf-courier")).output().unwrap();
    assert_eq!(by_hand.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&by_hand.stderr).contains("klopfd"));
}

#[test]
fn what_stands_in_a_guestbook_is_offered_answered_and_offered_again_to_a_new_watch() {
    let body = [9; 61];
    let text = klopf_wire::text::write(&body, klopf_wire::text::Shape::Plain, &mut |_| {}).unwrap();
    let port = serve(format!("<p>Lovely pages! {text}"));
    // Behind the sandbox names are found all the same.
    let what = What::Guestbook(Guestbook {
        url: format!("http://localhost:{port}/"),
        format: Format::Auto,
        every_ms: 86_400_000,
        user_agent: None,
        insecure: true,
        allow_private: vec![Network { address: [127, 0, 0, 1].into(), prefix: 32 }],
        ca: None,
    });
    let courier = start(&Brief { sources: vec![Source { id: 3, name: "book".into(), what }] }.encode());
    let offer = courier.offer().unwrap();
    assert_eq!((offer.source, offer.body.bytes()), (3, &body[..]));
    assert!(courier.watch.send(&Answer::To(offer.number, Verdict::Taken).encode()));
    let report =
        std::iter::from_fn(|| courier.report()).find(|report| report.taken == 1 && report.last_good > 0).unwrap();
    assert_eq!((report.trouble, report.looked_at), (None, 1));
    assert!(courier.watch.send(&Answer::Again.encode()));
    let again = courier.offer().unwrap();
    assert_eq!(again, Offer { number: again.number, ..offer });
    let Courier { mut child, watch, keeper } = courier;
    drop(watch);
    assert!(child.wait().unwrap().success());
    drop(keeper);
}
