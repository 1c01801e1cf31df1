//! What a sealed knock asks for besides whom to let in, and what of that a door grants.

use std::net::IpAddr;

use crate::Refusal;

/// What a sealed knock asks for; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// One port alone, of either protocol; none: all of the door's.
    pub port: Option<u16>,
    /// The network of its address, of so many bits; none: the address alone.
    pub prefix: Option<u8>,
    /// Flags for the door's commands; the first is the lowest bit.
    pub flags: u8,
}

/// What sealed knocks may ask for at a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MayAsk {
    /// One of these ports, as ranges from the first to the last.
    pub ports: Vec<(u16, u16)>,
    /// A time of at most so many milliseconds, whatever the door's own is; none: of at most that.
    pub hold: Option<u64>,
    /// Networks of IPv4 addresses of at least so many bits.
    pub prefix: u8,
    /// The same for IPv6.
    pub prefix6: u8,
    /// These flags.
    pub flags: u8,
}

impl Default for MayAsk {
    /// Flags alone.
    fn default() -> Self {
        Self { ports: Vec::new(), hold: None, prefix: 32, prefix6: 128, flags: 0b1111 }
    }
}

impl MayAsk {
    /// Whether this may be asked for, for an address. For how long is a matter of [`crate::Key::bounded`].
    ///
    /// # Errors
    /// [`Refusal::WrongPort`], [`Refusal::WrongNetwork`] or [`Refusal::WrongFlags`], the first that fits.
    pub fn grants(&self, address: IpAddr, asks: &Asks) -> Result<(), Refusal> {
        let (least, most) = if address.is_ipv4() { (self.prefix, 32) } else { (self.prefix6, 128) };
        let among = |port: u16| self.ports.iter().any(|(first, last)| (*first..=*last).contains(&port));
        if asks.port.is_some_and(|port| !among(port)) {
            Err(Refusal::WrongPort)
        } else if asks.prefix.is_some_and(|prefix| !(least..=most).contains(&prefix)) {
            Err(Refusal::WrongNetwork)
        } else if asks.flags & !self.flags != 0 {
            Err(Refusal::WrongFlags)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_that_may_not_be_asked_for() {
        let [v4, v6]: [IpAddr; 2] = ["192.0.2.7", "2001:db8::7"].map(|text| text.parse().unwrap());
        let may = MayAsk { ports: vec![(22, 22), (8000, 8010)], prefix: 24, prefix6: 56, flags: 0b0101, hold: None };
        let port = |port| Asks { port: Some(port), ..Asks::default() };
        let net = |prefix| Asks { prefix: Some(prefix), ..Asks::default() };
        let flags = |flags| Asks { flags, ..Asks::default() };
        for (address, asks, expected) in [
            (v4, Asks::default(), Ok(())),
            (v4, port(22), Ok(())),
            (v6, port(8010), Ok(())),
            (v4, port(8011), Err(Refusal::WrongPort)),
            (v4, port(0), Err(Refusal::WrongPort)),
            (v4, net(24), Ok(())),
            (v4, net(32), Ok(())),
            (v4, net(23), Err(Refusal::WrongNetwork)),
            (v4, net(33), Err(Refusal::WrongNetwork)),
            (v4, net(56), Err(Refusal::WrongNetwork)),
            (v6, net(56), Ok(())),
            (v6, net(55), Err(Refusal::WrongNetwork)),
            (v6, net(24), Err(Refusal::WrongNetwork)),
            (v6, net(129), Err(Refusal::WrongNetwork)),
            (v4, flags(0b0101), Ok(())),
            (v4, flags(0b0111), Err(Refusal::WrongFlags)),
            (v4, flags(0b1_0000), Err(Refusal::WrongFlags)),
            (v4, Asks { port: Some(1), prefix: Some(0), flags: 255 }, Err(Refusal::WrongPort)),
        ] {
            assert_eq!(may.grants(address, &asks), expected, "{address} {asks:?}");
        }
        let usual = MayAsk::default();
        assert_eq!(usual.grants(v4, &Asks::default()), Ok(()));
        assert_eq!(usual.grants(v4, &flags(15)), Ok(()));
        assert_eq!([port(22), net(31)].map(|asks| usual.grants(v4, &asks).is_ok()), [false; 2]);
    }
}
