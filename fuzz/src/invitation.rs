//! Invitations.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use klopf_spa::Invitation;

/// Takes the input for the line that a person gets, and for the fields of one that was copied well; whether one of them can be read.
pub fn invitation(input: &[u8]) -> bool {
    let mut any = false;
    let all = [&[1], input].concat();
    let bytes = [&all, &digest(&SHA256, &all).as_ref()[..4]].concat();
    let made = format!("klopf:{}", BASE64URL_NOPAD.encode(&bytes));
    for text in [&*String::from_utf8_lossy(input), &*made] {
        match Invitation::parse(text) {
            Ok(read) => {
                any = true;
                sensible(&read);
                assert_eq!(Invitation::parse(&read.text()).as_ref(), Ok(&read), "it is read as it is written");
                assert!(!format!("{read:?}").contains(&*read.psk.text()), "secrets are not shown");
            }
            Err(why) => assert!(!why.to_string().contains(char::is_control)),
        }
    }
    any
}

/// Holds for each invitation that can be read.
fn sensible(read: &Invitation) {
    assert!((1..=32).contains(&read.endpoints.len()) && (1..=32).contains(&read.doors.len()));
    for endpoint in &read.endpoints {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
        assert!(!endpoint.is_empty() && endpoint.len() <= 253 && endpoint.chars().all(plain));
        assert!(!endpoint.starts_with('-'), "it could be taken for an option");
    }
    assert!(
        read.mail.as_deref().is_none_or(|mail| mail.len() <= 254 && mail.bytes().all(|byte| byte.is_ascii_graphic()))
    );
    for shared in &read.shared_doors {
        assert!(read.doors.contains(shared.door()));
        assert!((2..=8).contains(&shared.books().len()) && (2..=shared.books().len()).contains(&shared.k().into()));
    }
    assert!(read.code_doors.iter().all(|door| read.doors.contains(door)));
}
