//! Letters: knocks that come by mail and in guestbooks, from real servers and from servers that mean no good.
#![forbid(unsafe_code)]

mod books;
mod client;
mod client_codes;
mod client_joins;
mod client_mails;
mod client_pages;
mod client_posts;
mod client_secrets;
mod client_shares;
mod codes;
mod courier;
mod evil;
mod killed;
mod maildirs;
mod mails;
mod pages;
mod play;
mod refused;
mod replays;
mod shares;

use std::process::ExitCode;

use klopf_tests::{Case, run};

fn main() -> ExitCode {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(books::cases());
    cases.extend(client::cases());
    cases.extend(client_codes::cases());
    cases.extend(client_joins::cases());
    cases.extend(client_mails::cases());
    cases.extend(client_pages::cases());
    cases.extend(client_posts::cases());
    cases.extend(client_secrets::cases());
    cases.extend(client_shares::cases());
    cases.extend(codes::cases());
    cases.extend(courier::cases());
    cases.extend(evil::cases());
    cases.extend(killed::cases());
    cases.extend(mails::cases());
    cases.extend(maildirs::cases());
    cases.extend(pages::cases());
    cases.extend(refused::cases());
    cases.extend(replays::cases());
    cases.extend(shares::cases());
    run(cases)
}
