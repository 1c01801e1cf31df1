//! `klopf codes`: a sheet of one-time codes for the wallet.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use klopf_spa::CodePlace;
use klopf_wire::text::{self, Shape};

use super::maker::Maker;
use crate::failure::{Failure, code};
use crate::open::{date, unix_ms};
use crate::person::What;
use crate::profile::{Folders, Store, random};
use crate::terminal::wrapped;
use crate::{complain, say};

/// Columns of a page.
const COLUMNS: usize = 80;
/// Words of a code in one line.
const IN_A_LINE: usize = 5;

#[derive(Args)]
pub(crate) struct Options {
    /// The profile, if there are several, and the door, if it is not the usual one
    #[arg(value_name = "PROFILE[/DOOR]", value_parser = What::parse)]
    what: Option<What>,
    /// How many codes
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=32))]
    count: u8,
    /// The number of a sheet that was lost in the printer; a new one if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..2048))]
    sheet: Option<u16>,
}

/// What stands on a sheet besides codes.
struct Sheet<'a> {
    profile: &'a str,
    door: &'a str,
    host: &'a str,
    mail: Option<&'a str>,
    number: u16,
    date: &'a str,
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let folders = Folders::find()?;
    let What { profile, door } = options.what.clone().unwrap_or_default();
    let kept = Store::new(&folders).choose(profile.as_ref())?;
    let maker = Maker::new(&folders, &kept, door.as_ref())?;
    let number = options.sheet.map_or_else(new_sheet, Ok)?;
    let codes: Vec<String> = (0..options.count)
        .map(|index| {
            let code = maker.code(CodePlace { sheet: number, index })?;
            let text = text::write(&code, Shape::Words, &mut |_| ());
            text.ok_or_else(|| Failure::new(code::SYSTEM, "a code cannot be written"))
        })
        .collect::<Result<_, _>>()?;
    let date = date(unix_ms() / 1000);
    let sheet = Sheet {
        profile: &kept.name,
        door: &maker.door,
        host: maker.profile().endpoints.first().map(String::as_str).unwrap_or_default(),
        mail: maker.profile().mail.as_deref(),
        number,
        date: date.get(..10).unwrap_or(&date),
    };
    say(sheet.text(&codes).trim_end());
    complain("Whoever has this sheet can open the door. It is kept nowhere else.");
    Ok(ExitCode::SUCCESS)
}

/// A random number of a sheet.
fn new_sheet() -> Result<u16, Failure> {
    let mut chance = [0; 2];
    random(&mut chance)?;
    Ok(u16::from_be_bytes(chance) % 2048)
}

impl Sheet<'_> {
    fn text(&self, codes: &[String]) -> String {
        let Self { profile, door, host, mail, number, date } = self;
        let mut text = format!("Sheet {number}, {date}: codes for the door {door} of {host}\n\n");
        let width = codes.iter().flat_map(|code| code.split(' ')).map(str::len).max().unwrap_or(0) + 2;
        for (index, code) in codes.iter().enumerate() {
            let words: Vec<&str> = code.split(' ').collect();
            for (line, words) in words.chunks(IN_A_LINE).enumerate() {
                let head = if line == 0 { format!("{:>3}", index + 1) } else { "   ".to_owned() };
                let columns: String = words.iter().map(|word| format!("{:width$}", word.to_lowercase())).collect();
                let _ = writeln!(text, "{head}  {}", columns.trim_end());
            }
            text.push('\n');
        }
        let to = mail.map_or_else(|| "a mail to the server".to_owned(), |mail| format!("a mail to {mail}"));
        let use_it = format!(
            "Each opens the door once: write all its words, and behind them the address that is to be let in, as \
             203.0.113.7, into {to} or into a guestbook that it reads. Then strike it out."
        );
        wrapped(&use_it, COLUMNS).iter().for_each(|line| {
            let _ = writeln!(text, "{line}");
        });
        text.push_str("To have the words checked:  klopf open --code - --allow ADDRESS\n");
        // The server may know the key by another name than this device, so the line says which is meant.
        let _ = writeln!(text, "Lost? On the server:  klopf revoke {profile} --sheet {number}   ({profile}: the key)");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_fits_a_page_and_says_how_it_is_used_and_ended() {
        let codes: Vec<String> = (0..32).map(|_| ["absolute"; 9].join(" ")).collect();
        let sheet = Sheet {
            profile: "laptop",
            door: "ssh",
            host: "home.example",
            mail: Some("knock@example.org"),
            number: 2047,
            date: "2026-11-23",
        };
        let text = sheet.text(&codes);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        assert_eq!(text.matches("absolute").count(), 32 * 9);
        let words = text.replace('\n', " ");
        for said in ["Sheet 2047, 2026-11-23", "knock@example.org", "klopf revoke laptop --sheet 2047", " 32  absolute"]
        {
            assert!(words.contains(said), "{said}: {text}");
        }
        assert!(text.lines().count() - 32 * 3 <= 8, "{text}");
    }
}
