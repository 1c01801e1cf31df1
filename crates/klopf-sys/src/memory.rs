//! Memory that is not needed any more.

use std::fs;

/// Where the code of this program and its libraries is in memory, and their constants. None of them is ever unloaded.
#[derive(Debug, Default)]
pub struct Code(Vec<(usize, usize)>);

impl Code {
    /// Looks for it; nothing is found where that cannot be seen.
    #[must_use]
    pub fn find() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Self(maps.lines().filter_map(code).collect())
    }

    /// Gives its pages back. What is still run is taken from the page cache again, piece by piece; what only the start needed, which is
    /// most of it, is not. Where it cannot be done nothing happens.
    pub fn release(&self) {
        for &(first, length) in &self.0 {
            // Kernels before 5.18 know only the second, which leaves alone what is locked, see `keep_secrets`.
            for advice in [libc::MADV_DONTNEED_LOCKED, libc::MADV_DONTNEED] {
                // SAFETY: a private mapping of a file that nothing can have been written to holds what the file holds, and does
                // so again after this (madvise(2)), which takes no page away that is being run: it is read again.
                if unsafe { libc::madvise(std::ptr::with_exposed_provenance_mut(first), length, advice) } == 0 {
                    break;
                }
            }
        }
    }
}

/// First address and bytes of a mapping of /proc/PID/maps (proc_pid_maps(5)) if it is code that comes from a file, or constants.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (first, end) = words.next()?.split_once('-')?;
    let (mode, offset) = (words.next()?, words.next()?);
    // Constants stand behind the file's head. Elsewhere `r--p` is what the loader has written to, and then closed (RELRO).
    let is_code = mode == "r-xp" || mode == "r--p" && offset.bytes().all(|digit| digit == b'0');
    let is_code = is_code && words.nth(2)?.starts_with('/');
    let (first, end) = (usize::from_str_radix(first, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    is_code.then_some((first, end.checked_sub(first)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_is_given_back_runs_on() {
        let code = Code::find();
        assert!(code.0.len() >= 4, "code and constants of this program and of the C library: {code:x?}");
        code.release();
        assert_eq!("1,2".split(',').collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn nothing_else_is_given_back() {
        let given = |line| code(line);
        assert_eq!(given("7f00-7f10 r-xp 00019000 fe:00 131 /usr/sbin/klopfd"), Some((0x7f00, 0x10)));
        assert_eq!(given("7f00-7f10 r--p 00000000 fe:00 131 /usr/sbin/klopfd"), Some((0x7f00, 0x10)));
        for other in [
            "7f00-7f10 r--p 00019000 fe:00 131 /usr/sbin/klopfd",
            "7f00-7f10 rw-p 00000000 fe:00 131 /usr/sbin/klopfd",
            "7f00-7f10 r--p 00000000 00:00 0 [vvar]",
            "7f00-7f10 rwxp 00019000 fe:00 131 /usr/sbin/klopfd",
            "7f00-7f10 r-xp 00000000 00:00 0 [vdso]",
            "7f00-7f10 r-xp 00000000 00:00 0",
            "7f10-7f00 r-xp 00000000 00:00 0 /usr/sbin/klopfd",
            "",
        ] {
            assert_eq!(given(other), None, "{other}");
        }
    }
}
