//! Names of addresses, by the C library's resolver.

use std::ffi::CStr;
use std::net::{IpAddr, SocketAddr};

/// The name of an address, by hosts file or DNS; blocks as long as the resolver takes. Only names made of letters,
/// digits, dots, hyphens and underscores are returned: a name comes from whoever owns the address.
#[must_use]
pub fn name_of(address: IpAddr) -> Option<String> {
    let address = rustix::net::SocketAddrAny::from(SocketAddr::new(address, 0));
    let mut host = [0u8; 1025]; // NI_MAXHOST of netdb.h
    // SAFETY: the socket address has the length it says; the kernel-independent resolver writes at most 1,025 bytes,
    // ended by a zero byte, to `host`.
    let result = unsafe {
        libc::getnameinfo(
            address.as_ptr().cast(),
            address.addr_len(),
            host.as_mut_ptr().cast(),
            1025,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    let name = CStr::from_bytes_until_nul(&host).ok().filter(|_| result == 0)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
}
