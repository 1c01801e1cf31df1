//! Carries grants out: commands, leases, journal
