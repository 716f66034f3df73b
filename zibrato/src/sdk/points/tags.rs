//! Tags of call sites, which distinguish series together with name and source.

use crate::measurement::{TextProblem, check_name};
pub(crate) use crate::wire::MAX_TAGS;

/// Tag and value each, ascending by tag.
pub(crate) type FixedTags = &'static [(&'static str, &'static str)];

/// A type with few named values, to be used as the value of a tag.
///
/// A tag may have any value that can be displayed. One of such a type costs less: its series are
/// made at the first call, and a call needs no look-up. That holds as long as the values of all tags
/// of one place have at most 256 combinations.
///
/// Derive it for an enum without fields. The names are those of the variants in snake case, or
/// those of `#[tag(value = "..")]`. `bool` implements it too.
///
/// ```
/// use zibrato::{TagValue, count_me};
///
/// #[derive(TagValue)]
/// enum Method {
///     Get,
///     #[tag(value = "post")]
///     Submit,
/// }
///
/// #[count_me(name = "requests", tags(method = method, region = "eu"))]
/// fn handle(method: &Method) {}
///
/// let capture = zibrato::testing::capture();
/// handle(&Method::Submit);
/// assert_eq!(capture.measurements()[0].tags, [("method", "post"), ("region", "eu")]);
/// assert_eq!(Method::VALUES, ["get", "post"]);
/// ```
pub trait TagValue {
    /// The names of all values. They are checked like names, at compile time.
    const VALUES: &'static [&'static str];

    /// The index of the value in [`VALUES`](Self::VALUES). If it is out of range, the call is
    /// measured without the tags whose values are known only at the call.
    fn index(&self) -> usize;
}

impl TagValue for bool {
    const VALUES: &'static [&'static str] = &["false", "true"];

    #[inline]
    fn index(&self) -> usize {
        usize::from(*self)
    }
}

impl<T: TagValue + ?Sized> TagValue for &T {
    const VALUES: &'static [&'static str] = T::VALUES;

    #[inline]
    fn index(&self) -> usize {
        T::index(self)
    }
}

/// Checks tags and values, which have the same rules as names.
#[track_caller]
pub(crate) const fn check(tags: FixedTags) {
    assert!(tags.len() <= MAX_TAGS, "a series has at most 50 tags");
    let mut i = 0;
    while i < tags.len() {
        expect_valid(check_name(tags[i].0));
        expect_valid(check_name(tags[i].1));
        i += 1;
    }
}

// A panic in the initializer of a static is a compile error at the place of the static, in the
// caller's code.
#[track_caller]
pub(crate) const fn expect_valid(checked: Result<(), TextProblem>) {
    if let Err(problem) = checked {
        match problem {
            TextProblem::Bar => panic!("a level, name, source or tag contains a `|`"),
            TextProblem::Control => {
                panic!("a level, name, source or tag contains a control character or a line break")
            }
            TextProblem::Empty => panic!("a level, name, source or tag is empty"),
            TextProblem::Reserved => panic!("this level is reserved for the protocol"),
            TextProblem::TooLong => panic!(
                "a level is longer than 64 bytes, a unit longer than 32, or a name, source or tag longer than 255; \
                 a name made from a module path may need `name = \"…\"`"
            ),
        }
    }
}
