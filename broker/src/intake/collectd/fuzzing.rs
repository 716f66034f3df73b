//! The entry point of the fuzz target.

use super::auth::Users;
use super::datagram::{Decoder, Options, Outcome, SecurityLevel};
use super::sealing::{AUTH_FILE, encrypt, sign};
use super::types_db::TypesDb;

const NOW: u64 = 1_700_000_000_000;

const TYPES: &str = "\
gauge value:GAUGE:U:U
derive value:DERIVE:0:U
counter value:COUNTER:0:U
absolute value:ABSOLUTE:0:U
if_octets rx:DERIVE:0:U, tx:DERIVE:0:U
percent value:GAUGE:0:100.1
mixed a:GAUGE:U:U, b:COUNTER:U:U, c:DERIVE:U:U, d:ABSOLUTE:U:U
";

/// Decodes datagrams, each after its length in two bytes. The first byte chooses the options.
///
/// # Panics
/// If a value is not finite or a datagram gives more outcomes than bytes, or if a datagram gives
/// other values when it is signed or encrypted.
pub fn collectd(input: &[u8]) {
    let Some((options, mut rest)) = input.split_first() else { return };
    let mut decoders = [(); 3].map(|()| decoder(*options));
    while let Some((&[high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (datagram, after) = after.split_at(length);
        rest = after;
        let sealed = [datagram.to_vec(), sign(datagram), encrypt(datagram)];
        let [plain, signed, encrypted] = &mut decoders;
        let [plain, signed, encrypted] =
            [(plain, &sealed[0]), (signed, &sealed[1]), (encrypted, &sealed[2])]
                .map(|(decoder, datagram)| decode(decoder, datagram));
        assert!(plain.len() <= datagram.len() + 1, "{} outcomes", plain.len());
        // An encrypted part cannot contain another one, nor a datagram of any length.
        if datagram.is_empty() || datagram.windows(2).any(|kind| kind == [2, 0x10]) {
            return;
        }
        assert_eq!(plain, signed);
        if datagram.len() > 60_000 {
            return;
        }
        assert_eq!(plain, encrypted);
    }
}

fn decoder(options: u8) -> Decoder {
    let options = Options {
        security: SecurityLevel::None,
        counter_eq_derive: options & 1 != 0,
        counter_resets: options & 2 != 0,
        dot: (options & 4 != 0).then(|| "_".to_owned()),
    };
    let mut types = TypesDb::default();
    types.add(TYPES, |line, error| unreachable!("{line}: {error}"));
    Decoder::new(options, types, Some(Users::parse(AUTH_FILE.as_bytes(), |_, _| {})))
}

fn decode(decoder: &mut Decoder, datagram: &[u8]) -> Vec<String> {
    let mut outcomes = Vec::new();
    decoder.decode(datagram, NOW, NOW, &mut |outcome| {
        outcomes.push(match outcome {
            Outcome::Sample(sample) => {
                assert!(sample.value.is_finite());
                format!("{} {} {}", sample.list, sample.name, sample.value)
            }
            Outcome::Rejected(rejected) => format!("{} {}", rejected.reason, rejected.about),
        });
    });
    outcomes
}
