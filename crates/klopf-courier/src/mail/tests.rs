//! What the tests of mailboxes have in common: what stands for a knock, and a watch.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use klopf_brief::{Body, Report, Verdict};
use klopf_sys::{Wait, wait};

use crate::board::Board;
use crate::outlet::Outlet;

/// `knock`, a word, and maybe an address.
pub(super) fn find(text: &str) -> Vec<(Body, Option<IpAddr>)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let knocks = words.iter().enumerate().filter(|(_, word)| **word == "knock");
    knocks
        .filter_map(|(at, _)| {
            let address = words.get(at + 2).and_then(|word| word.parse().ok());
            Some((Body::new(words.get(at + 1)?.as_bytes())?, address))
        })
        .collect()
}

/// A courier with one source, whose watch knows a word for each of its verdicts.
pub(super) struct Courier {
    pub(super) board: Arc<Board>,
    /// The bodies that were offered.
    pub(super) offers: Receiver<String>,
}

impl Courier {
    pub(super) fn new() -> Self {
        let board = Arc::new(Board::new([1].into_iter()).unwrap());
        let (sender, offers) = channel();
        let watch = Arc::clone(&board);
        thread::spawn(move || {
            while !watch.lock().ending {
                wait([Wait { fd: watch.bell().as_fd(), write: false }], None).unwrap();
                watch.silence();
                let mut state = watch.lock();
                while let Some(offer) = state.desk.take(0) {
                    let word = String::from_utf8(offer.body.bytes().to_vec()).unwrap();
                    let verdict = match word.trim_end_matches(|letter: char| letter.is_ascii_digit()) {
                        "good" => Some(Verdict::Taken),
                        "spent" => Some(Verdict::Spent),
                        "silent" => None,
                        _ => Some(Verdict::Nothing),
                    };
                    let reply =
                        verdict.and_then(|verdict| state.desk.answer(0, offer.number, verdict).zip(Some(verdict)));
                    if let Some(((_, reply), verdict)) = reply {
                        let _ = reply.try_send(verdict);
                    }
                    let _ = sender.send(word);
                }
            }
        });
        Self { board, offers }
    }

    pub(super) fn outlet(&self) -> Outlet {
        Outlet::new(Arc::clone(&self.board), 1)
    }

    pub(super) fn report(&self) -> Report {
        self.board.lock().reports[&1]
    }

    /// All is to be offered again.
    pub(super) fn again(&self) {
        self.board.lock().again += 1;
        self.board.alarm();
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.board.lock().ending = true;
        self.board.alarm();
        self.board.ring();
    }
}
