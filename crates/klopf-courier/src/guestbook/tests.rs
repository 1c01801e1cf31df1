//! A guestbook's server may be anybody's: whatever it does takes bounded time, has a name, and does not hinder the next
//! look.

mod server;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use klopf_brief::{Format, Network, Report, State, Verdict};
use klopf_wire::text::{Shape, write};

use self::server::{Deed, Server, flood, page, send, serve, serve_tls, silence, status, trickle};
use super::*;
use crate::board::Board;
use crate::desk::OF_A_SOURCE;

const LIMITS: Limits = Limits { time: Duration::from_secs(20), connect: Duration::from_secs(20), size: 512 * 1024 };
const EVERY: u64 = 60_000;

/// A reader without a courier around it.
struct Scene {
    board: Arc<Board>,
    reader: Reader,
}

fn book(url: String) -> Guestbook {
    let allow_private = vec![Network { address: [127, 0, 0, 0].into(), prefix: 8 }];
    Guestbook { url, format: Format::Auto, every_ms: EVERY, user_agent: None, insecure: true, allow_private, ca: None }
}

impl Scene {
    fn new(book: Guestbook) -> Self {
        let board = Arc::new(Board::new([1].into_iter()).unwrap());
        let reader = Reader::new(book, Outlet::new(Arc::clone(&board), 1), LIMITS);
        Self { board, reader }
    }

    fn at(server: &Server) -> Self {
        Self::new(book(format!("http://127.0.0.1:{}/book", server.port)))
    }

    /// Looks once; what was offered since the last time, all of it answered.
    fn look(&mut self, verdict: Verdict) -> Vec<Vec<u8>> {
        self.reader.look();
        self.answer(verdict)
    }

    /// What was offered since the last time, all of it answered.
    fn answer(&mut self, verdict: Verdict) -> Vec<Vec<u8>> {
        let mut state = self.board.lock();
        let mut bodies = Vec::new();
        while let Some(offer) = state.desk.take(0) {
            bodies.push(offer.body.bytes().to_vec());
            let (_, reply) = state.desk.answer(0, offer.number, verdict).unwrap();
            let _ = reply.send(verdict);
        }
        bodies
    }

    fn report(&self) -> Report {
        self.board.lock().reports[&1]
    }
}

fn body(number: u32) -> Vec<u8> {
    [vec![7; 57], number.to_be_bytes().to_vec()].concat()
}

fn plain(number: u32) -> String {
    write(&body(number), Shape::Plain, &mut |_| {}).unwrap()
}

