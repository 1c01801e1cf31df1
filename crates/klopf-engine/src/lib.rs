//! Attempts, recognition and decision: events in, effects out
