//! The hashes with which Carbon's relay places names and destinations.
//!
//! Pure.

use md5::{Digest, Md5};

/// A hash of Carbon's relay (`ROUTER_HASH_TYPE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum HashType {
    /// The first four hexadecimal digits of MD5. Carbon's default for `consistent-hashing`.
    #[value(name = "carbon_ch")]
    Carbon,
    /// The 32-bit FNV-1a hash, folded to 16 bits. Destinations are placed by their instances alone.
    #[value(name = "fnv1a_ch")]
    Fnv1a,
    /// MurmurHash3 for 32 bits. Carbon's default for `fast-hashing`.
    #[value(name = "mmh3_ch")]
    Mmh3,
}

impl HashType {
    /// The position of a text on the ring.
    ///
    /// ```
    /// use zibrato_workers::carbon::HashType;
    /// assert_eq!(HashType::Carbon.position("stats.gorets"), 8768);
    /// ```
    #[must_use]
    pub fn position(self, text: &str) -> i64 {
        match self {
            Self::Carbon => {
                let digest = Md5::digest(text.as_bytes());
                i64::from(u16::from_be_bytes([digest[0], digest[1]]))
            }
            Self::Fnv1a => {
                let hash = fnv1a_32(text.as_bytes());
                i64::from((hash >> 16) ^ (hash & 0xffff))
            }
            Self::Mmh3 => i64::from(murmur3_32(text.as_bytes()).cast_signed()),
        }
    }
}

fn fnv1a_32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// `MurmurHash3_x86_32` with seed 0, by Austin Appleby, who placed it in the public domain.
fn murmur3_32(bytes: &[u8]) -> u32 {
    let mixed =
        |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, rest) = bytes.as_chunks::<4>();
    let mut hash = blocks.iter().fold(0_u32, |hash, block| {
        let hash = hash ^ mixed(u32::from_le_bytes(*block));
        hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let last = rest.iter().rev().fold(0, |block, byte| (block << 8) | u32::from(*byte));
    // The length is taken modulo 2^32.
    hash ^= mixed(last) ^ bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::{HashType, fnv1a_32, murmur3_32};

    #[test]
    fn positions_are_those_of_carbon() {
        for (text, position) in [
            ("a", 3265),
            ("hosts.worker1.cpu", 64833),
            ("café", 1809),
            ("('127.0.0.1', 'a'):0", 24043),
        ] {
            assert_eq!(HashType::Carbon.position(text), position, "{text}");
        }
        assert_eq!(fnv1a_32(b"hosts.worker1.cpu"), 2_118_555_379);
        for (text, position) in
            [("hosts.worker1.cpu", 59573), ("stats.gorets", 11597), ("0-a", 52678)]
        {
            assert_eq!(HashType::Fnv1a.position(text), position, "{text}");
        }
    }

    #[test]
    fn murmur_hashes_are_the_published_ones() {
        for (text, hash) in [
            ("", 0),
            ("a", 0x3c25_69b2),
            ("abc", 0xb3dd_93fa),
            ("test", 0xba6b_d213),
            ("Hello, world!", 0xc036_3e43),
            ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ] {
            assert_eq!(murmur3_32(text.as_bytes()), hash, "{text}");
        }
    }
}
