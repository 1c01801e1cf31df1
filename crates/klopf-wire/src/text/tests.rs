use data_encoding::BASE32_NOPAD;
use proptest::prelude::*;

use super::*;

/// A body that looks random.
fn body(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at.to_le_bytes()[0]).wrapping_mul(151).wrapping_add(seed.wrapping_mul(89)) ^ 0x5a).collect()
}

/// A body of which some words may be a code by chance.
fn random(length: usize, seed: u64) -> Vec<u8> {
    let next =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(next(&seed), next).map(|state| state.to_be_bytes()[0]).take(length).collect()
}

const SHAPES: [Shape; 2] = [Shape::Plain, Shape::Words];

fn line(body: &[u8], shape: Shape) -> Option<String> {
    write(body, shape, &mut |_| ())
}

fn bodies(text: &str) -> Vec<Vec<u8>> {
    find(text).map(|found| found.body).collect()
}

#[test]
fn every_length_comes_through_in_every_shape() {
    for length in LENGTHS {
        for shape in SHAPES {
            let body = body(length, 7);
            let text = line(&body, shape).unwrap();
            assert_eq!(read(&text), Some(Found { body: body.clone(), address: None }), "{text}");
            assert_eq!(bodies(&text.to_uppercase()), [body]);
        }
    }
    assert_eq!([line(&[0; 10], Shape::Plain), line(&[], Shape::Words)], [None, None]);
    assert_eq!(line(&[0; 11], Shape::Plain).unwrap().len(), 21);
    assert_eq!(line(&[0; 61], Shape::Plain).unwrap().len(), 101);
    assert_eq!(line(&[0; 11], Shape::Words).unwrap().split(' ').count(), 9);
}

#[test]
fn the_formats_are_those_of_the_protocol() {
    let code: Vec<u8> = (0..11).collect();
    assert_eq!(line(&code, Shape::Plain).unwrap(), "aaaqeayeaudaocajbimui");
    assert_eq!(line(&code, Shape::Words).unwrap(), "abandon amount liar amount expire adjust cage candy chuckle");
}

#[test]
fn a_word_that_was_broken_is_made_whole_whatever_stands_around() {
    let body = body(61, 3);
    let text = line(&body, Shape::Plain).unwrap();
    for width in [9, 20, 60, 71] {
        for glue in ["\n", "\r\n> ", " \u{a0}", "-\n", "\n> > ", "\u{200b}", "\u{ad}"] {
            let pieces: Vec<&str> =
                (0..text.len()).step_by(width).map(|at| &text[at..text.len().min(at + width)]).collect();
            let broken = pieces.join(glue);
            for (before, after) in
                [("", ""), ("here it is: ", " yours, Ada"), ("Dear all\n\n", "\n-- \nAda"), ("<", ">"), ("(\"", "\").")]
            {
                assert_eq!(bodies(&format!("{before}{broken}{after}")), [&body[..]], "{before}{broken}{after}");
            }
        }
    }
    for url in ["https://host.example/any?", "/x?a=b&t=", "GET /"] {
        assert_eq!(bodies(&format!("{url}{text} HTTP/1.1")), [&body[..]]);
    }
    assert!(bodies(&format!("x{text}")).is_empty() && bodies(&text[1..]).is_empty());
}

#[test]
fn words_are_found_between_lines_numbers_and_marks() {
    let body = body(49, 9);
    let text = line(&body, Shape::Words).unwrap();
    let listed: String = text.split(' ').zip(1..).map(|(word, number)| format!("{number:2}. {word}\n> ")).collect();
    for text in [listed, text.replace(' ', ", "), text.replace(' ', "\u{a0}"), format!("Hello from us: {text}; bye")] {
        assert_eq!(bodies(&text), [&body[..]], "{text}");
    }
    let one_wrong = text.replacen("a", "o", 1);
    assert!(bodies(&one_wrong).is_empty());
    assert!(is_word("Abandon") && !is_word("klopf"));
}

/// What programs do to a text on its way, one after the other.
#[test]
fn a_body_is_found_whatever_programs_have_done_to_its_text() {
    let full_width = |text: &str| {
        text.chars()
            .map(|c| if c.is_ascii_graphic() { char::from_u32(u32::from(c) + 0xfee0).unwrap() } else { c })
            .collect()
    };
    let cut = |text: &str, with: &str| {
        let mut text = text.to_owned();
        (1..text.len() / 18).rev().for_each(|nth| text.insert_str(nth * 18, with));
        text
    };
    type Mangler<'a> = (&'a str, &'a dyn Fn(&str) -> String);
    let manglers: [Mangler<'_>; 13] = [
        ("soft line ends", &|text| cut(text, "=\r\n")),
        ("soft hyphens", &|text| cut(text, "\u{ad}")),
        ("marks that are not seen", &|text| cut(text, "\u{200b}\u{2060}\u{feff}\u{202c}")),
        ("soft hyphens by name", &|text| cut(text, "&shy;")),
        ("joiners by number", &|text| cut(text, "&amp;#8203;")),
        ("blanks by name", &|text| text.replace(' ', "&amp;nbsp;")),
        ("letters by number", &|text| text.replace('a', "&#97;").replace('r', "&amp;#x72;")),
        ("other letters by name", &|text| {
            text.replace('ä', "&amp;auml;").replace('ß', "&szlig;").replace('Ü', "&Uuml;")
        }),
        ("full width", &full_width),
        ("quoting", &|text| text.replace(' ', "\r\n&gt; > ")),
        ("indented lines", &|text| text.replace(' ', &format!("<br>\n{}", " ".repeat(40)))),
        ("links", &|text| format!("<a href='/x'>{text}</a>")),
        ("case", &|text| text.to_uppercase()),
    ];
    let shapes = [Shape::Plain, Shape::Words, Shape::Prose(Language::English), Shape::Prose(Language::German)];
    for (length, shape) in LENGTHS.into_iter().flat_map(|length| shapes.map(|shape| (length, shape))) {
        let body = body(length, 21);
        let text = line(&body, shape).unwrap();
        for (what, mangle) in manglers {
            let mangled = mangle(&text);
            assert_eq!(read(&mangled).map(|found| found.body), Some(body.clone()), "{what}: {mangled}");
        }
    }
}

