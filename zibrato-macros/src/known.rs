//! The arguments of each macro: one row each, with word, syntax and parser.

use syn::{Error, LitBool, LitInt};

use crate::args::{Known, Read, amount, on, path, reading};
use crate::scope;
use crate::tags;
use crate::text::{What, bare, text, title};

const CRATE: Known = Known {
    word: "crate",
    example: "crate = path::to::zibrato",
    read: Read::Value(|args, input| {
        args.krate = Some(path(input)?);
        Ok(())
    }),
};
const CALL_ALONE: Known = Known {
    word: "call",
    example: "call",
    read: Read::Word(|args, span| {
        args.call = Some(span);
        Ok(())
    }),
};
/// Internal: an attribute on a block gives it to those inside.
const CALLED: Known = Known {
    word: "__called",
    example: "__called = \"Type.method\"",
    read: Read::Value(|args, input| {
        args.called = Some(input.parse()?);
        Ok(())
    }),
};
const DESCRIPTION: Known = Known {
    word: "description",
    example: r#"description = "by the release train""#,
    read: Read::Value(|args, input| {
        args.description = Some(bare(input.parse()?));
        Ok(())
    }),
};
const EACH: Known = Known {
    word: "each",
    example: "each = true",
    read: Read::Value(|args, input| {
        let span = input.span();
        let each: LitBool =
            input.parse().map_err(|_| Error::new(span, "`each` must be `true` or `false`"))?;
        args.each = each.value;
        Ok(())
    }),
};
const SKIP: Known = Known {
    word: "skip",
    example: "skip",
    read: Read::Word(|_, span| {
        let message = "`skip` excludes a function from an attribute on its `impl`, `trait` or `mod`, and \
                       there is no such attribute; remove `skip`";
        Err(Error::new(span, message))
    }),
};
const LEVEL: Known = Known {
    word: "level",
    example: r#"level = "info""#,
    read: Read::Value(|args, input| {
        args.level = Some(text(What::Level, input.parse()?)?);
        Ok(())
    }),
};
const LINK: Known = Known {
    word: "link",
    example: r#"link = "https://ci.example.com/7""#,
    read: Read::Value(|args, input| {
        args.link = Some(bare(input.parse()?));
        Ok(())
    }),
};
const NAME: Known = Known {
    word: "name",
    example: r#"name = "db.query""#,
    read: Read::Value(|args, input| {
        args.name = Some(text(What::Name, input.parse()?)?);
        Ok(())
    }),
};
const ON: Known = Known {
    word: "on",
    example: r#"on = "err""#,
    read: Read::Value(|args, input| {
        args.on = Some(on(&bare(input.parse()?))?);
        Ok(())
    }),
};
const SOURCE: Known = Known {
    word: "source",
    example: r#"source = "web-1""#,
    read: Read::Value(|args, input| {
        args.source = Some(text(What::Source, input.parse()?)?);
        Ok(())
    }),
};
const STREAM: Known = Known {
    word: "stream",
    example: r#"stream = "deploys""#,
    read: Read::Value(|args, input| {
        args.stream = Some(text(What::Stream, input.parse()?)?);
        Ok(())
    }),
};
const TITLE: Known = Known {
    word: "title",
    example: r#"title = "version {version} is live""#,
    read: Read::Value(|args, input| {
        args.title = Some(title(input.parse()?)?);
        Ok(())
    }),
};
const TAGS: Known = Known {
    word: "tags",
    example: tags::EXAMPLE,
    read: Read::List(|args, span, input| {
        args.tags = tags::read(span, input)?;
        Ok(())
    }),
};
const MAX_SERIES: Known = Known {
    word: "max_series",
    example: "max_series = 1000",
    read: Read::Value(|args, input| {
        let span = input.span();
        let message = "`max_series` must be a number from 1 to 100000, such as `1000`";
        let most: LitInt = input.parse().map_err(|_| Error::new(span, message))?;
        match most.base10_parse::<u32>() {
            Ok(1..=100_000) => args.max_series = Some(most),
            _ => return Err(Error::new(span, message)),
        }
        Ok(())
    }),
};
const UNIT: Known = Known {
    word: "unit",
    example: r#"unit = "bytes""#,
    read: Read::Value(|args, input| {
        args.unit = Some(text(What::Unit, input.parse()?)?);
        Ok(())
    }),
};
const VALUE: Known = Known {
    word: "value",
    example: "value = 3",
    read: Read::Value(|args, input| {
        args.value = Some(amount(input.parse()?)?);
        Ok(())
    }),
};
const READING: Known = Known {
    word: "value",
    example: "value = |r| r.len()",
    read: Read::Value(|args, input| {
        args.value = Some(reading(input.parse()?)?);
        Ok(())
    }),
};

/// The arguments of `#[annotate_me]`.
pub(crate) const ANNOTATE_ME: &[Known] =
    &[STREAM, TITLE, LEVEL, DESCRIPTION, LINK, SOURCE, TAGS, CALL_ALONE, CRATE, SKIP, CALLED];
/// The arguments of `annotate!` after those of the title.
pub(crate) const ANNOTATE: &[Known] = &[DESCRIPTION, LINK, SOURCE, TAGS, CRATE];
/// The arguments of `#[count_me]`.
pub(crate) const COUNT_ME: &[Known] = &[
    LEVEL,
    NAME,
    VALUE,
    SOURCE,
    TAGS,
    MAX_SERIES,
    ON,
    scope::OUTCOMES,
    scope::OK,
    scope::ERR,
    scope::PANIC,
    scope::CANCELLED,
    scope::IN_FLIGHT,
    scope::POLLS,
    CALL_ALONE,
    CRATE,
    SKIP,
    CALLED,
];
/// The arguments of `#[histogram_me]`.
pub(crate) const HISTOGRAM_ME: &[Known] =
    &[LEVEL, NAME, READING, UNIT, SOURCE, TAGS, MAX_SERIES, CALL_ALONE, CRATE, SKIP, CALLED];
/// The arguments of `#[time_me]`.
pub(crate) const TIME_ME: &[Known] = &[
    LEVEL,
    NAME,
    SOURCE,
    TAGS,
    MAX_SERIES,
    scope::OUTCOMES,
    scope::OK,
    scope::ERR,
    scope::PANIC,
    scope::CANCELLED,
    scope::SLOW,
    scope::IN_FLIGHT,
    scope::SAMPLE,
    scope::BUSY,
    scope::POLLS,
    CALL_ALONE,
    CRATE,
    SKIP,
    CALLED,
];
/// The arguments after the positional ones of `count!` and `time!`.
pub(crate) const CALL: &[Known] = &[SOURCE, TAGS, MAX_SERIES, CRATE];
/// The arguments after the positional ones of `gauge!`.
pub(crate) const GAUGE: &[Known] = &[SOURCE, TAGS, MAX_SERIES, EACH, CRATE];
/// The arguments after the positional ones of `histogram!`.
pub(crate) const HISTOGRAM: &[Known] = &[UNIT, SOURCE, TAGS, MAX_SERIES, CRATE];
