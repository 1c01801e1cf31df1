//! What a client reads: profiles, answers of STUN servers, and programs that come to its proxy.

use klopf_config::profile::{self, is_endpoint};
use klopf_wire::{socks, stun};

/// Reads the input as a profile.
pub fn profile(input: &[u8]) {
    match profile::parse("profile.toml", input) {
        Ok(read) => {
            assert!(!read.endpoints.is_empty() && read.endpoints.iter().all(|endpoint| is_endpoint(endpoint)));
            assert!(!read.doors.is_empty());
            assert!(read.mail.as_ref().is_none_or(|mail| mail.is_ascii() && mail.contains('@') && !mail.contains(' ')));
            for books in &read.books {
                assert!(read.doors.contains(&books.door));
                assert!(2 <= books.shares && usize::from(books.shares) <= books.of.len() && books.of.len() <= 8);
            }
            assert_eq!(profile::parse("again.toml", read.text().as_bytes()), Ok(read), "what is written is read again");
        }
        Err(faults) => {
            for fault in faults.iter().take(3) {
                let text = fault.to_string();
                assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
                shows_no_key(&text);
            }
        }
    }
}

/// A key has 43 characters; not even half of one is shown. File names and words of ours are shorter.
fn shows_no_key(text: &str) {
    let in_key = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    // Rulers and arrows of the picture are made of `-`.
    let long = text.split(|c| !in_key(c)).find(|word| word.len() > 21 && word.chars().any(char::is_alphanumeric));
    assert!(long.is_none(), "{long:?} in {text}");
}

/// Reads the input as the answer to a request whose number is zero.
pub fn stun(input: &[u8]) {
    let request = stun::binding_request([0; 12]);
    if stun::mapped_address(input, [0; 12]).is_some() {
        assert!(input.len() >= request.len() + 12 && input[4..20] == request[4..20]);
    }
}

/// Reads the input as a greeting and a request, whole and in two parts.
pub fn socks(input: &[u8]) {
    prefixes(input, socks::greeting);
    prefixes(input, socks::request);
    if let socks::Read::Whole(request, length) = socks::request(input) {
        assert!(length <= socks::LONGEST && request.port > 0);
    }
}

/// What is whole stays the same when more follows, and no part of it is whole.
fn prefixes<T: PartialEq + std::fmt::Debug>(input: &[u8], read: impl Fn(&[u8]) -> socks::Read<T>) {
    let socks::Read::Whole(value, length) = read(input) else { return };
    assert!(length <= input.len());
    let whole = socks::Read::Whole(value, length);
    assert_eq!(read(&input[..length]), whole);
    assert_eq!(read(&input[..length - 1]), socks::Read::Partial);
}
