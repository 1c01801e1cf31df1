use data_encoding::HEXLOWER;
use klopf_spa::{KeyId, Name, Own, Psk, ServerPublic};
use serde_json::Value;

use super::*;

const SECRET: &str = "correct horse battery";

fn key() -> PageKey {
    let doors = [Name::new("ssh").unwrap(), Name::new("vault-of-anna").unwrap()];
    PageKey::new(
        &ServerPublic::new([1; 32]),
        KeyId([2; 8]),
        &Own::psk(&Psk::new([3; 32])),
        Some("knock@example.org"),
        &doors,
    )
}

#[test]
fn pages_are_sealed_as_in_the_vectors() {
    let file: Value = serde_json::from_str(include_str!("../../../klopf-spa/vectors/pages.json")).unwrap();
    let vectors: Vec<&Value> =
        file["vectors"].as_array().unwrap().iter().filter(|vector| vector["refused"].is_null()).collect();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let bytes = |field: &str| HEXLOWER.decode(vector[field].as_str().unwrap().as_bytes()).unwrap();
        let number = |field: &str| vector[field].as_u64().unwrap();
        let small = |field: &str| u8::try_from(number(field)).unwrap();
        let names = vector["doors"].as_array().unwrap();
        let doors: Vec<Name> = names.iter().map(|name| Name::new(name.as_str().unwrap()).unwrap()).collect();
        let server = ServerPublic::new(bytes("pkS").try_into().unwrap());
        let id = KeyId(bytes("id").try_into().unwrap());
        let own = bytes("own");
        let (psk, device) = own.split_first_chunk().unwrap();
        let psk = Psk::new(*psk);
        let own = device.try_into().map_or_else(|_| Own::psk(&psk), |device| Own::bound(&psk, device));
        let mail = vector["mail"].as_str().filter(|mail| !mail.is_empty());
        let key = PageKey::new(&server, id, &own, mail, &doors);
        let head = PageHead {
            memory: number("memory").try_into().unwrap(),
            passes: small("passes"),
            lanes: small("lanes"),
            salt: bytes("salt").try_into().unwrap(),
        };
        let passphrase = Passphrase::new(vector["passphrase"].as_str().unwrap()).unwrap();
        assert_eq!(sealed(&key, &head, &passphrase), Some(bytes("sealed")), "{}", vector["name"]);
    }
}

#[test]
fn a_page_tells_nothing_and_no_two_are_alike() {
    let passphrase = Passphrase::new(SECRET).unwrap();
    let [one, other] = [0, 1].map(|_| html(&key(), &passphrase).unwrap());
    assert!(one != other && one.len() == other.len());
    for hidden in ["vault-of-anna", "knock@example.org", SECRET, &BASE64URL_NOPAD.encode(&[3; 30]), PLACE] {
        assert!(!one.contains(hidden), "{hidden}");
    }
}

#[test]
fn the_page_allows_its_own_script_and_style_and_no_network() {
    let between = |start: &str, end: &str| {
        let (_, behind) = PAGE.split_once(start).unwrap();
        behind.split_once(end).unwrap().0
    };
    let policy = between("http-equiv=\"Content-Security-Policy\" content=\"", "\"");
    for directive in ["default-src 'none'", "form-action 'none'", "base-uri 'none'"] {
        assert!(policy.split("; ").any(|there| there == directive), "{directive}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
    // What has another address than the page itself would be asked of somebody; the licence's is no link.
    let (_, page) = PAGE.split_once("-->").unwrap();
    assert!(!page.contains("://") && !page.contains(" src=") && !page.contains("@import") && !page.contains("url("));
    assert_eq!(PAGE.matches(PLACE).count(), 1);
}
