//! A knock through the whole path, to a spare port.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use klopf_control::{Client, Reply, Request};
use klopf_gate::firewall::{TCP, Tracer};
use klopf_sys::Signals;
use klopf_wire::Port;

use super::finding::Findings;
use super::host::{Host, PATIENCE, status};
use super::probe::{self, Answer};
use super::stage::{Ends, Stage};
use super::{Interrupted, interrupted, others};
use crate::daemon::{Place, service};
use crate::hits;

const ABOUT: &str = "rehearsal";
/// A knock is tried so often: klopfd may just have begun to watch the link.
const KNOCKS: usize = 3;

/// Plays it for IPv4 and IPv6.
pub(super) fn play(
    host: &Host,
    place: &Place,
    stage: &mut Stage,
    signals: &Signals,
    findings: &mut Findings,
) -> Result<(), Interrupted> {
    let played = play_all(host, place, stage, signals, findings);
    // The connection is closed. When something else is answered klopfd has seen that, and looks for the link no more.
    let _ = status(place);
    played
}

fn play_all(
    host: &Host,
    place: &Place,
    stage: &mut Stage,
    signals: &Signals,
    findings: &mut Findings,
) -> Result<(), Interrupted> {
    // It lasts as long as the connection.
    let asked = Client::ask(&place.socket, &Request::Rehearse { interface: stage.link.clone() }, PATIENCE)
        .and_then(|mut client| Ok((client.reply(PATIENCE)?, client)));
    let (sequence, port, _client) = match asked {
        Ok((Some(Reply::Rehearsal { sequence, port }), client)) => (sequence, port, client),
        Ok((Some(Reply::Failed { why, .. }), _)) => {
            findings.warn(ABOUT, format!("klopfd plays no part in it: {why}"), "mend that, and ask again");
            return Ok(());
        }
        Ok(_) => {
            findings.wrong(ABOUT, "klopfd answers something unknown", "restart klopfd if it was upgraded");
            return Ok(());
        }
        Err(error) => {
            findings.wrong(ABOUT, error.to_string(), service("restart"));
            return Ok(());
        }
    };
    let sequence: Vec<Port> = sequence.iter().filter_map(|hit| hits::parse(hit).ok()).map(|hit| hit.port).collect();
    let Some(number) = port.split_once('/').and_then(|(_, number)| number.parse().ok()) else {
        findings.wrong(ABOUT, "klopfd answers something unknown", "restart klopfd if it was upgraded");
        return Ok(());
    };
    for ends in stage.ends.clone() {
        let family = if ends.here.is_ipv4() { "IPv4" } else { "IPv6" };
        let played = one(host, place, stage, ends, &sequence, number, signals)?;
        match played {
            Outcome::Opened(time) => {
                let millis = time.as_secs_f64() * 1000.0;
                let text = format!("{family}: closed before the knock, and open {millis:.1} ms after its last hit");
                findings.fine(ABOUT, text);
            }
            Outcome::Fine(text) => findings.fine(ABOUT, format!("{family}: {text}")),
            Outcome::Wrong(text, remedy) => findings.wrong(ABOUT, format!("{family}: {text}"), remedy),
        }
    }
    if stage.ends.len() == 1 {
        findings.fine(ABOUT, "IPv6: not played, for this host has none");
    }
    Ok(())
}

enum Outcome {
    Opened(Duration),
    Fine(String),
    Wrong(String, String),
}

fn one(
    host: &Host,
    place: &Place,
    stage: &mut Stage,
    ends: Ends,
    sequence: &[Port],
    port: u16,
    signals: &Signals,
) -> Result<Outcome, Interrupted> {
    let to = SocketAddr::new(ends.here, port);
    let wrong = |text: String, remedy: &str| Ok(Outcome::Wrong(text, remedy.to_owned()));
    // The kernel itself takes the connections; nobody has to.
    let _listener = match TcpListener::bind(to) {
        Ok(listener) => listener,
        Err(error) => return wrong(format!("cannot listen at the spare port {port}: {error}"), "ask again"),
    };
    let closed = match stage.inside(|| probe::connect(to, probe::SILENCE)) {
        Ok(closed) => closed,
        Err(error) => return wrong(format!("cannot get into the namespace: {error}"), "see: ip netns"),
    };
    interrupted(signals)?;
    if closed != Answer::Silent {
        let what = if closed == Answer::Open { "open" } else { "refused, not silent," };
        return wrong(
            format!("the spare port is {what} before the knock, though klopfd guards it"),
            "see what Klopf's table has, and whether something answers before it: nft list ruleset",
        );
    }
    for _ in 0..KNOCKS {
        let opened =
            stage.inside(|| probe::knock(SocketAddr::new(ends.here, 0), sequence).map(|()| probe::until_open(to)));
        match opened {
            Ok(Ok(Some(time))) => return Ok(Outcome::Opened(time)),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => return wrong(format!("the knock cannot be sent: {error}"), "see: ip route"),
            Err(error) => return wrong(format!("cannot get into the namespace: {error}"), "see: ip netns"),
        }
        interrupted(signals)?;
        // Once more alone, for so many tries would be too much to be told of.
        stage.tracer.iter_mut().for_each(Tracer::forget);
        let _ = stage.inside(|| probe::connect(to, probe::SILENCE));
        if let Some(outcome) = elsewhere(host, stage, port) {
            return Ok(outcome);
        }
    }
    Ok(unopened(place, stage, ends, port))
}

/// If Klopf's table had let the packets in, or they never got there: who dropped them.
fn elsewhere(host: &Host, stage: &mut Stage, port: u16) -> Option<Outcome> {
    let tracer = stage.tracer.as_mut()?;
    let ways = tracer.ways(TCP, port);
    if let Some(way) = ways.iter().find(|way| way.let_in() == Some(true)) {
        return Some(match way.dropped() {
            // A firewall that drops what it does not know is as it should be.
            Some(step) => Outcome::Fine(format!(
                "closed before the knock, and opened by it in Klopf's table; then dropped, as any other spare port, in \
                 {}. What is behind the doors is tried below",
                others::blame(step)
            )),
            None => Outcome::Wrong(
                "the knock opened, but nobody answers, and no table of nf_tables dropped it".to_owned(),
                "look where nf_tables does not: iptables-legacy -S, ip rule, and rp_filter in /proc/sys/net/ipv4/conf"
                    .to_owned(),
            ),
        });
    }
    let way = ways.iter().find(|way| way.let_in().is_none())?;
    let step = way.dropped()?;
    let remedy = others::mend(host, step, &format!("tcp/{port}"));
    Some(Outcome::Wrong(format!("dropped before it comes to Klopf's table, in {}", others::blame(step)), remedy))
}

/// The knock has not opened: as far as klopfd knows why.
fn unopened(place: &Place, stage: &Stage, ends: Ends, port: u16) -> Outcome {
    let refusals = status(place).map(|status| status.refusals).unwrap_or_default();
    if let Some(refusal) = refusals.iter().find(|refusal| refusal.origin == Some(ends.there)) {
        let text = format!("the knock was refused: {}", refusal.text);
        return Outcome::Wrong(text, "what klopfd says of it is in: klopf status".to_owned());
    }
    let text = format!("the knock was not seen: tcp/{port} stayed closed, and klopfd refused nothing");
    let remedy = format!(
        "see klopfd's log; whether packets arrive at all: tcpdump -ni {} while this runs again{}",
        stage.link,
        if stage.tracer.is_none() { " (this kernel traces nothing)" } else { "" }
    );
    Outcome::Wrong(text, remedy)
}
