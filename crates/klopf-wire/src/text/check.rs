//! A CRC-16, by which a body is found and slips are noticed.

/// Of polynomial 0x1021 and initial value 0xffff, not reflected (CRC-16/CCITT-FALSE, also called CRC-16/IBM-3740).
pub(super) fn check(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    })
}

/// The body of `body || check`.
pub(super) fn checked(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let sum = bytes.split_off(bytes.len().checked_sub(2)?);
    (sum == check(&bytes).to_be_bytes()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_catalogue() {
        assert_eq!(check(b"123456789"), 0x29b1);
        assert_eq!(checked([b"123456789", &[0x29, 0xb1][..]].concat()), Some(b"123456789".to_vec()));
        assert_eq!([checked(vec![]), checked(vec![0xff]), checked(vec![1, 2, 3])], [None, None, None]);
    }
}