/// Without such care who writes into a guestbook could hide what others write there.
#[test]
fn no_words_around_a_body_hide_it() {
    let body = body(49, 4);
    for shape in [Shape::Plain, Shape::Words, Shape::Prose(Language::English)] {
        let text = line(&body, shape).unwrap();
        for (before, after) in
            [("<a ", "\nolder >"), ("<b title='", "'>"), ("&", ";"), ("&lt;p ", "&gt;"), ("> -", "-")]
        {
            assert_eq!(bodies(&format!("{before} {text} {after}")), [&body[..]], "{before}{text}{after}");
        }
    }
    // What makes another body of the first of two lines.
    let text = line(&body, Shape::Plain).unwrap();
    let hostile = (36..48).map(|at| text.split_at(at)).find_map(|(first, rest)| {
        let letters =
            |number: u32| (0..4).map(move |at| char::from(b"abcdefghijklmnop"[(number >> (4 * at) & 15) as usize]));
        let before = |number| format!("{:a<1$}", letters(number).collect::<String>(), 101 - first.len());
        let before = (0..1 << 16).map(before).find(|before| {
            let bytes = BASE32_NOPAD.decode(format!("{before}{first}").to_uppercase().as_bytes());
            bytes.ok().and_then(check::checked).is_some()
        })?;
        Some(format!("{before} {first} {rest}"))
    });
    let found = bodies(&hostile.unwrap());
    assert!(found.len() == 2 && found.contains(&body));
}

#[test]
fn a_code_inside_of_something_longer_counts_with_an_address_alone() {
    let codes = |text: &str| find(text).filter(|found| found.body.len() == 11).collect::<Vec<_>>();
    let long = (0..).map(|seed| line(&random(82, seed), Shape::Words).unwrap());
    let long = long.take(1000).find(|text| !codes(&format!("{text} 192.0.2.7")).is_empty()).unwrap();
    assert_eq!(codes(&format!("{long} 192.0.2.7"))[0].address, Some([192, 0, 2, 7].into()));
    assert_eq!(codes(&long), []);
    assert!(read(&long).is_some());
}

#[test]
fn several_are_told_in_their_order_and_each_once() {
    let (first, second) = (body(49, 1), body(61, 2));
    let words = line(&second, Shape::Words).unwrap();
    let plain = line(&first, Shape::Plain).unwrap();
    assert_eq!(bodies(&format!("{words}\n\n{plain}\n{words}")), [&second[..], &first[..]]);
    assert_eq!(bodies(&format!("{plain} {plain}")), [&first[..]]);
    assert_eq!(read(&format!("{plain} {words}")), None);
}

#[test]
fn a_code_has_the_address_that_stands_beside_it() {
    let code = body(11, 5);
    for shape in SHAPES {
        let text = line(&code, shape).unwrap();
        for (around, expected) in [
            ("{} 192.0.2.7", Some("192.0.2.7")),
            ("{} for 192.0.2.7.", Some("192.0.2.7")),
            ("please let in 192.0.2.7: {}", Some("192.0.2.7")),
            ("10.0.0.1 {} (2001:db8::7)", Some("2001:db8::7")),
            ("{}\n\n[2001:db8::7]", Some("2001:db8::7")),
            ("{}", None),
            ("{} at 12:30, dad", None),
            ("{} (ip:192.0.2.7:443)", Some("192.0.2.7")),
            ("{} ip:2001:db8::7", Some("2001:db8::7")),
            ("{} v192.0.2.7", None),
            ("{} std::env, ::", None),
            ("192.0.2.300 {}", None),
        ] {
            let found = read(&around.replace("{}", &text)).unwrap();
            assert_eq!((found.body, found.address), (code.clone(), expected.map(|a| a.parse().unwrap())), "{around}");
        }
        let far = format!("{text}{}  192.0.2.77", " ö".repeat(99));
        assert_eq!(read(&far).unwrap().address, Some([192, 0, 2, 77].into()), "an address is not cut");
        assert_eq!(read(&far.replacen('ö', "öö", 1)).unwrap().address, None);
        let before = format!("192.0.2.77 {}{text}", "ö ".repeat(99));
        assert_eq!(read(&before).unwrap().address, Some([192, 0, 2, 77].into()));
        assert_eq!(read(&before.replacen('ö', "öö", 2)).unwrap().address, None);
    }
    assert_eq!(read(&format!("{} 192.0.2.7", line(&body(49, 1), Shape::Plain).unwrap())).unwrap().address, None);
}

proptest! {
    #[test]
    fn any_text_is_searched_without_panic(text in "[a-z2-7 \\n>ä-]{0,400}", other: String) {
        let _ = (find(&text).count(), find(&other).count());
    }
}

#[test]
fn a_body_in_words_is_found_whatever_of_it_is_a_code_by_chance() {
    for length in LENGTHS {
        for seed in 0..500_u64 {
            let body = random(length, seed);
            let text = write(&body, Shape::Words, &mut |_| ()).unwrap();
            assert_eq!(read(&text).map(|found| found.body), Some(body), "{text}");
        }
    }
}
