//! The numbers that may be counted or gauged.

/// A number that may be counted or gauged: any integer up to 64 bits, or a float.
///
/// NaN and infinities cannot go on the wire; they are counted as lost (see
/// [`Stats::lost`](crate::Stats::lost)).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a number that can be counted or gauged",
    label = "neither an integer up to 64 bits nor a float",
    note = "for a duration, use a timer: `time!`, `TimeMe` or `TimerHandle::record`"
)]
pub trait Amount: Copy {
    /// The number, whole if the type is.
    #[doc(hidden)]
    fn number(self) -> Number;
}

/// A number as cells add it. Whole numbers are added exactly.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
#[expect(
    unnameable_types,
    reason = "not nameable outside, so that no other crate implements `Amount`"
)]
pub enum Number {
    Float(f64),
    Whole(i64),
}

impl Number {
    pub(crate) const fn to_f64(self) -> f64 {
        match self {
            Self::Float(value) => value,
            Self::Whole(value) => value as f64,
        }
    }
}

macro_rules! amounts {
    ($($type:ty => $number:expr;)*) => {$(
        impl Amount for $type {
            #[inline]
            fn number(self) -> Number {
                $number(self)
            }
        }
    )*};
}

/// Whole numbers up to this size are added as integers. Larger ones are added as doubles: integers
/// would not be more exact, and a few of them would overflow the sum.
const MAX_WHOLE: u64 = 1 << 53;

fn whole_if_it_fits(value: i128) -> Number {
    match i64::try_from(value) {
        Ok(whole) if whole.unsigned_abs() <= MAX_WHOLE => Number::Whole(whole),
        _ => Number::Float(value as f64),
    }
}

amounts! {
    u8 => |v| Number::Whole(i64::from(v));
    u16 => |v| Number::Whole(i64::from(v));
    u32 => |v| Number::Whole(i64::from(v));
    u64 => |v| whole_if_it_fits(i128::from(v));
    usize => |v| whole_if_it_fits(v as i128);
    i8 => |v| Number::Whole(i64::from(v));
    i16 => |v| Number::Whole(i64::from(v));
    i32 => |v| Number::Whole(i64::from(v));
    i64 => |v| whole_if_it_fits(i128::from(v));
    isize => |v| whole_if_it_fits(v as i128);
    f32 => |v| Number::Float(f64::from(v));
    f64 => Number::Float;
    Number => |v| v;
}
