//! Which profile is for a host.

use klopf_spa::Name;

use crate::failure::{Failure, code};
use crate::profile::{Kept, Store};

/// The profile of this name, or the one that knows the host.
pub(super) fn profile_for(store: &Store, name: Option<&Name>, host: &str) -> Result<Kept, Failure> {
    if let Some(name) = name {
        return store.load(name);
    }
    let (all, broken) = store.all();
    let listed: Vec<String> =
        all.iter().map(|kept| format!("{} ({})", kept.name, kept.profile.endpoints.join(", "))).collect();
    let mut fits: Vec<Kept> = all.into_iter().filter(|kept| knows(kept, host)).collect();
    match (fits.pop(), fits.as_slice()) {
        (Some(only), []) => Ok(only),
        (Some(last), others) => {
            let names: Vec<&str> = others.iter().chain([&last]).map(|kept| &*kept.name).collect();
            let why = format_args!("the profiles {} are all for '{host}'; name one: -p PROFILE", names.join(", "));
            Err(Failure::new(code::USAGE, why))
        }
        (None, _) => Err(match broken.into_iter().next() {
            Some(failure) => failure,
            None if listed.is_empty() => Failure::new(
                code::NO_INPUT,
                format_args!(
                    "there is no profile for '{host}', nor any other; to make one of an invitation: klopf join"
                ),
            ),
            None => Failure::new(
                code::NO_INPUT,
                format_args!("no profile is for '{host}'; there are {}. To use one: -p PROFILE", listed.join(", ")),
            ),
        }),
    }
}

/// Whether a host is one of a profile's, or its name.
pub(super) fn knows(kept: &Kept, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    is_called(kept, host) || is_endpoint(kept, host)
}

/// Whether a host is meant by a profile's name. One with a dot could be that of another host, and who invites chooses it.
pub(super) fn is_called(kept: &Kept, host: &str) -> bool {
    *kept.name == *host && !host.contains('.')
}

/// Whether a host is one of a profile's.
pub(super) fn is_endpoint(kept: &Kept, host: &str) -> bool {
    kept.profile.endpoints.iter().any(|endpoint| endpoint.trim_end_matches('.').eq_ignore_ascii_case(host))
}

/// Where to connect to for a host: to itself first, and then to the profile's other endpoints. A profile's name stands for all of
/// them.
pub(super) fn endpoints(kept: &Kept, host: &str) -> Vec<String> {
    let all = &kept.profile.endpoints;
    let host = host.strip_suffix('.').unwrap_or(host);
    if is_endpoint(kept, host) {
        let others = all.iter().filter(|endpoint| !endpoint.trim_end_matches('.').eq_ignore_ascii_case(host));
        [host.to_owned()].into_iter().chain(others.cloned()).collect()
    } else if is_called(kept, host) {
        all.clone()
    } else {
        vec![host.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use klopf_config::profile;

    use super::*;

    fn kept(name: &str, endpoints: &str) -> Kept {
        let key = "A".repeat(43);
        let text = format!(
            "endpoints = [{endpoints}]\ndoors = [\"ssh\"]\nport = 1\ndevice = \"{}\"\nserver = \"{key}\"\n\
             private = \"{key}\"\npsk = \"{key}\"\n",
            "0".repeat(32)
        );
        let profile = profile::parse("p", text.as_bytes()).unwrap();
        Kept { name: Name::new(name).unwrap(), path: name.into(), profile }
    }

    #[test]
    fn a_host_is_known_by_its_endpoint_in_any_case_or_by_the_profiles_name() {
        let kept = kept("home", r#""Host.example", "192.0.2.1""#);
        for (host, expected) in [
            ("host.EXAMPLE", vec!["host.EXAMPLE", "192.0.2.1"]),
            ("host.example.", vec!["host.example", "192.0.2.1"]),
            ("192.0.2.1", vec!["192.0.2.1", "Host.example"]),
            ("home", vec!["Host.example", "192.0.2.1"]),
        ] {
            assert!(knows(&kept, host), "{host}");
            assert_eq!(endpoints(&kept, host), expected);
        }
        assert!(!knows(&kept, "other.example") && !knows(&kept, "Home"));
        assert_eq!(endpoints(&kept, "other.example"), ["other.example"]);
    }
}
