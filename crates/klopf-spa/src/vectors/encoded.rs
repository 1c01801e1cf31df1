//! Those of encoded sequences, and of what arrives of them.

use super::Vector;
use crate::encoded::{Claim, Fields, Mark, Queue, Span, Template, Transport, Whom, open, seal};
use crate::{Known, ServerPublic, door_hash};

impl Vector {
    fn numbers(&self, field: &str) -> Vec<u16> {
        self.text(field).split_whitespace().map(|number| number.parse().unwrap()).collect()
    }

    pub(super) fn template(&self) -> Template {
        let it = self.part("template");
        let has = |field| it.texts("fields").contains(&field);
        let whom = match (has("addr4"), has("net4"), has("addr6"), has("net6")) {
            (false, false, false, false) => Whom::Observed,
            (true, false, ..) => Whom::V4,
            (true, true, ..) => Whom::V4Net,
            (.., true, false) => Whom::V6,
            _ => Whom::V6Net,
        };
        let fields = Fields { whom, port: has("port"), hold: has("for"), flags: has("flag") };
        let transport = if it.text("transport") == "udp" { Transport::Udp } else { Transport::Tcp };
        let first = it.number("first");
        let last = first + it.number("size") - 1;
        Template { span: Span::new(first.try_into().unwrap(), last.try_into().unwrap()).unwrap(), transport, fields }
    }

    fn sequence_claim(&self) -> Claim {
        let it = self.part("claim");
        Claim {
            allow: it.has("address").then(|| (it.text("address").parse().unwrap(), it.small("prefix"))),
            port: it.has("port").then(|| it.number("port").try_into().unwrap()),
            hold: it.number("seconds").try_into().unwrap(),
            flags: it.small("flags"),
        }
    }
}

#[test]
fn sequences_are_sealed_and_opened_as_in_the_vectors() {
    for vector in Vector::all(include_str!("../../vectors/encoded.json")) {
        let server = ServerPublic::new(vector.array("pkS"));
        let (id, own, tokens) = vector.known();
        let (template, symbols, door) = (vector.template(), vector.numbers("symbols"), vector.text("door"));
        let opened = open((&server, id, &own), door_hash(door), &template, &symbols, vector.number("now"));
        let of = tokens.of_sequence(&template, &symbols);
        if let Some(name) = vector.refused() {
            assert_eq!((opened, !of.is_empty()), (None, name == "forged"), "{}", vector.name());
            continue;
        }
        let (claim, mark) = (vector.sequence_claim(), Mark(vector.number("mark")));
        assert_eq!(opened, Some((claim, mark)), "{}", vector.name());
        assert_eq!(of, [Known { id, number: 3 }]);
        let made = seal((&server, id, &own), door, &template, &claim, Mark(vector.number("start")));
        assert_eq!(made, Some((symbols.clone(), mark)), "{}", vector.name());
        let ports: Option<Vec<u16>> = symbols.into_iter().map(|symbol| template.span.port(symbol)).collect();
        assert_eq!(ports, Some(vector.numbers("ports")));
    }
}

#[test]
fn hits_are_read_as_in_the_vectors() {
    for vector in Vector::all(include_str!("../../vectors/arrivals.json")) {
        let mut queue = Queue::default();
        vector.numbers("hits").into_iter().for_each(|hit| _ = queue.push(hit));
        let length = vector.number("count").try_into().unwrap();
        let read: Vec<String> =
            queue.readings(length).map(|read| read.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(read, vector.texts("readings"), "{}", vector.name());
    }
}
