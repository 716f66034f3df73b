//! Tags of call sites, which distinguish series together with name and source.

use crate::measurement::{TextProblem, check_name};

/// Pairs of tag and value, in ascending order of tags.
pub(crate) type Tags = &'static [(&'static str, &'static str)];

/// Maximum number of tags of a series; readers of batches reject more.
pub(crate) const MAX_TAGS: usize = 50;

/// Maximum number of sites of one family.
const MAX_SITES: usize = 256;

/// A type with few named values, to be used as the value of a tag.
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
#[diagnostic::on_unimplemented(
    message = "a tag needs a type with few values: `{Self}` does not implement `TagValue`",
    label = "no `TagValue`",
    note = "write a literal or a constant in capitals, or a value of an enum that derives \
            `zibrato::TagValue`"
)]
pub trait TagValue {
    /// The names of all values. They must be valid names, which is checked at compile time.
    ///
    /// The tags of one call site can have at most 256 combinations of values:
    ///
    /// ```compile_fail,E0080
    /// struct Port(u16);
    ///
    /// impl zibrato::TagValue for Port {
    ///     const VALUES: &'static [&'static str] = &["a"; 257];
    ///     fn index(&self) -> usize {
    ///         self.0.into()
    ///     }
    /// }
    ///
    /// zibrato::count!("info", "packets", tags(port = Port(80)));
    /// ```
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
pub(crate) const fn check(tags: Tags) {
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
                "a level is longer than 64 bytes, or a name, source or tag longer than 255; \
                 a name made from a module path may need `name = \"…\"`"
            ),
        }
    }
}

/// The values of each of several tags.
pub(crate) type Values = &'static [&'static [&'static str]];

/// One value for each of several tags.
#[doc(hidden)]
pub trait Choice {
    const VALUES: Values;
    const CHECKED: () = check_values(Self::VALUES);

    /// The index among all combinations; the last tag changes fastest.
    fn index(&self) -> usize;
}

macro_rules! choice {
    ($($value:ident),+) => {
        impl<$($value: TagValue),+> Choice for ($(&$value,)+) {
            const VALUES: Values = &[$($value::VALUES),+];

            #[inline]
            #[expect(non_snake_case, reason = "a type and its value have the same name")]
            fn index(&self) -> usize {
                let ($($value,)+) = self;
                let mut index = 0_usize;
                $(
                    let next = $value.index();
                    if next >= $value::VALUES.len() {
                        return usize::MAX;
                    }
                    index = index * $value::VALUES.len() + next;
                )+
                index
            }
        }
    };
}

choice!(A);
choice!(A, B);
choice!(A, B, C);
choice!(A, B, C, D);

const fn check_values(values: Values) {
    let mut combinations = 1;
    let mut tag = 0;
    while tag < values.len() {
        combinations *= values[tag].len();
        assert!(
            combinations <= MAX_SITES,
            "the values of these tags have more than 256 combinations"
        );
        let mut i = 0;
        while i < values[tag].len() {
            expect_valid(check_name(values[tag][i]));
            i += 1;
        }
        tag += 1;
    }
}
