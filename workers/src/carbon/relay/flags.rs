//! The flags about several destinations, named after the keys of `carbon.conf`.

use super::hash::HashType;
use super::ring::Ring;
use super::rules::Rules;
use super::share::{Relay, Share};
use crate::carbon::address::Address;
use crate::carbon::config_file;
use crate::carbon::names::YesNo;
use std::path::{Path, PathBuf};
use zibrato::daemon::whole_number;

/// Which of several destinations gets which series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[non_exhaustive]
pub enum RelayMethod {
    /// Every destination gets everything.
    #[default]
    All,
    /// By the patterns of `--relay-rules`, as carbon-relay does.
    Rules,
    /// Each name has its own destination, the same as with carbon-relay, and few move when one is
    /// added.
    ConsistentHashing,
    /// As `fast-hashing` of carbon-relay: cheaper, but nearly all names move when one is added.
    FastHashing,
}

/// The flags about several destinations.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Several destinations")]
#[non_exhaustive]
pub struct RelayFlags {
    /// Which of several --carbon gets which series
    #[arg(long, value_name = "METHOD", default_value = "all", value_enum)]
    pub relay_method: RelayMethod,

    /// With --relay-method rules: a file in the form of carbon-relay's relay-rules.conf. Its
    /// destinations are addresses of --carbon
    #[arg(long, value_name = "FILE")]
    pub relay_rules: Option<PathBuf>,

    /// With a hashing --relay-method: the hash [default: carbon_ch, and mmh3_ch with fast-hashing]
    #[arg(long, value_name = "HASH", value_enum)]
    pub hash_type: Option<HashType>,

    /// With a hashing --relay-method: number of destinations that get each series [default: 1]
    #[arg(long, value_name = "NUMBER", value_parser = whole_number::<usize>("a whole number of destinations", 1..=100))]
    pub replication_factor: Option<usize>,

    /// With a hashing --relay-method: whether the destinations of a series are on different hosts
    /// [default: yes]
    #[arg(long, value_name = "WORD", value_enum)]
    pub diverse_replicas: Option<YesNo>,
}

impl RelayFlags {
    /// What each of the destinations gets.
    ///
    /// # Errors
    /// A sentence that names the flag and says what to do.
    pub(crate) fn shares(&self, destinations: &[Address]) -> Result<Vec<Share>, String> {
        for (at, one) in destinations.iter().enumerate() {
            if let Some(other) =
                destinations.iter().take(at).find(|other| other.is_same_destination(one))
            {
                return Err(format!(
                    "--carbon: {other} and {one} are the same destination; omit one"
                ));
            }
        }
        self.unused()?;
        let relay = match self.relay_method {
            RelayMethod::All => Relay::All,
            RelayMethod::Rules => {
                let file = self.relay_rules.as_deref().ok_or_else(|| {
                    "--relay-method rules needs the file of the rules: give --relay-rules FILE"
                        .to_owned()
                })?;
                Relay::Rules(read(file, destinations)?)
            }
            RelayMethod::ConsistentHashing | RelayMethod::FastHashing => {
                self.hashed(destinations)?
            }
        };
        Ok(Share::of_each(relay, destinations.len()))
    }

    /// Fails if a flag was given that has no meaning.
    fn unused(&self) -> Result<(), String> {
        let is_hashing =
            matches!(self.relay_method, RelayMethod::ConsistentHashing | RelayMethod::FastHashing);
        let needs = |flag: &str, method: &str| {
            Err(format!("{flag} is for --relay-method {method}; omit it, or give that method"))
        };
        if self.relay_rules.is_some() && self.relay_method != RelayMethod::Rules {
            return needs("--relay-rules", "rules");
        }
        for (flag, is_given) in [
            ("--hash-type", self.hash_type.is_some()),
            ("--replication-factor", self.replication_factor.is_some()),
            ("--diverse-replicas", self.diverse_replicas.is_some()),
        ] {
            if is_given && !is_hashing {
                return needs(flag, "consistent-hashing and fast-hashing");
            }
        }
        Ok(())
    }

