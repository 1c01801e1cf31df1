//! The section `[packet]`.

use std::time::Duration;

use klopf_spa::{PacketPort, Shape};
use toml::de::{DeTable, DeValue};

use super::report::{Report, Value, Wrong, in_order};
use super::{Packet, values};
use crate::suggest::nearest;

pub(super) const KEYS: [&str; 3] = ["port", "shape", "window"];

const SHORTEST_WINDOW: Duration = Duration::from_secs(1);
const LONGEST_WINDOW: Duration = Duration::from_secs(3600);

pub(super) fn read(table: &DeTable<'_>, report: &mut Report<'_>) -> Packet {
    let mut packet = Packet::default();
    for (key, value) in in_order(table) {
        match key.get_ref().as_ref() {
            "port" => packet.port = port(value, report),
            "shape" => {
                let choices = Shape::ALL.map(|shape| (shape.name(), shape));
                packet.shape = report.choice("shape", value, choices).unwrap_or_default();
            }
            "window" => {
                let text = report.string("window", value, r#""2m""#);
                let window = text.map(|text| values::duration_from(text, SHORTEST_WINDOW, LONGEST_WINDOW));
                let window = window.and_then(|window| report.checked(value.span(), window));
                packet.window = window.unwrap_or(packet.window);
            }
            _ => report.unknown_key(key, "`[packet]`", &KEYS),
        }
    }
    packet
}

fn port(value: &Value<'_>, report: &mut Report<'_>) -> Option<PacketPort> {
    let help = "write a number of 1 to 65535, or `\"hop\"` for another port every minute";
    match value.get_ref() {
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
            report.checked(value.span(), values::plain_port(number)).map(|port| PacketPort::Fixed(port.number))
        }
        DeValue::String(text) if text == "hop" => Some(PacketPort::Hop),
        DeValue::String(text) => {
            let help =
                nearest(text, &["hop"]).map_or_else(|| help.to_owned(), |meant| format!("did you mean `{meant}`?"));
            report.fault(value.span(), Wrong::new(format!("`{text}` is no port for packets"), help));
            None
        }
        _ => {
            report.mistyped("port", value, "a number or `\"hop\"`", "51900");
            None
        }
    }
}