fn good() -> Deed {
    page("Content-Type: text/html\r\n", format!("<p>Nice site!</p><p>{}</p>", plain(1)))
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// What a server does to one look, and what that is called.
fn hostile() -> Vec<(&'static str, Vec<Deed>, Trouble)> {
    let redirect = |to: &str| vec![status("302 Found", &format!("Location: {to}\r\n"))];
    let ok = "HTTP/1.1 200 OK\r\n";
    let bomb = packed(&vec![b' '; 64 << 20]);
    vec![
        ("says nothing", vec![silence()], Trouble::TooSlow),
        ("trickles headers", vec![trickle("HTTP/1.1 200 OK\r\nX: ")], Trouble::TooSlow),
        ("trickles a page", vec![trickle(&format!("{ok}Content-Length: 100000\r\n\r\n"))], Trouble::TooSlow),
        ("never ends its headers", vec![flood(&format!("{ok}X: "), &[b'x'; 4096])], Trouble::TooLong),
        ("has headers without end", vec![flood(ok, b"X: y\r\n")], Trouble::Nonsense),
        ("redirects for ever", (0..6).flat_map(|_| redirect("/book")).collect(), Trouble::Redirect),
        ("redirects to another host", redirect("http://localhost/"), Trouble::Redirect),
        ("redirects to the cloud's metadata", redirect("http://169.254.169.254/latest/meta-data/"), Trouble::Redirect),
        ("redirects to another port", redirect("http://127.0.0.1:22/"), Trouble::Redirect),
        ("redirects to a file", redirect("file:///etc/passwd"), Trouble::Redirect),
        ("redirects nowhere", vec![status("301 Moved", "")], Trouble::Redirect),
        ("is not HTTP", vec![send("SSH-2.0-OpenSSH_9.9\r\n")], Trouble::Nonsense),
        ("sends bytes", vec![send(vec![0xff; 5000])], Trouble::Nonsense),
        ("hangs up", vec![send("")], Trouble::Broken),
        ("hangs up in the middle", vec![send(format!("{ok}Content-Length: 5000\r\n\r\n<p>Hi"))], Trouble::Broken),
        ("hangs up in a chunk", vec![send(format!("{ok}Transfer-Encoding: chunked\r\n\r\nff\r\nHi"))], Trouble::Broken),
        ("has broken chunks", vec![send(format!("{ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n"))], Trouble::Nonsense),
        ("packs what is no gzip", vec![page("Content-Encoding: gzip\r\n", "no gzip at all")], Trouble::Nonsense),
        ("is a broken feed", vec![page("Content-Type: text/xml\r\n", "<rss><item><a <")], Trouble::Nonsense),
        ("is half a text in JSON", vec![page("Content-Type: application/json\r\n", "{\"a\":")], Trouble::Nonsense),
        ("is too deep", vec![page("", "[".repeat(100_000))], Trouble::Nonsense),
        ("sends gigabytes", vec![flood(&format!("{ok}\r\n"), &[b'x'; 65_536])], Trouble::TooLong),
        ("is a zip bomb", vec![page("Content-Encoding: gzip\r\n", bomb)], Trouble::TooLong),
        ("has an error", vec![status("500 Oops", "")], Trouble::HttpStatus),
        ("says that nothing changed, unasked", vec![status("304 Same", "")], Trouble::HttpStatus),
    ]
}

#[test]
fn whatever_a_server_does_has_a_name_and_an_end_and_the_next_good_page_is_read() {
    for (what, mut deeds, trouble) in hostile() {
        deeds.push(good());
        let server = serve(deeds);
        let mut scene = Scene::at(&server);
        if trouble == Trouble::TooSlow {
            scene.reader.limits.time = Duration::from_millis(100);
        }
        let began = Instant::now();
        assert_eq!(scene.look(Verdict::Nothing), Vec::<Vec<u8>>::new(), "{what}");
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        if trouble == Trouble::TooSlow {
            (scene.reader.limits, scene.reader.fetcher) = (LIMITS, None);
        }
        assert_eq!(scene.report().trouble, Some(trouble), "{what}");
        assert_eq!(scene.look(Verdict::Taken), [body(1)], "{what}");
        assert_eq!((scene.report().state, scene.report().trouble), (State::Waiting, None), "{what}");
        assert!(scene.report().last_good > 0);
    }
}

#[test]
fn no_more_of_a_page_is_kept_than_its_limit() {
    for deed in [
        flood("HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 65_536]),
        page("Content-Encoding: gzip\r\n", packed(&vec![b'x'; 16 << 20])),
    ] {
        let server = serve(vec![deed]);
        let mut fetcher = Fetcher::new(&book(format!("http://127.0.0.1:{}/", server.port)), LIMITS).unwrap();
        let Fetched::Page(raw) = fetcher.fetch().unwrap() else { panic!() };
        assert!(raw.cut && raw.bytes.len() as u64 == LIMITS.size);
    }
}

#[test]
fn addresses_that_are_not_of_the_internet_are_not_asked() {
    let server = serve(vec![good()]);
    for host in ["127.0.0.1", "localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{}/", server.port);
        let mut scene = Scene::new(Guestbook { allow_private: vec![], ..book(url) });
        assert_eq!(scene.look(Verdict::Nothing), Vec::<Vec<u8>>::new());
        assert_eq!(scene.report().trouble, Some(Trouble::PrivateAddress), "{host}");
    }
    assert!(server.requests.try_recv().is_err());
}

#[test]
fn a_host_that_is_not_there_and_an_address_without_tls_have_names() {
    let trouble = |book: Guestbook| {
        let mut scene = Scene::new(book);
        scene.look(Verdict::Nothing);
        assert_eq!(scene.report().state, State::Failing);
        scene.report().trouble
    };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(trouble(book(format!("http://127.0.0.1:{closed}/"))), Some(Trouble::Unreachable));
    assert_eq!(trouble(book("http://nobody.invalid/".into())), Some(Trouble::UnknownHost));
    assert_eq!(trouble(Guestbook { insecure: false, ..book("http://127.0.0.1/".into()) }), Some(Trouble::Redirect));
    assert_eq!(trouble(book("not an address".into())), Some(Trouble::Nonsense));
}

#[test]
fn tls_must_be_trusted() {
    let (ours, others) = (include_str!("tests/tls/ca.pem"), include_str!("tests/tls/other-ca.pem"));
    let look = |server: Server, host: &str, ca: Option<&str>| {
        let url = format!("https://{host}:{}/", server.port);
        let mut scene = Scene::new(Guestbook { ca: ca.map(str::to_owned), insecure: false, ..book(url) });
        (scene.look(Verdict::Taken).len(), scene.report().trouble)
    };
    assert_eq!(look(serve_tls(vec![good()]), "127.0.0.1", Some(ours)), (1, None));
    let refused = (0, Some(Trouble::Tls));
    assert_eq!(look(serve_tls(vec![good()]), "127.0.0.1", Some(others)), refused);
    assert_eq!(look(serve_tls(vec![good()]), "127.0.0.1", None), refused);
    assert_eq!(look(serve_tls(vec![good()]), "localhost", Some(ours)), refused, "another name");
    assert_eq!(look(serve(vec![send("HTTP/1.1 400 No\r\n\r\n")]), "127.0.0.1", Some(ours)), refused);
    assert_eq!(look(serve(vec![]), "127.0.0.1", Some("no certificate")), refused);
    let down = vec![status("302 Found", "Location: http://127.0.0.1/\r\n")];
    assert_eq!(look(serve_tls(down), "127.0.0.1", Some(ours)), (0, Some(Trouble::Redirect)));
}

#[test]
fn a_page_that_has_not_changed_is_not_fetched_again_until_all_is_wanted_again() {
    let tag = "ETag: \"x\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let text = plain(1);
    let server = serve(vec![page(tag, &text), status("304 Not Modified", ""), page(tag, &text), page("", &text)]);
    let mut scene = Scene::at(&server);
    assert_eq!(scene.look(Verdict::Waits), [body(1)]);
    assert!(scene.look(Verdict::Waits).is_empty());
    scene.board.lock().again += 1;
    assert_eq!(scene.look(Verdict::Taken), [body(1)]);
    assert!(scene.look(Verdict::Taken).is_empty());
    let conditional: Vec<_> = server.requests.iter().map(|request| request.to_ascii_lowercase()).collect();
    let asked = |header: &str| conditional.iter().map(|request| request.contains(header)).collect::<Vec<_>>();
    assert_eq!(asked("if-none-match: \"x\""), [false, true, false, true]);
    assert_eq!(asked("if-modified-since: sun, 06 nov 1994 08:49:37 gmt"), [false, true, false, true]);
    assert!(conditional[0].contains("freshrss") && conditional[0].contains("accept-encoding: gzip"));
    assert!(!conditional[3].contains("cookie"));
}

#[test]
fn redirects_on_the_same_host_are_followed_a_few_times() {
    let on = || status("302 Found", "Location: on?x\r\nSet-Cookie: a=b\r\n");
    let server = serve(vec![on(), on(), on(), on(), on(), good()]);
    let mut scene = Scene::at(&server);
    assert_eq!(scene.look(Verdict::Nothing), [body(1)]);
    assert!(server.requests.iter().last().unwrap().starts_with("GET /on?x "));
}

#[test]
fn a_server_that_wants_to_be_left_alone_is() {
    let server = serve(vec![status("429 Slow down", "Retry-After: 1800\r\n"), status("503 No", ""), good()]);
    let mut scene = Scene::at(&server);
    assert_eq!(scene.reader.look(), Duration::from_secs(1800));
    let report = scene.report();
    assert_eq!((report.state, report.trouble, report.detail), (State::Failing, Some(Trouble::HttpStatus), 429));
    let second = scene.reader.look();
    assert!((216..=264).contains(&second.as_secs()), "{second:?}");
    assert!((54..=66).contains(&scene.reader.look().as_secs()));
    assert_eq!(scene.report().trouble, None);
}

#[test]
fn ten_thousand_almost_tokens_do_not_hide_the_real_one() {
    let almost: String = (2..10_000)
        .map(|number| {
            let mut text = plain(number);
            text.replace_range(7..8, if &text[7..8] == "a" { "b" } else { "a" });
            format!("<p>{text}</p>")
        })
        .collect();
    let entries = format!("{almost}<p>\u{fffd}{}</p>{almost}", plain(1));
    let mut bytes = entries.replace('\u{fffd}', "@").into_bytes();
    bytes.iter_mut().filter(|byte| **byte == b'@').for_each(|byte| *byte = 0xff);
    let server = serve(vec![page("Content-Encoding: gzip\r\nContent-Type: text/html\r\n", packed(&bytes))]);
    let mut scene = Scene::at(&server);
    scene.reader.limits.size = 8 << 20;
    assert_eq!(scene.look(Verdict::Nothing), [body(1)]);
}

#[test]
fn of_too_much_both_ends_are_offered_and_then_the_rest() {
    let all: String = (0..1200).map(|number| format!("{}\n", plain(number))).collect();
    let tag = "ETag: \"x\"\r\n";
    let server = serve((0..2).map(|_| page(tag, &all)).collect());
    let mut scene = Scene::at(&server);
    let first = scene.look(Verdict::Nothing);
    assert_eq!(first.len(), OFFERED_AT_ONCE);
    assert!(first.contains(&body(0)) && first.contains(&body(1199)) && !first.contains(&body(600)));
    assert_eq!(scene.report().trouble, Some(Trouble::TooMuch));
    // Of the same page, which is not fetched again for that.
    assert!(scene.reader.go_on());
    let second = scene.answer(Verdict::Nothing);
    assert!(!scene.reader.go_on());
    let third = scene.answer(Verdict::Nothing);
    assert_eq!((second.len(), first.len() + second.len() + third.len()), (OFFERED_AT_ONCE, 1200));
    assert!(scene.look(Verdict::Nothing).is_empty());
    assert_eq!((scene.report().looked_at, scene.report().trouble), (1200, None));
    let conditional = server.requests.iter().map(|request| request.to_ascii_lowercase().contains("if-none-match"));
    assert_eq!(conditional.take(2).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_has_no_answer_yet_is_offered_once_and_no_more_than_there_is_room_for() {
    let pages = [0..400, 0..800, 0..3000].map(|numbers| numbers.map(|number| plain(number) + "\n").collect::<String>());
    let server = serve(pages.iter().map(|text| page("", text)).collect());
    let mut scene = Scene::at(&server);
    let waiting = pages.each_ref().map(|_| {
        scene.reader.look();
        scene.reader.offered.len()
    });
    assert_eq!(waiting, [400, OFFERED_AT_ONCE, OFFERED_AT_ONCE]);
    const { assert!(OFFERED_AT_ONCE <= OF_A_SOURCE) };
}

#[test]
fn a_text_is_searched_in_parts_that_hide_nothing_at_their_ends() {
    for begin in [PART - 300, PART - COMMON, PART - 20, PART, 2 * PART - COMMON - 50] {
        let text = format!("{}{} \u{fc}", "\u{e4} ".repeat(begin / 3), plain(7));
        let found: Vec<_> = parts(&text).flat_map(text::find).map(|found| found.body).collect();
        assert!(found.contains(&body(7)), "{begin}");
        assert!(parts(&text).all(|part| part.len() <= PART + 4));
    }
    assert_eq!(parts("").collect::<String>(), "");
}
