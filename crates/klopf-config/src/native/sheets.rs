//! Revoking a sheet of codes in the file of a key, and nothing else in it.

use toml::de::{DeTable, DeValue};

/// The list of a key's revoked sheets.
const KEY: &str = "revoked-sheets";
/// Whoever reads it wants to know what it is.
const REMARK: &str = "# Sheets of codes that open nothing any more.\n";

/// The text of a key's file with one more revoked sheet; as it is if it is there already. Remarks and all else stay. None if
/// there is no place for it: the file has something else than a list of sheets, or is so broken that nobody can tell.
#[must_use]
pub fn with_revoked_sheet(text: &str, sheet: u16) -> Option<String> {
    if is_revoked(text, sheet) {
        return Some(text.to_owned());
    }
    let document = DeTable::parse_recoverable(text).0.into_inner();
    let changed = match document.get(KEY).map(|list| (list.get_ref(), list.span())) {
        Some((DeValue::Array(list), span)) => {
            let (before, behind) = text.split_at_checked(span.start + 1).filter(|(before, _)| before.ends_with('['))?;
            let comma = if list.is_empty() { "" } else { ", " };
            format!("{before}{sheet}{comma}{behind}")
        }
        Some(_) => return None,
        None => {
            // Before anything that could be broken, and below the remarks that a file begins with.
            let remarks = text.split_inclusive('\n').take_while(|line| line.starts_with('#') && line.ends_with('\n'));
            let (before, behind) = text.split_at_checked(remarks.map(str::len).sum())?;
            format!("{before}{REMARK}{KEY} = [{sheet}]\n{behind}")
        }
    };
    is_revoked(&changed, sheet).then_some(changed)
}

fn is_revoked(text: &str, sheet: u16) -> bool {
    let document = DeTable::parse_recoverable(text).0.into_inner();
    let Some(DeValue::Array(list)) = document.get(KEY).map(|list| list.get_ref()) else { return false };
    list.iter()
        .filter_map(|value| value.get_ref().as_integer())
        .any(|number| u16::from_str_radix(number.as_str(), number.radix()).is_ok_and(|number| number == sheet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_is_added_and_all_else_stays() {
        for (text, changed) in [
            (
                "# Made by.\npublic = \"x\"\n",
                "# Made by.\n# Sheets of codes that open nothing any more.\nrevoked-sheets = [17]\npublic = \"x\"\n",
            ),
            ("a = 1\nrevoked-sheets = [] # none\n", "a = 1\nrevoked-sheets = [17] # none\n"),
            ("revoked-sheets = [\n  # lost\n  2040,\n]\nb = 2", "revoked-sheets = [17, \n  # lost\n  2040,\n]\nb = 2"),
            ("revoked-sheets = [1, 17]", "revoked-sheets = [1, 17]"),
            ("", "# Sheets of codes that open nothing any more.\nrevoked-sheets = [17]\n"),
        ] {
            assert_eq!(with_revoked_sheet(text, 17).as_deref(), Some(changed));
            assert_eq!(with_revoked_sheet(changed, 17).as_deref(), Some(changed));
        }
    }

    #[test]
    fn a_broken_file_takes_it_where_it_counts_or_not_at_all() {
        assert!(with_revoked_sheet("public = \npsk = \"a\n[door", 17).unwrap().starts_with(REMARK));
        for text in ["revoked-sheets = 17", "revoked-sheets = {}", "revoked-sheets.a = []"] {
            assert_eq!(with_revoked_sheet(text, 17), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_keeps_its_sheets(text in "([a-z=#\\[\\]\\n ]|revoked-sheets|[0-9]|, |\")*", sheet in 0..2048_u16) {
            if let Some(changed) = with_revoked_sheet(&text, sheet) {
                assert!(is_revoked(&changed, sheet) && changed.len() >= text.len());
            }
        }
    }
}
