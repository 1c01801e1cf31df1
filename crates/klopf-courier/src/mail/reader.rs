//! Looks at one mail: finds what stands in it, and offers that.

use std::net::IpAddr;

use klopf_brief::Body;

use super::dkim::{self, Dkim, Signed};
use super::text;
use crate::outlet::{Outlet, Ticket};

/// Bodies of a mail that are offered.
const BODIES: usize = 64;

/// Finds what may be a token, a share or a code in a text, with the address beside it.
pub(crate) type Find = fn(&str) -> Vec<(Body, Option<IpAddr>)>;

/// What all mails of a source have in common.
pub(crate) struct Reader {
    find: Find,
    dkim: Option<Dkim>,
}

/// What there is in a mail.
#[derive(Debug)]
pub(crate) enum Look {
    /// Nothing for us.
    Nothing,
    /// Something, which was offered.
    Offered(Vec<Ticket>),
    /// Something, but it is not known now whether the mail may have it: it is to be looked at again.
    Later,
    /// Something, but others are to be answered first.
    Busy,
}

impl Reader {
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn new(find: Find, domains: &[String]) -> std::io::Result<Self> {
        Ok(Self { find, dkim: Dkim::new(domains)? })
    }

    /// How many bytes of a mail are needed.
    pub(crate) fn longest(&self) -> usize {
        if self.dkim.is_some() { dkim::LONGEST } else { text::LONGEST }
    }

    /// Looks at a mail, or the beginning of one that is not whole.
    pub(crate) fn look(&self, outlet: &Outlet, mail: &[u8], whole: bool) -> Look {
        let bodies = self.bodies(mail);
        if bodies.is_empty() {
            return Look::Nothing;
        }
        match self.dkim.as_ref().map_or(Signed::Yes, |dkim| if whole { dkim.check(mail) } else { Signed::No }) {
            Signed::Yes => {}
            Signed::No => return Look::Nothing,
            Signed::Unknown => return Look::Later,
        }
        let tickets: Option<_> = bodies.into_iter().map(|(body, address)| outlet.offer(body, address)).collect();
        tickets.map_or(Look::Busy, Look::Offered)
    }

    /// Each body once, with an address if it has one anywhere.
    fn bodies(&self, mail: &[u8]) -> Vec<(Body, Option<IpAddr>)> {
        let mut bodies: Vec<(Body, Option<IpAddr>)> = Vec::new();
        for (body, address) in text::texts(mail).iter().flat_map(|text| (self.find)(text)) {
            let same = |(known, at): &(Body, Option<IpAddr>)| {
                *known == body && (*at == address || at.is_none() || address.is_none())
            };
            if let Some((_, at)) = bodies.iter().position(same).and_then(|at| bodies.get_mut(at)) {
                *at = at.or(address);
            } else if bodies.len() < BODIES {
                bodies.push((body, address));
            }
        }
        bodies
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::find;
    use super::*;
    use crate::board::Board;

    fn reader() -> Reader {
        Reader::new(find, &[]).unwrap()
    }

    #[test]
    fn what_stands_in_a_mail_twice_is_offered_once_with_its_address() {
        let mail = b"Subject: knock a\n\nknock a 192.0.2.1\nknock b\nknock b\nknock a 192.0.2.2";
        let found: Vec<_> = reader().bodies(mail).into_iter().map(|(body, at)| (body.bytes().to_vec(), at)).collect();
        let at = |text: &str| Some(text.parse().unwrap());
        assert_eq!(found, [(b"a".to_vec(), at("192.0.2.1")), (b"b".to_vec(), None), (b"a".to_vec(), at("192.0.2.2"))]);
    }

    #[test]
    fn a_mail_full_of_knocks_is_offered_in_part() {
        let many: String = (0..10_000).map(|n| format!("knock {n}\n")).collect();
        assert_eq!(reader().bodies(many.as_bytes()).len(), BODIES);
        let outlet = Outlet::new(Arc::new(Board::new([1].into_iter()).unwrap()), 1);
        assert!(
            matches!(reader().look(&outlet, many.as_bytes(), true), Look::Offered(tickets) if tickets.len() == BODIES)
        );
        let last = std::iter::from_fn(|| Some(reader().look(&outlet, many.as_bytes(), true)))
            .take(100)
            .find(|look| !matches!(look, Look::Offered(_)));
        assert!(matches!(last, Some(Look::Busy)));
        assert!(matches!(reader().look(&outlet, b"nothing", true), Look::Nothing));
    }

    #[test]
    fn a_mail_that_must_be_signed_must_be_whole() {
        let reader = Reader::new(find, &["example.org".to_owned()]).unwrap();
        let outlet = Outlet::new(Arc::new(Board::new([1].into_iter()).unwrap()), 1);
        assert!(reader.longest() > text::LONGEST);
        assert!(matches!(reader.look(&outlet, b"Subject: knock a\n\n", true), Look::Nothing));
        assert!(matches!(reader.look(&outlet, b"Subject: knock a\n\n", false), Look::Nothing));
    }
}
