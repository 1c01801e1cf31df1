//! A thread for each source.

use std::io;
use std::sync::Arc;
use std::thread;

use klopf_brief::{Brief, What};

use crate::board::Board;
use crate::outlet::Outlet;
use crate::{guestbook, mail};

/// Starts looking at all sources.
///
/// # Errors
/// There is no room for a thread.
pub(crate) fn start(brief: Brief, board: &Arc<Board>) -> io::Result<()> {
    for source in brief.sources {
        let outlet = Outlet::new(Arc::clone(board), source.id);
        // Names of threads have 15 bytes, and those of sources are plain ASCII.
        let name: String = source.name.chars().filter(|letter| *letter != '\0').take(15).collect();
        thread::Builder::new().name(name).spawn(move || look_at(source.what, outlet))?;
    }
    Ok(())
}

fn look_at(what: What, outlet: Outlet) {
    match what {
        What::Imap(imap) => mail::look_at_imap(&imap, outlet),
        What::Maildir(maildir) => mail::look_at_maildir(&maildir, outlet),
        What::Guestbook(book) => guestbook::look_at(book, outlet),
    }
}
