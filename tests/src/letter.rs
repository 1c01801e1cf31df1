//! What people write in mails and guestbooks: tokens, shares and codes, as text.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;

use klopf_spa::{Claim, CodePlace, Own, door_hash, make_code, seal_shares, seal_token};
use klopf_wire::text::{self, Language, Shape};

use crate::{Person, Receiver, Result, now_ms};

/// All shapes that a text can have.
pub const SHAPES: [Shape; 4] =
    [Shape::Plain, Shape::Words, Shape::Prose(Language::English), Shape::Prose(Language::German)];

impl Person {
    /// A claim of now.
    ///
    /// # Errors
    /// If the clock is before 1970.
    pub fn claim(&mut self, door: &str, address: IpAddr) -> Result<Claim> {
        self.counter += 1;
        let time = u32::try_from(now_ms()? / 1000)?;
        Ok(Claim { address, door: door_hash(door), time, counter: self.counter, hold: 0 })
    }
}

impl Receiver {
    /// A token of this person's with a claim.
    ///
    /// # Errors
    /// If there is no chance.
    pub fn token(&self, person: &Person, claim: &Claim) -> Result<Vec<u8>> {
        self.token_with(person, &Own::psk(&person.psk), claim)
    }

    /// The same of a key that belongs to one device.
    ///
    /// # Errors
    /// If there is no chance.
    pub fn bound_token(&self, person: &Person, claim: &Claim) -> Result<Vec<u8>> {
        self.token_with(person, &Own::bound(&person.psk, person.device), claim)
    }

    fn token_with(&self, person: &Person, own: &Own, claim: &Claim) -> Result<Vec<u8>> {
        let token = by_chance(|chance| seal_token(&self.key.public(), person.seed.public().id(), own, claim, chance))?;
        Ok(token.ok_or("not a claim")?)
    }

    /// A token in shares, one for each of these books.
    ///
    /// # Errors
    /// If there are too few books, or too many.
    pub fn shares(&self, token: &[u8], k: u8, books: &[&str]) -> Result<Vec<Vec<u8>>> {
        let shares = by_chance(|chance| seal_shares(&self.key.public(), token, k, books, chance))?;
        Ok(shares.ok_or("no shares")?)
    }

    /// A code for paper.
    ///
    /// # Errors
    /// If there is no such place.
    pub fn code(&self, person: &Person, door: &str, sheet: u16, index: u8) -> Result<Vec<u8>> {
        let (id, own) = (person.seed.public().id(), Own::psk(&person.psk));
        let code = make_code(&self.key.public(), id, &own, door, CodePlace { sheet, index });
        Ok(code.ok_or("no such place")?.into())
    }
}

/// A token, share or code as text.
///
/// # Errors
/// If it has the length of none.
pub fn written(body: &[u8], shape: Shape) -> Result<String> {
    Ok(by_chance(|chance| text::write(body, shape, chance))?.ok_or("nothing has this length")?)
}

/// A mail of somebody, with lines that are wrapped as mail programs do.
#[must_use]
pub fn mail(subject: &str, text: &str) -> String {
    format!(
        "From: Somebody <somebody@example.org>\nTo: ada@host.test\nSubject: {subject}\n\
         Date: Mon, 02 Feb 2026 10:00:00 +0000\nMessage-ID: <{:x}@example.org>\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{}\n",
        text.bytes().fold(0_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
        wrapped(text)
    )
}

/// Breaks lines at white space so that they have 72 bytes at most, where there is some.
#[must_use]
pub fn wrapped(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut length = 0;
        for word in line.split(' ') {
            if length > 0 {
                let fits = length + 1 + word.len() <= 72;
                out.push(if fits { ' ' } else { '\n' });
                length = if fits { length + 1 } else { 0 };
            }
            out.push_str(word);
            length += word.len();
        }
        out.push('\n');
    }
    out
}

/// Gives bytes of chance to who asks for them.
fn by_chance<T>(make: impl FnOnce(&mut dyn FnMut(&mut [u8])) -> T) -> Result<T> {
    let mut source = File::open("/dev/urandom")?;
    let mut fault = None;
    let made = make(&mut |bytes: &mut [u8]| fault = source.read_exact(bytes).err().or_else(|| fault.take()));
    fault.map_or(Ok(made), |fault| Err(fault.into()))
}
