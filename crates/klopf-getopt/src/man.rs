//! The parts of a man page that all faces share; the rest they write as [`Roff`].

pub use roff::{Inline, Roff, bold, italic, roman};

/// A page up to its synopsis.
#[must_use]
pub fn page(name: &str, section: &str, about: &str, synopsis: &str) -> Roff {
    let mut page = Roff::new();
    page.control("TH", [name, section, "", concat!("klopf ", env!("CARGO_PKG_VERSION"))]);
    self::section(&mut page, "NAME", [roman(format!("{name} - {about}"))]);
    self::section(&mut page, "SYNOPSIS", [roman(synopsis)]);
    page
}

/// A section that begins with a paragraph.
pub fn section(page: &mut Roff, title: &str, text: impl Into<Vec<Inline>>) {
    page.control("SH", [title]).text(text);
}

/// A further paragraph.
pub fn paragraph(page: &mut Roff, text: impl Into<Vec<Inline>>) {
    page.control("PP", []).text(text);
}

/// The section of the options.
pub fn options<M>(page: &mut Roff, options: &[crate::Opt<M>]) {
    page.control("SH", ["OPTIONS"]);
    for opt in options {
        let mut tag = Vec::new();
        if let Some(short) = opt.short {
            tag.extend([bold(format!("-{short}")), roman(", ")]);
        }
        tag.push(bold(format!("--{}", opt.long)));
        if let Some(value) = opt.value {
            tag.extend([roman(" "), italic(value)]);
        }
        page.control("TP", []).text(tag).text([roman(opt.help)]);
    }
    paragraph(page, [roman("Long options may be abbreviated, and options may follow the operands.")]);
}
