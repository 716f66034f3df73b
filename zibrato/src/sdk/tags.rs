//! Tags of call sites: what tells a series apart beside its name and source.

use crate::measurement::{TextProblem, check_name};

/// Tag and value each, ascending by tag.
pub(crate) type Tags = &'static [(&'static str, &'static str)];

/// The most tags of a series; a reader of batches refuses more.
const MAX_TAGS: usize = 50;

/// Checks tags and values as names are checked.
pub(crate) const fn check(tags: Tags) -> Result<(), TextProblem> {
    assert!(tags.len() <= MAX_TAGS, "a series has at most 50 tags");
    let mut i = 0;
    while i < tags.len() {
        let (tag, value) = tags[i];
        if let Err(problem) = check_name(tag) {
            return Err(problem);
        }
        if let Err(problem) = check_name(value) {
            return Err(problem);
        }
        i += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::sdk::{Place, Site, count};

    #[test]
    fn a_site_gives_its_tags_to_every_reading() {
        static SITE: Site = Site::counter(Place {
            level: "info",
            name: Some("tagged"),
            module: "",
            function: "",
            source: None,
            tags: &[("region", "eu"), ("shard", "hot")],
        });
        let capture = crate::testing::capture();
        count(&SITE, 1u64);
        assert_eq!(capture.measurements()[0].tags, [("region", "eu"), ("shard", "hot")]);
    }
}