    fn hashed(&self, destinations: &[Address]) -> Result<Relay, String> {
        distinct_nodes(destinations)?;
        if self.hash_type == Some(HashType::Fnv1a)
            && destinations.len() > 1
            && self.relay_method == RelayMethod::ConsistentHashing
        {
            distinct_instances(destinations)?;
        }
        let factor = self.replication_factor.unwrap_or(1);
        let diverse = self.diverse_replicas != Some(YesNo::No);
        let mut hosts: Vec<_> = destinations.iter().map(Address::host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let (most, what, instead) = match diverse {
            true => (
                hosts.len(),
                "different hosts",
                ", or give --diverse-replicas no if several destinations on a host may have the same series",
            ),
            false => (destinations.len(), "destinations", ""),
        };
        if factor > most {
            return Err(format!(
                "--replication-factor: {factor} copies need {factor} {what}, but --carbon has {most}; give at most {most}{instead}"
            ));
        }
        Ok(hashed(destinations, self.relay_method, self.hash_type, factor, diverse))
    }
}

pub(super) fn hashed(
    destinations: &[Address],
    method: RelayMethod,
    hash: Option<HashType>,
    factor: usize,
    diverse: bool,
) -> Relay {
    let ring = match method {
        RelayMethod::FastHashing => Ring::fast(destinations, hash.unwrap_or(HashType::Mmh3)),
        _ => Ring::consistent(destinations, hash.unwrap_or(HashType::Carbon)),
    };
    Relay::Hashed { ring, factor, diverse }
}

/// Fails if two destinations have the same host and instance. Carbon hashes these two, and not the
/// port.
pub(super) fn distinct_nodes(destinations: &[Address]) -> Result<(), String> {
    let of = |address: &Address| (address.host().to_owned(), address.instance().map(str::to_owned));
    for (at, one) in destinations.iter().enumerate() {
        let Some(other) = destinations.iter().take(at).find(|other| of(other) == of(one)) else {
            continue;
        };
        return Err(format!(
            "--carbon: {other} and {one} have the same host and the same instance, and names are \
             hashed by these two, not by the port; give each an instance of its own, such as \
             {}:{}:a and {}:{}:b (carbon-relay needs the same in DESTINATIONS)",
            other.host(),
            other.port(),
            one.host(),
            one.port()
        ));
    }
    Ok(())
}

/// Fails if two destinations have the same instance, by which alone `fnv1a_ch` places them.
fn distinct_instances(destinations: &[Address]) -> Result<(), String> {
    for (at, one) in destinations.iter().enumerate() {
        let same = |other: &&Address| other.instance() == one.instance();
        if let Some(other) = destinations.iter().take(at).find(same) {
            return Err(format!(
                "--carbon: {other} and {one} have the same instance, by which alone fnv1a_ch places \
                 destinations, so one of them would get nearly everything; give each an instance of \
                 its own, such as {}:{}:a, or use --hash-type carbon_ch",
                one.host(),
                one.port()
            ));
        }
    }
    Ok(())
}

pub(super) fn addresses(texts: &[&str]) -> Result<Vec<Address>, String> {
    texts.iter().map(|text| text.parse().map_err(|why| format!("{why}"))).collect()
}

fn read(file: &Path, destinations: &[Address]) -> Result<Rules, String> {
    let shown = file.display();
    let text = config_file::text(file).map_err(|why| format!("--relay-rules: {shown}: {why}"))?;
    let rules = Rules::parse(&text, destinations)
        .map_err(|why| format!("--relay-rules: {shown}: {why}"))?;
    if let Some((unknown, line)) = rules.unknown.first() {
        let alike = unknown.parse::<Address>().ok().and_then(|unknown| {
            destinations
                .iter()
                .find(|one| one.host() == unknown.host() && one.port() == unknown.port())
        });
        let what = match alike {
            Some(one) => format!("write {} instead, as in --carbon", one.destination()),
            None => format!(
                "add --carbon {unknown}, with pickle:// in front if it is a port for pickles, as those \
                 of carbon-relay usually are"
            ),
        };
        return Err(format!(
            "--relay-rules: {shown}: line {line}: {unknown} is not among --carbon, so it would get \
             nothing; host, port and instance must be equal; {what}"
        ));
    }
    if let Some(idle) = (0..destinations.len()).find(|at| !rules.uses(*at)) {
        return Err(format!(
            "--relay-rules: {shown}: no rule has the destination {}; name it in a rule, or omit it \
             from --carbon",
            destinations[idle]
        ));
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::{Address, HashType, RelayFlags, RelayMethod, YesNo, addresses};

    fn shares(flags: &RelayFlags, all: &[&str]) -> Result<usize, String> {
        let all: Vec<Address> = addresses(all).unwrap();
        flags.shares(&all).map(|shares| shares.len())
    }

    #[test]
    fn mistakes_say_how_to_mend_them() {
        let hashing =
            || RelayFlags { relay_method: RelayMethod::ConsistentHashing, ..RelayFlags::default() };
        for (flags, all, expected) in [
            (RelayFlags::default(), &["h:1", "pickle://h:1"][..], "the same destination"),
            (hashing(), &["h:1", "h:2"], "such as h:1:a and h:2:b"),
            (hashing(), &["h:1:a", "h:2:a"], "not by the port"),
            (
                RelayFlags { hash_type: Some(HashType::Fnv1a), ..hashing() },
                &["h:1", "i:1"],
                "fnv1a_ch places",
            ),
            (
                RelayFlags { replication_factor: Some(2), ..hashing() },
                &["h:1:a", "h:2:b"],
                "--diverse-replicas no",
            ),
            (
                RelayFlags {
                    replication_factor: Some(3),
                    diverse_replicas: Some(YesNo::No),
                    ..hashing()
                },
                &["h:1:a", "h:2:b"],
                "give at most 2",
            ),
            (
                RelayFlags { replication_factor: Some(2), ..RelayFlags::default() },
                &["h:1", "i:1"],
                "--replication-factor is for",
            ),
            (
                RelayFlags { relay_method: RelayMethod::Rules, ..RelayFlags::default() },
                &["h:1"],
                "give --relay-rules FILE",
            ),
            (
                RelayFlags { relay_rules: Some("r.conf".into()), ..RelayFlags::default() },
                &["h:1"],
                "--relay-rules is for --relay-method rules",
            ),
        ] {
            let error = shares(&flags, all).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        let two = RelayFlags { replication_factor: Some(2), ..hashing() };
        assert_eq!(shares(&two, &["h:1", "i:1", "j:1"]), Ok(3));
    }

    #[test]
    fn rules_name_all_destinations_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("relay-rules.conf");
        let flags = RelayFlags {
            relay_method: RelayMethod::Rules,
            relay_rules: Some(file.clone()),
            ..RelayFlags::default()
        };
        let missing = shares(&flags, &["h:1"]).unwrap_err();
        assert!(missing.contains("relay-rules.conf: No such file"), "{missing}");
        std::fs::write(&file, "[d]\ndefault = true\ndestinations = h:1, i:1\n").unwrap();
        assert_eq!(shares(&flags, &["h:1", "i:1"]), Ok(2));
        let unknown = shares(&flags, &["h:1"]).unwrap_err();
        assert!(unknown.contains("line 3: i:1 is not among --carbon"), "{unknown}");
        assert!(unknown.contains("add --carbon i:1, with pickle://"), "{unknown}");
        let unlike = shares(&flags, &["h:1", "pickle://i:1:a"]).unwrap_err();
        assert!(unlike.contains("write i:1:a instead"), "{unlike}");
        let idle = shares(&flags, &["h:1", "i:1", "j:1"]).unwrap_err();
        assert!(idle.contains("no rule has the destination j:1"), "{idle}");
    }
}
