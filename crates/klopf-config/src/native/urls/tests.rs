use proptest::prelude::*;

use super::*;

#[test]
fn pages_are_written_in_one_way() {
    for (text, url) in [
        ("https://Example.ORG", "https://example.org/"),
        ("https://example.org:443/A?b=C", "https://example.org/A?b=C"),
        ("http://example.org:443/", "http://example.org:443/"),
        ("https://example.org?b", "https://example.org/?b"),
        ("https://[2001:DB8:0::1]:444/", "https://[2001:db8::1]:444/"),
    ] {
        assert_eq!(page(text).map(|page| page.url.0).map_err(|wrong| wrong.text), Ok(url.to_owned()), "{text}");
    }
}

#[test]
fn what_is_no_part_of_the_internet_is_known() {
    for host in [
        "0.0.0.0",
        "10.0.0.1",
        "100.127.0.1",
        "127.9.9.9",
        "169.254.0.1",
        "172.31.0.1",
        "192.0.0.8",
        "192.168.0.1",
        "198.19.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "ff02::1",
        "localhost",
        "localhost.",
        "a.localhost",
    ] {
        assert!(private(host).is_some(), "{host}");
    }
    for host in [
        "1.1.1.1",
        "100.63.0.1",
        "100.128.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1",
        "::ffff:1.1.1.1",
        "example.org",
        "localhost.example",
        "notlocalhost",
    ] {
        assert!(private(host).is_none(), "{host}");
    }
}

proptest! {
    #[test]
    fn what_is_read_is_strict(scheme in "(https?|imaps?)://", rest in "[a-z0-9.:/@%?#\\[\\]é\\\\ \r\n-]{0,24}") {
        let text = format!("{scheme}{rest}");
        if let Ok(page) = page(&text) {
            let url = page.url.as_str();
            prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains(['#', '\\']), "{}", url);
            let again = super::page(url).map(|again| again.url).map_err(|wrong| wrong.text);
            prop_assert_eq!(again, Ok(page.url));
            prop_assert!(page.host.parse::<IpAddr>().is_ok() || is_name(&page.host));
        }
        if let Ok(read) = imap(&text) {
            prop_assert!(!read.user.is_empty() && !read.user.contains(char::is_control));
            prop_assert!(read.folder.is_none_or(|folder| !folder.contains(char::is_control)));
            prop_assert_ne!(read.port, Some(0));
        }
    }

    #[test]
    fn no_fault_repeats_an_address(rest in "[a-z0-9.:/@%?#\\[\\]-]{0,12}hunter2[a-z0-9.:/@%?#\\[\\]-]{0,12}") {
        for text in [format!("https://{rest}"), format!("imaps://{rest}"), rest] {
            for wrong in [page(&text).err(), imap(&text).err()].into_iter().flatten() {
                prop_assert!(!wrong.text.contains("hunter2") && !wrong.help.contains("hunter2"), "{}", wrong.text);
            }
        }
    }
}
